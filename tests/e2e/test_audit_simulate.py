"""`payonce audit --simulate`: decisions that any outsider can bill, and errors that say what is wrong."""

import json
import random

import pytest

from harness import run_cli

BLOCK = 512


def talks(seed=1, again=0.7, count=300, system=4):
    """Rows of a block trace: talks that begin alike and go on with probability `again`."""
    draw, rows, next_id = random.Random(seed), [], 1000
    for talk in range(count):
        at, ids = talk * 4000, list(range(system))
        while True:
            ids = ids + list(range(next_id, next_id + 8))
            next_id += 8
            rows.append({"timestamp": at, "input_length": len(ids) * BLOCK + 37, "output_length": 50,
                         "hash_ids": [*ids, -1]})
            at += draw.randint(15_000, 40_000)
            if draw.random() > again or len(ids) > 80:
                break
    rows.sort(key=lambda row: row["timestamp"])
    for row in rows:  # a partial last block has an id of its own
        row["hash_ids"][-1] = next_id
        next_id += 1
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bill(rows, decisions, ttl_s, write_factor, read_factor, marked_only):
    """What the provider bills, computed here from the decisions alone."""
    touched, cost, tokens = {}, 0.0, 0
    for row, decision in zip(rows, decisions, strict=True):
        ids, now, marks = row["hash_ids"], row["timestamp"], decision["marks"]
        places = marks if marked_only else range(1, row["input_length"] // BLOCK + 1)
        live = [n for n in places if now - touched.get(ids[n - 1], -1e18) <= ttl_s * 1000]
        read = max(live, default=0)
        written = max(0, (marks[-1] if marks else 0) - read)
        for n in [*marks, read]:
            if n:
                touched[ids[n - 1]] = now
        cost += BLOCK * (read * read_factor + written * write_factor - read - written) + row["input_length"]
        tokens += row["input_length"]
    return cost / tokens


def simulate(tmp_path, trace, *arguments):
    ended = run_cli("audit", "--simulate", trace, "--decisions", tmp_path / "d.jsonl", "--json", tmp_path / "c.json",
                    *arguments, home=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    decisions = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    return ended.stdout, decisions, json.loads((tmp_path / "c.json").read_text())


@pytest.mark.parametrize(("ttl", "w", "r"), [(300, 1.25, 0.1), (300, 1.0, 0.02), (3600, 2.0, 0.1)])
def test_an_outsider_bills_the_same(tmp_path, ttl, w, r):
    rows = talks()
    text, decisions, told = simulate(tmp_path, write(tmp_path / "t.jsonl", rows), "--ttl", ttl, "--write-factor", w,
                                     "--read-factor", r)
    assert "gate" in text and "oracle" in text
    assert told["requests"] == len(rows) == len(decisions)
    for row, decision in zip(rows, decisions, strict=True):
        marks = decision["marks"]
        assert len(marks) <= 4 and marks == sorted(set(marks))
        assert all(1 <= mark <= row["input_length"] // BLOCK for mark in marks)
    for marked_only, name in ((False, "relative_input_cost"), (True, "relative_input_cost_marked_only")):
        assert bill(rows, decisions, ttl, w, r, marked_only) == pytest.approx(told[name], abs=1e-9)
    ends = next(policy for policy in told["policies"] if policy["name"] == "every end")
    assert told["relative_input_cost"] < min(1, ends["relative_input_cost"])


def test_decisions_use_only_what_came_before(tmp_path):
    rows = talks()
    whole = simulate(tmp_path, write(tmp_path / "t.jsonl", rows))[1]
    half = simulate(tmp_path, write(tmp_path / "h.jsonl", rows[:len(rows) // 2]))[1]
    assert half == whole[:len(half)]


def test_nothing_is_marked_when_nothing_comes_again(tmp_path):
    _, decisions, told = simulate(tmp_path, write(tmp_path / "t.jsonl", talks(again=0, system=0)))
    assert told["relative_input_cost"] == 1
    assert not any(decision["marks"] for decision in decisions)


def test_an_empty_trace_costs_nothing(tmp_path):
    _, decisions, told = simulate(tmp_path, write(tmp_path / "t.jsonl", []))
    assert (decisions, told["requests"], told["relative_input_cost"]) == ([], 0, 1)


GOOD = '{"timestamp":0,"input_length":600,"output_length":1,"hash_ids":[1,2]}\n'


@pytest.mark.parametrize(("line", "says"), [
    ("{", "no JSON"), ("[]", "object"), ('{"timestamp":0}', "input_length"),
    ('{"timestamp":-1,"input_length":1,"hash_ids":[]}', "timestamp"),
    ('{"timestamp":0,"input_length":1e30,"hash_ids":[]}', "input_length"),
    ('{"timestamp":0,"input_length":5}', "hash_ids"),
    ('{"timestamp":0,"input_length":5000,"hash_ids":[1]}', "9 whole blocks"),
    ('{"timestamp":0,"input_length":600,"hash_ids":["x"]}', "hash_ids")])
def test_a_bad_line_is_named(tmp_path, line, says):
    trace = tmp_path / "t.jsonl"
    trace.write_text(GOOD + "\n" + line + "\n")
    ended = run_cli("audit", "--simulate", trace, home=tmp_path)
    assert ended.returncode == 1
    assert "line 3" in ended.stderr and says in ended.stderr, ended.stderr


def test_wrong_usage(tmp_path):
    assert run_cli("audit", "--simulate", tmp_path / "none.jsonl", home=tmp_path).returncode == 1
    for arguments in (["audit"], ["audit", "--simulate", "a", "b"],
                      ["audit", "--simulate", "a", "--ttl", "0"], ["audit", "--simulate", "a", "--read-factor", "2"]):
        ended = run_cli(*arguments, home=tmp_path)
        assert ended.returncode == 2 and ended.stderr, arguments
    help_text = run_cli("audit", "--help", home=tmp_path)
    assert help_text.returncode == 0 and "Example" in help_text.stdout
