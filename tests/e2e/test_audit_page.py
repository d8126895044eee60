"""The audit's report as a page, in a real browser: whole, without a network, by keyboard, on a phone, on paper."""

import os
import pathlib

import pytest

from browser import AXE, browser, page_of
from harness import run_cli


@pytest.fixture(scope="module")
def chrome():
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The demo's report. PAYONCE_KEEP_SCREENSHOTS=FOLDER keeps pictures of it there (docs/images)."""
    folder = tmp_path_factory.mktemp("demo")
    # The model's answers make no other page, only better pictures, in a minute.
    model = os.environ.get("PAYONCE_MODEL") if "PAYONCE_KEEP_SCREENSHOTS" in os.environ else None
    flags = ["--model", model] if model else ["--no-model"]
    embedder = {"PAYONCE_SEMANTIC_EMBEDDER": os.environ.get("PAYONCE_EMBEDDER", "")}
    ended = run_cli("demo", "--no-open", "--out", folder, *flags, home=folder, env=embedder, timeout_s=300)
    assert ended.returncode == 0, ended.stderr
    return (folder / "report.html").as_uri()


def open_report(page, report):
    page.goto(report)
    page.get_by_role("heading", name="What each layer saves").wait_for()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_drawn_whole_and_nothing_sticks_out(chrome, report, width, scheme):
    with page_of(chrome, width=width, scheme=scheme) as page:
        open_report(page, report)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        headings = page.locator("h2").all_inner_texts()
        for title in ("Average latency", "Input-token cost", "Total cost", "Where each session's prefix broke",
                      "What keeps requests from sharing a prefix", "Asked more than once", "What each step is worth",
                      "The same tokens elsewhere", "How this was computed"):
            assert title in headings
        assert "−" in page.locator(".figure .change").nth(2).inner_text()
        if folder := os.environ.get("PAYONCE_KEEP_SCREENSHOTS"):
            name = f"audit-{'phone' if width == 390 else 'desktop'}-{scheme}.png"
            page.set_viewport_size({"width": width, "height": 1700})
            page.screenshot(path=pathlib.Path(folder) / name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chrome, report, scheme):
    with page_of(chrome, scheme=scheme, bypass_csp=True) as page:
        open_report(page, report)
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run().then(result => result.violations.map(one => one.id + ': ' + "
                              "one.nodes.length + ' ' + one.nodes[0].html.slice(0, 160)))")
        assert found == []


def test_the_waterfall_changes_its_view_and_adds_up(chrome, report):
    with page_of(chrome) as page:
        open_report(page, report)
        choices = page.get_by_role("group", name="What the bars show")
        for name in ("Input-token cost", "Latency, sum", "Total cost"):
            choices.get_by_role("button", name=name).press("Enter")
            assert choices.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"
            shown = page.locator("#waterfall svg").get_attribute("aria-label")
            assert shown.startswith("paid ") and "with Payonce " in shown


def test_arrows_move_along_a_session_and_tell_each_call(chrome, report):
    with page_of(chrome) as page:
        open_report(page, report)
        chart = page.locator("#sessions .timeline").first
        chart.locator(".column").first.focus()
        first = page.locator("#sessions .detail").inner_text()
        page.keyboard.press("ArrowRight")
        second = page.locator("#sessions .detail").inner_text()
        assert first.startswith("Request ") and second.startswith("Request ") and first != second
        page.keyboard.press("Home")
        assert page.locator("#sessions .detail").inner_text() == first
        page.get_by_label("Session", exact=True).select_option(index=1)
        assert "arrow keys" in page.locator("#sessions .detail").inner_text()


def test_a_breaker_opens_by_keyboard_and_says_how_to_mend_it(chrome, report):
    with page_of(chrome) as page:
        open_report(page, report)
        breaker = page.locator("#breakers details").first
        breaker.locator("summary").press("Enter")
        assert "Fix:" in breaker.inner_text() and "byte" in breaker.inner_text()


def test_models_are_filtered_and_all_are_shown_when_asked(chrome, report):
    with page_of(chrome) as page:
        open_report(page, report)
        section = page.locator("#migration")
        few = section.locator("tbody tr").count()
        section.get_by_role("button", name="Show all").press("Enter")
        assert section.locator("tbody tr").count() > few
        section.get_by_role("searchbox").fill("haiku")
        names = section.locator("tbody th").all_inner_texts()
        assert names and all("haiku" in name for name in names)


def test_it_prints(chrome, report):
    with page_of(chrome) as page:
        open_report(page, report)
        paper = page.pdf(format="A4")
        assert paper.startswith(b"%PDF") and 2 <= paper.count(b"/Type /Page\n") <= 14
