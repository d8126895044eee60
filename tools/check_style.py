#!/usr/bin/env python3
"""Checks what no compiler checks: sizes, include edges, dead files, documentation that must follow the source.

Each rule is one function from a Tree to problems. Exceptions stand in one table, each with its reason; an exception
that is no longer needed is a problem too. `--write` writes the generated documents. Needs Python's library alone.
"""

import argparse
import dataclasses
import functools
import os
import pathlib
import re
import subprocess
import sys

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 400
MAX_LINE_CHARS = 118
TESTS_ALONE = "source_tree"  # the module that every module's tests may include
TEST_SOURCE = re.compile(r"_(test|fixture)\.(cc|h)$")
CHANGELOG_SECTIONS = ["Added", "Changed", "Fixed", "Measured"]
METRICS_SOURCE = "src/base/metrics.cc"
METRICS_DOC = "docs/operations/metrics.md"
CODE_SUFFIXES = (".cc", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt", "/run", "dev")

# (rule, where) -> why it may stay.
EXCEPTIONS = {}

# Package registries and paths of one machine. This file and its test name them, nothing else does.
FORBIDDEN = re.compile(
    r"pythonhosted\.org|\bpypi\.org|registry\.npmjs|(?<![\w./~-])/work/|/tmp/bash_jobs|(?<![\w.-])/root/")
# A line that is one string (a JSON text in a test) is not cut: broken, it would be harder to read.
ONE_LITERAL = re.compile(r'^\s*(?:R"\(|")')
MAY_NAME_FORBIDDEN = ("tools/check_style.py", "tools/check_style_test.py")


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    path: str
    line: int
    rule: str
    text: str
    where: str  # The key of an exception: the path, or path:function.

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text} [{self.rule}]"


def problem(rule, path, text, line=1, where=None):
    return Problem(path, line, rule, text, where or path)


class Tree:
    """The files of a checkout: those that git knows or would add; without git, all outside build directories."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(path for path in self._list() if (self.root / path).is_file())

    def _list(self):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        if listing.returncode == 0:
            return {name for name in listing.stdout.split("\0") if name}
        found = set()
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in (".git", "build", "node_modules", "__pycache__")]
            found.update(os.path.relpath(os.path.join(folder, name), self.root) for name in names)
        return found

    @functools.cache
    def text(self, path):
        """The file's text, or "" when it is missing or not text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def sources(self):
        return [path for path in self.files if path.startswith("src/") and path.endswith((".cc", ".h"))]


# ---- C++ text ------------------------------------------------------------------------------------

CPP_NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\''
    r'|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
CONTAINER = re.compile(r"^(?:inline\s+|export\s+|typedef\s+)*(?:namespace|class|struct|union|enum|extern)\b")


def without_noise(code):
    """Comments, literals and preprocessor lines become blanks; every line keeps its number."""
    return CPP_NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), code)


def functions_of(code):
    """(name, first line, last line) of the functions outside other functions, told by their braces."""
    code = without_noise(code)
    found, open_braces, start = [], [], 0
    for index, char in enumerate(code):
        if char == ";" and "function" not in open_braces:
            start = index + 1
        elif char == "{":
            head = re.sub(r"^template\s*<.*?>\s*(?=\w)", "", code[start:index].strip(), flags=re.DOTALL)
            kind = "container" if CONTAINER.match(head) or "(" not in head else "function"
            inside = "function" in open_braces
            open_braces.append("inner" if inside else kind)
            if kind == "function" and not inside:
                named = re.search(r"([\w:~]+)\s*\(([^()]*)", head)
                name = named.group(1) if named else head
                if name.startswith("TEST"):
                    name = re.sub(r"\W+", ".", named.group(2))
                lead = len(code[start:index]) - len(code[start:index].lstrip())
                opened = (name, code.count("\n", 0, start + lead) + 1)
            elif not inside:
                start = index + 1
        elif char == "}" and open_braces:
            if open_braces.pop() == "function":
                found.append((*opened, code.count("\n", 0, index) + 1))
            if "function" not in open_braces:
                start = index + 1
    return found


