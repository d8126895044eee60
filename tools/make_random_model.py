#!/usr/bin/env python3
"""Writes a GGUF file with random F32 weights of a real model's layer shape, the same bytes for the same arguments.

For comparing our graphs with another implementation where no real weights can be had (qwen2, qwen3), or where real
ones are quantised and hide small differences. The value of element i of a tensor is a hash of its name, the seed and
i, so that src/engine/model/random_model.h makes the same weights inside the tests. Needs numpy.
"""

import argparse
import dataclasses
import math
import struct
import sys

import numpy

U32, F32, STRING = 4, 6, 8
ALIGNMENT_BYTES = 32
GOLDEN = 0x9E3779B97F4A7C15


@dataclasses.dataclass(frozen=True)
class Shape:
    architecture: str
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_width: int
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-6
    window: int = 0
    qkv_bias: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    rope_factors: tuple = ()  # Llama 3's, one for each pair of dimensions
    yarn_factor: float = 0.0
    yarn_original_context: int = 0


# Llama 3.1's rule at head_dim 16, base 10000, original context 64: high frequencies as they are, low ones an eighth.
LLAMA3_FACTORS = (1.0, 1.0, 4.307_618_1, 8.0, 8.0, 8.0, 8.0, 8.0)
SHAPES = {
    "llama-tiny": Shape("llama", 64, 4, 2, 16, 192, norm_epsilon=1e-5, rope_factors=LLAMA3_FACTORS),
    "qwen2.5-0.5b": Shape("qwen2", 896, 14, 2, 64, 4864, rope_base=1e6, qkv_bias=True),
    "qwen2-yarn-tiny": Shape("qwen2", 64, 4, 2, 16, 192, qkv_bias=True, yarn_factor=4.0, yarn_original_context=32),
    "qwen3-0.6b": Shape("qwen3", 1024, 16, 8, 128, 3072, rope_base=1e6, qk_norm=True),
    "gemma3-tiny": Shape("gemma3", 64, 4, 1, 32, 192, rope_base=1e6, window=24, qk_norm=True, post_norms=True),
}


def hash_of(name, seed):
    """FNV-1a of the name, with the seed."""
    value = 0xCBF29CE484222325 ^ seed
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def uniform(name, seed, count):
    """`count` values in [-1, 1), by splitmix64; each is a multiple of 2^-23, so exact in F32."""
    with numpy.errstate(over="ignore"):
        x = numpy.uint64(hash_of(name, seed)) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(GOLDEN)
        x = (x ^ x >> numpy.uint64(30)) * numpy.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> numpy.uint64(27)) * numpy.uint64(0x94D049BB133111EB)
        x = x ^ x >> numpy.uint64(31)
    return (x >> numpy.uint64(40)).astype(numpy.float64) / (1 << 23) - 1.0


def matrix(name, seed, in_width, out_width):
    """Rows of `in_width`; the variance keeps that of what it multiplies."""
    return (uniform(name, seed, in_width * out_width) * math.sqrt(3.0 / in_width)).astype("<f4")


def vector(name, seed, width, middle):
    return (middle + 0.25 * uniform(name, seed, width)).astype("<f4")


