"""`payonce lint`: prefix breakers in logs, requests and templates, told to people, programs and code hosts."""

import datetime
import gzip
import json
import pathlib

import pytest

from harness import run_cli

RULES = "\n".join(f"Rule {number}: answer in short sentences and cite section {number} of the manual."
                  for number in range(90))
TOOLS = [{"name": name, "description": f"{name} of the shop", "input_schema": {"type": "object"}}
         for name in ("search", "order", "refund")]
START = datetime.datetime(2026, 3, 3, 14, 5, tzinfo=datetime.timezone.utc)


def rows(change=lambda number, body: None, count=4):
    """A conversation that grows by a turn each request; `change` spoils a body."""
    messages = [{"role": "user", "content": "Where is my order NW-481516?"}]
    for number in range(count):
        body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "tools": [dict(tool) for tool in TOOLS],
                "system": [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}],
                "messages": [dict(message) for message in messages]}
        change(number, body)
        time = START + datetime.timedelta(seconds=30 * number)
        yield {"timestamp": time.isoformat(), "latency_ms": 900, "path": "/v1/messages", "session": "one",
               "request": body}
        messages += [{"role": "assistant", "content": f"It left our house, step {number}."},
                     {"role": "user", "content": f"And then, after step {number}?"}]


def write(path, lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def lint(*arguments, home):
    ended = run_cli("lint", *arguments, "--json", home=home)
    return ended.returncode, json.loads(ended.stdout)


def stacked(number, body):
    request_id = f"6f1c2f0e-93b1-4f0a-8a51-00000000000{number}"
    body["system"][0]["text"] = f"Now: 2026-03-03T14:0{number}:09Z\n{RULES}\nRequest-ID: {request_id}\n"
    if number % 2:
        body["tools"].reverse()


def test_a_clean_log_is_silent(tmp_path):
    assert lint(write(tmp_path / "log.jsonl", rows()), home=tmp_path) == (
        0, {"requests": 4, "skipped": 0, "skipped_lines": [], "findings": []})


def test_stacked_causes_are_all_named_located_and_priced(tmp_path):
    log = list(rows(stacked))
    status, report = lint(write(tmp_path / "log.jsonl", log), home=tmp_path)
    found = {finding["kind"]: finding for finding in report["findings"]}
    assert (status, report["requests"], set(found)) == (1, 4, {"clock", "random_id", "tool_order"})
    for finding in found.values():
        assert finding["cost_usd"] > 0 and finding["occurrences"] == 3 and finding["fix"]
        assert finding["fix_class"] in ("canonicalise", "replay", "move", "route", "advise")
    clock = found["clock"]
    body = json.dumps(log[clock["request"]]["request"])
    assert clock["path"] == "system[0].text"
    assert body.encode()[clock["byte_offset"]:][:clock["bytes"]].decode() == "2026-03-03T14:01:09Z"
    assert found["tool_order"]["path"].startswith("tools[")


def test_the_text_points_like_a_compiler_and_can_be_redacted(tmp_path):
    log = write(tmp_path / "log.jsonl", rows(stacked))
    shown = run_cli("lint", log, home=tmp_path).stdout
    for part in (f"{log}:2: system[0].text:", "clock", "^~~~", "fix (move, safe)"):
        assert part in shown
    assert "14:01:09" in shown and "14:01:09" not in run_cli("lint", log, "--redact", home=tmp_path).stdout


def test_malformed_lines_are_counted_and_told(tmp_path):
    log = write(tmp_path / "log.jsonl", ["not json", *rows(), '{"request": {"messages": 1', '{"other": true}'])
    status, report = lint(log, home=tmp_path)
    assert (status, report["requests"], report["skipped"]) == (0, 4, 3)
    assert [line["line"] for line in report["skipped_lines"]] == [1, 6, 7]


def test_packed_logs_and_those_of_other_tools(tmp_path):
    log = list(rows(stacked))
    _, plain = lint(write(tmp_path / "log.jsonl", log), home=tmp_path)
    packed = tmp_path / "day.gz"
    packed.write_bytes(gzip.compress((tmp_path / "log.jsonl").read_bytes()))
    spend = [{"request_id": f"r{number}", "call_type": "anthropic_messages", "startTime": row["timestamp"],
              "endTime": row["timestamp"], "model": row["request"]["model"], "session_id": "one", "spend": 0.01,
              "proxy_server_request": json.dumps(row["request"]), "messages": {}, "response": {}}
             for number, row in enumerate(log)]
    kinds = [finding["kind"] for finding in plain["findings"]]
    for other in (packed, write(tmp_path / "spend.jsonl", spend)):
        status, report = lint(other, home=tmp_path)
        assert (status, report["requests"]) == (1, 4)
        assert [finding["kind"] for finding in report["findings"]] == kinds


def test_a_log_without_bodies_says_so(tmp_path):
    rollout = [{"timestamp": "2026-03-02T09:00:00Z", "type": "session_meta", "payload": {"id": "s"}},
               {"timestamp": "2026-03-02T09:00:02Z", "type": "event_msg", "payload": {"type": "token_count", "info": {
                   "total_token_usage": {"input_tokens": 9, "output_tokens": 1},
                   "last_token_usage": {"input_tokens": 9, "output_tokens": 1}}}}]
    status, report = lint(write(tmp_path / "rollout.jsonl", rollout), home=tmp_path)
    assert (status, report["requests"], report["skipped"]) == (0, 0, 1)
    assert "no request bodies in it, as codex logs have none" in report["skipped_lines"][0]["why"]


def test_kinds_choose_and_fail(tmp_path):
    log = write(tmp_path / "log.jsonl", rows(stacked))
    status, report = lint(log, "--kind", "clock", home=tmp_path)
    assert (status, [finding["kind"] for finding in report["findings"]]) == (1, ["clock"])
    assert lint(log, "--fail-on", "model_flip,tool_set", home=tmp_path)[0] == 0
    assert lint(log, "--fail-on", "tool_order", home=tmp_path)[0] == 1
    assert run_cli("lint", log, "--kind", "weather", home=tmp_path).returncode == 2


def test_requests_templates_folders_globs_and_what_is_missing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "system.j2").write_text("Now: {{ timestamp }}\nYou are {{ style }}.\n")
    request = {"model": "gpt-5", "messages": [{"role": "system", "content": "User: Ann <ann@example.com>"}]}
    (tmp_path / "in" / "request.json").write_text(json.dumps(request, indent=1))
    status, report = lint(tmp_path / "in", home=tmp_path)
    assert (status, {finding["kind"] for finding in report["findings"]}) == (1, {"clock", "user_identity"})
    assert lint(tmp_path / "in" / "*.j2", home=tmp_path)[1]["findings"][0]["path"] == "line 1"
    missing = run_cli("lint", tmp_path / "none.jsonl", home=tmp_path)
    assert missing.returncode == 1 and missing.stdout.count("none.jsonl: no such file") == 1 and missing.stderr == ""


