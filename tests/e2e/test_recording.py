"""`--record`: live traffic as a log that `payonce lint` reads, and `payonce lint --live`."""

import json
import signal
import stat
import threading

import pytest
from harness import chat_body, eventually, run_cli, write_config
from test_prefix import as_admin
from upstream import Hold

KEY = {"Authorization": "Bearer sk-very-secret"}


@pytest.fixture
def make_recording(make_gateway, upstream, tmp_path):
    def make(file="calls.jsonl", *flags, **options):
        return make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--record", tmp_path / file,
                            *flags, **options)
    return make


def rows(tmp_path, count, file="calls.jsonl"):
    """All rows, once there are so many."""
    path = tmp_path / file
    eventually(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, what=f"{count} rows")
    text = path.read_bytes()
    assert text.endswith(b"\n")
    found = [json.loads(line) for line in text.splitlines()]
    assert len(found) == count
    return found


def test_each_answered_request_is_a_row(make_recording, upstream, tmp_path):
    gateway = make_recording()
    body = json.dumps(chat_body(), indent=2).encode()
    answer = gateway.post("/v1/chat/completions?api_key=sk-query", body, X_Payonce_Scope="session:s1", **KEY)
    gateway.post("/v1/chat/completions?api_key=sk-query", body, X_Payonce_Scope="session:s1", **KEY)
    streamed = gateway.chat(chat_body(stream=True), Cache_Control="no-cache", **KEY)
    upstream.fail(status=400)
    gateway.chat(chat_body(model="other"), Cache_Control="no-store", **KEY)
    gateway.chat(b"not json", **KEY)          # refused
    gateway.client.get("/v1/models", headers=KEY)  # no dialect
    miss, hit, stream, failed = rows(tmp_path, 4)
    assert [row["cache"] for row in (miss, hit, stream, failed)] == ["miss", "exact", "request", "miss"]
    assert [row["status"] for row in (miss, hit, stream, failed)] == [200, 200, 200, 400]
    assert miss["request"] == chat_body() and miss["path"] == "/v1/chat/completions"
    assert miss["response"] == hit["response"] == answer.json()
    assert stream["response"] == streamed.text and "[DONE]" in stream["response"]
    assert miss["session"] == hit["session"] != "s1" and stream["session"] is None
    assert miss["user"].startswith("u-") and miss["latency_ms"] >= miss["first_byte_ms"] >= 0
    assert "error" in failed["response"]
    text = (tmp_path / "calls.jsonl").read_text()
    assert "secret" not in text and "sk-query" not in text
    assert stat.S_IMODE((tmp_path / "calls.jsonl").stat().st_mode) == 0o600
    eventually(lambda: gateway.metric("payonce_record_rows_total", outcome="written") == 4, what="counted")
    assert gateway.metric("payonce_record_rows_total", outcome="dropped") == 0


def test_followers_and_those_who_left_are_told_apart(make_recording, upstream, tmp_path):
    gateway = make_recording()
    hold = Hold()
    upstream.fail(hold=hold)
    asking = [threading.Thread(target=gateway.chat, args=(chat_body(),), kwargs=KEY) for _ in range(3)]
    for thread in asking:
        thread.start()
    hold.wait_reached()
    eventually(lambda: gateway.metric("payonce_collapsed_total") == 2, what="two followers")
    hold.release()
    for thread in asking:
        thread.join(10)
    found = rows(tmp_path, 3)
    assert sorted(row["cache"] for row in found) == ["collapsed", "collapsed", "miss"]
    assert len({json.dumps(row["response"]) for row in found}) == 1


