#!/usr/bin/env python3
"""Prints what `transformers` computes in F32 with the weights of make_random_model.py: the values of
tests/data/golden_logits/*.txt. Not part of any test run: needs torch and transformers, several GB.

    python3 -m venv V && V/bin/pip install torch transformers numpy
    V/bin/python tools/golden_logits.py qwen3-0.6b --layers 4 > tests/data/golden_logits/qwen3-0.6b.txt

The first lines name the case, then one line for each position that is kept: position, then the logits of all tokens.
Versions that made the present values: torch 2.15.0, transformers 5.24.0.
"""

import argparse
import sys

import make_random_model
import torch
import transformers

POSITIONS = (0, 1, 15, 16, 40, 63)


def tokens_of(vocab, count):
    return [(7 * i * i + 3 * i + 1) % vocab for i in range(count)]


def config_of(shape, layers, vocab, context):
    common = dict(vocab_size=vocab, hidden_size=shape.width, intermediate_size=shape.ffn_width,
                  num_hidden_layers=layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
                  head_dim=shape.head_dim, max_position_embeddings=context, rms_norm_eps=shape.norm_epsilon,
                  tie_word_embeddings=False, attn_implementation="eager")
    rope = {"rope_type": "default", "rope_theta": shape.rope_base}
    if shape.yarn_factor:
        rope = {"rope_type": "yarn", "rope_theta": shape.rope_base, "factor": shape.yarn_factor,
                "original_max_position_embeddings": shape.yarn_original_context}
    if shape.architecture == "llama":
        return transformers.LlamaConfig(**common, rope_parameters=rope)
    if shape.architecture == "qwen2":
        return transformers.Qwen2Config(**common, rope_parameters=rope)
    if shape.architecture == "qwen3":
        return transformers.Qwen3Config(**common, rope_parameters=rope)
    local = {"rope_type": "default", "rope_theta": 10000.0}
    kinds = ["sliding_attention" if i % 6 < 5 else "full_attention" for i in range(layers)]
    return transformers.Gemma3TextConfig(
        **common, rope_parameters={"sliding_attention": local, "full_attention": rope}, sliding_window=shape.window,
        layer_types=kinds, query_pre_attn_scalar=shape.head_dim, hidden_activation="gelu_pytorch_tanh",
        final_logit_softcapping=None, attn_logit_softcapping=None)


NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def name_of(shape, name):
    """The name in transformers of a GGUF tensor."""
    names = dict(NAMES, ffn_norm="post_attention_layernorm")
    if shape.post_norms:
        names.update(post_attention_norm="post_attention_layernorm", ffn_norm="pre_feedforward_layernorm",
                     post_ffw_norm="post_feedforward_layernorm")
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{names[parts[2]]}.{parts[3]}"
    return f"{names[parts[0]]}.{parts[1]}"


def interleaved_to_halves(rows, heads):
    """GGUF's llama keeps the rows of Q and K so that RoPE turns neighbours; transformers turns halves."""
    out_width, in_width = rows.shape
    return rows.reshape(heads, out_width // heads // 2, 2, in_width).swapaxes(1, 2).reshape(out_width, in_width)


def state_of(shape, layers, vocab, seed):
    state = {}
    for name, dimensions, values in make_random_model.tensors_of(shape, layers, vocab, seed):
        if name == "rope_freqs.weight":
            continue
        value = torch.from_numpy(values.copy()).reshape(*reversed(dimensions))
        if shape.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            value = interleaved_to_halves(value, shape.heads if "attn_q" in name else shape.kv_heads)
        if shape.architecture == "gemma3" and "norm" in name:
            value = value - 1.0  # GGUF stores the factor, transformers what is added to 1
        state[name_of(shape, name)] = value
    return state


def use_rope_factors(model, factors):
    """Divides the frequencies as rope_freqs.weight does in GGUF."""
    for module in model.modules():
        if hasattr(module, "inv_freq"):
            module.inv_freq = module.inv_freq / torch.tensor(factors)


def main():
    parser = argparse.ArgumentParser(description="Prints golden logits.")
    parser.add_argument("shape", choices=sorted(make_random_model.SHAPES))
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=256)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shape = make_random_model.SHAPES[options.shape]
    config = config_of(shape, options.layers, options.vocab, options.context)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.load_state_dict(state_of(shape, options.layers, options.vocab, options.seed), strict=True)
    if shape.rope_factors:
        use_rope_factors(model, shape.rope_factors)
    tokens = tokens_of(options.vocab, max(POSITIONS) + 1)
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0]
    print(f"{options.shape} layers {options.layers} vocab {options.vocab} context {options.context} "
          f"seed {options.seed}")
    print("tokens", *tokens)
    for position in POSITIONS:
        print(position, *(f"{value:.6g}" for value in logits[position].tolist()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
