"""Reads the file of texts and their vectors that payonce_embed_texts writes and payonce_pair_features maps.

File: "PYEMB001", int64 texts, tokens, text bytes; int64 text offsets [texts + 1], int64 token offsets [texts + 1];
the texts' bytes; float32 vectors [texts, 384]; int32 token ids; float32 scales; int8 vectors [tokens, 384].
"""

import json
import struct
import subprocess

import numpy as np

WIDTH = 384
MAGIC = b"PYEMB001"


class Store:
    """The texts of a file and their vectors."""

    def __init__(self, path):
        self.path = str(path)
        with open(path, "rb") as file:
            if file.read(8) != MAGIC:
                raise ValueError(f"{path}: expected a file of payonce_embed_texts; delete it")
            texts, _, size = struct.unpack("<qqq", file.read(24))
            offsets = np.frombuffer(file.read(8 * (texts + 1)), np.int64)
            file.seek(8 * (texts + 1), 1)
            blob = file.read(size)
            self.vectors = np.frombuffer(file.read(4 * WIDTH * texts), np.float32).reshape(texts, WIDTH)
        self.index = {blob[offsets[i]:offsets[i + 1]].decode(): i for i in range(texts)}

    def rows(self, texts):
        return self.vectors[[self.index[text] for text in texts]]


def write(path, texts, tool, model):
    """Embeds `texts` with the GGUF file `model`; the file appears whole or not at all."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    part = path.with_suffix(".part")
    subprocess.run([tool, model, part], input=lines.encode(), check=True)
    part.replace(path)
