"""The same task, put otherwise: spellings, which say the same by rule; rewordings, which say the same in other words;
and traps, which look the same and ask for another call.

No paraphrases ship with the set, so these are ours: short tables, the same at each run. A rule that does not apply to
a task gives None. How real users put the same call twice, the live sets show by themselves (function_calling.py,
pairs of tasks whose right call is equal).
"""

import re
from collections.abc import Callable

Rule = Callable[[str], str | None]

VERBS = ("add analyze apply book calculate change check compute convert create delete determine estimate fetch find "
         "generate get give identify list make obtain order play predict provide remove retrieve schedule search "
         "send set show solve sort tell update").split()
POLITE = r"(?:hi|hello|hey|please|can you|could you|would you|will you)\b[ ,]*"


def small_first(text: str) -> str:
    """With its first letter small, unless the first word is I or an acronym."""
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return text if word.split("'")[0] == "I" or word[:2].isupper() else text[:1].lower() + text[1:]


def is_command(text: str) -> bool:
    return text.split(maxsplit=1)[0].lower() in VERBS if text.strip() else False


def without_end(text: str) -> str:
    return text.strip().rstrip(".?! ")


# ---- spellings -------------------------------------------------------------------------------------------------

def other_end(text: str) -> str:
    return without_end(text) + ("!" if text.rstrip().endswith(("?", ".")) else ".")


def in_front(words: str, end: str = "") -> Rule:
    """Only of commands and of what asks politely already: "please what is" is nobody's English."""
    def rule(text: str) -> str | None:
        if not is_command(text):
            return None
        return words + small_first(without_end(text)) + end if end else words + small_first(text)
    return rule


SPELLINGS: dict[str, Rule] = {
    "first letter small or great": lambda text: text[:1].swapcase() + text[1:] if text[:1].swapcase() != text[:1]
    else None,
    "all in small letters": lambda text: text.lower() if text.lower() != text else None,
    "all in capitals": lambda text: text.upper() if text.upper() != text else None,
    "white space": lambda text: "  " + re.sub(r"\s+", " \n ", text) + " ",
    "another mark at the end": other_end,
    "please ...": in_front("Please "),
    "could you ...?": in_front("could you ", "?"),
    "could you please ...?": in_front("Could you please ", "?"),
    "... thanks": lambda text: text.rstrip() + " Thanks!",
    "hi, please ... thank you": in_front("Hi, please ", ". Thank you!"),
}


# ---- rewordings ------------------------------------------------------------------------------------------------

SYNONYMS = {"find": "look up", "calculate": "compute", "compute": "calculate", "get": "fetch", "fetch": "get",
            "determine": "find out", "retrieve": "get", "show": "display", "book": "reserve", "create": "make",
            "generate": "create", "delete": "remove", "remove": "delete", "give": "show",
            "provide": "give", "identify": "find", "estimate": "work out", "list": "show", "check": "look at"}
NOUNS = {"movie": "film", "movies": "films", "picture": "image", "price": "cost", "details": "information",
         "car": "vehicle", "flight": "plane ticket", "nearby": "close by", "near": "close to",
         "current": "present", "latest": "most recent", "total": "overall", "distance": "length of the way"}


def question_to_command(lead: str) -> Rule:
    """"What is X?" -> "Tell me X"."""
    def rule(text: str) -> str | None:
        found = re.fullmatch(r"what(?: is|'s| are) ((?:the|my|our) [^?]+)\?*\s*", text, re.IGNORECASE | re.DOTALL)
        return lead + found[1].strip() + "." if found else None
    return rule


def command_to_question(text: str) -> str | None:
    """"Find the X" -> "What is the X?"."""
    found = re.fullmatch(r"(?:find|find out|get|calculate|compute|determine|tell me|give me|provide) "
                         r"(the [^.?]+)[.?]?\s*", text, re.IGNORECASE)
    return f"What is {found[1].strip()}?" if found else None


def other_verb(text: str) -> str | None:
    words = text.split(" ", 1)
    other = SYNONYMS.get(words[0].lower())
    if not other or len(words) < 2 or words[1].split(" ")[0] in ("me", "us", "out", "up", "for"):
        return None  # "look up me" is no English
    return f"{other.capitalize()} {words[1]}"


def other_nouns(text: str) -> str | None:
    out = re.sub(r"[a-z]+", lambda word: NOUNS.get(word[0], word[0]), text)
    return out if out != text else None


def asked_for(lead: str) -> Rule:
    """A command behind a sentence's beginning; one that is polite already loses that first."""
    def rule(text: str) -> str | None:
        bare = re.sub(rf"^(?:{POLITE})+", "", text, flags=re.IGNORECASE)
        return lead + small_first(without_end(bare)) + "." if is_command(bare) else None
    return rule


REWORDINGS: dict[str, Rule] = {
    "I need you to ...": asked_for("I need you to "),
    "I would like you to ...": asked_for("I would like you to "),
    "I have to ...": asked_for("I have to "),
    "The task is to ...": asked_for("The task is to "),
    "What is X? -> Tell me X": question_to_command("Tell me "),
    "What is X? -> I want to know X": question_to_command("I want to know "),
    "Find the X -> What is the X?": command_to_question,
    "another verb": other_verb,
    "other nouns": other_nouns,
}


# ---- traps -----------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<= )[1-9]\d*(?= [a-z])")  # a mark behind one at the end of a sentence would say nothing


def other_number(change: Callable[[str], str]) -> Rule:
    """The first number that stands alone is another one."""
    def rule(text: str) -> str | None:
        return NUMBER.sub(lambda found: change(found[0]), text, count=1) if NUMBER.search(text) else None
    return rule


def swapped_numbers(text: str) -> str | None:
    found = list(NUMBER.finditer(text))[:2]
    if len(found) < 2 or found[0][0] == found[1][0]:
        return None
    (a, b), (c, d) = found[0].span(), found[1].span()
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def other_place(text: str) -> str | None:
    """The first name behind "in" or "from" is another one."""
    out = re.sub(r"\b(in|from) [A-Z][a-z]+(?: [A-Z][a-z]+)*", r"\1 Ulaanbaatar", text, count=1)
    return out if out != text else None


def negated(text: str) -> str | None:
    return "Do not " + small_first(text) if is_command(text) else None


TRAPS: dict[str, Rule] = {
    "one more: 5 -> 6": other_number(lambda number: str(int(number) + 1)),
    "ten times more: 5 -> 50": other_number(lambda number: number + "0"),
    "a point in front: 5 -> .5": other_number(lambda number: "." + number),
    "below zero: 5 -> -5": other_number(lambda number: "-" + number),
    "its factorial: 5 -> 5!": other_number(lambda number: number + "!"),
    "two numbers swapped": swapped_numbers,
    "another place": other_place,
    "do not ...": negated,
}
