"""Tool selections and plans: changed tools make them miss, manners do not, and wrong ones are not given again."""

import copy
import os
import random

import pytest

from agent_api import Http, Socket, put, socket_path


def tool(name, says, **parameters):
    return {"name": name, "description": says,
            "parameters": {"type": "object", "properties": {key: {"type": kind} for key, kind in parameters.items()}}}


READ, WRITE = tool("read", "Reads a file.", path="string"), tool("write", "Writes.", path="string", text="string")
GREP, RUN = tool("grep", "Searches files.", pattern="string"), tool("run", "Runs a command.", command="string")
MAIL, CALENDAR = tool("mail", "Sends a mail.", to="string"), tool("calendar", "Lists events.", day="string")
WEATHER, ROUTE = tool("weather", "Tells the weather.", city="string"), tool("route", "Finds a way.", start="string")
SUM, TIMER = tool("sum", "Adds numbers.", numbers="array"), tool("timer", "Rings later.", minutes="integer")
LAMP, MUSIC = tool("lamp", "Switches a lamp.", on="boolean"), tool("music", "Plays a song.", title="string")

# The task, the tools, and which of them is right.
CASES = [
    ("read the file main.cc", [READ, WRITE], "read"), ("write the word hello to a.txt", [READ, WRITE, GREP], "write"),
    ("search the sources for TODO", [GREP, READ], "grep"), ("run the tests", [RUN, READ, WRITE], "run"),
    ("send Ann a mail about Monday", [MAIL, CALENDAR], "mail"),
    ("list what is on for 3 May", [CALENDAR, MAIL], "calendar"),
    ("find out the weather in Oslo", [WEATHER, ROUTE], "weather"),
    ("find the way from Oslo to Bergen", [ROUTE, WEATHER], "route"),
    ("add 2 and 5", [SUM, TIMER], "sum"), ("ring in 5 minutes", [TIMER, SUM, LAMP], "timer"),
    ("switch the lamp in the kitchen on", [LAMP, MUSIC], "lamp"), ("play Hey Jude", [MUSIC, LAMP], "music")]


def question(task, tools, kind="tools", **more):
    return {"kind": kind, "parts": {"task": task, "tools": tools, "model": "m"}} | more


