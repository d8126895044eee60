#!/usr/bin/env python3
"""Gathers what the packages carry beside the program, from what the built program really is made of.

    carry.py OUT --version V --program FILE --build DIR --llama DIR [--embedder FILE] [--on-demand FILES]

OUT/engine    llama.cpp's libraries and ggml's code for each generation of CPUs, stripped: in every package
OUT/system    the shared libraries that the program loads, at its start or on demand, all but the C and the C++
              runtime: where no package manager brings them (tarball, wheel, npm, container); the .deb depends on them
OUT/licenses, OUT/system-licenses   the licence of each piece: of what is compiled in, and of those shared libraries
OUT/payonce.cdx.json   the bill of materials (sbom.py)

A piece that docs/third-party.md does not list is an error. Needs dpkg, binutils and ninja.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

import sbom

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What every Linux distribution has: the libraries that the tarball asks of the system.
RUNTIME_SOURCES = re.compile(r"^(glibc|gcc-\d+|linux)$")


class Trouble(Exception):
    """What is wrong with the build or the documents, told to the one who packs."""


@dataclasses.dataclass
class Package:
    """One source package of the distribution, of which something is in the program or beside it."""

    name: str
    version: str
    licence: str = ""
    files: list = dataclasses.field(default_factory=list)  # shared libraries; none: compiled in
    documented_by: set = dataclasses.field(default_factory=set)  # binary packages, for their copyright files

    @property
    def carried(self):
        return bool(self.files)


def output_of(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise Trouble(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def loaded_libraries(program):
    """Name and file of each shared library that the loader takes for it, which may be a library itself."""
    for line in output_of("ldd", program).splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if not arrow:
            continue
        if rest.startswith("not found"):
            raise Trouble(f"{program} asks for {name}, which is not here")
        yield name, pathlib.Path(rest.rsplit(" (", 1)[0])


def headers_of(build):
    """Headers of the distribution that were compiled into something, as ninja knows from the compiler."""
    found = set(re.findall(r"^    (/usr/include/\S+)$", output_of("ninja", "-C", build, "-t", "deps"), re.MULTILINE))
    if not found:
        raise Trouble(f"{build}: ninja knows of no headers; build it first")
    return sorted(found)


def owners_of(files):
    """The binary package of each file; on a merged /usr dpkg may know it below / alone."""
    owners, known = {}, {}
    wanted = sorted({str(file) for file in files})
    names = wanted + [name.removeprefix("/usr") for name in wanted]
    for start in range(0, len(names), 500):
        done = subprocess.run(["dpkg", "-S", *names[start:start + 500]], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            package, _, file = line.partition(": ")
            known[file] = package.split(",")[0].split(":")[0]
    for name in wanted:
        owner = known.get(name) or known.get(name.removeprefix("/usr"))
        if owner is None:
            raise Trouble(f"{name} belongs to no package of the distribution, so its licence is not known")
        owners[name] = owner
    return owners


def sources_of(binaries):
    """Source package and version of each installed binary package; what isn't installed is left out."""
    form = "${db:Status-Status} ${Package} ${source:Package} ${source:Version}\n"
    done = subprocess.run(["dpkg-query", "-W", f"-f={form}", *sorted(binaries)], capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("installed ")]
    return {package: (source, version) for _, package, source, version in rows}


def licences_by_binary():
    """docs/third-party.md: each Debian package that a table about the program names, and its licence."""
    text = (ROOT / "docs" / "third-party.md").read_text(encoding="utf-8").split("## For tests")[0]
    listed = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or not line.startswith("|") or cells[0] == "library" or cells[0].startswith("---"):
            continue
        packages = [cell.split()[0] for cell in cells[3].split(", ")]
        licences = cells[2].split(", ")
        if len(licences) != len(packages):
            licences = [cells[2]] * len(packages)
        listed.update(zip(packages, licences))
    return listed


def name_for_loader(library):
    found = re.search(r"SONAME.*\[(.+)\]", output_of("readelf", "-d", library))
    if not found:
        raise Trouble(f"{library} has no name for the loader")
    return found[1]


def packages_of(program, on_demand, build, llama):
    """Every source package that the program has something of, with its licence."""
    libraries = [(name_for_loader(library), library) for library in on_demand]
    for loads in (program, *on_demand):
        libraries += [(name, file) for name, file in loaded_libraries(loads) if llama not in file.parents]
    real = {name: file.resolve() for name, file in libraries}
    owners = owners_of([*real.values(), *headers_of(build)])
    listed = licences_by_binary()
    sources = sources_of({*owners.values(), *listed})
    licences = {sources[binary][0]: licence for binary, licence in listed.items() if binary in sources}
    found = {}
    for binary in set(owners.values()):
        source, version = sources[binary]
        if not RUNTIME_SOURCES.match(source):
            found.setdefault(source, Package(source, version)).documented_by.add(binary)
    for name, file in real.items():
        package = found.get(sources[owners[str(file)]][0])
        if package is not None:
            package.files.append((name, file))
    for package in found.values():
        if package.name not in licences:
            raise Trouble(f"docs/third-party.md does not list {', '.join(sorted(package.documented_by))} (source "
                          f"{package.name}), which the program uses; add it with its licence")
        package.licence = licences[package.name]
    return [found[name] for name in sorted(found)]


def copy_stripped(file, target):
    shutil.copyfile(file, target)
    output_of("strip", "--strip-unneeded", target)
    target.chmod(0o644)


def copy_libraries(packages, llama, out):
    for folder in ("engine", "system"):
        (out / folder).mkdir(parents=True)
    for package in packages:
        for name, file in package.files:
            copy_stripped(file, out / "system" / name)
    engine = [file for file in (llama / "lib").glob("*.so.*")] + list((llama / "backends").glob("*.so"))
    if not engine:
        raise Trouble(f"{llama}: no shared libraries; tools/build_llama.sh portable makes them")
    for file in engine:
        copy_stripped(file, out / "engine" / file.name)


def copyright_of(package):
    texts = [pathlib.Path("/usr/share/doc") / binary / "copyright" for binary in sorted(package.documented_by)]
    text = next((file for file in texts if file.is_file()), None)
    if text is None:
        raise Trouble(f"{package.name}: no copyright file below /usr/share/doc; install its packages with documents")
    return text


def copy_licences(packages, llama, out):
    """The pieces' own words; for systems without Debian's common licences those that they only name, too."""
    shutil.copytree(llama / "licenses", out / "licenses")
    (out / "system-licenses").mkdir()
    named = set()
    for package in packages:
        text = copyright_of(package)
        shutil.copyfile(text, out / ("system-licenses" if package.carried else "licenses") / package.name)
        named.update(re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])",
                                text.read_text(encoding="utf-8", errors="replace")))
    for name in sorted(named):
        file = pathlib.Path("/usr/share/common-licenses") / name
        if file.is_file():
            shutil.copyfile(file, out / "system-licenses" / f"common-{name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--version", required=True)
    for name in ("program", "build", "llama"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--embedder", type=pathlib.Path)
    parser.add_argument("--on-demand", type=pathlib.Path, nargs="*", default=[], help="libraries loaded when needed")
    options = parser.parse_args()
    try:
        llama = options.llama.resolve()
        packages = packages_of(options.program, options.on_demand, options.build, llama)
        shutil.rmtree(options.out, ignore_errors=True)
        copy_libraries(packages, llama, options.out)
        copy_licences(packages, llama, options.out)
        sbom.write(options.out / "payonce.cdx.json", options.version, packages, options.embedder)
    except Trouble as trouble:
        print(f"carry: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
