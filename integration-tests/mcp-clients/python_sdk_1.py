"""The MCP Python SDK, first generation."""

import contextlib
import datetime

import checks
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


class Client:
    has_timeout = True

    def __init__(self, session, timeout, on_progress):
        self.session, self.timeout, self.on_progress = session, timeout, on_progress

    async def tools(self):
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, name, arguments):
        limit = datetime.timedelta(seconds=self.timeout)
        result = await self.session.call_tool(name, arguments, limit, self.on_progress)
        return result.structuredContent


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    if target.command:
        program, *args = target.command
        streams = stdio_client(StdioServerParameters(command=program, args=args))
    else:
        streams = streamablehttp_client(target.url, headers=target.headers)
    async with streams as (read, write, *_), ClientSession(read, write) as session:
        await session.initialize()
        yield Client(session, timeout, on_progress)


checks.main(connect)
