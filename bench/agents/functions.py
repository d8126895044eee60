"""The tool-selection cache (kind tools) and the plan cache (kind plan) on a public function-calling set.

The Berkeley Function Calling Leaderboard (bfcl.py) says which call is right for each task. The real binary is asked
over its Unix socket; what a model would answer is the set's right call, committed after a miss. A hit is wrong when
its call, function and arguments, is not among those that the set accepts for the task that was asked.

repeats        the same task and tools again
spellings      other case, blanks, marks, politeness: with "intent" and without
changed tools  a selection must not outlive the tools that it was made among
pairs          every two tasks of the same tools, one stored alone, the other asked
traps          a task stored alone, asked with another number or place, or not to do it; by our own rules
streams        all tasks one after the other, by meaning, in one scope
rewordings     after a stream, by our own short tables (rewordings.py): they are easier than what people write
feedback       a fifth of the selections is wrong; what was told to be wrong is not served again

No tokenizer is used: tokens are characters / 4.
"""

import dataclasses
import json
import statistics
from collections.abc import Callable

from agents import feedback, steps
from agents.asking import Tally, Users
from agents.bfcl import VERSION, Task, tasks
from base.run import Json, Run

STEPS: tuple[Callable[[Users, list[Task]], list[Tally]], ...] = (
    steps.repeats, steps.spellings, steps.changed_tools, steps.pairs, steps.traps, steps.streams)
CHARACTERS_A_TOKEN = 4
QUICK_TASKS = 12  # of each category


def tokens(all_tasks: list[Task]) -> Json:
    """What the model call costs that a hit saves, by characters."""
    read = [len(json.dumps(task.tools) + task.system + task.text) / CHARACTERS_A_TOKEN for task in all_tasks]
    written = [len(json.dumps(task.plan)) / CHARACTERS_A_TOKEN for task in all_tasks]
    return {"read_mean": statistics.mean(read), "read_p50": statistics.median(read),
            "written_mean": statistics.mean(written)}


def latencies(users: Users) -> Json:
    return {what: {"lookups": len(times), "p50": 1e6 * statistics.median(times),
                   "p99": 1e6 * sorted(times)[len(times) * 99 // 100]} for what, times in sorted(users.times.items())}


def measure(run: Run) -> Json:
    all_tasks = tasks(QUICK_TASKS if run.settings.quick else 0)
    gateway = run.payonce("serve", "--upstream", "http://127.0.0.1:9/v1", "--layers", "exact,semantic")
    users = Users(gateway.socket_path)
    found: list[Tally] = []
    for step in STEPS:
        run.say(step.__name__.replace("_", " "))
        found += step(users, all_tasks)
    run.say("feedback")
    rounds = feedback.measure(users, all_tasks)
    for tally in found:
        run.check(tally.met is not False, "rows that must hold",
                  f"{tally.section}: {tally.what}: {tally.wrong} wrong, {tally.hits} hits of {tally.lookups}; "
                  f"{tally.examples}")
    for told in rounds:
        run.check(told.met, "rounds without a wrong one served again", f"{told.series}: {told.again}")
    run.versions["bfcl-eval"] = VERSION
    return {"tasks": len(all_tasks), "tokens": tokens(all_tasks), "latency_us": latencies(users),
            "tallies": [dataclasses.asdict(tally) | {"met": tally.met} for tally in found],
            "rounds": [dataclasses.asdict(told) for told in rounds]}
