"""The MCP Python SDK, second generation. MODE is `auto` (2026-07-28) or `legacy` (2025-11-25)."""

import contextlib
import os

import checks
import httpx2
from mcp import Client as SdkClient
from mcp import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


class Client:
    has_timeout = True

    def __init__(self, client, timeout, on_progress):
        self.client, self.timeout, self.on_progress = client, timeout, on_progress

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, arguments):
        result = await self.client.call_tool(name, arguments, self.timeout, self.on_progress)
        return result.structured_content


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    async with contextlib.AsyncExitStack() as stack:
        if target.command:
            program, *args = target.command
            server = StdioServerParameters(command=program, args=args)
        else:
            http = httpx2.AsyncClient(headers=target.headers, timeout=300)
            server = streamable_http_client(target.url, http_client=await stack.enter_async_context(http))
        client = await stack.enter_async_context(SdkClient(server, mode=os.environ["MODE"]))
        yield Client(client, timeout, on_progress)


checks.main(connect)
