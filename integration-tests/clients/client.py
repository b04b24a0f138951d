"""Blocking sockets, then asyncio: `python3 client.py SOCKET PORT`."""

import asyncio
import socket
import sys

path, port = sys.argv[1], int(sys.argv[2])


def blocking(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.connect(address)
        s.sendall(b"ping")
        return s.recv(4).decode()


async def echo(opening):
    reader, writer = await opening
    writer.write(b"ping")
    await writer.drain()
    answer = await reader.readexactly(4)
    writer.close()
    return answer.decode()


async def main():
    print("asyncio unix", await echo(asyncio.open_unix_connection(path)))
    print("asyncio tcp", await echo(asyncio.open_connection("127.0.0.1", port)))
    many = [echo(asyncio.open_unix_connection(path)) for _ in range(50)]
    print("asyncio many", (await asyncio.gather(*many)).count("ping"))


print("blocking unix", blocking(socket.AF_UNIX, path))
print("blocking tcp", blocking(socket.AF_INET, ("127.0.0.1", port)))
asyncio.run(main())