def tensors_of(shape, layers, vocab, seed):
    """(name, dimensions innermost first, values) of every tensor."""
    width, ffn = shape.width, shape.ffn_width
    q_width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    def weights(name, in_width, out_width):
        return name, (in_width, out_width), matrix(name, seed, in_width, out_width)

    def values(name, count, middle):
        return name, (count,), vector(name, seed, count, middle)

    # Rows of the embedding have about unit elements; gemma scales them by sqrt(width) itself.
    name, spread = "token_embd.weight", math.sqrt(3.0 / (width if shape.architecture == "gemma3" else 1))
    yield name, (width, vocab), (uniform(name, seed, width * vocab) * spread).astype("<f4")
    yield values("output_norm.weight", width, 1.0)
    yield weights("output.weight", width, vocab)
    if shape.rope_factors:
        yield "rope_freqs.weight", (shape.head_dim // 2,), numpy.array(shape.rope_factors, "<f4")
    for layer in range(layers):
        prefix = f"blk.{layer}."
        yield values(prefix + "attn_norm.weight", width, 1.0)
        yield weights(prefix + "attn_q.weight", width, q_width)
        yield weights(prefix + "attn_k.weight", width, kv_width)
        yield weights(prefix + "attn_v.weight", width, kv_width)
        yield weights(prefix + "attn_output.weight", q_width, width)
        if shape.qkv_bias:
            yield values(prefix + "attn_q.bias", q_width, 0.0)
            yield values(prefix + "attn_k.bias", kv_width, 0.0)
            yield values(prefix + "attn_v.bias", kv_width, 0.0)
        if shape.qk_norm:
            yield values(prefix + "attn_q_norm.weight", shape.head_dim, 1.0)
            yield values(prefix + "attn_k_norm.weight", shape.head_dim, 1.0)
        if shape.post_norms:
            yield values(prefix + "post_attention_norm.weight", width, 1.0)
            yield values(prefix + "post_ffw_norm.weight", width, 1.0)
        yield values(prefix + "ffn_norm.weight", width, 1.0)
        yield weights(prefix + "ffn_gate.weight", width, ffn)
        yield weights(prefix + "ffn_up.weight", width, ffn)
        yield weights(prefix + "ffn_down.weight", ffn, width)


def keys_of(shape, layers, vocab, context):
    """(key, type, value) of every key. "no_vocab": libllama loads it without a tokenizer."""
    prefix = shape.architecture + "."
    yield "general.architecture", STRING, shape.architecture
    yield "general.name", STRING, "random weights"
    yield "tokenizer.ggml.model", STRING, "no_vocab"
    yield prefix + "vocab_size", U32, vocab
    yield prefix + "block_count", U32, layers
    yield prefix + "context_length", U32, context
    yield prefix + "embedding_length", U32, shape.width
    yield prefix + "feed_forward_length", U32, shape.ffn_width
    yield prefix + "attention.head_count", U32, shape.heads
    yield prefix + "attention.head_count_kv", U32, shape.kv_heads
    yield prefix + "attention.key_length", U32, shape.head_dim
    yield prefix + "attention.value_length", U32, shape.head_dim
    yield prefix + "attention.layer_norm_rms_epsilon", F32, shape.norm_epsilon
    yield prefix + "rope.freq_base", F32, shape.rope_base
    if shape.window:
        yield prefix + "attention.sliding_window", U32, shape.window
    if shape.yarn_factor:
        yield prefix + "rope.scaling.type", STRING, "yarn"
        yield prefix + "rope.scaling.factor", F32, shape.yarn_factor
        yield prefix + "rope.scaling.original_context_length", U32, shape.yarn_original_context


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key_bytes(key, kind, value):
    packed = text(value) if kind == STRING else struct.pack("<I" if kind == U32 else "<f", value)
    return text(key) + struct.pack("<I", kind) + packed


def padding(size):
    return b"\0" * (-size % ALIGNMENT_BYTES)


def write(path, shape, layers, vocab, context, seed):
    keys = list(keys_of(shape, layers, vocab, context))
    tensors = list(tensors_of(shape, layers, vocab, seed))
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    header += b"".join(key_bytes(*key) for key in keys)
    offset = 0
    for name, dimensions, values in tensors:
        header += text(name) + struct.pack("<I", len(dimensions)) + struct.pack(f"<{len(dimensions)}Q", *dimensions)
        header += struct.pack("<IQ", 0, offset)
        offset += values.nbytes + len(padding(values.nbytes))
    with open(path, "wb") as file:
        file.write(header + padding(len(header)))
        for _, _, values in tensors:
            file.write(values.tobytes())
            file.write(padding(values.nbytes))


def main():
    parser = argparse.ArgumentParser(description="Writes a GGUF file with random weights.")
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("path")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=256)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(options.path, SHAPES[options.shape], options.layers, options.vocab, options.context, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
