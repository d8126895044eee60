"""Single steps: Google Benchmark's programs, and the embedder and the attention beside llama.cpp's in one program."""

import json
import re
from typing import Any

from base.run import Json, Run, output_of
from gateway import bodies

# program: which of its benchmarks; the attention's are of the model that the other sections use.
PROGRAMS = {
    "key_bench": "raw_key_xxh3/agent|parse_and_key|agent_key|read_events",
    "prefix_bench": "plan/.*/40000$",
    "verifier_bench": "analyse_text|judge_pair/(12|32)",
    "vector_index_bench": "nearest/scan/10000",
    "block_store_bench": "chain_hash|get/",
    "attention_bench": "(decode/8192|prefill_512/2048|decode_16_share_1024)/smollm2",
}
FIXED = ("attention_bench",)  # these run as often as their source says
QUICK = PROGRAMS | {"attention_bench": "decode_16_share_1024/smollm2"}
EMBED_LINE = re.compile(r"^(.+?) +ours +([\d.]+) cpu.*llama_encode +([\d.]+) cpu.*ratio ([\d.]+)", re.MULTILINE)


def google(run: Run, program: str) -> list[Json]:
    core = run.settings.both_cores if program in FIXED else run.settings.server_core
    command: list[Any] = ["taskset", "-c", core, run.settings.tool(program)]
    command += [run.folder] if program == "key_bench" else []
    wanted = (QUICK if run.settings.quick else PROGRAMS)[program]
    command += [f"--benchmark_filter={wanted}", "--benchmark_format=json"]
    if program not in FIXED:
        command.append(f"--benchmark_min_time={0.02 if run.settings.quick else 0.5}")
    return list(json.loads(output_of(command))["benchmarks"])


def measure(run: Run) -> Json:
    bodies.write(run.folder)
    out: Json = {"steps": {}, "beside": {}}
    for program in PROGRAMS:
        run.say(program)
        for row in google(run, program):
            name = f"{program.removesuffix('_bench')}: {row['name'].split('/iterations')[0]}"
            if "ratio" in row:
                out["beside"][name] = {"ours": row["paged_ms"], "theirs": row["ggml_ms"], "ratio": row["ratio"]}
            else:
                scale = {"ns": 1e-3, "us": 1, "ms": 1e3}[row["time_unit"]]
                out["steps"][name] = {"us": row["cpu_time"] * scale, "bytes_per_second": row.get("bytes_per_second")}
    run.say("embed_bench")
    told = output_of(["taskset", "-c", run.settings.server_core, run.settings.tool("embed_bench"),
                      run.settings.embedder])
    for name, ours, theirs, ratio in EMBED_LINE.findall(told):
        out["beside"][f"embed: {name.strip()}"] = {"ours": float(ours), "theirs": float(theirs),
                                                  "ratio": float(ratio)}
    return out
