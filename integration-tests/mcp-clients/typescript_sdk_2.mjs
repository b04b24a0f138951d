// The MCP TypeScript SDK, second generation. MODE is `auto` (2026-07-28) or `legacy`.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { main } from "./checks.mjs";

main(async ({ command, args, url, headers }) => {
  const versionNegotiation = { mode: process.env.MODE };
  const client = new Client({ name: "checks", version: "1" }, { versionNegotiation });
  const transport = command
    ? new StdioClientTransport({ command, args })
    : new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    hasTimeout: true,
    hasProgress: true,
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, given, options) => client.callTool({ name, arguments: given }, options),
    close: () => client.close(),
  };
});
