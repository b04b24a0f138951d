"""Says things to the run's proxy that should lead it elsewhere. Every request for another place has
`smuggled` in it; the profile lists allowed.test, inner.test, loop.test and meta.test.
"""
import os, socket

host, port = os.environ["HTTP_PROXY"][len("http://"):].split(":")
END = b"\r\n\r\n"
SAID = 0


def say(*parts):
    global SAID
    SAID += 1
    s = socket.create_connection((host, int(port)), 5)
    s.settimeout(2)
    for part in parts:
        try:
            s.sendall(part)
            s.recv(65536)
        except OSError:
            break
    s.close()


OTHER = [
    b"other.test", b"10.77.0.2", b"[fd77::2]", b"[::ffff:10.77.0.2]", b"0x0a4d0002", b"172818434", b"10.77.2",
    b"127.0.0.1", b"[::1]", b"0.0.0.0", b"169.254.169.254", b"allowed.test@other.test", b"other.test#allowed.test",
    b"other.test.", b"OTHER.TEST", b"other.test\x00.allowed.test", b"other.test%00.allowed.test",
    b"allowed.test:80@other.test", b"xn--other.test", b"inner.test", b"meta.test", b"loop.test",
]
for o in OTHER:
    say(b"CONNECT " + o + b":80 HTTP/1.1" + END, b"GET /smuggled-connect HTTP/1.0\r\nHost: allowed.test" + END)
    say(b"CONNECT " + o + b":80 HTTP/1.1\r\nHost: allowed.test:80" + END, b"GET /smuggled-host HTTP/1.0" + END)
    say(b"GET http://" + o + b"/smuggled-get HTTP/1.1\r\nHost: allowed.test" + END)
say(b"GET /smuggled-origin HTTP/1.1\r\nHost: other.test" + END)
say(b"GET http://allowed.test\\@other.test/smuggled-backslash HTTP/1.1" + END)
say(b"CONNECT allowed.test:22 HTTP/1.1" + END, b"smuggled-port\n")
say(b"\x05\x01\x00", b"\x05\x01\x00\x03\x0aother.test\x00\x50", b"GET /smuggled-socks HTTP/1.0" + END)
say(b"\x05\x01\x00", b"\x05\x01\x00\x03\x0fother.test\x00.a.b\x00\x50", b"GET /smuggled-nul HTTP/1.0" + END)
say(b"\x05\x01\x00", b"\x05\x01\x00\x01\x0a\x4d\x00\x02\x11\x7d", b"smuggled-address\n")
say(b"\x05\x01\x00", b"\x05\x03\x00\x01\x0a\x4d\x00\x02\x11\x7d", b"smuggled-associate\n")
say(b"\x05\x01\x00", b"\x05\x02\x00\x01\x0a\x4d\x00\x02\x11\x7d", b"smuggled-bind\n")
say(b"\x04\x01\x11\x7d\x0a\x4d\x00\x02\x00", b"smuggled-socks4\n")
say(b"nonopxy1" + bytes(38), b"GET http://other.test/smuggled-ahead HTTP/1.1" + END)
# Lengths that disagree, folded and doubled headers, bare line ends, other versions of the protocol.
MORE = b"GET http://other.test/smuggled-body HTTP/1.1\r\nHost: other.test" + END
for head in [
    b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    b"Content-Length: 0\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Connection: Content-Length\r\nContent-Length: 0",
    b"Connection: Host, Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA",
    b"X: 1\r\n Host: other.test",
    b"Host: other.test",
    b"X: 1\nHost: other.test",
    b"X:\x00Host: other.test",
]:
    say(b"POST http://allowed.test/carrier HTTP/1.1\r\nHost: allowed.test\r\n" + head + END + b"0\r\n\r\n" + MORE)
say(b"GET http://other.test/smuggled-09\r\n")
say(b"GET http://other.test/smuggled-lines HTTP/1.1\nHost: allowed.test\n\n")
say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
say(b"CONNECT allowed.test:80 HTTP/1.1" + END, b"CONNECT other.test:80 HTTP/1.1" + END, b"GET /smuggled-nested HTTP/1.0" + END)
say(b"CONNECT other.test:80 HTTP/1.1\r\nContent-Length: 999" + END + b"GET http://allowed.test/smuggled-early HTTP/1.1" + END)
# What follows an allowed request reaches the same host.
say(
    b"GET http://allowed.test/first HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 0\r\n\r\n"
    b"GET http://other.test/second HTTP/1.1\r\nHost: other.test" + END
)
print("attempts", SAID)
print("done")
