"""What every Python client is asked to do, whatever its interface.

A client module gives `connect(target, timeout, on_progress)`: an async context manager whose value
has `tools()` and `call(name, arguments)`. What came of each check is printed as a line of JSON.
"""

import asyncio
import contextlib
import json
import pathlib
import sys
import time
import uuid
from dataclasses import dataclass

# A call that is given up ends its run within this time, or not at all.
PATIENCE = 8.0


@dataclass
class Target:
    """A server: a command line to start, or a URL and a token."""

    command: list[str] | None = None
    url: str | None = None
    token: str | None = None

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}


def target(words):
    """`stdio COMMAND...` or `http URL TOKEN`."""
    if words[0] == "stdio":
        return Target(command=words[1:])
    return Target(url=words[1], token=words[2])


def report(check, result, note=""):
    print(json.dumps({"check": check, "result": result, "note": note}), flush=True)


def sleeper():
    """A command nobody else runs, to be found among all processes."""
    seconds = f"{300 + uuid.uuid4().int % 10**9 / 10**9:.9f}"
    return f"sleep {seconds}", seconds


def runs(seconds):
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == b"sleep\0" + seconds.encode() + b"\0":
                return True
    return False


async def until(condition, patience):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return condition()


async def check_list(client):
    names = sorted(await client.tools())
    report("list", "ok" if {"exec", "shell", "run_read"} <= set(names) else "FAILED", f"{len(names)} tools")


async def check_call(client):
    said = str(await client.call("shell", {"command": "echo hello; exit 3"}))
    report("call", "ok" if "hello" in said and "3" in said else "FAILED", "")


async def check_progress(client, heard):
    await client.call("shell", {"command": "for i in 1 2 3; do echo step $i; sleep 2.1; done"})
    if heard is None:
        report("progress", "not offered")
        return
    report("progress", "ok" if len(heard) >= 2 else "FAILED", f"{len(heard)} notifications")


async def given_up(check, seconds, error):
    """Whether the run of a call that was given up ends with it."""
    ends = await until(lambda: not runs(seconds), PATIENCE)
    report(check, "ok" if ends else "run goes on", type(error).__name__ if error else "")


async def check_timeout(client):
    """The client's own limit passes."""
    command, seconds = sleeper()
    error = None
    try:
        await asyncio.wait_for(client.call("shell", {"command": command}), PATIENCE * 3)
    except Exception as raised:  # noqa: BLE001: each client has its own
        error = raised
    if error is None or isinstance(error, TimeoutError) and not client.has_timeout:
        report("timeout", "FAILED", "the client did not give up")
    await given_up("timeout", seconds, error)


async def check_cancel(client):
    """The application cancels the task that waits for the call."""
    command, seconds = sleeper()
    task = asyncio.ensure_future(client.call("shell", {"command": command}))
    if not await until(lambda: runs(seconds), PATIENCE):
        report("cancel", "FAILED", "the command did not start")
        task.cancel()
        return
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
    await given_up("cancel", seconds, None)


async def with_client(connecting, check):
    """Some clients raise while they close, after a call was given up; that is theirs to mend."""
    checked = False
    try:
        async with connecting as client:
            await check(client)
            checked = True
    except Exception as raised:  # noqa: BLE001: groups of whatever a client has
        if not checked:
            raise
        print(f"while closing: {raised!r}", file=sys.stderr)


async def every(connect, where, progress=True):
    heard = [] if progress else None

    async def on_progress(*said, **more):
        if heard is not None:
            heard.append((said, more))

    async def first(client):
        await check_list(client)
        await check_call(client)
        await check_progress(client, heard)

    async def second(client):
        if client.has_timeout:
            await check_timeout(client)
        else:
            report("timeout", "not offered", "the application's own is a cancel")

    await with_client(connect(where, 60.0, on_progress), first)
    await with_client(connect(where, 2.0, on_progress), second)
    await with_client(connect(where, 60.0, on_progress), check_cancel)


def main(connect, progress=True):
    asyncio.run(every(connect, target(sys.argv[1:]), progress))
