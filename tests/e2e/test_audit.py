"""`payonce audit LOG…`: the real program over logs of known content, with the real embedder."""

import gzip
import json
import os
import pathlib
import random

import pytest

from harness import run_cli

MODEL = "gpt-4o"  # list price of 2026: 2.50 in, 10.00 out, 1.25 read
SYSTEM = "You are the help desk of a bank. " + "Answer from the handbook, in one sentence, and name the page. " * 40
START = 1_790_000_000.0
PARAPHRASES = [("How do I reset my password?", "How can I reset my password?"),
               ("When does my new card arrive?", "When will my new card arrive?"),
               ("How do I close my account?", "How can I close my account?"),
               ("Why was my transfer declined?", "Why has my transfer been declined?")]


def row(number, question, user="", answer=None, system=SYSTEM, **fields):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    response = {"id": f"chatcmpl-{number}", "object": "chat.completion", "model": MODEL,
                "choices": [{"index": 0, "finish_reason": "stop",
                             "message": {"role": "assistant", "content": answer or f"It stands on page {number}."}}],
                "usage": {"prompt_tokens": 600, "completion_tokens": 20, "total_tokens": 620,
                          "prompt_tokens_details": {"cached_tokens": 0}}}
    return {"timestamp": START + 30 * number, "latency_ms": 1500, "path": "/v1/chat/completions", "user": user,
            "session": f"s{number}", "request": {"model": MODEL, "temperature": 0, "messages": messages},
            "response": response, **fields}


def write(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def audit(*arguments, home):
    ended = run_cli("audit", *map(str, arguments), "--json", "-", home=home)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def layer(report, name):
    return next(one for one in report["layers"] if one["name"] == name)


def test_repeats_are_priced_once_each(tmp_path):
    log = write(tmp_path / "log.jsonl", [row(number, f"Question {number % 5}?") for number in range(20)])
    report = audit(log, "--layers", "exact", "--quick", home=tmp_path)
    call = (600 * 2.5 + 20 * 10) / 1e6
    assert report["requests"] == 20 and layer(report, "exact")["hits"] == 15
    assert report["cost_usd"]["actual"] == pytest.approx(20 * call)
    assert report["cost_usd"]["with_payonce"] == pytest.approx(5 * call)
    assert report["input_cost_usd"]["with_payonce"] == pytest.approx(5 * 600 * 2.5 / 1e6)
    assert report["latency_ms"]["actual_mean"] == pytest.approx(1500)
    assert 375 <= report["latency_ms"]["with_payonce_mean"] < 500  # five of twenty wait
    assert report["tokens"] == {"fresh": 12000, "read": 0, "write_short": 0, "write_long": 0, "output": 400}


def test_what_one_user_asked_serves_nobody_else(tmp_path):
    rows = [row(number, "What is my balance?", user=f"u{number % 4}") for number in range(8)]
    log = write(tmp_path / "log.jsonl", rows)
    assert layer(audit(log, "--layers", "exact", "--quick", home=tmp_path), "exact")["hits"] == 4
    assert layer(audit(log, "--layers", "exact", "--quick", "--share", "all", home=tmp_path), "exact")["hits"] == 7


@pytest.mark.skipif("PAYONCE_EMBEDDER" not in os.environ, reason="no embedder")
def test_paraphrases_are_found_by_the_real_embedder_and_marked(tmp_path):
    dice, rows = random.Random(3), []
    for number in range(240):  # the layer learns from misses whose answers turn out equal
        pair = number % len(PARAPHRASES)
        rows.append(row(number, dice.choice(PARAPHRASES[pair]), answer=f"It stands on page {pair}.",
                        system=f"{SYSTEM} Branch {number // 40 % 6}."))
    log = write(tmp_path / "log.jsonl", rows)
    report = audit(log, "--layers", "exact,semantic", "--quick", "--show-text", "--error-bound", "0.05", "--embedder",
                   os.environ["PAYONCE_EMBEDDER"], home=tmp_path)
    semantic = layer(report, "semantic")
    assert semantic["hits"] > 0 and semantic["confidence"] == "needs_validation"
    for pair in report["repeats"]["paraphrases"]:
        assert {pair["question"], pair["matched"]} in [set(both) for both in PARAPHRASES]
        assert pair["same_answer"] is True
    without = audit(log, "--layers", "exact", "--quick", home=tmp_path)
    assert [one["name"] for one in without["layers"]] == ["exact"]


def test_savings_add_up(tmp_path):
    dice = random.Random(5)
    rows = [row(number, f"Question {dice.randint(0, 30)}?", user=dice.choice("abc")) for number in range(150)]
    report = audit(write(tmp_path / "log.jsonl", rows), "--quick", home=tmp_path)
    cost = report["cost_usd"]
    saved = sum(one["cost_saved_usd"] for one in report["layers"])
    assert saved == pytest.approx(cost["actual"] - cost["with_payonce"])


def test_streams_and_messages_are_read_as_well(tmp_path):
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in (
        {"id": "c", "object": "chat.completion.chunk", "model": MODEL,
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "It does."}, "finish_reason": None}]},
        {"id": "c", "object": "chat.completion.chunk", "model": MODEL,
         "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "c", "object": "chat.completion.chunk", "model": MODEL, "choices": [],
         "usage": {"prompt_tokens": 600, "completion_tokens": 20, "total_tokens": 620}})) + "data: [DONE]\n\n"
    rows = [row(number, "Does it stream?", response=events) for number in range(3)]
    for one in rows:
        one["request"] |= {"stream": True, "stream_options": {"include_usage": True}}
    marked = [{"type": "text", "text": SYSTEM * 3, "cache_control": {"type": "ephemeral"}}]
    for number in range(4):
        used = {"input_tokens": 20, "output_tokens": 9, "cache_creation_input_tokens": 0 if number else 1500,
                "cache_read_input_tokens": 1500 if number else 0}
        rows.append({"timestamp": START + 900 + 60 * number, "path": "/v1/messages", "latency_ms": 800,
                     "request": {"model": "claude-sonnet-4-5", "max_tokens": 50, "temperature": 0, "system": marked,
                                 "messages": [{"role": "user", "content": f"Number {number}?"}]},
                     "response": {"id": f"msg_{number}", "type": "message", "role": "assistant", "usage": used,
                                  "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
                                  "content": [{"type": "text", "text": f"It is {number}."}]}})
    report = audit(write(tmp_path / "log.jsonl", rows), "--layers", "exact,prefix", "--quick", home=tmp_path)
    assert (report["requests"], layer(report, "exact")["hits"]) == (7, 2)
    assert report["tokens"] == {"fresh": 1880, "read": 4500, "write_short": 1500, "write_long": 0, "output": 96}
    simulated = report["simulator"]  # marked as the provider wants it: what is read and written is what was billed
    assert simulated["read"] == pytest.approx(simulated["billed_read"], rel=0.05)
    assert simulated["written"] == pytest.approx(simulated["billed_written"], rel=0.05)


