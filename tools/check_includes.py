"""Whether each source compiles by itself: builds compile several as one, where one file's includes hide what the next
lacks. With the options of a build directory that was configured with PAYONCE_BATCH=1, unoptimised, and through ccache
where it is installed, so that what is as it was costs nothing:

    check_includes.py BUILD           what the working tree or the last 10 commits changed, headers through who has
                                      their name; and bench, which nothing else compiles in continuous integration
    check_includes.py BUILD --all     every source, at two seconds of CPU time each
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

COMMITS = 10
ROOT = pathlib.Path(__file__).resolve().parent.parent
CCACHE = [path] if (path := shutil.which("ccache")) else []
# As the builds do (CMakeLists.txt): another clone's results are taken.
ENVIRONMENT = os.environ | {"CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}


def changed() -> set[pathlib.Path]:
    def git(*arguments: str) -> list[str]:
        told = subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True)
        return told.stdout.split()

    start = git("rev-list", f"--max-count={COMMITS + 1}", "HEAD")[-1]
    names = git("diff", "--name-only", start) + git("ls-files", "--others", "--exclude-standard")
    files = {ROOT / name for name in names}
    return files | {file.with_suffix(".cc") for file in files if file.suffix == ".h"}


def complaint(entry: dict[str, str]) -> str:
    """What the compiler says; empty: nothing."""
    arguments = [*CCACHE, *shlex.split(entry["command"]), "-O0"]
    output = pathlib.Path(entry["directory"], arguments[arguments.index("-o") + 1])
    output.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(arguments, cwd=entry["directory"], env=ENVIRONMENT, capture_output=True, text=True,
                          check=False)
    return "" if done.returncode == 0 else done.stderr


def main() -> int:
    build, everything = sys.argv[1], "--all" in sys.argv[2:]
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    entries = [e for e in entries if e["file"].endswith(".cc") and pathlib.Path(e["file"]).is_relative_to(ROOT)]
    if not everything:
        wanted = changed()
        bench = ROOT / "bench"
        entries = [e for e in entries if (file := pathlib.Path(e["file"])) in wanted or file.is_relative_to(bench)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("PAYONCE_JOBS") or os.cpu_count() or 1)) as pool:
        for entry, said in zip(entries, pool.map(complaint, entries), strict=True):
            if said:
                failed += 1
                print(f"{pathlib.Path(entry['file']).relative_to(ROOT)} does not compile by itself:\n{said}")
    print(f"includes: {len(entries)} sources, {failed} problems", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
