"""Questions in several wordings, with what they mean: the semantic layer may give one wording another's answer, and no
meaning that of another."""

COUNTRIES = (
    "France",
    "Germany",
    "Italy",
    "Spain",
    "Norway",
    "Poland",
    "Greece",
    "Japan",
    "Peru",
    "Chile",
    "Kenya",
    "Egypt",
)
KINDS = {
    "capital": (
        "What is the capital of {}?",
        "what's the capital of {}",
        "Which city is the capital of {}?",
        "Can you tell me the capital of {}?",
    ),
    "people": ("How many people live in {}?", "What is the population of {}?", "what's the population of {}"),
    "money": ("What is the currency of {}?", "what's the currency of {}", "Which currency is used in {}?"),
    "speech": ("Which language is spoken in {}?", "What language do people speak in {}?"),
    "food": ("What is the most popular dish in {}?", "what's the most popular dish in {}?"),
}
ORDERS = ("Show me my orders", "show me my orders please", "Show my orders", "Can you show me my orders?")
WORDS = (
    "the cache holds what was asked before and gives it again when somebody wants to know it while a request waits "
    'for its answer Grüße aus Köln 東京 🌍 "quoted" back\\slash tab\tand line\nbreak über naïve façade'
).split(" ")

GROUPS = ("orders", *(f"{kind}:{country}" for country in COUNTRIES for kind in KINDS))


def group(number: int) -> str:
    return GROUPS[number % len(GROUPS)]


def wordings(name: str) -> tuple[str, ...]:
    if name == "orders":
        return ORDERS
    kind, country = name.split(":")
    return tuple(wording.format(country) for wording in KINDS[kind])


MEANING = {wording: name for name in GROUPS for wording in wordings(name)}


def prose(name: str) -> str:
    """The answer to a question of that meaning: prose, so that fresh and stored ones compare as equal."""
    subject, _, country = name.partition(":")
    return (
        f"Of the {subject} of {country or 'this caller'} one can say that it is well known to all who have looked."
    )