@pytest.mark.parametrize("file", ["calls.jsonl", "calls.jsonl.zst"])
def test_lint_reads_what_was_recorded_also_after_a_kill(make_recording, tmp_path, file):
    gateway = make_recording(file)
    rules = " ".join(f"Rule {number} is kept." for number in range(400))
    for minute in range(4):
        system = f"Current time: 2026-03-03T14:0{minute}:09Z. {rules}"
        gateway.chat(chat_body(messages=[{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]),
                     **KEY)
    eventually(lambda: gateway.metric("payonce_record_rows_total", outcome="written") == 4, what="written")
    gateway.kill()
    with open(tmp_path / file, "ab") as log:  # as if it had been writing
        log.write((tmp_path / file).read_bytes()[:60])
    ended = run_cli("lint", tmp_path / file, "--json", home=tmp_path)
    report = json.loads(ended.stdout)
    assert ended.returncode == 1 and report["requests"] == 4
    assert [finding["kind"] for finding in report["findings"]] == ["clock"]
    gateway.start()
    gateway.chat(chat_body(), **KEY)
    eventually(lambda: gateway.metric("payonce_record_rows_total", outcome="written") == 1, what="written")
    gateway.stop()
    report = json.loads(run_cli("lint", tmp_path / file, "--json", home=tmp_path).stdout)
    assert report["requests"] == 5 and report["skipped"] == 0  # the torn end is gone


def test_a_reload_begins_moves_and_ends_it(make_gateway, upstream, tmp_path):
    def settings(record):
        return write_config(tmp_path / "c.toml", f'{record}\n[upstreams.one]\nurl = "{upstream.url}"\n')

    def reload(record):
        settings(record)
        before = gateway.log().count("configuration read again")
        gateway.signal(signal.SIGHUP)
        eventually(lambda: gateway.log().count("configuration read again") > before, what="reloaded")

    gateway = make_gateway("--config", settings(""), "--layers", "exact")
    gateway.chat(chat_body(model="a"), **KEY)
    reload(f'[record]\nfile = "{tmp_path}/one.jsonl"')
    gateway.chat(chat_body(model="b"), **KEY)
    rows(tmp_path, 1, "one.jsonl")
    reload(f'[record]\nfile = "{tmp_path}/two.jsonl"')
    gateway.chat(chat_body(model="c"), **KEY)
    rows(tmp_path, 1, "two.jsonl")
    reload("")
    gateway.chat(chat_body(model="d"), **KEY)
    gateway.stop()
    assert rows(tmp_path, 1, "one.jsonl")[0]["request"]["model"] == "b"
    assert rows(tmp_path, 1, "two.jsonl")[0]["request"]["model"] == "c"


def test_a_disk_that_takes_nothing_costs_no_request(make_gateway, upstream, tmp_path):
    gateway = make_gateway("--upstream", upstream.url, "--record", "/dev/full", "--layers", "exact")
    assert gateway.chat(chat_body(), **KEY).status_code == 200
    eventually(lambda: gateway.metric("payonce_record_rows_total", outcome="failed") == 1, what="failed")
    assert gateway.chat(chat_body(), **KEY).headers["cache-status"].startswith("payonce; hit")


def test_the_files_stay_within_their_size(make_recording, tmp_path):
    gateway = make_recording("calls.jsonl", "--record-max-size", "64KiB")
    for number in range(60):
        gateway.chat(chat_body(messages=[{"role": "user", "content": f"{number} " + "word " * 500}]), **KEY)
    eventually(lambda: gateway.metric("payonce_record_rows_total", outcome="written") == 60, what="written")
    files = sorted(tmp_path.glob("calls.jsonl*"))
    assert [file.name for file in files] == ["calls.jsonl", "calls.jsonl.1"]
    assert sum(file.stat().st_size for file in files) <= 64 * 1024
    assert all(json.loads(line) for file in files for line in file.read_text().splitlines())


def test_a_running_instance_is_asked_for_its_findings(make_recording, tmp_path):
    gateway = make_recording()
    clean = run_cli("lint", "--live", gateway.root, home=gateway.folder)
    assert (clean.returncode, clean.stdout) == (0, "0 requests, 0 findings, $0.0000\n")
    rules = " ".join(f"Rule {number} is kept." for number in range(400))
    for minute in range(4):
        system = f"Current time: 2026-03-03T14:0{minute}:09Z. {rules}"
        gateway.chat(chat_body(messages=[{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]),
                     **KEY)
    eventually(lambda: as_admin(gateway, "/payonce/v1/breakers")["requests"] == 4, what="all were looked at")
    ended = run_cli("lint", "--live", gateway.root, "--json", home=gateway.folder)
    live = json.loads(ended.stdout)
    rows(tmp_path, 4)
    log = json.loads(run_cli("lint", tmp_path / "calls.jsonl", "--json", home=tmp_path).stdout)
    assert ended.returncode == 1 and live["requests"] == log["requests"] == 4
    for report in (live, log):
        assert [(f["kind"], f["path"], f["occurrences"]) for f in report["findings"]] == [
            ("clock", "messages[0].content", 3)]
    assert live["findings"][0]["byte_offset"] == log["findings"][0]["byte_offset"]
    assert live["findings"][0].keys() == log["findings"][0].keys()
    text = run_cli("lint", "--live", home=gateway.folder, env={"PAYONCE_URL": gateway.root})
    assert text.returncode == 1 and f"{gateway.root}: messages[0].content:" in text.stdout
    only = run_cli("lint", "--live", gateway.root, "--kind", "tool_order", home=gateway.folder)
    assert only.returncode == 0
    assert run_cli("lint", "--live", gateway.root, "--fail-on", "tool_order", home=gateway.folder).returncode == 0
    gateway.stop()
    gone = run_cli("lint", "--live", gateway.root, home=gateway.folder)
    assert gone.returncode == 1 and gateway.root in gone.stderr
    assert run_cli("lint", "--live", gateway.root, "--json", "log.jsonl", home=tmp_path).returncode == 2


@pytest.mark.parametrize("file", ["calls.jsonl", "calls.jsonl.zst"])
def test_an_audit_reads_it_and_knows_what_was_not_bought(make_recording, tmp_path, file):
    gateway = make_recording(file)
    for number in range(6):
        assert gateway.chat(chat_body(f"Question {number % 2}?", model="gpt-4o"), **KEY).status_code == 200
    gateway.stop()  # writes what is left
    ended = run_cli("audit", tmp_path / file, "--layers", "exact", "--quick", "--json", "-", home=tmp_path)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    exact = report["layers"][0]
    assert (report["requests"], report["skipped"], exact["hits"]) == (6, 0, 4)
    assert report["cost_usd"]["actual"] == pytest.approx(report["cost_usd"]["with_payonce"])  # the cache was there
    assert report["cost_usd"]["uncached"] == pytest.approx(3 * report["cost_usd"]["actual"])
    assert exact["input_tokens_saved"] == 0 and exact["cost_saved_usd"] == pytest.approx(0)
