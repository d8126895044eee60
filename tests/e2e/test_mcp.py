"""The MCP proxy: the official SDK as client, its servers and a published one behind it, the real instance beside it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import anyio
import pytest
from harness import binary, environment
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client

HERE = pathlib.Path(__file__).parent
FILES = HERE / "node/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Proxied:
    """A server's command behind `payonce mcp`, in a directory of its own, with what it says on its standard error."""

    def __init__(self, folder, instance):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / "ran.txt"
        self.said = self.folder / "stderr.txt"
        self.env = environment(instance.folder if instance else self.folder)
        self.env["PAYONCE_URL"] = instance.root if instance else "http://127.0.0.1:1"
        self.env["PAYONCE_TIMEOUT_MS"] = "30000"  # a lookup on a busy machine is no miss

    def ran(self, name):
        return self.log.read_text().split().count(name) if self.log.exists() else 0

    def own_command(self):
        return [sys.executable, str(HERE / "mcp_server.py"), str(self.log)]

    @contextlib.asynccontextmanager
    async def client(self, *flags, command=None, key="sk-ann", mode="auto", **options):
        parameters = StdioServerParameters(
            command=binary(), args=["mcp", "--verbose", *flags, "--", *(command or self.own_command())],
            env=self.env | {"PAYONCE_API_KEY": key}, cwd=str(self.folder))
        with open(self.said, "a", encoding="utf-8") as said:
            async with Client(stdio_client(parameters, errlog=said), mode=mode, **options) as client:
                await client.list_tools()
                yield client


@pytest.fixture
def instance(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "exact")


@pytest.fixture
def proxied(tmp_path, instance):
    return Proxied(tmp_path / "project", instance)


def text_of(result):
    assert not result.is_error, result
    return "".join(part.text for part in result.content)


# ---- a server of the SDK -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_second_call_does_not_reach_the_server_and_is_equal(proxied, mode):
    async with proxied.client(mode=mode) as client:
        first = await client.call_tool("define", {"word": "a", "style": {"x": 1, "y": [2.5]}})
        second = await client.call_tool("define", {"style": {"y": [2.5], "x": 1}, "word": "a"})
        assert first.model_dump() == second.model_dump()
        assert first.structured_content["text"] == "é\n\"q\" \U0001F600"
        assert proxied.ran("define") == 1
        await client.call_tool("define", {"word": "b"})
        assert proxied.ran("define") == 2


async def test_both_protocols_are_spoken(proxied):
    async with proxied.client(mode="legacy") as client:
        assert client.protocol_version == "2025-11-25"
    async with proxied.client(mode="auto") as client:
        assert client.protocol_version == "2026-07-28"


async def test_sessions_of_one_credential_share_and_others_never(proxied):
    async with proxied.client(key="sk-ann") as client:
        await client.call_tool("define", {"word": "a"})
    async with proxied.client(key="sk-ann") as client:
        await client.call_tool("define", {"word": "a"})
        assert proxied.ran("define") == 1
    async with proxied.client(key="sk-ben") as client:
        await client.call_tool("define", {"word": "a"})
        assert proxied.ran("define") == 2


async def test_another_command_directory_or_environment_is_another_server(proxied, tmp_path, instance):
    async with proxied.client() as client:
        await client.call_tool("define", {"word": "a"})
    async with proxied.client(command=[*proxied.own_command(), "--more"]) as client:
        await client.call_tool("define", {"word": "a"})
    assert proxied.ran("define") == 2
    proxied.env["DATABASE_URL"] = "other"
    async with proxied.client() as client:
        await client.call_tool("define", {"word": "a"})
    assert proxied.ran("define") == 3
    elsewhere = Proxied(tmp_path / "elsewhere", instance)
    async with elsewhere.client(command=proxied.own_command()) as client:
        await client.call_tool("define", {"word": "a"})
    assert proxied.ran("define") == 4


async def test_a_changed_file_misses_and_no_other(proxied):
    one, two = proxied.folder / "one.txt", proxied.folder / "two.txt"
    one.write_text("1")
    two.write_text("2")
    async with proxied.client() as client:
        for _ in range(2):
            assert text_of(await client.call_tool("read", {"path": "one.txt"})) == "1"
            assert text_of(await client.call_tool("read", {"path": str(two)})) == "2"
        assert proxied.ran("read") == 2
        stat = one.stat()
        one.write_text("9")  # of equal size, and with the old time
        os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert text_of(await client.call_tool("read", {"path": "one.txt"})) == "9"
        assert text_of(await client.call_tool("read", {"path": str(two)})) == "2"
        assert proxied.ran("read") == 3
    assert "stale read" in proxied.said.read_text()


async def test_a_write_passes_and_makes_all_void(proxied):
    async with proxied.client() as client:
        await client.call_tool("define", {"word": "a"})
        await client.call_tool("status", {})
        await client.call_tool("status", {})
        assert proxied.ran("status") == 1
        for count in (1, 2):
            await client.call_tool("write", {"path": "x.txt", "text": "x"})
            assert proxied.ran("write") == count
        await client.call_tool("define", {"word": "a"})
        await client.call_tool("status", {})
        assert (proxied.ran("define"), proxied.ran("status")) == (2, 2)