def test_bad_lines_are_told_and_the_rest_is_read(tmp_path):
    text = json.dumps(row(0, "Who?")) + "\n{\"request\": \n" + json.dumps(row(1, "Why?")) + "\nnot json\n"
    with gzip.open(tmp_path / "log.jsonl.gz", "wt") as packed:
        packed.write(text)
    ended = run_cli("audit", str(tmp_path / "log.jsonl.gz"), "--quick", "--layers", "exact", home=tmp_path)
    assert ended.returncode == 0 and "2 requests" in ended.stdout and "2 lines skipped" in ended.stdout
    assert "log.jsonl.gz:2:" in ended.stderr and "log.jsonl.gz:4:" in ended.stderr


@pytest.mark.parametrize("arguments, status, says", [
    ([], 2, "no log"),
    (["/no/such/file.jsonl"], 1, "/no/such/file.jsonl"),
    (["x.jsonl", "--format", "word"], 2, "litellm"),
    (["x.jsonl", "--price", "gpt=1"], 2, "MODEL=IN,OUT"),
    (["x.jsonl", "--share", "world"], 2, "--share")])
def test_errors_say_what_to_do(tmp_path, arguments, status, says):
    ended = run_cli("audit", *arguments, home=tmp_path)
    assert ended.returncode == status and says in ended.stderr + ended.stdout


def test_the_page_needs_nothing_else_and_shows_no_text_unasked(tmp_path):
    rows = [row(number, "What is the secret of the vault?") for number in range(4)]
    log, page = write(tmp_path / "log.jsonl", rows), tmp_path / "report.html"
    assert run_cli("audit", str(log), "--out", str(page), "--quick", home=tmp_path).returncode == 0
    text = page.read_text()
    assert "secret of the vault" not in text
    assert "Content-Security-Policy" in text and "default-src 'none'" in text
    for outside in ("http://", "https://"):
        assert text.replace("http://www.w3.org/2000/svg", "").count(outside) == 0


LOGS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "logs"


@pytest.mark.skipif(not LOGS.is_dir(), reason="the real logs are not here")
def test_the_real_logs_cost_what_they_cost(tmp_path):
    report = audit(LOGS, "--quick", "--layers", "exact,prefix", home=tmp_path)
    tokens = report["tokens"]
    assert report["requests"] == 304 and report["cost_usd"]["actual"] == pytest.approx(21.97, rel=0.001)
    assert (tokens["fresh"], tokens["read"], tokens["write_short"], tokens["write_long"]) == (
        413, 27_159_170, 559_475, 349_474)
    assert tokens["output"] >= 67_798
    causes = sorted(one["cause"] for one in report["rebuilds"])
    assert causes == ["compact", "compact", "prefix", "prefix", "prefix", "ttl", "ttl"]
    assert os.path.basename(report["sources"]["files"][0]["name"]).startswith("claude_code_")


def test_one_log_gives_one_report(tmp_path):
    dice = random.Random(8)
    log = write(tmp_path / "log.jsonl", [row(number, f"Question {dice.randint(0, 9)}?") for number in range(60)])
    first, second = (audit(log, "--quick", home=tmp_path) for _ in range(2))
    for name in ("requests", "tokens_with_payonce", "cost_usd", "repeats", "rebuilds"):
        assert first[name] == second[name]


def demo(*arguments, home):
    ended = run_cli("demo", "--no-open", "--out", str(home / "demo"), *arguments, home=home,
                    timeout_s=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads((home / "demo" / "report.json").read_text())


def test_the_demo_shows_the_point(tmp_path):
    said, report = demo("--no-model", "--questions", "300", home=tmp_path)
    assert "report.html" in said and "made up" in said and (tmp_path / "demo" / "report.html").stat().st_size > 50_000
    assert report["requests"] > 300 and layer(report, "exact")["hits"] > 20 and layer(report, "prefix")["hits"] > 20
    assert report["cost_usd"]["with_payonce"] < 0.7 * report["cost_usd"]["actual"]
    assert any(finding["kind"] == "tool_order" for finding in report["findings"])


@pytest.mark.skipif("PAYONCE_MODEL" not in os.environ, reason="no model")
def test_the_demo_asks_the_real_model(tmp_path):
    _, report = demo("--model", os.environ["PAYONCE_MODEL"], "--questions", "60", home=tmp_path)
    assert report["requests"] > 60 and report["latency_ms"]["actual_mean"] > 0
