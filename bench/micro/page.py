"""The micro-benchmarks' part of the page."""

from base.run import Json
from report.parts import Goal, Part, Table, number

TITLES = {
    "key: raw_key_xxh3/agent": "hash of a byte-equal repeat, 41.7 KB",
    "key: parse_and_key/small": "parse and key, 408 B", "key: parse_and_key/agent": "parse and key, 41.7 KB",
    "key: agent_key/known": "key of an agent's lookup, 35 kB, its parts seen before", "key: read_events": "1,000 events of a relayed stream",
    "prefix: plan/respelled/40000": "plan of the prefix layer, 36 KB, every piece spelled anew",
    "verifier: analyse_text": "verifier: a question's analysis",
    "verifier: judge_pair/32": "verifier: a pair of 32 tokens",
    "block_store: chain_hash": "hash of a KV block", "block_store: get/memory": "KV block of 369 kB from memory",
    "block_store: get/disk": "from disk (in the page cache)",
    "attention: decode/8192/smollm2-135m": "attention: decode at 8,192, beside ggml",
    "attention: prefill_512/2048/smollm2-135m": "attention: 512 of a prompt at 2,048, beside ggml",
    "attention: decode_16_share_1024/smollm2-135m": "attention: 16 streams that share 1,024, beside ggml",
}


JUDGED = ("key: agent_key/new", "prefix: plan/unchanged/40000", "verifier: judge_pair/12",
          "vector_index: nearest/scan/10000")  # they are goals


def title(name: str) -> str:
    return TITLES.get(name, name.replace("embed: ", "embedder, beside llama.cpp: "))


def page(found: Json) -> Part:
    steps, beside = found["steps"], found["beside"]

    def step(name: str, scale: float = 1) -> list[float]:
        return [steps[name]["us"] * scale] if name in steps else []

    goals = [
        Goal("key-agent", "key of an agent's lookup of 35 kB", step("key: agent_key/new"), "µs", 100),
        Goal("prefix-plan", "plan of the prefix layer, 36 KB body", step("prefix: plan/unchanged/40000"), "µs", 300,
             claim="what the prefix layer computes for a request of 36 KB"),
        Goal("verifier", "verifier, a pair of 12 tokens", step("verifier: judge_pair/12"), "µs", 100),
        Goal("index", "nearest of 10,000 questions", step("vector_index: nearest/scan/10000"), "µs", 100)]
    rows = [[title(name), number(row["us"]),
             f"{row['bytes_per_second'] / 1e9:.3g}" if row["bytes_per_second"] else ""]
            for name, row in steps.items() if name not in JUDGED]
    pairs = [[title(name), number(row["ours"]), number(row["theirs"]), f"{row['ratio']:.2f}"]
             for name, row in beside.items()]
    return Part(goals, [Table("", ["step", "CPU µs", "GB/s"], rows),
                        Table("", ["beside llama.cpp", "ours, ms", "theirs, ms", "ratio"], pairs)])
