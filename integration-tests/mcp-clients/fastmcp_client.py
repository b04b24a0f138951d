"""FastMCP's client."""

import contextlib

import checks
from fastmcp import Client as FastClient
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


class Client:
    has_timeout = True

    def __init__(self, client, timeout, on_progress):
        self.client, self.timeout, self.on_progress = client, timeout, on_progress

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, arguments):
        result = await self.client.call_tool(
            name, arguments, timeout=self.timeout, progress_handler=self.on_progress
        )
        return result.structured_content


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    if target.command:
        program, *args = target.command
        transport = StdioTransport(program, args, keep_alive=False)
    else:
        transport = StreamableHttpTransport(target.url, auth=target.token)
    async with FastClient(transport) as client:
        yield Client(client, timeout, on_progress)


checks.main(connect)
