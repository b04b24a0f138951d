// Loaded before the conformance suite, which knows no tokens: each of its requests gets the one in
// NONO_MCP_TOKEN. Everything else about a request stays as the suite made it.
import http from "node:http";
import { createRequire, syncBuiltinESMExports } from "node:module";

const token = `Bearer ${process.env.NONO_MCP_TOKEN}`;

// Node's fetch and the suite's own `undici` both go by the dispatcher that is set here.
const undici = createRequire(process.argv[1])("undici");

function withToken(headers) {
  if (Array.isArray(headers)) return [...headers, "authorization", token];
  return { ...headers, authorization: token };
}

undici.setGlobalDispatcher(
  undici.getGlobalDispatcher().compose(
    (dispatch) => (options, handler) =>
      dispatch({ ...options, headers: withToken(options.headers) }, handler),
  ),
);

// Where the suite wants headers exactly as they are written, it uses this.
const request = http.request;
http.request = (...given) => request(...given).setHeader("authorization", token);
syncBuiltinESMExports();
