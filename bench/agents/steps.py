"""The measurements. Each is a function from an instance's users and tasks to tallies; each asks as users of its own."""

import collections
import random
from collections.abc import Callable

from agents.asking import Caller, Question, Tally, Users, question_of, value_of
from agents.bfcl import Task
from agents.rewordings import REWORDINGS, SPELLINGS, TRAPS
from base.run import Json

INTENT: Question = {"intent": "task"}
SEED = 8
EXACT: Question = {"semantic": False}


def by_same_tools(tasks: list[Task]) -> list[list[Task]]:
    """Tasks that may be taken for each other, as all but the task is equal."""
    groups: dict[str, list[Task]] = collections.defaultdict(list)
    for task in tasks:
        groups[task.same_tools].append(task)
    return [group for group in groups.values() if len(group) > 1]


# ---- repeats ---------------------------------------------------------------------------------------------------

def other_order(value: Json, dice: random.Random) -> Json:
    """Equal JSON, its members in another order."""
    if isinstance(value, dict):
        return {name: other_order(value[name], dice) for name in dice.sample(list(value), len(value))}
    return [other_order(item, dice) for item in value] if isinstance(value, list) else value


def repeats(users: Users, tasks: list[Task]) -> list[Tally]:
    dice, out = random.Random(SEED), []
    for kind in ("tools", "plan"):
        call, again = users.caller(), Tally("repeats", f"{kind}: again, JSON members in another order", "all")
        first = Tally("repeats", f"{kind}: the first time", "none")
        for task in tasks:
            first.add(call.store(question_of(kind, task, **EXACT), value_of(kind, task)), task)
        for task in tasks:
            again.add(call.ask(other_order(question_of(kind, task, **EXACT), dice)), task)
        out += [first, again]
    for mode in ("strict", "used"):
        call = users.caller()
        listed = Tally("repeats", f"tools, {mode}: again, the list of tools in another order")
        for number, task in enumerate(task for task in tasks if len(task.tools) > 1):
            more = {"scope": f"session:{number}", "tools_mode": mode}
            call.store(question_of("tools", task, **more), task.selection, used=task.selection)
            listed.add(call.ask(question_of("tools", task, tools=task.tools[::-1], **more)), task)
        out.append(listed)
    return out


# ---- spellings -------------------------------------------------------------------------------------------------

def spellings(users: Users, tasks: list[Task]) -> list[Tally]:
    out = []
    for more, title in ((INTENT, "with intent"), ({}, "without")):
        call = users.caller()
        united = Tally("spellings", f"{title}: a task that was not asked before", "none wrong")
        for task in tasks:
            united.add(call.store(question_of("tools", task, **more), task.selection), task)
        out.append(united)
        total = Tally("spellings", f"{title}: all of these", "none wrong")
        for name, rule in SPELLINGS.items():
            tally = Tally("spellings", f"{title}: {name}", "none wrong")
            for task in tasks:
                if (text := rule(task.text)) is not None:
                    answer = call.ask(question_of("tools", task, text, **more))
                    tally.add(answer, task, text)
                    total.add(answer, task, text)
            if more:
                out.append(tally)
        out.append(total)
    return out


# ---- changed tools ---------------------------------------------------------------------------------------------

def edited(tools: list[Json], at: int, change: Callable[[Json], Json]) -> list[Json]:
    return [change(tool) if i == at else tool for i, tool in enumerate(tools)]


def other_type(tool: Json) -> Json:
    parameters = tool["parameters"]
    properties = dict(parameters["properties"])
    if not properties:
        return tool | {"parameters": parameters | {"type": "list"}}
    name = next(iter(properties))
    properties[name] = properties[name] | {"type": "string" if properties[name].get("type") != "string" else "float"}
    return tool | {"parameters": parameters | {"properties": properties}}


EDITS: dict[str, Callable[[Json], Json]] = {
    "description": lambda tool: tool | {"description": tool["description"] + " Reads the archive, too."},
    "a parameter's type": other_type,
    "its version": lambda tool: tool | {"version": "2"},
}


def changes(task: Task) -> list[tuple[str, bool, list[Json]]]:
    """(what, whether the used tool is concerned, the tools then)"""
    used = next(i for i, tool in enumerate(task.tools) if tool["name"] == task.function)
    others = [i for i in range(len(task.tools)) if task.tools[i]["name"] != task.function]
    out = [(f"{what}, of the chosen tool", True, edited(task.tools, used, change)) for what, change in EDITS.items()]
    added = {"name": "tell_time", "description": "Tells the time.", "parameters": {"type": "dict", "properties": {}}}
    out += [("the chosen tool removed", True, [tool for tool in task.tools if tool["name"] != task.function]),
            ("a tool added", False, [*task.tools, added])]
    if others:
        out += [(f"{what}, of another tool", False, edited(task.tools, others[0], change))
                for what, change in EDITS.items()]
        out.append(("another tool removed", False, [t for i, t in enumerate(task.tools) if i != others[0]]))
    return out


