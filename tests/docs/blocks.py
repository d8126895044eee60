"""The code blocks of a page: what language, which text, and why one is not run. What is wrong with a block itself
(indented, without a language) is a problem, since nobody would run it."""

import dataclasses
import re

FENCE = re.compile(r"^ *```(\w*)\s*$")
MARKER = re.compile(r"^<!-- not run: (.+) -->$")
LANGUAGES = {"sh", "toml", "json", "text"}  # text: pictures and output, which nobody types
EXPECTED = "# → "  # begins a line that the commands before it print; … stands for anything on it


@dataclasses.dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    not_run: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    found: list[Block] = []
    marker, fence, language, body = "", 0, "", []
    for number, line in enumerate(text.splitlines(), 1):
        fenced = FENCE.match(line)
        if fenced and not fence:
            fence, language, body = number, fenced[1], []
        elif fenced:
            found.append(Block(page, fence, language, "\n".join(body), marker))
            fence, marker = 0, ""
        elif fence:
            body.append(line)
        elif line.strip():
            said = MARKER.match(line)
            marker = said[1] if said else ""
    assert not fence, f"{page}:{fence}: the block has no end"
    return found


def problems_of(page: str, text: str) -> list[str]:
    """Blocks that no test could take: without a language that is known, or indented instead of fenced."""
    problems = [f"{block.place}: a block of '{block.language}'; known are {sorted(LANGUAGES)}. Others are marked "
                "<!-- not run: WHY -->" for block in blocks_of(page, text)
                if block.language not in LANGUAGES and not (block.not_run and block.language)]
    fenced, before = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and not before.strip() and line.startswith("    ") and line.strip():
            problems.append(f"{page}:{number}: an indented block; fence it and name its language")
        before = line
    return problems


def segments_of(text: str) -> list[tuple[str, list[str]]]:
    """A shell block as (commands, lines that they print)."""
    segments: list[tuple[str, list[str]]] = []
    commands: list[str] = []
    for line in text.splitlines():
        if not line.startswith(EXPECTED):
            commands.append(line)
        elif commands:
            segments.append(("\n".join(commands), [line.removeprefix(EXPECTED)]))
            commands = []
        else:
            segments[-1][1].append(line.removeprefix(EXPECTED))
    return segments + ([("\n".join(commands), [])] if commands else [])


def is_printed(expected: str, output: str) -> bool:
    pattern = "[^\n]*".join(re.escape(part) for part in expected.split("…"))
    return re.search(pattern, output) is not None


def prose_of(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


def anchors_of(text: str) -> set[str]:
    """The names that code hosts give to the headings, and those that a page gives to its rows."""
    headings = re.findall(r"^#+ (.+)$", prose_of(text), re.M)
    named = re.findall(r'<a id="([^"]+)"></a>', text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings} | set(named)


def links_of(text: str) -> list[tuple[str, str]]:
    """(file, anchor) of the links that stay in the repository; either may be empty."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(text)))
    return [(target.partition("#")[0], target.partition("#")[2]) for target in targets
            if not re.match(r"[a-z]+:", target)]


def inline_commands(text: str) -> list[str]:
    """Code spans of the prose and of tables that call `payonce` or `./dev`."""
    return re.findall(r"`((?:payonce|\./dev) [^`\n]+)`", prose_of(text))


def help_examples(text: str) -> str:
    """The commands below `Examples:` of a help text, without what stands behind them in words."""
    lines = text.split("Examples:\n", 1)[-1].splitlines()
    return "\n".join(re.sub(r" {3,}\S.*$", "", line[2:]) if not line.startswith("    ") else line
                     for line in lines if line.startswith("  "))
