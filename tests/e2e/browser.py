"""A real Chromium for the dashboard's tests, and pages that fail a test when they complain."""

import contextlib
import os
import pathlib
import shutil

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
AXE = pathlib.Path(__file__).parent / "node/node_modules/axe-core/axe.min.js"
# Complaints of the browser itself about a refused request; each test says which it expects.
REFUSAL = "Failed to load resource"


def chromium():
    path = os.environ.get("PAYONCE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium: run ./dev test, or name one by PAYONCE_CHROMIUM"
    return path


@contextlib.contextmanager
def browser(*flags):
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium(), args=FLAGS + list(flags))
        yield running
        running.close()


@contextlib.contextmanager
def page_of(running, width=1280, scheme="light", refusals=0, **context):
    """A page of a fresh profile; at its end there must be no error, no violation of its policy, no more refusals than
    expected, and no request to anywhere else."""
    made = running.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **context)
    page = made.new_page()
    page.set_default_timeout(30_000)
    complaints, hosts = [], set()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "://" in request.url else None)
    page.add_init_script("addEventListener('securitypolicyviolation', "
                         "event => console.error('policy: ' + event.violatedDirective))")
    yield page
    made.close()
    serious = [text for text in complaints if REFUSAL not in text]
    assert not serious, serious
    assert len(complaints) - len(serious) <= refusals, complaints
    assert len(hosts) <= 1, hosts
