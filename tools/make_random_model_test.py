"""The file is the same on every run, and the same that the C++ tests make for themselves. Skipped without numpy."""

import hashlib
import pathlib
import tempfile
import unittest

try:
    import make_random_model
except ModuleNotFoundError:
    make_random_model = None


@unittest.skipUnless(make_random_model, "needs numpy")
class RandomModel(unittest.TestCase):
    def test_the_bytes_are_those_of_random_model_h(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = pathlib.Path(scratch) / "tiny.gguf"
            make_random_model.write(path, make_random_model.SHAPES["gemma3-tiny"], 2, 64, 4096, 1)
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertEqual(found, "d48e1d15d7d5ca1403ace462f7184d7069cc128e5ae3fef144c78436e03af533")


if __name__ == "__main__":
    unittest.main()