@pytest.fixture(params=["http", "socket"])
def call(request, make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact")
    made = Http(gateway.root) if request.param == "http" else Socket(socket_path(gateway))
    yield made
    made.close()


@pytest.fixture
def by_meaning(make_gateway, upstream):
    """Callers by credential, where tasks are looked up by what they mean, too."""
    path = os.environ.get("PAYONCE_EMBEDDER", "")
    assert path and os.path.exists(path), f"PAYONCE_EMBEDDER is '{path}', no file: run ./dev test"
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,semantic", env={"PAYONCE_EMBEDDER": path})
    made = []

    def connect(credential):
        made.append(Socket(socket_path(gateway), credential))
        return made[-1]
    yield connect
    for one in made:
        one.close()


def other_order(value, dice):
    if isinstance(value, dict):
        return {name: other_order(value[name], dice) for name in dice.sample(list(value), len(value))}
    return [other_order(item, dice) for item in value] if isinstance(value, list) else value


def test_repeats_hit_however_the_json_is_ordered(call):
    dice = random.Random(8)
    for task, tools, right in CASES:
        put(call, [right], **question(task, tools))
    for task, tools, right in CASES:
        hit = call("lookup", **other_order(question(task, tools), dice))
        assert hit["status"] == "hit" and hit["value"] == [right] and hit["detail"] == "exact", task


def changes(tools, right):
    """(what, whether the chosen tool is concerned, the tools then)"""
    out = []
    for place, one in enumerate(tools):
        def changed(change, place=place):
            copied = copy.deepcopy(tools)
            change(copied[place])
            return copied
        of_used = one["name"] == right
        first = next(iter(one["parameters"]["properties"]))
        out += [("description", of_used, changed(lambda tool: tool.update(description="Does it well."))),
                ("type", of_used, changed(lambda tool: tool["parameters"]["properties"].update({first: {}}))),
                ("required", of_used, changed(lambda tool: tool["parameters"].update(required=[first]))),
                ("version", of_used, changed(lambda tool: tool.update(version="2"))),
                ("name", of_used, changed(lambda tool: tool.update(name="other"))),
                ("removed", of_used, tools[:place] + tools[place + 1:])]
    return [*out, ("added", False, [*tools, tool("clock", "Tells the time.")])]


@pytest.mark.parametrize("mode", ["strict", "used"])
def test_a_changed_tool_misses(call, mode):
    for number, (task, tools, right) in enumerate(CASES):
        more = {"tools_mode": mode, "scope": f"session:{number}"}
        put(call, [right], commit={"used": [right]}, **question(task, tools, **more))
        for what, of_used, then in changes(tools, right):
            answer = call("lookup", **question(task, then, **more))
            if mode == "strict":
                assert answer["status"] == "miss" and answer["reason"] == "parts", (task, what)
            elif of_used:
                assert answer["status"] == "stale", (task, what)
                assert answer["stale"] == [{"type": "tool", "name": right}]
            else:
                assert answer["status"] == "hit" and answer["value"] == [right], (task, what)
        assert call("lookup", **question(task, tools, **more))["status"] == "hit"  # as it was


# A selection is a choice among all tools; a plan lives as long as the tools that it uses. That is why strict is the
# default, and this is what "used" does to a selection.
def test_only_strict_sees_that_a_better_tool_came(call):
    for mode, status in (("strict", "miss"), ("used", "hit")):
        put(call, ["run"], commit={"used": ["run"]}, **question("search for TODO", [RUN], tools_mode=mode))
        assert call("lookup", **question("search for TODO", [RUN, GREP], tools_mode=mode))["status"] == status


@pytest.mark.parametrize("kind", ["tools", "plan"])
def test_manners_do_not_count_in_an_intent(call, kind):
    for task, tools, right in CASES:
        put(call, [right], **question(task, tools, kind, intent="task"))
    great = [task[0].upper() + task[1:] for task, _, _ in CASES]
    for (task, tools, right), capital in zip(CASES, great, strict=True):
        for text in (capital, capital + ".", f"  {task.replace(' ', '   ')}\n", f"Please {task}",
                     f"Could you {task}?", f"could you please {task}? Thanks!", f"Hi, please {task}. Thank you!"):
            hit = call("lookup", **question(text, tools, kind, intent="task"))
            assert hit["status"] == "hit" and hit["value"] == [right], text
            assert call("lookup", **question(text, tools, kind, intent="task", scope="user:bob"))["status"] == "miss"
        unnamed = question(f"Please {task}", tools, kind, semantic=False)
        assert call("lookup", **unnamed)["status"] == "miss"


def test_the_intent_of_one_part_leaves_the_others_as_they_are(call):
    asked = question("run the tests", [RUN], intent="task")
    put(call, ["run"], **asked)
    for part, value in (("model", "M"), ("system", "Please"), ("tools", [RUN | {"description": "runs a command"}])):
        assert call("lookup", **asked | {"parts": asked["parts"] | {part: value}})["status"] == "miss", part


APART = [
    ("add 2 and 5", "add 2 and 6"), ("add 2 and 5", "add 5 and 2"), ("add 1.5", "add 15"), ("add 5", "add -5"),
    ("delete all files", "do not delete all files"), ("use force", "use --force"),
    ("run it in C", "run it in C++"), ("switch the lamp on", "switch the lamp off"),
    ("play Hey Jude", "play Jude"), ("run a && b", "run a || b")]
OTHER_CASE = [("delete a.txt", "delete A.txt"), ("open Main.java", "open main.java"),
              ("price of AAPL", "price of aapl")]
# What these lose is no manners but what they are about.
UNITED = [
    ("multiply by 5", "multiply by .5"), ("compute 5", "compute 5!"), ("read env", "read .env"), ("cd", "cd .."),
    ("ls", "ls ."), ("install NET", "install .NET"), ("replace ; with ,", "replace , with ;"),
    ("tell me about it", "tell me about IT"), ("find us cities", "find US cities"), ("grep 'a b' c", "grep a 'b c'"),
    ("play the song", "play the song Please"), ("translate 'thanks'", "translate 'thank you'"),
    ("write a card that says thanks", "write a card that says please"),
    ("greet the world", "greet the world: thanks")]


def united(call, pairs, **more):
    """Those of the pairs of which one gets the other's plan."""
    out = []
    for number, (one, other) in enumerate(pairs):
        scope = {"scope": f"session:{number}"} | more
        put(call, 1, **question(one, [RUN], "plan", **scope))
        if call("lookup", **question(other, [RUN], "plan", **scope))["status"] == "hit":
            out.append((one, other))
    return out


def test_other_tasks_have_other_intents(call):
    assert united(call, APART + OTHER_CASE, intent="task") == []


def test_marks_and_words_of_the_task_are_kept_in_its_intent(call):
    assert united(call, UNITED, intent="task") == []


def test_feedback_takes_a_wrong_entry_away(call):
    for task, tools, right in CASES:
        wrong = next(one["name"] for one in tools if one["name"] != right)
        asked = question(task, tools, intent="task")
        put(call, [wrong], **asked)
        hit = call("lookup", **asked)
        assert hit["value"] == [wrong] and call("feedback", entry=hit["entry"]) == {"status": "ok"}
        put(call, [right], **asked)  # a miss
        assert call("lookup", **question(f"Please {task}", tools, intent="task"))["value"] == [right]


def test_a_plan_for_other_manners_is_taken_away_with_its_entry(call):
    task, polite = question("run the tests", [RUN], "plan"), question("Please run the tests.", [RUN], "plan")
    put(call, ["read"], **task)
    hit = call("lookup", **polite)
    assert hit["value"] == ["read"] and hit["detail"] == "intent"
    assert call("feedback", entry=hit["entry"]) == {"status": "ok"}
    for asked in (polite, task):
        assert call("lookup", **asked)["status"] == "miss"


def test_feedback_is_told_what_is_wrong_with_it(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact")
    ann, bob = Http(gateway.root), Http(gateway.root, "sk-bob")
    entry = put(ann, ["read"], **question("read it", [READ]))["entry"]
    for body in ({}, {"entry": entry, "hit": "1"}, {"entry": entry, "wrong": False}, {"bogus": 1}):
        assert ann.raw("feedback", body).status_code == 400, body
    for who, body in ((bob, {"entry": entry}), (ann, {"entry": "e-none"}), (ann, {"hit": "none"})):
        assert who.raw("feedback", body).status_code == 404, body
    assert ann("lookup", **question("read it", [READ]))["status"] == "hit"
    assert ann("feedback", entry=entry, wrong=True) == {"status": "ok"}
    assert ann.raw("feedback", {"entry": entry}).status_code == 404
    assert ann("lookup", **question("read it", [READ]))["status"] == "miss"


PASSWORD, REWORDED = "How do I reset my password?", "how can I reset my password"


def test_feedback_on_a_hit_by_meaning_keeps_it_from_that_wording(by_meaning):
    call = by_meaning("sk-ann")
    put(call, ["mail"], **question(PASSWORD, [MAIL, READ], "plan"))
    hit = call("lookup", **question(REWORDED, [MAIL, READ], "plan"))
    assert hit["status"] == "hit" and hit["detail"] == "semantic" and hit["value"] == ["mail"]
    with pytest.raises(AssertionError, match="not_found"):
        by_meaning("sk-bob")("feedback", hit=hit["hit"])
    assert call("feedback", hit=hit["hit"]) == {"status": "ok"}
    missed = call("lookup", **question(REWORDED, [MAIL, READ], "plan"))
    assert missed["status"] == "miss"
    call("commit", ticket=missed["ticket"], outcome="success", value=["read"])
    assert call("lookup", **question(REWORDED, [MAIL, READ], "plan"))["value"] == ["read"]


def test_a_plan_is_found_by_meaning_among_the_same_tools_only(by_meaning):
    call = by_meaning("sk-ann")
    put(call, ["mail"], **question(PASSWORD, [MAIL, READ], "plan"))
    assert call("lookup", **question(REWORDED, [MAIL, READ], "plan"))["status"] == "hit"
    for what, _, then in changes([MAIL, READ], "mail"):
        assert call("lookup", **question(REWORDED, then, "plan"))["status"] == "miss", what
    assert call("lookup", **question(REWORDED, [MAIL, READ], "tools"))["status"] == "miss"  # a selection never is


def test_other_tasks_do_not_mean_the_same(by_meaning):
    assert united(by_meaning("sk-ann"), APART) == []


NEAR = [("multiply the price by 5", "multiply the price by .5"), ("read the file env", "read the file .env"),
        ("play the song", "play the song Please"), ("find reports about us", "find reports about US"),
        ("replace ; with , in a.txt", "replace , with ; in a.txt")]


def test_points_marks_and_names_mean_something(by_meaning):
    assert united(by_meaning("sk-ann"), NEAR + OTHER_CASE) == []
