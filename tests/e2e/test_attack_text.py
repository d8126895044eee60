"""Text that others choose, on its way into logs, terminals, metrics, streams and reports; and secrets on their way to
disk: lines, escapes and events that are none, and bytes that must stand nowhere."""

import json
import os
import pty
import signal
import stat
import subprocess

import pytest

from answers import completion
from browser import browser, page_of
from harness import (binary, chat_body, environment, eventually, is_hit, messages_body, paths_in, responses_body,
                     run_cli, sse_events)
from test_audit import row, write

CHAT = "/v1/chat/completions"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028"  # a title, a cleared screen, C1, turned text, a line's end


@pytest.fixture(scope="module")
def chrome():
    with browser() as running:
        yield running


# ---- logs and terminals --------------------------------------------------------------------------

@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_forges_a_line_of_the_log(make_gateway, upstream, form):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact", "--log-requests", "true",
                           "--log-format", form, "--log-level", "debug")
    body = json.dumps(chat_body(model='m"\n{"level":"error","message":"forged"}' + ESCAPES)).encode()
    values = [b'x" level="error', b"\x1b[2J", b"\xc2\x9b31m", b"\x9b31m", b"\xe2\x80\xae", b"\xff\xfe", b"a\tb"]
    served = 0
    for value in values:
        with gateway.connect() as connection:
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + value +
                            b"\r\nUser-Agent: " + value + b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                            % len(body) + body)
            served += connection.read_to_end().startswith(b"HTTP/1.1 200")  # a control character is refused
    gateway.stop()
    log = gateway.log_file.read_bytes()
    text = log.decode("utf-8")  # well-formed whatever came
    assert not acting(text)
    lines = [line for line in text.splitlines() if "/v1/chat" in line]
    assert len(lines) == served >= 5
    if form == "json":
        told = [json.loads(line) for line in text.splitlines()]
        assert all(line["message"] != "forged" for line in told)
        assert all(line["level"] == "info" for line in told if "/v1/chat" in json.dumps(line))


def on_a_terminal(*arguments, home):
    """What a command writes when its output is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([binary(), *map(str, arguments)], stdout=follower, stderr=follower,
                               stdin=subprocess.DEVNULL, env=environment(home))
    os.close(follower)
    came = b""
    try:
        while data := os.read(leader, 65536):
            came += data
    except OSError:
        pass  # the other side is closed
    os.close(leader)
    process.wait(30)
    return came.decode()


def acting(text, but="\n"):
    """Characters that a terminal, or a reader of lines, acts on."""
    return [c for c in text if c not in but and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028")]


def assert_harmless(text):
    assert not acting(text, but="\n\t\r")


def test_no_name_and_no_answer_acts_on_the_operators_terminal(gateway, upstream):
    upstream.fail(body=completion("\x9b31m\u202e"))
    answer = gateway.chat(chat_body(ESCAPES, model="m" + ESCAPES))
    key = gateway.client.get("/payonce/v1/cache").json()["entries"][0]["key"]
    for command in (["ls"], ["ls", "--json"], ["get", key], ["get", key, "--json"],
                    ["why", answer.headers["x-payonce-id"]], ["get", "none" + ESCAPES], ["stats"]):
        said = on_a_terminal("cache", *command, "--url", gateway.root, home=gateway.folder)
        assert said
        assert_harmless(said)
    piped = run_cli("cache", "get", key, "--url", gateway.root, home=gateway.folder)
    assert "\u202e" in piped.stdout  # bytes as they are, for programs


def test_no_log_acts_on_the_terminal_of_who_reads_it(tmp_path):
    rows = [row(i, f"{ESCAPES} question {i}", system=f"{ESCAPES} now 2026-11-26T10:00:0{i}Z " + "rules " * 900)
            for i in range(6)]
    for one in rows:
        one["request"]["model"] = "gpt-4o"
    log = write(tmp_path / "log.jsonl", rows + [{"session": ESCAPES}])
    for command in (["lint", log], ["audit", log, "--quick", "--out", tmp_path / "r.html"]):
        said = on_a_terminal(*command, home=tmp_path)
        assert len(said) > 100
        assert_harmless(said.replace("\x1b[K", ""))  # of the progress bar


# ---- metrics -------------------------------------------------------------------------------------

def test_no_caller_makes_or_names_a_series(gateway, upstream):
    gateway.chat()
    gateway.metrics()
    before = gateway.metrics().count("\n")
    for index in range(300):
        gateway.chat(chat_body(str(index), model=f'm{index}"}} 1\npayonce_evil{{a="'), User_Agent=f"agent-{index}",
                     X_Payonce_Version=f"v={index}", X_Payonce_Scope=f"user:{index}",
                     Authorization=f"Bearer sk-{index}")
        gateway.client.request("GET" if index % 2 else "BREW", f"/v1/none/{index}")
    text = gateway.metrics()
    assert "evil" not in text and text.count("\n") - before <= 40
    assert gateway.metric("payonce_requests_total", outcome="miss") == 301


# ---- streams -------------------------------------------------------------------------------------

INJECTION = 'x\n\ndata: {"evil":1}\n\nevent: evil\ndata: [DONE]\r\n\r\n: c\u2028\u0085\x00'


def test_no_answer_makes_events_of_its_own(gateway, upstream):
    """A whole answer, given as a stream: what the model wrote stays inside the events' JSON."""
    for body, field in ((chat_body(), "content"), (chat_body(n=2), "content")):
        upstream.fail(body=completion(INJECTION, model=INJECTION))
        gateway.post(CHAT, body)
        events = sse_events(gateway.post(CHAT, body | {"stream": True}).content)
        assert all(name is None for name, _ in events) and [data for _, data in events].count("[DONE]") == 1
        told = [json.loads(data) for _, data in events if data != "[DONE]"]
        assert "".join(one["choices"][0]["delta"].get(field) or "" for one in told) == INJECTION
        assert all("evil" not in one for one in told)
        gateway.post("/payonce/v1/cache/purge", {"all": True})


