"""Texts with their MiniLM vectors and quantised token vectors, in the file that pair_features.cc maps.

File: "PYEMB001", int64 texts, tokens, text bytes; int64 text offsets [texts + 1], int64 token offsets [texts + 1];
the texts' bytes; float32 vectors [texts, 384]; int32 token ids; float32 scales; int8 vectors [tokens, 384]. The rule
of quantisation is tokens.cc's: scale = largest number / 127, at most 32 tokens.
"""

import struct

import numpy as np

WIDTH = 384
MAX_TOKENS = 32
MAGIC = b"PYEMB001"
BATCH = 64


class Store:
    """Vectors and texts of one or more files."""

    def __init__(self, paths):
        self.index, vectors = {}, []
        for path in paths:
            texts, matrix = read(path)
            for text in texts:
                self.index.setdefault(text, len(self.index))
            if len(self.index) != sum(map(len, vectors)) + len(texts):  # texts in two files: first one counts
                known = sum(map(len, vectors))
                matrix = matrix[[i for i, text in enumerate(texts) if self.index[text] >= known]]
            vectors.append(matrix)
        self.vectors = np.concatenate(vectors)

    def rows(self, texts):
        return self.vectors[[self.index[text] for text in texts]]


def read(path):
    with open(path, "rb") as file:
        if file.read(8) != MAGIC:
            raise ValueError(f"{path}: expected a file of embeddings.py")
        texts, _, size = struct.unpack("<qqq", file.read(24))
        offsets = np.frombuffer(file.read(8 * (texts + 1)), np.int64)
        file.seek(8 * (texts + 1), 1)
        blob = file.read(size)
        vectors = np.frombuffer(file.read(4 * WIDTH * texts), np.float32).reshape(texts, WIDTH)
    return [blob[offsets[i]:offsets[i + 1]].decode() for i in range(texts)], vectors


def quantised(states):
    """Unit vectors of one text's tokens, as (int8, scales)."""
    unit = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-9)
    unit = unit[:MAX_TOKENS]
    scales = (np.abs(unit).max(1) / 127 if len(unit) else np.zeros(0)).astype(np.float32)
    return np.rint(unit / np.maximum(scales, 1e-12)[:, None]).astype(np.int8), scales


def embed(texts, model, tokenizer_file, threads=1):
    """Yields (position, vector, ids, int8, scales) of each text, shortest first."""
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    for begin in range(0, len(order), BATCH):
        batch = order[begin:begin + BATCH]
        longest = max(len(encoded[i]) for i in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, i in enumerate(batch):
            ids[row, :len(encoded[i])] = encoded[i]
            mask[row, :len(encoded[i])] = 1
        states = session.run(None, {"input_ids": ids, "attention_mask": mask,
        "token_type_ids": np.zeros_like(ids)})[0]
        pooled = (states * mask[..., None]).sum(1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        for row, i in enumerate(batch):
            size = len(encoded[i])
            yield (i, pooled[row], np.array(encoded[i][1:size - 1][:MAX_TOKENS], np.int32),
                   *quantised(states[row, 1:size - 1]))


def write(path, texts, model, tokenizer_file, threads=1):
    rows = [None] * len(texts)
    for position, *row in embed(texts, model, tokenizer_file, threads):
        rows[position] = row
    blobs = [text.encode() for text in texts]
    text_offsets = np.concatenate([[0], np.cumsum([len(blob) for blob in blobs])]).astype(np.int64)
    token_offsets = np.concatenate([[0], np.cumsum([len(row[1]) for row in rows])]).astype(np.int64)
    with open(path, "wb") as file:
        file.write(MAGIC + struct.pack("<qqq", len(texts), int(token_offsets[-1]), int(text_offsets[-1])))
        file.write(text_offsets.tobytes() + token_offsets.tobytes() + b"".join(blobs))
        file.write(np.stack([row[0] for row in rows]).astype(np.float32).tobytes())
        for part, kind in ((1, np.int32), (3, np.float32), (2, np.int8)):
            file.write(np.concatenate([row[part] for row in rows]).astype(kind).tobytes())
