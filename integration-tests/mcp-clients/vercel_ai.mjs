// The Vercel AI SDK.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as StdioTransport } from "@ai-sdk/mcp/mcp-stdio";
import { main } from "./checks.mjs";

main(async ({ command, args, url, headers }) => {
  const transport = command ? new StdioTransport({ command, args }) : { type: "http", url, headers };
  const client = await createMCPClient({ transport });
  const tools = await client.tools();
  return {
    hasTimeout: false,
    hasProgress: false,
    tools: async () => Object.keys(tools),
    call: (name, given, { signal }) =>
      tools[name].execute(given, { toolCallId: "1", messages: [], abortSignal: signal }),
    close: () => client.close(),
  };
});
