"""Retrieved documents: what the upstream gets when the same ones come in another order, or again."""

import json

import pytest

KEY = {"Authorization": "Bearer sk-context", "x-api-key": "sk-context"}


def document(number):
    facts = "\n".join(f"Fact {i} of topic {number}: it is “so”, and 100 % not\totherwise." for i in range(25))
    return f'<document id="{number}">\n{facts}\n</document>'


def documents(*numbers):
    return "<documents>\n" + "\n".join(map(document, numbers)) + "\n</documents>"


def user(text):
    return {"role": "user", "content": text}


def body(*messages):
    return {"model": "claude-sonnet-4-6", "max_tokens": 50, "system": "Answer from the documents.",
            "messages": list(messages)}


def texts(message):
    content = message["content"]
    return [content] if isinstance(content, str) else [part["text"] for part in content]


def sent(gateway, upstream, *messages, **headers):
    """The last message as the upstream got it, as the list of its texts."""
    assert gateway.post("/v1/messages", body(*messages), **(KEY | headers)).status_code == 200
    return texts(upstream.requests[-1].json["messages"][-1])


@pytest.fixture
def ordering(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-context", "on")


def test_equal_sets_begin_with_equal_bytes_whatever_their_order(ordering, upstream):
    first = sent(ordering, upstream, user(f"{documents(3, 1, 2)}\n\nWho?"))
    second = sent(ordering, upstream, user(f"{documents(2, 3, 1)}\n\nWhy?"))
    assert first[0] == second[0] == documents(3, 1, 2) + "\n\n"
    assert first[1:] == ["Who?"]
    assert second[1:] == ["Most relevant first: document 2, document 3, document 1.\n\nWhy?"]
    acts = ordering.stats()["layers"]["prefix"]["acts"]
    assert (acts["documents_ordered"], acts["documents_apart"]) == (1, 2)
    assert ordering.metric("payonce_prefix_acts_total", act="documents_ordered") == 1


def test_a_breakpoint_stands_behind_the_documents_and_not_behind_the_question(ordering, upstream):
    for i in range(5):
        sent(ordering, upstream, user(f"{documents(*((1, 2, 3, 4) if i % 2 else (4, 2, 1, 3)))}\n\nQuestion {i}?"))
    content = upstream.requests[-1].json["messages"][0]["content"]
    assert [("cache_control" in part) for part in content] == [True, False]


def test_a_conversation_is_sent_as_it_was(ordering, upstream):
    sent(ordering, upstream, user(f"{documents(2, 1)}\n\nWho?"))
    turn = user(f"{documents(1, 2)}\n\nWho?")
    before = sent(ordering, upstream, turn)
    for other in range(5, 9):
        sent(ordering, upstream, user(f"{documents(1, other)}\n\nWhat?"))
    sent(ordering, upstream, turn, {"role": "assistant", "content": "He."}, user("And then?"))
    assert texts(upstream.requests[-1].json["messages"][0]) == before


def test_a_document_of_an_earlier_turn_is_named_not_sent_again(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-repeats", "on")
    later = sent(gateway, upstream, user(f"{documents(1, 2)}\n\nWho?"), {"role": "assistant", "content": "He."},
                 user(f"{documents(2, 3)}\n\nWhy?"))
    assert document(2) not in later[0] and '<document id="2">' in later[0] and "(in full above)" in later[0]
    assert document(3) in later[0] and later[0].endswith("\n\nWhy?")
    assert document(2) in texts(upstream.requests[-1].json["messages"][0])[0]
    assert gateway.stats()["layers"]["prefix"]["acts"]["repeats_dropped"] == 1


@pytest.mark.parametrize("flags", [(), ("--prefix-context", "gpt-*"),
                                   ("--prefix-mode", "observe", "--prefix-context", "on")])
def test_without_consent_documents_stay(make_gateway, upstream, flags):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", *flags)
    for order in ((3, 1, 2), (1, 2, 3)):
        raw = json.dumps(body(user(f"{documents(*order)}\n\nWho?"))).encode()
        gateway.post("/v1/messages", raw, **KEY)
        assert texts(json.loads(upstream.requests[-1].body)["messages"][0]) == [f"{documents(*order)}\n\nWho?"]


def test_one_scope_never_orders_for_another(ordering, upstream):
    sent(ordering, upstream, user(f"{documents(3, 1, 2)}\n\nWho?"))
    other = sent(ordering, upstream, user(f"{documents(1, 2, 3)}\n\nWho?"), X_Payonce_Scope="user:other")
    assert other[0].startswith(documents(1, 2, 3))


def test_what_is_doubtful_goes_byte_for_byte(ordering, upstream):
    sent(ordering, upstream, user(f"{documents(2, 1)}\n\nWho?"))
    for text in (f"{document(1)}\nand, above all:\n{document(2)}\n\nWho?",
                 f"Quote <document> tags.\n\n{document(1)}\n{document(2)}"):
        raw = json.dumps(body(user(text)), indent=1).encode()
        ordering.post("/v1/messages", raw, **KEY)
        assert upstream.requests[-1].json["messages"] == [user(text)]
