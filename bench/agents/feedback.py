"""Wrong selections demote: what was told to be wrong is not served again, and the share of wrong ones falls to 0."""

import dataclasses
import random

from agents.asking import Caller, Question, Users, question_of
from agents.bfcl import Task
from agents.rewordings import REWORDINGS
from agents.steps import INTENT, SEED
from base.run import Json

WRONG_SHARE = 0.2  # of what the model selects, the first time and each time again
ROUNDS = 6


@dataclasses.dataclass
class Round:
    series: str
    number: int
    lookups: int = 0
    served: int = 0
    wrong: int = 0
    again: int = 0  # served again after feedback said that it was wrong

    @property
    def met(self) -> bool:
        return self.again == 0


def wrong_selection(task: Task) -> list[str]:
    others = [tool["name"] for tool in task.tools if tool["name"] != task.function]
    return [others[0] if others else "ask_the_user"]


def select(task: Task, dice: random.Random) -> list[str]:
    return wrong_selection(task) if dice.random() < WRONG_SHARE else task.selection


def selections(users: Users, tasks: list[Task], feedback: bool) -> list[Round]:
    """Each round asks for every task. A wrong selection is noticed when it is used; the model is asked afresh then,
    and is as often wrong as before."""
    dice, call, out = random.Random(SEED), users.caller(), []
    series = "tools, feedback by entry" if feedback else "tools, no feedback"
    for number in range(1, ROUNDS + 1):
        out.append(told := Round(series, number))
        for task in tasks:
            asked = question_of("tools", task, **INTENT)
            answer = call.store(asked, select(task, dice))
            count(told, answer, task.selection)
            if feedback and answer["status"] == "hit" and answer["value"] != task.selection:
                call("feedback", entry=answer["entry"])
                fresh = call.store(asked, select(task, dice))
                told.again += fresh["status"] == "hit"
    return out


def plans(users: Users, tasks: list[Task]) -> list[Round]:
    """The plan of a task is served to other words. Each task is another user's; the rules in turn."""
    dice, call, out = random.Random(SEED), users.caller(), []
    rules = [REWORDINGS[name] for name in ("I have to ...", "The task is to ...")]
    some = [(f"sk-of-{task.id}", task) for task in tasks if rules[0](task.text)]
    for user, task in some:
        call.become(user)
        call.store(question_of("plan", task), select(task, dice))
    for number in (1, 2):
        for place, rule in enumerate(rules):
            out.append(told := Round("plan in other words, feedback by hit", 2 * number + place - 1))
            for user, task in some:
                call.become(user)
                asked = question_of("plan", task, rule(task.text) or "")
                answer = call.ask(asked)
                count(told, answer, task.selection)
                if answer["status"] == "hit" and answer["value"] != task.selection:
                    told.again += not stays_away(call, asked, answer)
    return out


def stays_away(call: Caller, asked: Question, answer: Json) -> bool:
    if answer["detail"] == "semantic":
        call("feedback", hit=answer["hit"])
    else:
        call("feedback", entry=answer["entry"])
    again = call.ask(asked)
    return bool(again["status"] != "hit" or again["entry"] != answer["entry"])


def count(told: Round, answer: Json, right: list[str]) -> None:
    told.lookups += 1
    if answer["status"] == "hit":
        told.served += 1
        told.wrong += answer["value"] != right


def measure(users: Users, tasks: list[Task]) -> list[Round]:
    return (selections(users, tasks, feedback=False) + selections(users, tasks, feedback=True)
            + plans(users, tasks))
