"""What every actor does, as a pure function of the seed: action n of an actor is drawn from a stream of random numbers
of its own, so that a run with the same seed asks the same, however its threads were scheduled."""

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import dialects
import questions

USERS = ("ann", "bob", "cid", "dot")
USER_SHARES = (6, 3, 1, 1)  # of them
SCOPES = {"": 10, "user:1": 1, "session:7": 1, "team:search": 2}
TEAM = "team:search"
TEAM_MEMBERS = ("ann", "bob")

# Kinds of requests with their shares; "engine" is scaled by the build, since a sanitized one computes slowly.
KINDS = {
    "question": 34,
    "session": 24,
    "document": 9,
    "engine": 5,
    "embedding": 5,
    "completion": 3,
    "huge": 0.4,
    "passed": 1.5,
    "purge": 1.5,
    "models": 0.8,
}
# What goes wrong upstream with a request, and how often; the rest is well.
FAULTS = {
    "500": 1,
    "503": 1,
    "429": 1,
    "400": 0.5,
    "reset_head": 1.5,
    "reset_mid": 1.5,
    "close_mid": 1,
    "hang_head": 0.25,
    "hang_mid": 0.25,
    "bad_chunk": 0.7,
    "html": 0.7,
    "cut_json": 0.7,
    "short": 0.7,
    "drop_last": 0.7,
    "slow": 3,
    "hang_up": 2,
}
FAULT_SHARE = 0.12
CANCEL_SHARE = 0.05
HTTP2_SHARE = 0.3


@dataclasses.dataclass(frozen=True)
class Ask:
    """One request to the data plane."""

    name: str  # "gw3/141": the actor and the number of its action
    kind: str
    user: str
    scope: str
    dialect: str
    path: str
    body: dict[str, Any]
    stream: bool
    headers: dict[str, str]
    fault: str  # what the upstream does to the first `fault_times` calls made for it
    fault_times: int
    cancel: str  # "": reads it whole; "head": leaves before the head; "body": after the first bytes
    http2: bool
    pause_s: float  # before it


def credential(user: str) -> str:
    return f"sk-soak-{user}"


def who(user: str, scope: str) -> str:
    return f"{user}|{scope}"


def may_share(asker: str, maker: str, teams: bool) -> bool:
    """Whether an answer made for one may be given to the other; with `teams`, keys of the gateway may be in force."""
    if asker == maker:
        return True
    users, scopes = zip(asker.split("|"), maker.split("|"), strict=True)
    return teams and scopes[0] == scopes[1] == TEAM and all(user in TEAM_MEMBERS for user in users)


def stream_of(seed: int, *what: object) -> random.Random:
    return random.Random(":".join(map(str, (seed, *what))))


def sealing_keys(seed: int, life: int) -> list[str]:
    """Of a life, in hex, the first one writes: none at first, perhaps; once data is sealed, it stays so."""
    draw, keys = stream_of(seed, "keys"), []
    for _ in range(life):
        if draw.random() < 0.5:
            keys.insert(0, draw.randbytes(32).hex())
    return keys[:2]


def pick(draw: random.Random, weights: Mapping[str, float]) -> str:
    return draw.choices(list(weights), list(weights.values()))[0]


def popular(draw: random.Random, count: int) -> int:
    """A number below `count`; small ones often, as with real requests."""
    return min(count - 1, int(draw.paretovariate(0.7)) - 1)


def ask(seed: int, actor: str, number: int, engine_share: float = 1) -> Ask:
    """Action `number` of a gateway actor."""
    draw = stream_of(seed, actor, number)
    kind = pick(draw, KINDS | {"engine": KINDS["engine"] * engine_share})
    user, scope = draw.choices(USERS, USER_SHARES)[0], pick(draw, SCOPES)
    era = number // 60  # what is asked moves on, so that entries keep being made and evicted
    conversation, dialect = MAKERS[kind](seed, draw, era)
    stream = dialect in dialects.STREAMED and draw.random() < 0.5
    path, body = dialects.render(dialect, conversation, stream, draw)
    fault = pick(draw, FAULTS) if draw.random() < FAULT_SHARE else ""
    cancel = draw.choice(("head", "body")) if draw.random() < CANCEL_SHARE else ""
    name = f"{actor}/{number}"
    # Refused before it is sent whole: over HTTP/2 httpx takes the reset that follows the 413 for its own mistake.
    http2 = draw.random() < HTTP2_SHARE and kind != "huge"
    fields = {
        "X-Soak-Action": name,
        "X-Soak-Who": who(user, scope),
        **caller_headers(draw, dialect, user, scope),
        **directives(draw),
    }
    times = draw.choice((1, 2, 9))
    if fault:
        fields |= {"X-Soak-Fault": fault, "X-Soak-Fault-Times": str(times)}
    return Ask(
        name,
        kind,
        user,
        scope,
        dialect,
        path,
        body,
        stream,
        fields,
        fault,
        times,
        cancel,
        http2,
        draw.random() * 0.06,
    )


def caller_headers(draw: random.Random, dialect: str, user: str, scope: str) -> dict[str, str]:
    fields = {"Authorization": f"Bearer {credential(user)}"}
    if dialect == "messages":
        fields = {"x-api-key": credential(user), "anthropic-version": "2023-06-01"}
    elif dialect == "gemini":
        fields = {"x-goog-api-key": credential(user)}
    return fields | ({"X-Payonce-Scope": scope} if scope else {})