@pytest.mark.parametrize("dialect", ["messages", "responses"])
def test_no_block_names_an_event(gateway, upstream, dialect):
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    if dialect == "messages":
        path, body = "/v1/messages", messages_body()
        whole = {"id": "msg", "type": "message", "role": "assistant", "model": INJECTION, "stop_reason": INJECTION,
                 "stop_sequence": INJECTION, "usage": usage,
                 "content": [{"type": "text", "text": INJECTION}, {"type": INJECTION, "text": INJECTION},
                             {"type": "tool_use", "id": INJECTION, "name": INJECTION, "input": {INJECTION: "x"}}]}
    else:
        path, body = "/v1/responses", responses_body()
        whole = {"id": INJECTION, "object": "response", "created_at": 1, "status": "completed", "model": INJECTION,
                 "error": None, "usage": usage, "output": [
                     {"type": "message", "id": INJECTION, "role": "assistant", "status": "completed", "content": [
                         {"type": "output_text", "text": INJECTION, "annotations": []},
                         {"type": INJECTION, "text": INJECTION}]},
                     {"type": INJECTION, "id": "x"},
                     {"type": "function_call", "id": "f", "call_id": "c", "name": INJECTION, "arguments": INJECTION}]}
    upstream.fail(body=json.dumps(whole).encode())
    assert gateway.post(path, body).status_code == 200
    again = gateway.post(path, body | {"stream": True})
    assert is_hit(again)
    for name, data in sse_events(again.content):
        assert name.replace("_", "").replace(".", "").isalpha() and json.loads(data)["type"] == name


# ---- reports -------------------------------------------------------------------------------------

SCRIPTS = ["</script><script>window.pwned=1</script>", '<img src=x onerror="window.pwned=1">', "<!--<script>",
           '"><svg onload=window.pwned=1>', "${window.pwned=1}",
           "\u2028window.pwned=1//", "javascript:window.pwned=1"]