def test_sarif_is_written(tmp_path):
    log = write(tmp_path / "log.jsonl", rows(stacked))
    run_cli("lint", log, "--sarif", tmp_path / "lint.sarif", home=tmp_path)
    sarif = json.loads((tmp_path / "lint.sarif").read_text())
    results = sarif["runs"][0]["results"]
    assert sarif["version"] == "2.1.0"
    assert {result["ruleId"] for result in results} == {"clock", "random_id", "tool_order"}
    assert results[0]["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


@pytest.mark.parametrize("time", ["2026-03-03T14:05:00Z", 1772546700, 1772546700123, "1772546700"])
def test_times_in_every_spelling_show_an_expired_entry(tmp_path, time):
    log = list(rows(count=2))
    log[0]["timestamp"] = time
    log[1]["timestamp"] = "2026-03-03T17:05:00+00:00"
    report = lint(write(tmp_path / "log.jsonl", log), home=tmp_path)[1]
    assert [finding["kind"] for finding in report["findings"]] == ["ttl_expired"]


def test_the_catalogue_in_the_documentation_is_that_of_the_program(tmp_path):
    page = pathlib.Path(__file__).parents[2] / "docs" / "breakers.md"
    assert run_cli("lint", "--kinds", home=tmp_path).stdout in page.read_text()