@dataclasses.dataclass(frozen=True)
class Module:
    name: str
    folder: str
    may_include: frozenset


def modules_of(tree):
    """The modules by name. A folder that makes an executable may include what its targets link."""
    found = {}
    for path in tree.files:
        if not (path.startswith("src/") and path.endswith("/CMakeLists.txt")):
            continue
        folder = os.path.dirname(path)
        text = re.sub(r"#[^\n]*", "", tree.text(path))
        declared = re.search(r"payonce_module\(\s*(\S+)([^)]*)\)", text)
        words = declared.group(2).split() if declared else []
        depends, keyword = set(), ""
        for word in words:
            if re.fullmatch(r"[A-Z_]{3,}", word):
                keyword = word
            elif keyword == "DEPENDS":
                depends.add(word)
        name = declared.group(1) if declared else os.path.relpath(folder, "src")
        linked = set(re.findall(r"\bpayonce_(\w+)", text))
        found[name] = Module(name, folder, frozenset(depends | linked | {name}))
    return found


# ---- rules ---------------------------------------------------------------------------------------

def long_functions(tree):
    for path in tree.sources():
        for name, first, last in functions_of(tree.text(path)):
            if last - first + 1 > MAX_FUNCTION_LINES:
                yield problem("long-function", path, f"{name} has {last - first + 1} lines, at most "
                              f"{MAX_FUNCTION_LINES}: split it by purpose", first, f"{path}:{name}")


def long_files(tree):
    for path in tree.sources():
        lines = tree.text(path).count("\n")
        if lines > MAX_FILE_LINES:
            yield problem("long-file", path, f"{lines} lines, at most {MAX_FILE_LINES}: split it by purpose")


def long_lines(tree):
    for path in tree.files:
        if path.endswith(CODE_SUFFIXES):
            for number, line in enumerate(tree.text(path).splitlines(), 1):
                if len(line) > MAX_LINE_CHARS and not ONE_LITERAL.match(line):
                    yield problem("long-line", path, f"{len(line)} characters, at most {MAX_LINE_CHARS}", number)


def include_edges(tree):
    modules = modules_of(tree)
    by_folder = {module.folder: module for module in modules.values()}
    for path in tree.sources():
        module = by_folder.get(os.path.dirname(path))
        if module is None:
            yield problem("include-edge", path, "its folder has no CMakeLists.txt with payonce_module(…)")
            continue
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', tree.text(path), re.MULTILINE):
            target = os.path.dirname(match.group(1))
            number = tree.text(path).count("\n", 0, match.start()) + 1
            if target not in modules:
                yield problem("include-edge", path, f'"{match.group(1)}": include our headers as "module/file.h", '
                              "third parties with <>", number)
            elif target == TESTS_ALONE and TEST_SOURCE.search(path):
                continue
            elif not {target, target.replace("/", "_")} & module.may_include:
                yield problem("include-edge", path, f'"{match.group(1)}": {module.name} does not name {target} in '
                              f"DEPENDS ({module.folder}/CMakeLists.txt)", number)


def dead_files(tree):
    for path in tree.sources():
        listing = os.path.dirname(path) + "/CMakeLists.txt"
        if path.endswith(".cc") and os.path.basename(path) not in re.split(r"[\s()]+", tree.text(listing)):
            yield problem("dead-file", path, f"no target builds it; list it in {listing} or delete it")


ANONYMOUS = re.compile(r"^namespace \{\n.*?^\}  // namespace\n", re.DOTALL | re.MULTILINE)
NAMESPACE = re.compile(r"^namespace (payonce[\w:]*) \{", re.MULTILINE)
TYPE = re.compile(r"^(?:struct|class|enum class) (\w+)(?: final)?(?: : [^{;]*)? \{", re.MULTILINE)
CONSTANT = re.compile(r"^inline const(?:expr)? [^=;{(]*?\b(\w+)(?:\[[^\]]*\])*(?: =|\{)", re.MULTILINE)


