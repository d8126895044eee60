"""The real `payonce lint` over the corpus of prefix/breakers, written out as logs by tests/lint_corpus: nothing is
said of clean sequences of agents, chats and retrieval in three dialects; each kind planted alone is found in the
bytes that were changed; of three at a time each is found and located."""

import json
import os
import subprocess

import pytest
from harness import run_cli

NO_PLACE = {"ttl_expired", "fan_out", "prefix_rate", "provider_flip"}  # of time and route: the body is as it was
SLACK = 48  # bytes: what is told may begin with the line or value of which a part was changed, or be its marker
PAIRED = {"history_respelled": {"json_key_order"}}  # docs/breakers.md: told twice


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    program = os.environ.get("PAYONCE_LINT_CORPUS", "")
    assert os.access(program, os.X_OK), f"PAYONCE_LINT_CORPUS is '{program}', no program: run ./dev test"
    folder = tmp_path_factory.mktemp("corpus")
    subprocess.run([program, str(folder)], check=True, timeout=60)
    return folder, json.loads((folder / "manifest.json").read_text())


def findings(folder, entry):
    ended = run_cli("lint", folder / entry["file"], "--json", home=folder)
    report = json.loads(ended.stdout)
    assert report["skipped"] == 0 and ended.returncode == (1 if report["findings"] else 0), entry
    return report["findings"]


def bodies(folder, entry):
    lines = (folder / entry["file"]).read_bytes().splitlines()
    return [line[line.index(b'"request":') + len(b'"request":'):-1] for line in lines]


def is_located(found, planted, body):
    """Its path is the plant's, and its bytes are in the body and say what was planted."""
    begin, end = found["byte_offset"], found["byte_offset"] + found["bytes"]
    texts = [text.encode() for text in planted["text"].split("|") if text]
    return (planted["path"] in found["path"] and end <= len(body)
            and (not texts or any(text in body[begin:end + 80] for text in texts)))


def test_nothing_is_said_of_clean_sequences(corpus):
    folder, manifest = corpus
    clean = [entry for entry in manifest if not entry["planted"]]
    assert len(clean) == 9
    assert {entry["file"]: findings(folder, entry) for entry in clean} == {entry["file"]: [] for entry in clean}


def test_each_kind_alone_is_found_in_the_bytes_that_were_changed(corpus):
    folder, manifest = corpus
    alone = [entry for entry in manifest if len(entry["planted"]) == 1]
    wrong, kinds, checked = [], set(), 0
    for entry in alone:
        planted, texts = entry["planted"][0], bodies(folder, entry)
        found = findings(folder, entry)
        kinds.add(planted["kind"])
        own = [one for one in found if one["kind"] == planted["kind"]]
        others = {one["kind"] for one in found} - {planted["kind"]} - PAIRED.get(planted["kind"], set())
        if not own or others:
            wrong.append((entry["file"], planted["kind"], "others" if own else "not found", sorted(others)))
        for one in own:
            if not is_located(one, planted, texts[one["request"]]):
                wrong.append((entry["file"], planted["kind"], "place", one["path"], one["byte_offset"]))
            region = planted.get("regions", [None] * len(texts))[one["request"]]
            if region is None or planted["kind"] in NO_PLACE:
                continue
            checked += 1
            if not region[0] - SLACK <= one["byte_offset"] <= region[1] + SLACK:
                wrong.append((entry["file"], planted["kind"], "outside", one["path"], one["byte_offset"], region))
    assert not wrong, "\n".join(map(str, wrong))
    listed = json.loads(json.dumps([line.split("`")[1] for line in
                                    run_cli("lint", "--kinds", home=folder).stdout.splitlines() if "| `" in line]))
    assert kinds == set(listed) and len(kinds) == 28
    assert checked > 80


def test_three_at_a_time_are_all_found_and_located(corpus):
    folder, manifest = corpus
    stacked = [entry for entry in manifest if len(entry["planted"]) == 3]
    assert len(stacked) > 100
    wrong = []
    for entry in stacked:
        texts = bodies(folder, entry)
        found = findings(folder, entry)
        for planted in entry["planted"]:
            own = [one for one in found if one["kind"] == planted["kind"]]
            if not any(is_located(one, planted, texts[one["request"]]) for one in own):
                wrong.append((entry["file"], entry["seed"], planted["kind"], [one["kind"] for one in found]))
    assert not wrong, "\n".join(map(str, wrong))
