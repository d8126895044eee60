"""An MCP server of the official SDK, whose tools write a line into a log each time they really run.

usage: mcp_server.py LOG
"""

import os
import pathlib
import sys
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations

LOG = pathlib.Path(sys.argv[1])
CLOSED = ToolAnnotations(read_only_hint=True, open_world_hint=False)
SAME = ToolAnnotations(read_only_hint=True, idempotent_hint=True)
server = MCPServer("notes", version="1.0")


def ran(name):
    with LOG.open("a", encoding="utf-8") as log:
        log.write(name + "\n")


@server.tool(annotations=SAME)
def define(word: str, style: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a word means."""
    ran("define")
    return {"word": word, "style": style, "ratio": 1.50, "text": "é\n\"q\" \U0001F600"}


@server.tool(annotations=CLOSED)
def read(path: str) -> str:
    """A file's text."""
    ran("read")
    return pathlib.Path(path).read_text(encoding="utf-8")


@server.tool(annotations=CLOSED)
def status() -> str:
    """What the server itself knows."""
    ran("status")
    return "fine"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def search(query: str) -> str:
    """The open world."""
    ran("search")
    return query


@server.tool()
def write(path: str, text: str) -> str:
    """Changes a file."""
    ran("write")
    pathlib.Path(path).write_text(text, encoding="utf-8")
    return "written"


@server.tool(annotations=SAME)
def fail(word: str) -> str:
    """Never succeeds."""
    ran("fail")
    raise ValueError(word)


@server.tool(annotations=SAME)
async def slow(steps: int, ctx: Context) -> str:
    """Tells how far it is."""
    ran("slow")
    for step in range(steps):
        await ctx.report_progress(step + 1, steps)
        await anyio.sleep(0.01)
    return "done"


@server.tool(annotations=SAME)
async def sleep(seconds: float) -> str:
    """Long enough to be cancelled."""
    ran("sleep")
    await anyio.sleep(seconds)
    return "slept"


@server.tool(annotations=SAME)
def large(size: int) -> str:
    """Many bytes."""
    ran("large")
    return "x" * size


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def announce(what: str, ctx: Context) -> str:
    """Says that something has changed."""
    ran("announce")
    if what == "tools":
        await ctx.session.send_tool_list_changed()
    else:
        await ctx.session.send_resource_updated("file:///x")
    return "announced"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def die(status: int) -> str:
    """Ends the server in the middle of a call."""
    ran("die")
    os._exit(status)


server.run("stdio")
