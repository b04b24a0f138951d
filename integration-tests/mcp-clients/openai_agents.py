"""The OpenAI Agents SDK."""

import contextlib

import checks
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp


class Client:
    has_timeout = True

    def __init__(self, server):
        self.server = server

    async def tools(self):
        return [tool.name for tool in await self.server.list_tools()]

    async def call(self, name, arguments):
        return await self.server.call_tool(name, arguments)


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    if target.command:
        program, *args = target.command
        kind, params = MCPServerStdio, {"command": program, "args": args}
    else:
        kind, params = MCPServerStreamableHttp, {"url": target.url, "headers": target.headers}
    async with kind(params=params, client_session_timeout_seconds=timeout) as server:
        yield Client(server)


checks.main(connect, progress=False)
