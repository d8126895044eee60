"""The dashboard in a real browser: what it shows, what it does, by keyboard, on a phone, and to whom."""

import os
import pathlib
import re
import subprocess

import pytest

from browser import AXE, browser, page_of
from harness import chat_body, eventually, sse_events
from test_semantic import CAPITAL, REWORDED, embedder_file

KEY, OTHER = {"Authorization": "Bearer sk-one"}, {"Authorization": "Bearer sk-two"}
ADMIN = "admin-token-of-this-test"
MANY = 100_000


@pytest.fixture(scope="module")
def chrome():
    with browser() as running:
        yield running


@pytest.fixture
def gateway(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "exact,prefix")


@pytest.fixture
def closed(make_gateway, upstream):
    """One that asks for the token, as every instance does that does not listen on loopback."""
    return make_gateway("--upstream", upstream.url, "--layers", "exact", "--admin-local", "false",
                        env={"PAYONCE_ADMIN_TOKEN": ADMIN})


def open_page(page, gateway):
    page.goto(gateway.root + "/")
    page.get_by_text("live", exact=True).wait_for()
    return page


def rows(page, section):
    return page.locator(f"#{section} tbody tr:has(button)")


def dialog(page):
    return page.get_by_role("dialog").last


def figure(page, name):
    return page.locator("#" + name).inner_text()


# ---- what it shows and does ----------------------------------------------------------------------