def test_a_report_shows_a_log_and_runs_nothing_of_it(chrome, tmp_path):
    rows = []
    for index, script in enumerate(SCRIPTS * 3):
        one = row(index, script, user=script, answer=script,
                  system=f"{script} 2026-11-26T10:00:{index:02}Z" + script * 200)
        one |= {"session": script, "path": "/v1/chat/completions"}
        one["request"]["model"] = one["response"]["model"] = f"gpt-4o{script if index % 2 else ''}"
        one["request"]["tools"] = [{"type": "function", "function": {"name": script, "parameters": {}}}]
        rows.append(one)
    log = write(tmp_path / "log<img src=x onerror=window.pwned=1>.jsonl", rows)
    ended = run_cli("audit", log, "--quick", "--out", tmp_path / "r.html", home=tmp_path)
    assert ended.returncode == 0, ended.stderr
    with page_of(chrome) as page:
        page.goto((tmp_path / "r.html").as_uri())
        page.get_by_role("heading", name="What each layer saves").wait_for()
        for summary in page.locator("summary, button").all()[:20]:
            if summary.is_visible() and summary.is_enabled():
                summary.click()
        assert page.evaluate("window.pwned") is None
        assert page.locator("img, body svg[onload]").count() == 0


# ---- secrets -------------------------------------------------------------------------------------

def test_a_canary_is_found_in_no_file(make_gateway, upstream, tmp_path):
    """Credentials by every way that carries them, with all that writes switched on: store, ledger, book of the prefix
    layer, recorder, log, report; also after a crash."""
    record = tmp_path / "rows.jsonl"
    config = tmp_path / "own.toml"
    config.write_text(f'[upstreams.main]\nbase_url = "{upstream.url}"\nkey_env = "MAIN_KEY"\nprefix = "safe"\n')
    gateway = make_gateway("--config", config, "--layers", "exact,prefix", "--record", record,
                           "--log-requests", "true",
                           "--log-level", "debug",
                           env={"MAIN_KEY": "sk-canary-upstream", "PAYONCE_ADMIN_TOKEN": "admin-canary-token"})
    names = ("Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "X-Auth-Token", "Cookie",
             "Proxy-Authorization")
    for index, name in enumerate(names):
        fields = {name.replace("-", "_"): "Bearer " * (name == "Authorization") + f"sk-canary-{index}"}
        for stream in (False, True):
            assert gateway.chat(chat_body(f"{index}", stream=stream), **fields).status_code == 200
        gateway.post("/payonce/v1/lookup", {"kind": "plan", "parts": {"task": "t"}}, **fields)
        gateway.client.get(f"/v1/models?key=sk-canary-q{index}", headers={name: f"sk-canary-{index}"})
    for path in ("/payonce/v1/stats", "/payonce/v1/requests", "/payonce/v1/cache", "/metrics", "/payonce/v1/savings"):
        told = gateway.client.get(path, headers={"Authorization": "Bearer admin-canary-token"})
        assert told.status_code == 200 and b"canary" not in told.content, path
    eventually(lambda: record.exists() and record.read_bytes().count(b"\n") >= 2 * len(names))
    gateway.signal(signal.SIGABRT)
    gateway.process.wait(30)
    files = [file for folder in (gateway.folder, tmp_path) for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        if "token" in file.name:
            continue  # the admin's own, 0600, gone after an orderly end
        assert b"canary" not in content, (file, content[max(0, content.find(b"canary") - 40):][:120])


def test_a_crash_leaves_no_core(make_gateway, upstream):
    import resource
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact",
                           preexec=lambda: resource.setrlimit(
                               resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2))
    limits = open(f"/proc/{gateway.process.pid}/limits").read()
    soft = next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4]
    assert soft == "0"


# ---- files ---------------------------------------------------------------------------------------

def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_its_owners_alone(make_gateway, upstream, tmp_path):
    """Also where the umask would let others read, as it does on many hosts."""
    rows = tmp_path / "rows.jsonl"
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--record", rows,
                           preexec=lambda: os.umask(0))
    for index in range(5):
        gateway.chat(chat_body(str(index)))
    eventually(lambda: (gateway.data / "ledger.db").exists() and rows.exists())
    sockets = [file for file in gateway.folder.rglob("*.sock")]
    assert sockets
    modes = paths_in(gateway.data, mode_of)
    assert len(modes) >= 3
    modes |= {path: mode_of(path) for path in (gateway.data, *sockets, sockets[0].parent, rows,
                                               *gateway.folder.rglob("*token*"))}
    wrong = [(str(path), oct(mode)) for path, mode in modes.items() if mode & 0o077]
    assert not wrong, wrong


