"""The store when the process is killed, its files are damaged, or its disk takes no more: a hit is what the upstream
once answered to that very request, byte for byte, or there is no hit. Never an error, never another's answer."""

import concurrent.futures
import os
import random
import resource
import shutil
import stat

import httpx
import pytest

from harness import CacheStatus, chat_body, eventually, is_hit, messages_body, paths_in

REQUESTS = 150
SEED = 20261101


def request_of(index):
    """Every third is a stream, every fifth a message; sizes from a few bytes to 60 KB."""
    text = f"question {index} " + "padding " * (index * 53 % 7500)
    if index % 5 == 0:
        return "/v1/messages", messages_body(text, stream=index % 3 == 0)
    return "/v1/chat/completions", chat_body(text, stream=index % 3 == 0)


def ask_all(gateway, answers, count=REQUESTS, workers=8):
    """Asks all; keeps what came from the upstream, and checks hits against it. How many were hits."""
    def ask(index):
        try:
            answer = gateway.post(*request_of(index))
        except httpx.TransportError:
            return None  # killed meanwhile
        assert answer.status_code == 200, answer.text
        if CacheStatus(answer).hit:
            assert answer.content in answers[index], f"request {index} got bytes that were never its answer"
            return True
        answers[index].add(answer.content)
        return False

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return sum(bool(hit) for hit in pool.map(ask, range(count)))


@pytest.fixture
def answers():
    return {index: set() for index in range(REQUESTS)}


def on_disk(gateway):
    return gateway.stats()["layers"]["exact"]["disk_entries"]


def test_entries_outlive_an_orderly_restart(gateway, upstream, answers):
    assert ask_all(gateway, answers) == 0
    assert gateway.stop() == 0
    gateway.start(scanned=True)
    assert ask_all(gateway, answers) == REQUESTS
    assert upstream.count == REQUESTS


def test_a_kill_loses_at_most_the_last_entries(gateway, upstream, answers):
    ask_all(gateway, answers)
    eventually(lambda: on_disk(gateway) >= REQUESTS, what="all entries are on disk")
    gateway.kill()
    gateway.start(scanned=True)
    assert ask_all(gateway, answers) >= REQUESTS * 9 // 10
    assert ask_all(gateway, answers) == REQUESTS


@pytest.mark.parametrize("kill_after", [5, 40, 90])
def test_a_kill_under_load_leaves_nothing_torn(gateway, upstream, answers, kill_after):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        load = pool.submit(ask_all, gateway, answers)
        upstream.wait_count(kill_after)
        gateway.kill()
        load.result(timeout=60)
    # What was answered but not received is unknown to us, so the upstream tells.
    for request in upstream.requests:
        assert request.answered.wait(60)
    gateway.start(scanned=True)
    known = {index: set(came) for index, came in answers.items()}
    for index in range(REQUESTS):
        answer = gateway.post(*request_of(index))
        assert answer.status_code == 200
        if CacheStatus(answer).hit and known[index]:
            assert answer.content in known[index]
        elif CacheStatus(answer).hit:
            assert made_for(upstream, answer, index), f"request {index} got another's answer"
    assert ask_all_again(gateway) == REQUESTS


def made_for(upstream, answer, index):
    """Whether the answer's number is that of an upstream call with this very body."""
    path, body = request_of(index)
    numbers = [r.number for r in upstream.requests if r.path == path and r.json["messages"] == body["messages"]]
    return any(f"_up{n}\"" in answer.text or f"-up{n}\"" in answer.text for n in numbers)


def ask_all_again(gateway):
    return sum(is_hit(gateway.post(*request_of(index))) for index in range(REQUESTS))


def test_killed_again_and_again_it_always_comes_back(gateway, upstream, answers):
    for round_ in range(5):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(ask_all, gateway, answers, 60)
            upstream.wait_count(1 + round_ * 3)
            gateway.kill()
            load.result(timeout=60)
        gateway.start(scanned=True)
    for index in range(60):
        answer = gateway.post(*request_of(index))
        assert answer.status_code == 200
        if CacheStatus(answer).hit:
            assert answer.content in answers[index] or made_for(upstream, answer, index)


def store_files(gateway):
    """Its files but the secrets: another salt is another cache, and rightly finds nothing."""
    kept = paths_in(gateway.data, lambda path: path.is_file() and path.name != "salt" and path.stat().st_size > 0)
    return [file for file, is_kept in kept.items() if is_kept]


