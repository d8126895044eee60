"""A web page in the operator's browser, a hostile upstream and hostile callers against the dashboard: real Chromium."""

import contextlib
import http.server
import threading

import pytest

from answers import completion
from browser import browser, page_of
from harness import chat_body, messages_body

KEY = {"Authorization": "Bearer sk-one"}
# Each would run, or break out of an attribute, were it ever put in as HTML.
SCRIPTS = ['<img src=x onerror="window.pwned=1">', '"><script>window.pwned=1</script>',
           "javascript:window.pwned=1", "'-window.pwned=1-'", "</script><script>window.pwned=1</script>",
           "<svg onload=window.pwned=1>", "{{constructor.constructor('window.pwned=1')()}}"]


@pytest.fixture(scope="module")
def chrome():
    # The attacker's name leads to this machine, as his DNS would have it.
    with browser("--host-resolver-rules=MAP evil.example 127.0.0.1") as running:
        yield running


@pytest.fixture
def gateway(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "exact,prefix")


@contextlib.contextmanager
def site(html):
    """Another origin, of the attacker's; its address, and what was asked of it."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://evil.example:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def bare_page(running):
    """A page of which nothing is expected: the attacker's may complain."""
    context = running.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


TAKE_THE_SESSION = """<!doctype html><title>not yet</title><body>page<script>
fetch('/payonce/v1/session', {method: 'POST'})
  .then(answer => answer.json())
  .then(said => { document.title = said.token ? 'took ' + said.token : 'refused'; })
  .catch(error => { document.title = 'refused ' + error; });
</script>"""


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml",
                                  "text/xml", ""])
def test_what_an_upstream_serves_is_no_page_of_the_gateways_origin(chrome, gateway, upstream, kind):
    """Paths of an upstream stand on the dashboard's own origin: a page there would be given a local session."""
    script = TAKE_THE_SESSION
    if "xml" in kind:
        script = ('<svg xmlns="http://www.w3.org/2000/svg"><script>'
                  "fetch('/payonce/v1/session', {method: 'POST'}).then(a => a.json())"
                  ".then(said => { if (said.token) fetch('/v1/took'); })</script></svg>")
    upstream.fail(times=9, body=script.encode(), content_type=kind or "*/*")
    with bare_page(chrome) as page:
        opened = page.goto(gateway.root + "/v1/files/file-1/content")
        assert opened.headers["content-security-policy"] == "sandbox"
        assert opened.headers["x-content-type-options"] == "nosniff"
        page.wait_for_timeout(300)  # a script would have asked by now; that it did not is seen at the upstream too
        assert page.title() in ("", "not yet")
    assert not [request for request in upstream.requests if b"/v1/took" in request.raw_head]


def test_errors_and_answers_of_an_upstream_are_no_pages_either(gateway, upstream):
    upstream.fail(status=502, body=b"<script>1</script>", content_type="text/html")
    failed = gateway.post("/v1/chat/completions", chat_body())
    assert failed.headers["content-security-policy"] == "sandbox"
    upstream.fail(raw=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Security-Policy: script-src *\r\n"
                      b"Content-Length: 2\r\nConnection: close\r\n\r\nhi")
    assert "sandbox" in gateway.client.get("/v1/page").headers["content-security-policy"]
    answer = gateway.chat()  # what clients read as it always was
    assert "content-security-policy" not in answer.headers


@pytest.mark.parametrize("name", SCRIPTS)
def test_names_and_answers_are_text_in_the_dashboard(chrome, gateway, upstream, name):
    """Model names, user agents, request ids and the answers themselves are an attacker's to choose."""
    fields = ("User-Agent", "X-Title", "X-App", "X-Request-Id")
    hostile = {field: name for field in fields} | {"X-Payonce-Version": f"v={name}"}
    hostile = {field: value for field, value in hostile.items() if "," not in value}
    upstream.fail(body=completion(name))
    assert gateway.post("/v1/chat/completions", chat_body(name, model=name), **hostile).status_code == 200
    assert gateway.post("/v1/chat/completions", chat_body(name, model=name), **hostile).status_code == 200
    gateway.post("/v1/messages", messages_body(name, model=name, system=f"{name} 2026-11-26T10:00:00Z"), **hostile)
    gateway.post("/v1/messages", messages_body(name, model=name, system=f"{name} 2026-11-26T10:00:01Z"), **hostile)
    with page_of(chrome) as page:
        page.goto(gateway.root + "/")
        page.get_by_text("live", exact=True).wait_for()
        page.locator("#requests tbody tr:has(button)").first.wait_for()
        for button in page.locator("#requests tbody tr button").all()[:2]:
            button.click()
            page.get_by_role("dialog").last.wait_for()
            page.keyboard.press("Escape")
        page.locator("#entries tbody tr:has(button)").first.wait_for()
        page.get_by_role("button", name="Look into").first.click()
        page.get_by_role("dialog").last.wait_for()
        assert page.evaluate("window.pwned") is None
        assert page.locator("body img, body script[src='x'], body svg[onload]").count() == 0


