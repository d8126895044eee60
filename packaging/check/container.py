#!/usr/bin/env python3
"""container.py CONTEXT ROOTS [--bind DIR]: does what packaging/Containerfile says, step by step, in copies of a bare
system, and leaves the last stage's tree in ROOTS/image with its settings in ROOTS/image.json. No container engine is
needed; what it does not know of the language is an error. container.sh calls it.
"""

import glob
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys


class Stage:
    def __init__(self, tree):
        self.tree = tree
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.settings = {"env": {"PATH": path}, "user": "0:0"}


def steps_of(file):
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE))
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        yield word, rest.strip()


def run(stage, command, told):
    env = [f"{name}={value}" for name, value in {**told, **stage.settings["env"]}.items()]
    subprocess.run(["chroot", str(stage.tree), "/usr/bin/env", "-i", *env, "/bin/sh", "-c", command], check=True)


def copy(sources, target, tree):
    place = tree / target.lstrip("/")
    if target.endswith("/"):
        place.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, place)


def apply(word, rest, stage, stages, context, told):
    settings = stage.settings
    if word == "RUN":
        run(stage, rest, told)
    elif word == "COPY":
        words = rest.split()
        origin = re.fullmatch(r"--from=(\w+)", words[0])
        *sources, target = words[1:] if origin else words
        base = stages[origin.group(1)].tree if origin else context
        found = [pathlib.Path(path) for source in sources for path in glob.glob(str(base / source.lstrip("/")))]
        if not found:
            sys.exit(f"container: COPY {rest}: nothing matches")
        copy(found, target, stage.tree)
    elif word == "ENV":
        settings["env"].update(pair.split("=", 1) for pair in shlex.split(rest))
    elif word in ("USER", "VOLUME", "EXPOSE"):
        settings[word.lower()] = rest
    elif word in ("ENTRYPOINT", "CMD"):
        settings[word.lower()] = json.loads(rest)
    elif word == "HEALTHCHECK":
        settings["healthcheck"] = json.loads(rest.partition("CMD ")[2])
    else:
        sys.exit(f"container: no idea what {word} does")


def main():
    context, roots = map(pathlib.Path, sys.argv[1:3])
    told = {name: value for name, value in os.environ.items() if name.startswith("SSL_CERT_")}
    stages, stage = {}, None
    for word, rest in steps_of(context / "Containerfile"):
        print(f"container: {word} {rest}", file=sys.stderr)
        if word == "FROM":
            name = rest.partition(" AS ")[2] or "image"
            stage = stages[name] = Stage(roots / name)
        else:
            apply(word, rest, stage, stages, context, told)
    (roots / "image.json").write_text(json.dumps(stage.settings), encoding="utf-8")


if __name__ == "__main__":
    main()
