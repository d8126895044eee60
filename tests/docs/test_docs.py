"""README and docs are true: every block of code in them is run, or says why not; so is every example of --help."""

import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from blocks import (Block, anchors_of, blocks_of, help_examples, inline_commands, is_printed,  # noqa: E402
                    links_of, problems_of, segments_of)
from harness import Gateway, run_cli  # noqa: E402
from shell import ROOT, Place  # noqa: E402
from upstream import Upstream  # noqa: E402

PAGES = [str(file.relative_to(ROOT)) for file in
         (*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")),
          *sorted((ROOT / "docs").rglob("*.md")))]
COMMANDS = [[], ["serve"], ["up"], ["engine"], ["cache"], ["audit"], ["key"], ["lint"], ["mcp"], ["demo"]]


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def to_run(page: str, *languages: str) -> list[Block]:
    return [block for block in blocks_of(page, text_of(page)) if block.language in languages and not block.not_run]


def pages_with(*languages: str) -> list[str]:
    return [page for page in PAGES if to_run(page, *languages)]


@pytest.fixture(scope="session")
def upstream():
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, upstream) -> dict[str, bytes]:
    """What `payonce serve --record` wrote."""
    folder = tmp_path_factory.mktemp("recorded")
    gateway = Gateway(folder, "--upstream", upstream.url, "--record", folder / "calls.jsonl.zst").start()
    gateway.chat()
    assert gateway.stop() == 0, gateway.log()
    return {"calls.jsonl.zst": (folder / "calls.jsonl.zst").read_bytes()}


@pytest.fixture
def place(tmp_path, upstream, recorded):
    return Place(tmp_path, upstream, recorded)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page):
    assert problems_of(page, text_of(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for file, anchor in links_of(text_of(page)):
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page}: ({file}) is not there"
        assert not anchor or anchor in anchors_of(target.read_text()), f"{page}: no heading ({file}#{anchor})"


def test_every_page_is_found_from_the_readme():
    found, to_read = set(), [ROOT / "README.md"]
    while to_read:
        page = to_read.pop()
        if page in found:
            continue
        found.add(page)
        for file, _ in links_of(page.read_text()):
            target = (page.parent / file).resolve()
            to_read += target.glob("*.md") if target.is_dir() else [target] if target.suffix == ".md" else []
    assert [page for page in PAGES if ROOT / page not in found] == []


@pytest.mark.parametrize("page", pages_with("sh"))
def test_shell_blocks_run_as_they_stand(page, place):
    blocks = to_run(page, "sh")
    looks_in = any("payonce cache" in block.text for block in blocks)
    place.run_blocks(blocks, place.serve_entries() if looks_in else {})


@pytest.mark.parametrize("page", pages_with("toml"))
def test_toml_blocks_are_configurations(page, place):
    for block in to_run(page, "toml"):
        (place.work / "block.toml").write_text(place.translated(block.text))
        secrets = re.findall(r'key_env = "(\w+)"', block.text)
        ended = run_cli("serve", "--check", "--config", place.work / "block.toml", "--upstream", place.upstream.url,
                        home=place.home, env=dict.fromkeys(secrets, "secret"))
        assert ended.returncode == 0, f"{block.place}: {ended.stderr}"


@pytest.mark.parametrize("page", pages_with("json"))
def test_json_blocks_are_json(page):
    for block in to_run(page, "json"):
        json.loads(block.text)


@pytest.fixture(scope="session")
def flags(tmp_path_factory) -> dict[str, str]:
    """The help of each command, by its name ("" for the program's own)."""
    home = tmp_path_factory.mktemp("help")
    commands = [*COMMANDS, *(["cache", verb] for verb in ("ls", "get", "purge", "why", "stats"))]
    return {" ".join(command): run_cli(*command, "--help", home=home).stdout for command in commands}


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_prose_exist(page, flags):
    dev_help = text_of("dev").split("usage: ./dev COMMAND")[1]
    for command in inline_commands(text_of(page)):
        words = command.split(" -- ")[0].split()
        if words[0] == "./dev":
            assert re.search(rf"^  {words[1]} ", dev_help, re.M), f"{page}: `{command}`: ./dev help has no {words[1]}"
            continue
        name = " ".join(words[1:3]) if " ".join(words[1:3]) in flags else words[1] if words[1] in flags else ""
        assert name or words[1].startswith("-"), f"{page}: `{command}`: no command {words[1]}"
        for flag in (word.split("=")[0] for word in words if word.startswith("--") and word != "--"):
            assert re.search(rf"{flag}\b", flags[name]), f"{page}: `{command}`: {name} has no {flag}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_examples_of_help_run(command, place, flags):
    words = place.serve_entries() if command == ["cache"] else {}
    text = help_examples(flags[" ".join(command)])
    assert text.strip()
    place.run_blocks([Block("payonce " + " ".join([*command, "--help"]), 0, "sh", text)], words)


# ---- of the tests' own ---------------------------------------------------------------------------

def test_a_block_that_nobody_runs_is_found():
    assert problems_of("p", "```\nls\n```\n") and problems_of("p", "```ruby\nputs 1\n```\n")
    assert problems_of("p", "text\n\n    ls\n") and problems_of("p", "<!-- not run: why -->\n```\nls\n```\n")
    assert not problems_of("p", "<!-- not run: no Ruby here -->\n```ruby\nputs 1\n```\n- a\n  ```sh\n  ls\n  ```\n")
    assert [b.not_run for b in blocks_of("p", "<!-- not run: why -->\n\n```sh\n```\n```sh\n```\n")] == ["why", ""]


def test_links_and_headings_are_read():
    assert links_of("[a](b.md#c) ![d](e.png) [f](#g) [h](https://i) `[j](k)`") == \
        [("b.md", "c"), ("e.png", ""), ("", "g")]
    assert anchors_of("# A `b`, c\n```sh\n# no\n```\n## D-e") == {"a-b-c", "d-e"}


def test_what_is_printed_is_compared():
    assert segments_of("a\nb\n# → 1\n# → 2\nc # no\n") == [("a\nb", ["1", "2"]), ("c # no", [])]
    assert is_printed("x=…; y", "now x=1; y\n") and not is_printed("x=…; y", "x=1\n; y")
    assert help_examples("Examples:\n  payonce a 'b  c'     words\n\nNo\n") == "payonce a 'b  c'"
    assert inline_commands("`payonce a`, `not payonce b`\n```sh\n`payonce c`\n```\n`./dev d e`") == \
        ["payonce a", "./dev d e"]


@pytest.mark.parametrize("text, hint", [("false", "exit status 1"), ("echo 1\n# → 2", "expected '2'"),
                                        ("payonce serve --upstream nowhere", "expected a URL"),
                                        ("true\npayonce sing", "no command"), ("./dev sing", "no command 'sing'")])
def test_a_page_that_lies_is_found(place, text, hint):
    with pytest.raises(AssertionError, match=hint):
        place.run_blocks([Block("p", 1, "sh", text)])