def changed_tools(users: Users, tasks: list[Task]) -> list[Tally]:
    tallies: dict[tuple[str, str], Tally] = {}
    for mode in ("strict", "used"):
        call = users.caller()
        for number, task in enumerate(tasks):  # each in its own session: with "used", tools are no part of the key
            more = {"scope": f"session:{number}", "tools_mode": mode}
            call.store(question_of("tools", task, **more), task.selection, used=task.selection)
            for what, of_used, tools in changes(task):
                wanted = "none" if mode == "strict" or of_used else "all"
                tally = tallies.setdefault((mode, what), Tally("changed tools", f"{mode}: {what}", wanted))
                tally.add(call.ask(question_of("tools", task, tools=tools, **more)), task)
    return list(tallies.values()) + better_tool(users, tasks)


def better_tool(users: Users, tasks: list[Task]) -> list[Tally]:
    """The choice was made among tools that lack the right one, which then comes. What is served is wrong."""
    out = []
    for mode, wanted in (("strict", "none"), ("used", "")):
        what = f"{mode}: the right tool comes after a choice without it"
        call, tally = users.caller(), Tally("changed tools", what, wanted)
        for number, task in enumerate(tasks):
            before = [tool for tool in task.tools if tool["name"] != task.function]
            if before:
                more = {"scope": f"session:{number}", "tools_mode": mode}
                chosen = [before[0]["name"]]
                call.store(question_of("tools", task, tools=before, **more), chosen, used=chosen)
                tally.add(call.ask(question_of("tools", task, **more)), task)
        out.append(tally)
    return out


# ---- other tasks on the same tools -----------------------------------------------------------------------------

def pairs(users: Users, tasks: list[Task]) -> list[Tally]:
    """Each task alone in a session, asked for by every other task of the same tools."""
    out = []
    kinds: list[tuple[str, str, Question]] = [
        ("plan", "plan", {}), ("plan", "plan, intent", EXACT | INTENT),
        ("tools", "tools", {}), ("tools", "tools, intent", INTENT)]
    for kind, title, more in kinds:
        call = users.caller()
        by_meaning = title == "plan"
        other = Tally("pairs", f"{title}: another call is right", "bound" if by_meaning else "none")
        same = Tally("pairs", f"{title}: the same call is right")
        number = 0
        for group in by_same_tools(tasks):
            for stored in group:
                number += 1
                scope = {"scope": f"session:{number}"} | more
                call.store(question_of(kind, stored, **scope), value_of(kind, stored))
                for task in group:
                    if task is not stored:
                        tally = same if task.accepts(stored.plan) else other
                        tally.add(call.ask(question_of(kind, task, **scope)), task, f"{task.text} <- {stored.text}")
        out += [other, same]
    return out


def traps(users: Users, tasks: list[Task]) -> list[Tally]:
    """Each task alone in a session, and then its near miss: a hit, with whatever value, would be wrong."""
    out = []
    kinds: list[tuple[str, str, Question]] = [
        ("plan", "bound", {}), ("plan, intent", "none", EXACT | INTENT)]
    for title, wanted, more in kinds:
        call, total = users.caller(), Tally("traps", f"{title}: all of these", wanted)
        tallies = {name: Tally("traps", f"{title}: {name}", "none" if wanted == "none" else "") for name in TRAPS}
        for number, task in enumerate(tasks):
            scope = {"scope": f"session:{number}"} | more
            call.store(question_of("plan", task, **scope), task.plan)
            for name, rule in TRAPS.items():
                if (text := rule(task.text)) is None:
                    continue
                answer = call.ask(question_of("plan", task, text, **scope))
                tallies[name].add(answer, task, text, trap=True)
                total.add(answer, task, text, trap=True)
        out += [*tallies.values(), total]
    return out


def streams(users: Users, tasks: list[Task]) -> list[Tally]:
    """One user asks all tasks in order, a miss is answered rightly and stored: with each task's own tools, and then
    as a large agent would, with the tools of the whole category in each."""
    plain = Tally("streams", "plan: each task with its own tools", "bound")
    call = users.caller()
    for task in tasks:
        plain.add(call.store(question_of("plan", task), task.plan), task)
    out = [plain]
    rewordings_of(call, tasks, out, "own tools")
    for category in dict.fromkeys(task.category for task in tasks):
        inside = list({task.text: task for task in tasks if task.category == category}.values())
        named = {tool["name"]: tool for task in inside for tool in task.tools}
        pool = list(named.values())
        tally = Tally("streams", f"plan: {category}, {len(pool)} tools in each", "bound")
        call = users.caller()
        for task in inside:
            tally.add(call.store(question_of("plan", task, tools=pool), task.plan), task)
        out.append(tally)
        rewordings_of(call, inside, out, category, pool)
    return out


def rewordings_of(call: Caller, tasks: list[Task], out: list[Tally], where: str, pool: Json = None) -> None:
    """The same user asks in other words, in drawn order, after all was stored. By rule for the tasks' own tools, in
    sum for a pool."""
    tallies = {name: Tally("rewordings", f"{where}: {name}") for name in REWORDINGS}
    total = Tally("rewordings", f"{where}: all", "bound")
    asked = [(name, task, text) for name, rule in REWORDINGS.items() for task in tasks
             if (text := rule(task.text)) is not None]
    random.Random(SEED).shuffle(asked)
    for name, task, text in asked:
        answer = call.ask(question_of("plan", task, text, tools=pool))
        tallies[name].add(answer, task, text)
        total.add(answer, task, text)
    if pool is None:
        out += tallies.values()
    out.append(total)