def test_links_in_the_data_directory_are_not_written_through(make_gateway, upstream, tmp_path):
    """Somebody who could once write there lays links where files will come: what they lead to stays as it is."""
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact")
    gateway.chat()
    gateway.stop()
    names = [file.relative_to(gateway.data) for file in gateway.data.rglob("*") if file.is_file()]
    assert names
    victims = []
    for index, name in enumerate(names):
        if name.suffix in (".db-wal", ".db-shm") or "lock" in name.name:
            continue
        victim = tmp_path / f"victim-{index}"
        victim.write_text("precious")
        victims.append(victim)
        (gateway.data / name).unlink()
        (gateway.data / name).symlink_to(victim)
    try:
        gateway.start()
    except AssertionError:
        pass  # it may refuse to start over such files
    else:
        for index in range(5):
            assert gateway.chat(chat_body(str(index))).status_code == 200
        gateway.stop()
    assert [victim.read_text() for victim in victims] == ["precious"] * len(victims)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user, and so root")
def test_another_user_reaches_neither_socket_nor_files(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact")
    gateway.chat()
    path = next(gateway.folder.rglob("*.sock"))
    for folder in path.parents:
        if str(folder).startswith(str(gateway.folder.parent)) and folder != path.parent:
            folder.chmod(0o755)
    code = ("import os,socket,sys\nos.setgid(65534); os.setuid(65534)\n"
            "try:\n socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('in')\n"
            "except PermissionError: print('out')\n"
            "for p in sys.argv[2:]:\n  try: open(p).read(1); print('in')\n  except PermissionError: print('out')\n")
    files = [str(file) for file in gateway.data.rglob("*") if file.is_file() and file.suffix != ".new"][:3]
    said = subprocess.run(["python3", "-c", code, str(path), *files], capture_output=True, text=True, check=True)
    assert set(said.stdout.split()) == {"out"}, said.stdout


# ---- hostile logs --------------------------------------------------------------------------------

LOGS = {
    "deep": b'{"request":' + b"[" * 500_000 + b"]" * 500_000 + b"}\n",
    "deep objects": b'{"request":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}\n",
    "one long line": b'{"request":"' + b"a" * (40 << 20) + b'"}\n',
    "many members": b'{"request":{' + b",".join(b'"k%d":1' % i for i in range(300_000)) + b"}}\n",
    "numbers beyond": b'{"timestamp":1e400,"latency_ms":-1e308,"request":{"model":"m","messages":[]},"response":'
                      b'{"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":-9223372036854775808}}}\n',
    "no text": bytes(range(256)) * 4000,
    "nothing but line ends": b"\n" * (1 << 20),
    "gz bomb": "bomb",
}


@pytest.mark.parametrize("command", ["audit", "lint"])
@pytest.mark.parametrize("kind", LOGS)
def test_a_hostile_log_is_skipped_and_costs_little(tmp_path, kind, command):
    import resource
    import zlib
    log = tmp_path / "log.jsonl"
    content = LOGS[kind]
    if content == "bomb":
        log = tmp_path / "log.jsonl.gz"
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        content = packer.compress(b'{"request":"')
        content += b"".join(packer.compress(b"a" * (1 << 20)) for _ in range(128)) + packer.flush()
    log.write_bytes(content)
    good = json.dumps(row(1, "Hello?")).encode() + b"\n"
    beside = tmp_path / "good.jsonl"
    beside.write_bytes(good)
    flags = ["--quick", "--json", "-"] if command == "audit" else ["--json"]
    arguments = [command, log, beside, *flags]
    process = subprocess.Popen([binary(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(tmp_path),
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)))
    told, complaint = process.communicate(timeout=300)
    assert process.returncode in (0, 1), (process.returncode, complaint[-500:])
    report = json.loads(told)
    if command == "audit":
        assert report["requests"] >= 1, complaint[-500:]
