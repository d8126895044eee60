"""The engine's part of the page."""

import statistics

from base.run import Json
from report import svg
from report.parts import Goal, Part, Plot, Table, number, ratios, spread

FIGURES = {"one.tokens_s": "one stream: tokens a second", "prefill.tokens_s": "one long prompt: tokens a second",
           "cold8.alone_s": "one new long prompt, s", "cold8.together_s": "eight that share it, s",
           "streams.cold_tokens_s": "streams with a shared prompt, cold: tokens a second",
           "streams.warm_tokens_s": "the same, warm", "streams.decode_tokens_s": "the same, decoding alone",
           "repeat.ttft_ms": "a repeated long prompt: first token, ms", "repeat.cached": "its tokens from the cache",
           "forks.used_blocks": "forks of one prompt: blocks"}


def page(found: Json) -> Part:
    values, size = found["values"], found["size"]

    def own(name: str) -> list[float]:
        return list(values[f"payonce.{name}"])

    def peer(name: str) -> list[float]:
        return list(values.get(f"llama.{name}", []))

    prompt, shared, streams = (f"{size[name]:,}" for name in ("prompt", "shared", "streams"))
    goals = [
        Goal("engine-shared-cold", f"8 at once, one new prefix of {prompt} tokens ÷ the time of one",
             own("cold8.factor"), "×", 1.6,
             claim=f"8 requests at once with one new prefix of {prompt} tokens, beside the time of one"),
        Goal("engine-streams", f"{streams} streams, shared prompt of {shared}, cold: tokens a second ÷ llama-server",
             ratios(own("streams.cold_tokens_s"), peer("streams.cold_tokens_s")), "×", 2, True,
             claim=f"tokens a second of {streams} streams with a shared prompt, beside llama-server"),
        Goal("engine-one-stream", "one stream: tokens a second ÷ llama-server",
             ratios(own("one.tokens_s"), peer("one.tokens_s")), "×", 0.9, True,
             claim="tokens a second of one stream, beside llama-server"),
        Goal("engine-repeat", f"repeated prompt of {prompt}: time to first token, in decode steps",
             own("repeat.steps"), "", 3),
        Goal("engine-forks", f"{size['forks']} forks of one prompt: blocks ÷ unique blocks",
             own("forks.unique_ratio"), "×", 1.1),
        Goal("engine-waste", "KV slots without a token, 8 prompts", own("waste.percent"), "%", 4)]
    rows = [[title, spread(own(name)), spread(peer(name)) if peer(name) else "–"] for name, title in FIGURES.items()]

    def panel(title: str, name: str, unit: str = "") -> svg.Bars:
        middles = {"Payonce": statistics.median(own(name)), "llama-server": statistics.median(peer(name))}
        return svg.Bars(title, [(who, middle, number(middle, unit)) for who, middle in middles.items()])

    plot = svg.bars([panel(f"{streams} streams, shared prompt, tokens/s", "streams.cold_tokens_s"),
                     panel("8 that share a new prefix", "cold8.together_s", "s"),
                     panel("one stream, tokens/s", "one.tokens_s")], "The engine beside llama-server")
    return Part(goals, [Table("", ["figure", "Payonce", "llama-server"], rows)],
                [Plot("engine", "The engine beside llama-server", plot)])
