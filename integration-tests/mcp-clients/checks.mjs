// What every JavaScript client is asked to do; as checks.py.
import { readFileSync, readdirSync } from "node:fs";

const PATIENCE = 8000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const report = (check, result, note = "") => console.log(JSON.stringify({ check, result, note }));

/** `stdio COMMAND...` or `http URL TOKEN`. */
function target([kind, first, ...rest]) {
  if (kind === "stdio") return { command: first, args: rest };
  return { url: first, headers: { Authorization: `Bearer ${rest[0]}` } };
}

function sleeper() {
  const seconds = (300 + Math.random()).toFixed(9);
  return { command: `sleep ${seconds}`, seconds };
}

function runs(seconds) {
  return readdirSync("/proc").some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") === `sleep\0${seconds}\0`;
    } catch {
      return false;
    }
  });
}

async function until(condition) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(50)) {
    if (condition()) return true;
  }
  return condition();
}

async function givenUp(check, seconds, error) {
  const ends = await until(() => !runs(seconds));
  report(check, ends ? "ok" : "run goes on", error?.constructor?.name ?? "");
}

async function cancel(client) {
  const { command, seconds } = sleeper();
  const controller = new AbortController();
  const call = client.call("shell", { command }, { signal: controller.signal }).catch((e) => e);
  if (!(await until(() => runs(seconds)))) return report("cancel", "FAILED", "did not start");
  controller.abort();
  await call;
  await givenUp("cancel", seconds);
}

async function timeout(client) {
  if (!client.hasTimeout) return report("timeout", "not offered", "the application's own is a cancel");
  const { command, seconds } = sleeper();
  const error = await client.call("shell", { command }, { timeout: 2000 }).then(() => null, (e) => e);
  if (!error) return report("timeout", "FAILED", "the client did not give up");
  await givenUp("timeout", seconds, error);
}

async function progress(client) {
  if (!client.hasProgress) return report("progress", "not offered");
  const heard = [];
  const command = "for i in 1 2 3; do echo step $i; sleep 2.1; done";
  await client.call("shell", { command }, { onprogress: (said) => heard.push(said) });
  report("progress", heard.length >= 2 ? "ok" : "FAILED", `${heard.length} notifications`);
}

export async function main(connect) {
  const client = await connect(target(process.argv.slice(2)));
  const names = await client.tools();
  const all = ["exec", "shell", "run_read"].every((name) => names.includes(name));
  report("list", all ? "ok" : "FAILED", `${names.length} tools`);
  const said = JSON.stringify(await client.call("shell", { command: "echo hello; exit 3" }, {}));
  report("call", said.includes("hello") && said.includes("3") ? "ok" : "FAILED");
  await progress(client);
  await timeout(client);
  await cancel(client);
  await client.close();
  process.exit(0);
}