def one_name_one_thing(tree):
    """Two types, or constants of headers, of one name in a namespace: the linker merges them, and one writes past the
    other's memory, or reads the other's value."""
    seen = {}
    for path in tree.sources():
        code = ANONYMOUS.sub("\n", tree.text(path))
        for match in [*TYPE.finditer(code), *CONSTANT.finditer(code)]:
            opened = NAMESPACE.findall(code, 0, match.start())
            name = (opened[-1] if opened else "", match.group(1))
            other = seen.setdefault(name, path)
            if other != path and not (path.endswith("_test.cc") or other.endswith("_test.cc")):
                yield problem("one-name", path, f"{name[0]}::{name[1]} is also in {other}: rename one")


FUNCTION = re.compile(r"^(?!(?:return|using|namespace|struct|class|enum|static_assert|template|else|case)\b)"
                      r"[A-Za-z_][\w:<>,&*\s\[\]]*?[\s&*>](\w+)\(", re.MULTILINE)
OWN_OPTIONS = re.compile(r"_(avx2|avx512|neon)\.cc$")  # never part of a batch


def one_name_one_function(tree):
    """Several sources of a module are compiled as one (docs/decisions/0011): there, a function without linkage hides
    the one of that name that a header declares, or joins another file's as an overload, and no compiler tells."""
    declared, seen = {}, {}
    for path in tree.sources():
        if path.endswith(".h"):
            for match in FUNCTION.finditer(without_noise(tree.text(path))):
                declared.setdefault((os.path.dirname(path), match.group(1)), path)
    for path in tree.sources():
        if path.endswith(".h") or OWN_OPTIONS.search(path):
            continue
        for block in ANONYMOUS.finditer(tree.text(path)):
            for match in FUNCTION.finditer(without_noise(block.group())):
                name = (os.path.dirname(path), match.group(1))
                other = declared.get(name) or seen.setdefault((*name, path.endswith("_test.cc")), path)
                if other != path:
                    yield problem("one-name", path, f"{name[1]}() is also a function of {other}: rename one")


def folder_readmes(tree):
    folders = {os.path.dirname(path) for path in tree.sources()}
    for folder in sorted(folders):
        if not tree.text(folder + "/README.md").strip():
            yield problem("folder-readme", folder + "/README.md", "missing: purpose, main types, where to look for "
                          "what, what it must never do (10-25 lines)")


def forbidden_words(tree):
    for path in tree.files:
        if path in MAY_NAME_FORBIDDEN:
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            match = FORBIDDEN.search(line)
            if match:
                yield problem("forbidden-word", path, f"'{match.group()}': no registry hosts or paths of one machine",
                              number)


def changelog(tree):
    path = "CHANGELOG.md"
    text = tree.text(path)
    if not re.search(r"^## Unreleased$", text, re.MULTILINE):
        yield problem("changelog", path, "no '## Unreleased' section")
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = release.splitlines()[0].strip()
        sections = re.findall(r"^### (.+?)\s*$", release, re.MULTILINE)
        known = [name for name in CHANGELOG_SECTIONS if name in sections]
        if not sections or sections != known:
            yield problem("changelog", path, f"{title}: sections {sections}, expected some of {CHANGELOG_SECTIONS}, "
                          "in order")
        for name, body in re.findall(r"^### (.+?)\s*$\n(.*?)(?=^### |\Z)", release, re.MULTILINE | re.DOTALL):
            if not re.search(r"^- ", body, re.MULTILINE):
                yield problem("changelog", path, f"{title}: section {name} has no '- ' entry")


# ---- the generated list of metrics ---------------------------------------------------------------

METRIC_ROW = re.compile(
    r'\{\s*"(payonce_\w+)"\s*,\s*"(\w+)"\s*,\s*"([^"]*)"\s*,\s*((?:"(?:\\.|[^"\\])*"\s*)+)\}')


def metrics_of(tree):
    """(name, kind, labels, help) of every row of the table in the source."""
    rows = METRIC_ROW.findall(tree.text(METRICS_SOURCE))
    return [(name, kind, labels, "".join(re.findall(r'"((?:\\.|[^"\\])*)"', text)))
            for name, kind, labels, text in rows]


