#!/usr/bin/env python3
"""bill.py BILL.cdx.json TARBALL: the bill of materials is valid CycloneDX, and each shared library and model in the
tarball is in it with its sum. Needs requirements.txt."""

import hashlib
import json
import pathlib
import sys
import tarfile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def components(parts):
    for part in parts:
        yield part
        yield from components(part.get("components", []))


def main():
    bill, tarball = map(pathlib.Path, sys.argv[1:3])
    text = bill.read_text(encoding="utf-8")
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        sys.exit(f"bill: {bill} is not CycloneDX 1.6: {error}")
    parts = json.loads(text)["components"]
    sums = {entry["content"] for part in components(parts) for entry in part.get("hashes", [])}
    with tarfile.open(tarball) as archive:
        carried = [one for one in archive.getmembers()
                   if one.isfile() and ("/lib/payonce/" in one.name or one.name.endswith(".gguf"))]
        for one in carried:
            if hashlib.sha256(archive.extractfile(one).read()).hexdigest() not in sums:
                sys.exit(f"bill: {one.name} is not in {bill.name}")
    print(f"bill: {len(parts)} components, {len(carried)} carried files, each with its sum", file=sys.stderr)


if __name__ == "__main__":
    main()