def test_another_origin_reads_and_changes_nothing(chrome, gateway):
    """No CORS permission is ever given, so a foreign page neither reads answers nor sends what needs a preflight."""
    gateway.chat(chat_body("asked without a credential"))
    target = gateway.root
    html = f"""<!doctype html><title>busy</title><script>
    const tries = [
      ['session', {{method: 'POST'}}], ['stats', {{}}], ['cache', {{}}], ['requests', {{}}],
      ['cache/purge', {{method: 'POST', body: '{{"all":true}}'}}],
      ['cache/purge', {{method: 'POST', body: '{{"all":true}}', mode: 'no-cors'}}],
      ['lookup', {{method: 'POST', body: '{{}}', headers: {{'Content-Type': 'application/json'}}}}]];
    Promise.all(tries.map(([path, how]) =>
      fetch('{target}/payonce/v1/' + path, how).then(a => a.text()).then(text => text ? 'READ ' + path : '')
        .catch(() => ''))).then(read => {{ document.title = 'read: ' + read.filter(Boolean).join(','); }});
    </script>"""
    with site(html) as evil, bare_page(chrome) as page:
        page.goto(evil)
        page.wait_for_function("document.title.startsWith('read')")
        assert page.title() == "read:"
    assert gateway.entries() == 1


def test_another_origin_cannot_frame_the_dashboard(chrome, gateway):
    with site(f'<iframe src="{gateway.root}/" onload="document.title=\'loaded\'"></iframe>') as evil, \
            bare_page(chrome) as page:
        refused = []
        page.on("console", lambda said: refused.append(said.text))
        page.goto(evil)
        page.wait_for_function("document.title == 'loaded'")
        assert [text for text in refused if "frame-ancestors" in text], refused


def test_another_origin_spends_nothing(chrome, make_gateway, upstream, tmp_path):
    """Where the gateway holds the upstream's key and asks callers for none, every page would be a caller."""
    config = tmp_path / "own-key.toml"
    config.write_text(f'[upstreams.main]\nbase_url = "{upstream.url}"\nkey_env = "MAIN_KEY"\n')
    gateway = make_gateway("--config", config, env={"MAIN_KEY": "sk-upstream"})
    html = f"""<!doctype html><title>busy</title><script>
    fetch('{gateway.root}/v1/chat/completions', {{method: 'POST', mode: 'no-cors',
      body: '{{"model":"m","messages":[{{"role":"user","content":"on your bill"}}]}}'}})
      .finally(() => {{ document.title = 'done'; }});
    </script>"""
    with site(html) as evil, bare_page(chrome) as page:
        page.goto(evil)
        page.wait_for_function("document.title == 'done'")
    assert upstream.count == 0
    assert gateway.chat().status_code == 200 and upstream.count == 1  # programs are as they were


REBOUND = """async () => {
  const ask = async (path, how) => {
    try { const a = await fetch(path, how); return a.status + ' ' + (await a.text()).slice(0, 200); }
    catch (error) { return 'failed'; }
  };
  const body = JSON.stringify({model: 'm', temperature: 0, messages: [{role: 'user', content: 'Hello'}]});
  return {
    chat: await ask('/v1/chat/completions', {method: 'POST', body}),
    models: await ask('/v1/models'), session: await ask('/payonce/v1/session', {method: 'POST'}),
    stats: await ask('/payonce/v1/stats'), metrics: await ask('/metrics'), cache: await ask('/payonce/v1/cache'),
    lookup: await ask('/payonce/v1/lookup', {method: 'POST', body: '{}'}),
  };
}"""


@pytest.mark.parametrize("local", ["true", "false"])
def test_a_rebound_name_reaches_nothing(chrome, make_gateway, upstream, local):
    """A name that the attacker's DNS points at this machine makes his page one of the gateway's origin: the answers of
    callers without credentials, and the upstream's key, would be his."""
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact", "--admin-local", local)
    gateway.chat()
    with bare_page(chrome) as page:
        page.goto(f"http://evil.example:{gateway.port}/")
        said = page.evaluate(REBOUND)
    for name, answer in said.items():
        assert answer.startswith(("401", "403")), (name, answer)
    assert upstream.count == 1
    # The same name with a credential, which no page knows, and the same page from this machine, are served.
    named = gateway.chat(Host="gateway.example", **KEY)
    assert named.status_code == 200
    assert gateway.chat(Host=f"localhost:{gateway.port}", Origin="http://localhost:3000").status_code == 200