async def test_a_write_of_one_session_is_seen_by_another(proxied):
    async with proxied.client() as client, proxied.client() as other:
        await client.call_tool("define", {"word": "a"})
        await other.call_tool("write", {"path": "x.txt", "text": "x"})
        await client.call_tool("define", {"word": "a"})
        assert proxied.ran("define") == 2


@pytest.mark.parametrize("what", ["tools", "resource"])
async def test_what_the_server_announces_makes_all_void(proxied, what):
    async with proxied.client(mode="legacy") as client:
        await client.call_tool("define", {"word": "a"})
        await client.call_tool("announce", {"what": what})
        await client.call_tool("define", {"word": "a"})
        assert proxied.ran("define") == 2
        await client.call_tool("define", {"word": "a"})
        assert proxied.ran("define") == 2


async def test_errors_and_the_open_world_are_never_kept(proxied):
    async with proxied.client() as client:
        for count in (1, 2):
            assert (await client.call_tool("fail", {"word": "a"})).is_error
            await client.call_tool("search", {"query": "a"})
            assert (proxied.ran("fail"), proxied.ran("search")) == (count, count)


async def test_the_user_chooses_tools_and_times(proxied):
    async with proxied.client("--tool", "search=cache", "--tool", "define=pass") as client:
        for _ in range(2):
            await client.call_tool("search", {"query": "a"})
            await client.call_tool("define", {"word": "a"})
        assert (proxied.ran("search"), proxied.ran("define")) == (1, 2)
    async with proxied.client("--ttl", "1h") as client:
        ran = proxied.ran("define")
        for _ in range(2):
            await client.call_tool("define", {"word": "long"})
        assert proxied.ran("define") == ran + 1
    async with proxied.client("--ttl", "1s") as client:
        await client.call_tool("define", {"word": "short"})
        ran = proxied.ran("define")
        with anyio.fail_after(60):
            while proxied.ran("define") == ran:
                await client.call_tool("define", {"word": "short"})
                await anyio.sleep(0.05)


async def test_a_workspace_is_a_dependency_of_all(proxied):
    workspace = proxied.folder / "repository"
    workspace.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=workspace, check=True)
    (workspace / "a.txt").write_text("1")
    async with proxied.client("--workspace", str(workspace)) as client:
        await client.call_tool("status", {})
        await client.call_tool("status", {})
        assert proxied.ran("status") == 1
    async with proxied.client("--workspace", str(workspace)) as client:
        await client.call_tool("status", {})
        assert proxied.ran("status") == 1  # what it depends on is checked, so sessions share
        (workspace / "a.txt").write_text("2")
        await client.call_tool("status", {})
        assert proxied.ran("status") == 2


async def test_progress_and_cancelling_pass(proxied):
    steps = []

    async def progress(done, total, _message):
        steps.append((done, total))

    async with proxied.client() as client:
        assert text_of(await client.call_tool("slow", {"steps": 3}, progress_callback=progress)) == "done"
        assert steps == [(1, 3), (2, 3), (3, 3)]
        async with anyio.create_task_group() as asking:
            asking.start_soon(client.call_tool, "sleep", {"seconds": 30})
            with anyio.fail_after(60):
                while proxied.ran("sleep") == 0:
                    await anyio.sleep(0.01)
            asking.cancel_scope.cancel()
        assert text_of(await client.call_tool("sleep", {"seconds": 0.0})) == "slept"
        assert proxied.ran("sleep") == 2


async def test_large_results_are_kept_whole(proxied):
    async with proxied.client() as client:
        ran = None
        with anyio.fail_after(60):
            while proxied.ran("large") != ran:  # on a very busy machine, keeping it takes over a second
                ran = proxied.ran("large")
                assert len(text_of(await client.call_tool("large", {"size": 3_000_000}))) == 3_000_000


async def test_a_server_that_dies_is_told_and_its_status_is_the_proxys(proxied):
    async with proxied.client() as client:
        with pytest.raises(MCPError, match="ended, exit status 3"):
            await client.call_tool("die", {"status": 3})


def test_a_client_that_lists_no_tools_is_served_too(proxied):
    running = subprocess.Popen([binary(), "mcp", "--", *proxied.own_command()], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=proxied.env, cwd=proxied.folder, text=True)

    def send(**message):
        running.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        running.stdin.flush()

    def ask(number, method, params):
        send(id=number, method=method, params=params)
        answer = json.loads(running.stdout.readline())
        assert answer["id"] == number  # no answer to what the client did not ask
        return answer["result"]

    ask(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                          "clientInfo": {"name": "raw", "version": "1"}})
    send(method="notifications/initialized")
    call = {"name": "define", "arguments": {"word": "a"}}
    assert ask(2, "tools/call", call) == ask(3, "tools/call", call)
    assert proxied.ran("define") == 1
    running.communicate(timeout=60)
    assert running.returncode == 0