def metrics_document(tree):
    lines = ["# Metrics", "",
             "`GET /metrics` answers in Prometheus' text form. This page is generated from the table in",
             f"`{METRICS_SOURCE}` by `python3 tools/check_style.py --write`; edit the table, not the page.", "",
             "| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, text in metrics_of(tree):
        shown = ", ".join(f"`{label}`" for label in labels.split(",") if label)
        lines.append(f"| `{name}` | {kind} | {shown or '–'} | {text} |")
    return "\n".join(lines) + "\n"


def metrics_documented(tree):
    if METRICS_SOURCE not in tree.files:
        return
    table = tree.text(METRICS_SOURCE)
    named = set(re.findall(r'\{\s*"(payonce_\w+)"', table))
    parsed = {row[0] for row in metrics_of(tree)}
    for name in sorted(named - parsed):
        yield problem("metrics-doc", METRICS_SOURCE, f"{name}: expected {{name, kind, labels, help}} as literals")
    if tree.text(METRICS_DOC) != metrics_document(tree):
        yield problem("metrics-doc", METRICS_DOC, "differs from the table in the source; run "
                      "tools/check_style.py --write")


# ---- claims --------------------------------------------------------------------------------------

BENCHMARKS = "docs/benchmarks.md"
CLAIM = re.compile(r"\]\((?:[\w./-]*/)?benchmarks\.md#([\w-]+)\)")
FIGURE = re.compile(r"\[(-?[\d,]+(?:\.\d+)?)[^\]]*\]\((?:[\w./-]*/)?benchmarks\.md#([\w-]+)\)")


def claims(tree):
    """A link to a row of the benchmarks leads to one, and the figure that it shows is the one measured there."""
    rows = {}
    for line in tree.text(BENCHMARKS).splitlines():
        for anchor in re.findall(r'<a id="([\w-]+)"></a>', line):
            if anchor in rows:
                yield problem("claim", BENCHMARKS, f"two rows are named '{anchor}'")
            rows[anchor] = line.split("|")[3].split("(")[0] if line.count("|") > 3 else ""
    headings = {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))
                for title in re.findall(r"^#+ (.+)$", tree.text(BENCHMARKS), re.MULTILINE)}
    for path in (path for path in tree.files if path.endswith(".md")):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            for anchor in CLAIM.findall(line):
                if anchor not in rows.keys() | headings:
                    yield problem("claim", path, f"{BENCHMARKS} has no row '{anchor}'", number)
            for figure, anchor in FIGURE.findall(line):
                if anchor in rows and figure not in rows[anchor].split():
                    yield problem("claim", path, f"{figure}: the row '{anchor}' of {BENCHMARKS} says "
                                  f"{rows[anchor].strip()}; ./dev bench --render", number)


RULES = [long_functions, long_files, long_lines, include_edges, dead_files, one_name_one_thing, one_name_one_function,
         folder_readmes, forbidden_words, changelog, metrics_documented, claims]


def check(tree, exceptions):
    """All problems that no exception covers, and the exceptions that cover none."""
    found = sorted(each for rule in RULES for each in rule(tree))
    used = {(each.rule, each.where) for each in found}
    left = [each for each in found if (each.rule, each.where) not in exceptions]
    for rule, where in sorted(exceptions.keys() - used):
        left.append(problem("unused-exception", "tools/check_style.py", f"({rule}, {where}) is no longer needed"))
    return left


def main():
    parser = argparse.ArgumentParser(description="Checks the source tree against the project's rules.")
    parser.add_argument("--write", action="store_true", help="write the generated documents, then check")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    if options.write:
        target = options.root / METRICS_DOC
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(metrics_document(Tree(options.root)), encoding="utf-8")
    tree = Tree(options.root)
    problems = check(tree, EXCEPTIONS)
    for each in problems:
        print(each)
    print(f"style: {len(tree.files)} files, {len(problems)} problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
