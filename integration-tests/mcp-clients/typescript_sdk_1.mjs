// The MCP TypeScript SDK, first generation.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { main } from "./checks.mjs";

main(async ({ command, args, url, headers }) => {
  const client = new Client({ name: "checks", version: "1" });
  const transport = command
    ? new StdioClientTransport({ command, args })
    : new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    hasTimeout: true,
    hasProgress: true,
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, given, options) => client.callTool({ name, arguments: given }, undefined, options),
    close: () => client.close(),
  };
});