@pytest.mark.usefixtures("one_day")
def test_the_page_shows_today_and_a_request_as_it_ends(chrome, gateway):
    gateway.chat(chat_body("before"), **KEY)
    gateway.chat(chat_body("before"), **KEY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        rows(page, "requests").nth(1).wait_for()
        assert rows(page, "requests").count() == 2  # a fresh page is not empty
        eventually(lambda: figure(page, "rate") == "50.0 %")
        assert "1 of 2 answers" in page.locator(".figures").inner_text()
        gateway.chat(chat_body("while it is open"), **KEY)
        rows(page, "requests").nth(2).wait_for()
        newest = rows(page, "requests").first.inner_text()
        assert "from " in newest and "not stored yet" in newest
        eventually(lambda: figure(page, "rate") == "33.3 %")


def test_a_click_explains(chrome, gateway):
    gateway.chat(chat_body("What is the capital of France?"), **KEY)
    gateway.chat(chat_body("What is the capital of Spain?", temperature=0.5), **KEY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        rows(page, "requests").nth(1).wait_for()
        rows(page, "requests").first.click()
        dialog(page).get_by_text("temperature", exact=True).wait_for()
        shown = dialog(page).inner_text()
        assert "France" in shown and "Spain" in shown and "no answer to this key is stored" in shown
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0


def test_an_entry_is_found_looked_into_and_purged(chrome, gateway):
    for text in ("one", "two"):
        gateway.chat(chat_body(text), **KEY)
    gateway.chat(chat_body("three"), X_Payonce_Version="kb=7", **KEY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        eventually(lambda: rows(page, "entries").count() == 3)
        page.get_by_label("Version tag").fill("kb=7")
        page.get_by_role("button", name="Search").click()
        eventually(lambda: rows(page, "entries").count() == 1)
        rows(page, "entries").first.get_by_role("button", name="Look into").click()
        dialog(page).get_by_text("Answer 3", exact=False).wait_for()
        dialog(page).get_by_role("button", name="Purge this answer").click()
        dialog(page).get_by_role("button", name="Cancel").click()
        assert gateway.entries() == 3
        dialog(page).get_by_role("button", name="Purge this answer").click()
        dialog(page).get_by_role("button", name="Purge", exact=True).click()
        page.get_by_text("No entry matches.").wait_for()
        assert gateway.entries() == 2
        page.get_by_label("Version tag").fill("")
        page.get_by_role("button", name="Purge all that match").click()
        assert "Every entry of every scope" in dialog(page).inner_text()
        dialog(page).get_by_role("button", name="Purge", exact=True).click()
        page.get_by_text("2 purged").wait_for()
        assert gateway.entries() == 0


def test_a_wrong_answer_is_told(chrome, make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,semantic", "--semantic-ask-again", "0",
                           env={"PAYONCE_EMBEDDER": embedder_file()})
    gateway.chat(chat_body(CAPITAL), **KEY)
    assert "x-payonce-hit" in gateway.chat(chat_body(REWORDED), **KEY).headers
    with page_of(chrome) as page:
        open_page(page, gateway)
        page.locator("#requests tr", has_text="semantic hit").click()
        dialog(page).get_by_role("button", name="This answer was wrong").click()
        dialog(page).get_by_role("button", name="It was wrong").click()
        dialog(page).get_by_text("Noted.", exact=False).wait_for()
    assert gateway.stats()["layers"]["semantic"]["wrong_answers"]["by_feedback"] == 1
    assert "x-payonce-hit" not in gateway.chat(chat_body(REWORDED), **KEY).headers


def test_pause_holds_the_list_still(chrome, gateway):
    gateway.chat(chat_body("one"), **KEY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        rows(page, "requests").first.wait_for()
        page.get_by_role("button", name="Pause").click()
        gateway.chat(chat_body("two"), **KEY)
        page.get_by_text("2 new").wait_for()
        assert rows(page, "requests").count() == 1
        page.get_by_role("button", name="Go on").click()
        rows(page, "requests").nth(1).wait_for()


def test_the_list_goes_on_after_a_restart(chrome, gateway):
    gateway.chat(chat_body("one"), **KEY)
    with page_of(chrome, refusals=20) as page:
        open_page(page, gateway)
        rows(page, "requests").first.wait_for()
        assert gateway.stop() == 0  # an open stream does not hold the end up
        gateway.start()
        gateway.chat(chat_body("two", model="after-the-restart"), **KEY)
        # The token of the local session went with the process; the page gets another by itself.
        page.locator("#requests tr", has_text="after-the-restart").wait_for()
        page.get_by_text("live", exact=True).wait_for()


# ---- for whom ------------------------------------------------------------------------------------

def test_keyboard_alone_reaches_and_does_everything(chrome, gateway):
    gateway.chat(chat_body("one"), **KEY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        eventually(lambda: rows(page, "entries").count() == 1 and rows(page, "requests").count() == 1)
        focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
        seen = []
        page.keyboard.press("Tab")
        assert page.evaluate(focused).startswith("Skip")
        for _ in range(40):
            name = page.evaluate(focused)
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or name.startswith("Skip"), f"no visible focus: {name}"
            seen.append(name)
            if name.startswith("Explain the request"):
                page.keyboard.press("Enter")
                dialog(page).get_by_text("Exact layer").wait_for()
                page.keyboard.press("Escape")
                assert page.evaluate(focused) == name  # the focus comes back
            if name.startswith("Purge ") and "all" not in name:
                break
            page.keyboard.press("Tab")
        wanted = ["Requests", "Entries", "Breakers", "Pause", "Explain the request", "Search", "Look into", "Purge "]
        assert all(any(name.startswith(each) for name in seen) for each in wanted), seen
        page.keyboard.press("Enter")  # the row's Purge
        assert page.evaluate(focused) == "Cancel"  # what cannot be undone is not under the finger
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Purge"
        page.keyboard.press("Enter")
        eventually(lambda: gateway.entries() == 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_and_axe_finds_nothing(chrome, gateway, width, scheme):
    for text in ("one", "one", "two"):
        gateway.chat(chat_body(text, model="a-model-with-quite-a-long-name-2026-11-26-preview"), **KEY)
    gateway.post("/v1/chat/completions", b"no json", **KEY)
    # The policy would refuse axe, which is put in as a script.
    with page_of(chrome, width, scheme, bypass_csp=True, reduced_motion="reduce") as page:
        open_page(page, gateway)
        eventually(lambda: rows(page, "requests").count() >= 3 and rows(page, "entries").count() == 2)
        page.evaluate(AXE.read_text())
        for opened in (False, True):
            if opened:
                rows(page, "requests").last.get_by_role("button").click()
                dialog(page).get_by_text("Key", exact=True).wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            assert not found, [(each["id"], each["nodes"][0]["html"]) for each in found]
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def luminance(color):
    parts = [int(color[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_tokens_have_the_contrast_that_they_promise(gateway):
    text = gateway.client.get("/dashboard/tokens.css").text
    light, dark = (dict(re.findall(r"--([\w-]+):\s*(#\w{6});", part)) for part in text.split("@media"))
    for colors in (light, dark):
        for name, least in [("text", 4.5), ("soft", 4.5), ("accent", 4.5), ("good", 4.5), ("warn", 4.5), ("bad", 4.5),
                            ("edge", 3)] + [(each, 3) for each in colors if each.startswith("layer-")]:
            for surface in ("page", "surface", "raised"):
                assert contrast(colors[name], colors[surface]) >= least, (name, surface)
        assert contrast(colors["on-accent"], colors["accent"]) >= 4.5


def test_a_hundred_thousand_entries(chrome, make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact", start=False)
    subprocess.run([os.environ["PAYONCE_FILL_STORE"], str(gateway.data), str(MANY)], check=True, timeout=120)
    gateway.start()
    eventually(lambda: gateway.entries() == MANY)
    with page_of(chrome) as page:
        open_page(page, gateway)
        page.get_by_text("1 to 25 of 100,000, newest first").wait_for()
        keys = set()
        for begin in (1, 26, 51, 76):
            page.get_by_text(f"{begin} to {begin + 24} of 100,000").wait_for()
            names = [each.get_attribute("aria-label") for each in page.get_by_role("button", name="Look into").all()]
            assert len(names) == 25 and not keys & set(names)
            keys |= set(names)
            page.get_by_role("button", name="Older").click()
        page.get_by_role("button", name="Newer").click()
        page.get_by_text("76 to 100 of 100,000").wait_for()


# ---- who may see it ------------------------------------------------------------------------------

def test_elsewhere_the_token_is_asked_for(chrome, closed):
    closed.chat(chat_body("one"), **KEY)
    with page_of(chrome, refusals=2) as page:  # sessions that are not given
        page.goto(closed.root + "/")
        field = page.get_by_label("Admin token")
        field.fill("a guess")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("not the admin token").wait_for()
        assert rows(page, "requests").count() == 0
        field.fill(ADMIN)
        page.keyboard.press("Enter")
        page.get_by_text("live", exact=True).wait_for()
        rows(page, "requests").first.wait_for()
        page.reload()
        rows(page, "requests").first.wait_for()  # the tab keeps it
        assert page.context.cookies() == []
        page.get_by_role("button", name="Log out").click()
        field.wait_for()
        page.reload()
        field.wait_for()


def session(gateway, **headers):
    own = {"Origin": gateway.root, "Sec-Fetch-Site": "same-origin"}
    return gateway.client.post("/payonce/v1/session", headers=own | headers)


def test_a_local_session_is_for_the_local_page_alone(gateway, closed):
    opened = session(gateway).json()
    assert opened["admin"] is True
    bearer = {"Authorization": "Bearer " + opened["token"]}
    assert gateway.client.get("/payonce/v1/last-hour", headers=bearer).status_code == 200
    for headers in ({"Host": "rebound.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                    {"X-Forwarded-For": "10.0.0.1"}, {"Via": "1.1 proxy"}):
        assert session(gateway, **headers).status_code in (401, 403), headers
    assert gateway.client.post("/payonce/v1/session").status_code == 401  # not a page
    assert session(closed).status_code == 401
    assert closed.client.get("/payonce/v1/last-hour", headers=bearer).status_code == 401


def test_another_site_changes_nothing(gateway):
    gateway.chat()
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = gateway.post("/payonce/v1/cache/purge", {"all": True}, **headers)
        assert refused.status_code == 403
    assert gateway.entries() == 1
    assert gateway.post("/payonce/v1/cache/purge", {"all": True}).json()["removed"] == 1  # scripts are as they were


def test_a_rebound_name_sees_nothing_of_callers_without_credentials(gateway):
    gateway.chat(chat_body("asked without a credential"))
    paths = ("/payonce/v1/cache", "/payonce/v1/requests", "/payonce/v1/events", "/payonce/v1/savings")
    for path in paths:
        assert gateway.client.get(path, headers={"Host": "rebound.example"}).status_code == 403, path
    own = {"Host": "rebound.example", "Origin": "http://rebound.example"}
    purge = gateway.post("/payonce/v1/cache/purge", {"all": True}, **own)
    assert (purge.status_code, gateway.entries()) == (403, 1)
    named = gateway.client.get(paths[0], headers={"Host": "gateway.example"} | KEY)  # a name of the operator's
    assert named.status_code == 200
    assert len(gateway.client.get(paths[0]).json()["entries"]) == 1


def events(gateway, count, **headers):
    """The data of the first `count` events, oldest first, and of those that come with the last of them."""
    text = b""
    with gateway.client.stream("GET", "/payonce/v1/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for chunk in answer.iter_raw():
            text += chunk
            if text.count(b"event: request") >= count and text.endswith(b"\n\n"):
                break
    return sse_events(text.replace(b"retry: 1000\n\n", b""))


def test_another_scope_sees_nothing(closed):
    closed.chat(chat_body("a private question"), **KEY)
    closed.chat(chat_body("of the other"), **OTHER)
    asked = {path: closed.client.get("/payonce/v1/" + path, headers=OTHER) for path in ("requests", "cache")}
    assert len(asked["requests"].json()["requests"]) == len(asked["cache"].json()["entries"]) == 1
    own = asked["requests"].json()["requests"][0]["scope"]
    assert asked["cache"].json()["entries"][0]["scope"] == own
    heard = events(closed, 1, **OTHER)  # the private one was before it
    assert len(heard) == 1 and own in heard[0][1]
    assert closed.client.get("/payonce/v1/requests").json() == {"requests": []}  # of nobody's credential
    for path in ("last-hour", "upstreams"):
        assert closed.client.get("/payonce/v1/" + path, headers=OTHER).status_code == 401
    everything = closed.client.get("/payonce/v1/requests", headers={"Authorization": "Bearer " + ADMIN})
    assert len(everything.json()["requests"]) == 2
    assert "private" not in everything.text  # no text of prompts, for the admin neither


def test_the_entrys_next_page_stays_in_the_scope(closed):
    for number in range(5):
        closed.chat(chat_body(f"mine {number}"), **KEY)
        closed.chat(chat_body(f"theirs {number}"), **OTHER)
    seen, after = [], ""
    while True:
        page = closed.client.get("/payonce/v1/cache", params={"limit": 2, "after": after} if after else {"limit": 2},
                                 headers=KEY).json()
        seen += page["entries"]
        if "next" not in page:
            break
        after = page["next"]
    assert len(seen) == len({each["key"] for each in seen}) == 5
    assert len({each["scope"] for each in seen}) == 1
    assert closed.client.get("/payonce/v1/cache", params={"after": "x"}, headers=KEY).status_code == 400


def test_guesses_run_out(closed):
    for number in range(40):
        answer = closed.client.get("/payonce/v1/last-hour", headers={"Authorization": f"Bearer guess-{number}"})
        if answer.status_code == 429:
            break
    assert 10 < number < 30
    assert closed.client.get("/payonce/v1/last-hour", headers={"Authorization": "Bearer " + ADMIN}).status_code == 429
    assert closed.chat(**KEY).status_code == 200  # the data plane is not held up


# ---- the wire ------------------------------------------------------------------------------------

def test_files_have_types_tags_and_a_policy(gateway):
    page = gateway.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    files = ["/"] + re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', page.text)
    source = pathlib.Path(__file__).parents[2] / "src/dashboard/web"
    files += [f"/dashboard/{file.name}" for file in source.glob("*.js")]
    for file in files:
        answer = gateway.client.get(file)
        assert answer.status_code == 200, file
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = gateway.client.get(file, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert " style=" not in page.text and "<style" not in page.text and "<script>" not in page.text
    parses_html = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")
    assert [script.name for script in source.glob("*.js") if parses_html.search(script.read_text())] == []


def test_events_resume_and_end_with_the_process(gateway):
    for text in ("one", "two", "three"):
        gateway.chat(chat_body(text), **KEY)
    all_ids = [re.search(r'"sequence":(\d+)', data).group(1) for _, data in events(gateway, 3, **KEY)]
    assert len(all_ids) == 3 and all_ids == sorted(all_ids)
    later = events(gateway, 2, **KEY, **{"Last-Event-ID": all_ids[0]})
    assert [re.search(r'"sequence":(\d+)', data).group(1) for _, data in later] == all_ids[1:]


def test_listeners_are_bounded(gateway):
    streams = []
    try:
        for _ in range(40):
            connection = gateway.connect().send(b"GET /payonce/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            streams.append(connection)
            if b" 200 " not in connection.read_until(b"\r\n"):
                break
        assert len(streams) == 33
        assert gateway.chat(**KEY).status_code == 200
    finally:
        for connection in streams:
            connection.socket.close()