def directives(draw: random.Random) -> dict[str, str]:
    """What a caller may ask of the cache; mostly nothing."""
    luck = draw.random()
    if luck < 0.03:
        return {"Cache-Control": draw.choice(("no-cache", "no-store", "only-if-cached", "max-age=5"))}
    if luck < 0.05:
        return {"X-Payonce-TTL": draw.choice(("1", "30", "3600"))}
    if luck < 0.07:
        return {"X-Payonce-Layers": draw.choice(("exact", "exact,semantic", "prefix", "none"))}
    return {"X-Payonce-Version": draw.choice(("kb=1", "kb=2"))} if luck < 0.09 else {}


# ---- what is asked -------------------------------------------------------------------------------

Made = tuple[dialects.Conversation, str]


def words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choices(questions.WORDS, k=count))


def habit(draw: random.Random, usual: Any, others: tuple[Any, ...], share: float = 0.75) -> Any:
    """Mostly the usual, so that the same is asked again."""
    return usual if draw.random() < share else draw.choice(others)


def make_question(_seed: int, draw: random.Random, era: int) -> Made:
    """Alone, or at the end of one of a few conversations: other words, other scopes and contexts all meet."""
    number = popular(draw, 40) + era % 5
    wording = draw.choice(questions.wordings(questions.group(number)))
    context = habit(draw, number % 4, (0, 1, 2, 3))
    turns = (
        ()
        if context < 2
        else (dialects.Turn("user", f"I am at stop {context}."), dialects.Turn("assistant", "Good."))
    )
    return dialects.Conversation(
        model="m",
        system="Be brief." if context == 1 else "",
        turns=(*turns, dialects.Turn("user", wording)),
        temperature=habit(draw, 0, (0.7,), 0.9),
    ), habit(draw, dialects.CHATS[number % 4], dialects.CHATS)


def make_session(seed: int, draw: random.Random, era: int) -> Made:
    """A prefix of one of the sessions that agents replay: tools, calls, results, each request longer."""
    script = stream_of(seed, "session", era // 2 + popular(draw, 6))
    dialect = script.choice(("chat", "messages", "messages", "responses"))
    tools = tuple(f"tool_{name}" for name in script.sample(("read", "grep", "edit", "run", "list", "fetch"), 4))
    turns = [dialects.Turn("user", "Mend this: " + words(script, 30))]
    for step in range(script.randrange(3, 9)):
        turns.append(
            dialects.Turn("assistant", words(script, 12), call=(script.choice(tools), {"path": f"src/{step}.py"}))
        )
        turns.append(dialects.Turn("tool", words(script, script.choice((5, 60, 600)))))
    upto = draw.randrange(0, len(turns), 2) + 1
    order = list(tools)
    draw.shuffle(order)  # clients that list tools in any order; the prefix layer has something to do
    return (
        dialects.Conversation(
            model="m",
            system="You are an agent. " + words(script, 200),
            turns=tuple(turns[:upto]),
            tools=tuple(order),
        ),
        dialect,
    )


def make_document(seed: int, draw: random.Random, era: int) -> Made:
    """A question behind a document of tens to hundreds of KB."""
    number = era + popular(draw, 5)
    text = words(stream_of(seed, "document", number), stream_of(seed, "size", number).choice((3000, 9000, 30_000)))
    return (
        dialects.Conversation(
            model="m", system=text, turns=(dialects.Turn("user", f"What does part {draw.randrange(3)} say?"),)
        ),
        dialects.CHATS[number % 4],
    )


def make_engine(_seed: int, draw: random.Random, era: int) -> Made:
    text = f"Say something of {questions.COUNTRIES[popular(draw, 12)]}, please; {era % 7}."
    return dialects.Conversation(
        model="local", turns=(dialects.Turn("user", text),), max_tokens=draw.choice((2, 4, 8))
    ), draw.choice(("chat", "messages"))


def make_embedding(_seed: int, draw: random.Random, era: int) -> Made:
    return (
        dialects.Conversation(model="m", turns=(dialects.Turn("user", f"text {era} {popular(draw, 20)}"),)),
        "embeddings",
    )


def make_completion(_seed: int, draw: random.Random, era: int) -> Made:
    return (
        dialects.Conversation(model="m", turns=(dialects.Turn("user", f"Once {era} {popular(draw, 9)}"),)),
        "completions",
    )


def make_huge(seed: int, draw: random.Random, era: int) -> Made:
    """Above the limit of a body."""
    return dialects.Conversation(model="m", turns=(dialects.Turn("user", words(draw, 400_000)),)), "chat"


def make_passed(_seed: int, draw: random.Random, era: int) -> Made:
    """A path that no cache layer knows."""
    return dialects.Conversation(model="m", turns=(dialects.Turn("user", words(draw, 50)),)), "files"


def make_purge(_seed: int, draw: random.Random, era: int) -> Made:
    """Stored, purged, asked again: the actor makes three requests of it."""
    return dialects.Conversation(model="m", turns=(dialects.Turn("user", words(draw, 9)),)), "chat"


def make_models(_seed: int, draw: random.Random, era: int) -> Made:
    return dialects.Conversation(model="m", turns=()), "models"


MAKERS = {name.removeprefix("make_"): value for name, value in list(globals().items()) if name.startswith("make_")}