def flip_bytes(file, numbers, share):
    data = bytearray(file.read_bytes())
    for _ in range(max(1, len(data) // share)):
        data[numbers.randrange(len(data))] = numbers.randrange(256)
    file.write_bytes(data)


DAMAGES = {"one_byte_in_4000": lambda file, numbers: flip_bytes(file, numbers, 4000),
           "one_byte_in_50": lambda file, numbers: flip_bytes(file, numbers, 50),
           "cut": lambda file, numbers: os.truncate(file, numbers.randrange(file.stat().st_size)),
           "emptied": lambda file, numbers: os.truncate(file, 0),
           "zeroes": lambda file, numbers: file.write_bytes(bytes(file.stat().st_size)),
           "garbage": lambda file, numbers: file.write_bytes(numbers.randbytes(file.stat().st_size)),
           "longer": lambda file, numbers: file.write_bytes(file.read_bytes() + numbers.randbytes(5000)),
           "gone": lambda file, numbers: file.unlink()}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_cost_hits_and_nothing_else(gateway, upstream, answers, damage):
    numbers = random.Random(SEED)
    ask_all(gateway, answers, 60)
    assert gateway.stop() == 0
    files = store_files(gateway)
    assert files, "nothing on disk"
    for file in files:
        DAMAGES[damage](file, numbers)
    gateway.start(scanned=True)
    ask_all(gateway, answers, 60)  # checks each hit
    assert ask_all(gateway, answers, 60) == 60  # and it works on
    assert gateway.stop() == 0
    gateway.start(scanned=True)
    assert ask_all(gateway, answers, 60) == 60


def test_files_of_a_stranger_in_the_data_directory_are_left_alone(gateway, upstream, answers):
    ask_all(gateway, answers, 10)
    gateway.stop()
    (gateway.data / "notes.txt").write_text("mine")
    (gateway.data / "folder").mkdir()
    gateway.start(scanned=True)
    assert ask_all(gateway, answers, 10) == 10
    assert (gateway.data / "notes.txt").read_text() == "mine"


def assert_serves(gateway, count=20):
    for index in range(count):
        for _ in range(2):
            assert gateway.post(*request_of(index)).status_code == 200


def test_a_disk_that_takes_no_more_is_no_error(make_gateway, upstream):
    """RLIMIT_FSIZE: each file may have 64 KB; a write beyond fails as on a full disk (SIGXFSZ is ours to ignore)."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

    gateway = make_gateway("--upstream", upstream.url, preexec=limit)
    assert_serves(gateway, 40)
    assert is_hit(gateway.post(*request_of(39)))  # memory holds it


def test_a_data_directory_that_is_a_file_is_no_error(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, start=False)
    gateway.data.write_text("not a directory")
    gateway.start()
    assert_serves(gateway)
    assert str(gateway.data) in gateway.log()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where the mode forbids it, so the mode proves nothing")
def test_a_read_only_data_directory_is_no_error(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, start=False)
    gateway.data.mkdir()
    gateway.data.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        gateway.start(scanned=True)
        assert_serves(gateway)
    finally:
        gateway.data.chmod(stat.S_IRWXU)


def test_a_data_directory_that_vanishes_is_no_error(gateway, upstream):
    assert_serves(gateway, 5)
    shutil.rmtree(gateway.data)
    assert_serves(gateway)


def test_the_disk_tier_stays_within_its_bound(make_gateway, upstream):
    bound = 2 * 2**20
    gateway = make_gateway("--upstream", upstream.url, "--max-disk", "2MiB", "--max-memory", "1MiB")
    noise = random.Random(SEED)
    for index in range(200):
        upstream.fail(body=answer_with(noise.randbytes(20_000).hex(), index))
        assert not is_hit(gateway.chat(chat_body(f"big {index}")))
    exact = gateway.stats()["layers"]["exact"]
    assert exact["bytes"] <= 2**20 and exact["evictions"] > 0
    eventually(lambda: sum(f.stat().st_blocks * 512 for f in store_files(gateway)) <= bound * 2,
               what="the files shrink to the bound")
    assert is_hit(gateway.chat(chat_body("big 199")))


def answer_with(text, index):
    return ('{"id":"c%d","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
            '{"role":"assistant","content":"%s"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,'
            '"completion_tokens":1,"total_tokens":2}}' % (index, text)).encode()


def test_two_processes_do_not_harm_each_others_directory(make_gateway, upstream):
    """A second instance on the same directory is refused, or works; the first one's entries stay right."""
    first = make_gateway("--upstream", upstream.url, name="shared")
    stored = first.chat()
    second = make_gateway("--upstream", upstream.url, name="shared", start=False)
    try:
        second.start()
        assert second.chat().status_code == 200
    except AssertionError:
        assert second.process.poll() not in (None, 0), second.log()
    again = first.chat()
    assert is_hit(again) and again.content == stored.content
