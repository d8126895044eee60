"""The sections of docs/benchmarks.md, in order: what is measured, and how its figures become a part of the page."""

import dataclasses
from collections.abc import Callable

import agents.functions
import agents.functions_page
import agents.lookup
import agents.lookup_page
import engine.measure
import engine.page
import gateway.measure
import gateway.page
import micro.measure
import micro.page
import prefix.gate
import prefix.page
import semantic.measure
import semantic.page
from base.run import Json, Run
from report.parts import Part


@dataclasses.dataclass(frozen=True)
class Section:
    name: str
    title: str
    minutes: float  # a whole run on two cores, about
    measure: Callable[[Run], Json]
    page: Callable[[Json], Part]
    how: str        # what one must know to read the figures


SECTIONS = (
    Section("gateway", "The gateway", 5, gateway.measure.measure, gateway.page.page, """\
The server under test on one core, load (wrk) and mock upstream on the other, over loopback. Rivals take turns
within a round, and ratios are taken within a round. *Added* is the p50 through the gateway less the p50 without
one. The bare loop is an epoll server that hashes the body and sends what a map holds: the least that a cache keyed
by content must do. LiteLLM: its proxy, one worker, cache in memory, no logging. The mock's counter is checked after
each run: a hit must not reach it, a miss must once."""),
    Section("engine", "The engine", 7, engine.measure.measure, engine.page.page, """\
Beside llama-server of the llama.cpp that the engine links, on the same file and two threads, one after the other in
each round: `-np 16 -kvu -fa on`. Prompts are of random tokens. What the figures mean, and how the engine comes by
them: [engine.md](engine.md)."""),
    Section("semantic", "The semantic cache", 9, semantic.measure.measure, semantic.page.page, """\
Public streams of questions, each asked in the order of its file through the real server with a scripted upstream;
*wrong* is a hit with another label than the question's, *correct* one with its label. The QQP labels are noisy: of
confident "wrong" hits most are duplicates that were labelled otherwise. The others get the same vectors: GPTCache
itself (FAISS, SQLite, its defaults) on the first questions and its rule on all, RedisVL's rule, vCache written from
its paper, and every fixed cosine for the curve. How Payonce decides: [semantic.md](semantic.md)."""),
    Section("lookup", "Lookups of the agent API", 1, agents.lookup.measure, agents.lookup_page.page, """\
Over the Unix socket, beside GET of Redis over its own, in turns, one call at a time; equal values on both sides.
The client is Python: what it takes alone, asking a socket pair that echoes, is shown as well."""),
    Section("functions", "Tool selections and plans", 4, agents.functions.measure, agents.functions_page.page, """\
Kinds `tools` and `plan` of the [agent API](agents/api.md) on the Berkeley Function Calling Leaderboard (Apache 2.0;
it is fetched, not kept here). The set says which call is right for a task; that call is committed after a miss.
*Wrong* is a hit whose function or arguments are not right for the task that was asked. *Pairs* and *streams* are
what people wrote; *spellings*, *rewordings* and *traps* are rules of ours, easier than what people write. A
selection is a choice among all tools that were there, so it must not outlive a changed tool (`strict`); `used`
keeps it while the tools that it uses are the same, which is for plans. In *feedback* the model is wrong once in
five times."""),
    Section("gate", "The write gate", 1, prefix.gate.measure, prefix.page.page, """\
Block traces (the public halves of two Mooncake traces, Qin et al., FAST'25, and a generated trace of coding
agents), billed by a simulator of the benchmark's own from the marks alone. Input cost relative to no cache; w and r
are the provider's factors for writing and reading. *Continuations* marks the deepest position seen before and the
end of a prompt that goes on from another's end; *oracle* knows the future. How the gate decides:
[prefix-gate.md](prefix-gate.md)."""),
    Section("micro", "Micro-benchmarks", 2, micro.measure.measure, micro.page.page, """\
Single steps, on one core but for the model's; CPU time where nothing else is said. Ratios are taken within one
program that does both in turn; below 1 ours is quicker."""),
)


def named(name: str) -> Section:
    return next(section for section in SECTIONS if section.name == name)
