"""LangChain's MCP adapter: a session for each call."""

import contextlib

import checks
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient


class Client:
    has_timeout = False

    def __init__(self, tools):
        self.by_name = {tool.name: tool for tool in tools}

    async def tools(self):
        return list(self.by_name)

    async def call(self, name, arguments):
        return await self.by_name[name].ainvoke(arguments)


@contextlib.asynccontextmanager
async def connect(target, timeout, on_progress):
    if target.command:
        program, *args = target.command
        server = {"transport": "stdio", "command": program, "args": args}
    else:
        server = {"transport": "streamable_http", "url": target.url, "headers": target.headers}
    client = MultiServerMCPClient({"nono": server}, callbacks=Callbacks(on_progress=on_progress))
    yield Client(await client.get_tools())


checks.main(connect)
