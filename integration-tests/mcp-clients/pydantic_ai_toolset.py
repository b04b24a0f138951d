"""pydantic-ai's toolset."""

import contextlib

import checks
from fastmcp.client.transports import StdioTransport
from pydantic_ai.mcp import MCPToolset


class Client:
    has_timeout = True

    def __init__(self, toolset):
        self.toolset = toolset

    async def tools(self):
        return [tool.name for tool in await self.toolset.list_tools()]

    async def call(self, name, arguments):
        return await self.toolset.direct_call_tool(name, arguments)


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    more = {"read_timeout": timeout, "progress_handler": on_progress}
    if target.command:
        program, *args = target.command
        toolset = MCPToolset(StdioTransport(program, args, keep_alive=False), **more)
    else:
        toolset = MCPToolset(target.url, headers=target.headers, **more)
    async with toolset:
        yield Client(toolset)


checks.main(connect)