# ---- without an instance -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_without_an_instance_everything_passes(tmp_path, mode):
    proxied = Proxied(tmp_path / "project", None)
    async with proxied.client(mode=mode) as client:
        for count in (1, 2):
            await client.call_tool("define", {"word": "a"})
            await client.call_tool("write", {"path": "x", "text": "x"})
            assert proxied.ran("define") == count


async def test_an_instance_that_goes_and_comes_back(proxied, instance):
    async with proxied.client() as client:
        await client.call_tool("define", {"word": "a"})
        instance.stop()
        await client.call_tool("define", {"word": "a"})
        await client.call_tool("write", {"path": "x", "text": "x"})  # the instance does not hear of it
        assert proxied.ran("define") == 2
        instance.start()
        ran = proxied.ran("define")

        async def hits():
            before = proxied.ran("define")
            await client.call_tool("define", {"word": "a"})
            return proxied.ran("define") == before

        with anyio.fail_after(60):
            while not await hits():
                await anyio.sleep(0.05)
        assert proxied.ran("define") > ran  # what was kept before the write was not given
        assert await hits()


# ---- a published server --------------------------------------------------------------------------


async def test_the_published_filesystem_server(proxied):
    folder = proxied.folder / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("alpha")
    command = ["node", str(FILES), str(folder)]

    async def hits(client, name, arguments):
        before = proxied.said.read_text().count(f"hit {name}:")
        text = text_of(await client.call_tool(name, arguments))
        return text, proxied.said.read_text().count(f"hit {name}:") > before

    async with proxied.client(command=command) as client:
        path, listing = {"path": str(folder / "a.txt")}, {"path": str(folder)}
        assert await hits(client, "read_text_file", path) == ("alpha", False)
        assert await hits(client, "read_text_file", path) == ("alpha", True)
        assert await hits(client, "list_directory", listing) == ("[FILE] a.txt", False)
        assert await hits(client, "list_directory", listing) == ("[FILE] a.txt", True)
        (folder / "b.txt").write_text("beta")
        await anyio.sleep(0.05)  # beyond a tick of the file system's clock
        assert await hits(client, "list_directory", listing) == ("[FILE] a.txt\n[FILE] b.txt", False)
        assert await hits(client, "read_text_file", path) == ("alpha", True)
        await client.call_tool("write_file", {"path": str(folder / "a.txt"), "content": "gamma"})
        assert await hits(client, "read_text_file", path) == ("gamma", False)
        assert await hits(client, "read_text_file", path) == ("gamma", True)
        assert await hits(client, "search_files", listing | {"pattern": "*.txt"}) != ("", True)
    async with proxied.client(command=command) as client:  # and in the next session
        assert await hits(client, "read_text_file", path) == ("gamma", True)
    async with proxied.client(command=command, key="sk-ben") as client:
        assert await hits(client, "read_text_file", path) == ("gamma", False)


# ---- the process ---------------------------------------------------------------------------------


def proxy(folder, *command, **options):
    return subprocess.Popen([binary(), "mcp", "--", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(folder) | {"PAYONCE_URL": "http://127.0.0.1:1"},
                            **options)


def test_every_byte_passes_both_ways(tmp_path):
    lines = [b'{"jsonrpc":"2.0","id":1,"method":"ping"}', b'{ "jsonrpc" : "2.0", "method":"notifications/x" }\r',
             b"", b"not JSON", b"\xff\xfe\x00", b'[{"jsonrpc":"2.0","id":2,"method":"a"},{}]', b"[" * 3000,
             json.dumps({"id": 9, "result": {"x": "y" * 5_000_000}}).encode()]
    data = b"\n".join(lines) + b"\nthe end"
    out, _ = proxy(tmp_path, "cat").communicate(data, timeout=60)
    assert out.startswith(data)


def test_a_line_over_the_limit_passes_in_pieces(tmp_path):
    data = b'{"id":1,"result":"' + b"x" * (70 << 20) + b'"}\n{"id":2,"result":1}\n'
    out, _ = proxy(tmp_path, "cat").communicate(data, timeout=120)
    assert out == data


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_server(tmp_path, number):
    script = f"trap 'exit 9' {number.value}; echo ready; while :; do sleep 0.05; done"
    running = proxy(tmp_path, "sh", "-c", script)
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(number)
    assert running.wait(60) == 9
    running.communicate(timeout=60)


def test_the_end_of_the_input_reaches_the_server(tmp_path):
    running = proxy(tmp_path, "sh", "-c", "cat >/dev/null; echo over; exit 4")
    out, _ = running.communicate(b"x\n", timeout=60)
    assert (out, running.returncode) == (b"over\n", 4)


def test_a_server_that_ends_ends_the_proxy_while_its_input_is_open(tmp_path):
    running = proxy(tmp_path, "sh", "-c", "kill -9 $$")
    assert running.wait(60) == 128 + 9
    running.communicate(timeout=60)


def test_a_command_that_is_not_there(tmp_path):
    running = proxy(tmp_path, "/no/such/server")
    _, err = running.communicate(timeout=60)
    assert running.returncode == 127 and b"cannot start '/no/such/server'" in err
