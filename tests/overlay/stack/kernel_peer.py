"""The kernel's end of test_kernel: a process in a network namespace of its own, with a TAP whose file it hands out.

Run as `python kernel_peer.py FD MTU VERSION`: FD is a unix socket over which the TAP goes out (SCM_RIGHTS) and commands
come in, a line each; answers go back, a line each. 10.9.0.1 or fd09::1 is the kernel, 10.9.0.2 or fd09::2 the stack
under test.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from threading import Thread

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
IPV6 = sys.argv[3:] == ["6"]
FAMILY = socket.AF_INET6 if IPV6 else socket.AF_INET
ADDRESS, OTHER = ("fd09::1", "fd09::2") if IPV6 else ("10.9.0.1", "10.9.0.2")
BEHIND = "fd08::/64" if IPV6 else "10.8.0.0/24"
"""Behind the stack, when that forwards."""
SECONDS = 400
PORT = 5000


def make_tap(mtu: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", b"tap0", IFF_TAP | IFF_NO_PI))
    for command in (
        "ip link set lo up",
        f"sysctl -qw net.ipv6.conf.tap0.disable_ipv6={int(not IPV6)}",
        f"ip link set tap0 mtu {mtu} up",
        f"ip addr add {ADDRESS}/64 dev tap0 nodad" if IPV6 else f"ip addr add {ADDRESS}/24 dev tap0",
        f"ip route add {BEHIND} via {OTHER}",
        "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
    ):
        subprocess.run(command.split(), check=True)
    subprocess.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"], check=True)
    return tap


def receive_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (data := connection.recv(size - len(parts))):
        parts += data
    return bytes(parts)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def serve(seed: str, size: str) -> str:
    """Take one connection; send `size` bytes and read to the end, both at once; what was read."""
    with socket.create_server((ADDRESS, PORT), family=FAMILY) as listener:
        print_line("ready")
        connection, _ = listener.accept()
        return both_ways(connection, Random(int(seed)).randbytes(int(size)))


def connect(seed: str, size: str) -> str:
    """Connect to the stack and do the same."""
    connection = socket.create_connection((OTHER, PORT), timeout=30)
    return both_ways(connection, Random(int(seed)).randbytes(int(size)))


def both_ways(connection: socket.socket, data: bytes) -> str:
    def send() -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    with connection:
        connection.settimeout(SECONDS)
        sender = Thread(target=send)
        sender.start()
        got = receive_all(connection)
        sender.join()
        return digest(got)


def slow(size: str) -> str:
    """A reader with a small buffer that does not read for a second: a closed window."""
    with socket.create_server((ADDRESS, PORT), family=FAMILY) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        print_line("ready")
        connection, _ = listener.accept()
        with connection:
            line = control.recv(100)  # told when the window is closed
            assert line == b"read\n"
            return digest(receive_all(connection))


def udp(size: str) -> str:
    """Send a datagram of `size` bytes to the stack, and read its answer."""
    with socket.socket(FAMILY, socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.sendto(Random(1).randbytes(int(size)), (OTHER, PORT))
        return digest(sender.recv(70000))


def ping(size: str) -> str:
    """The kernel's ICMP socket: it makes the checksums."""
    data = Random(1).randbytes(int(size))
    protocol, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if IPV6 else (socket.IPPROTO_ICMP, 8, 0)
    with socket.socket(FAMILY, socket.SOCK_DGRAM, protocol) as pinger:
        pinger.settimeout(5)
        pinger.sendto(struct.pack("!BBHHH", request, 0, 0, 0, 1) + data, (OTHER, 0))
        answer = pinger.recv(70000)
    return "ok" if answer[0] == reply and answer[8:] == data else "wrong"


def reset() -> str:
    """Connect, then go away with a RST."""
    connection = socket.create_connection((OTHER, PORT), timeout=10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return "gone"


def refused() -> str:
    try:
        socket.create_connection((OTHER, 1), timeout=10)
    except ConnectionRefusedError:
        return "refused"
    return "?"


def many(kind: str, count: str) -> str:
    """Take `count` connections; each says in its first four bytes which seed it is. What was read of each, by seed."""
    read: dict[int, str] = {}

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(SECONDS)
            seed = struct.unpack("!I", exactly(connection, 4))[0]
            data = Random(-seed).randbytes(Random(seed).randrange(1, 65536))
            read[seed] = KINDS[kind](connection, data)

    with socket.create_server((ADDRESS, PORT), family=FAMILY, backlog=256) as listener:
        if kind == "small-segments":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        if kind == "slow-reader":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        print_line("ready")
        threads = []
        for _ in range(int(count)):
            threads.append(Thread(target=one, args=listener.accept()[:1]))
            threads[-1].start()
        for thread in threads:
            thread.join()
    return json.dumps(read)


def answer_at_the_end(connection: socket.socket, data: bytes) -> str:
    got = receive_all(connection)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    return digest(got)


def speak_first(connection: socket.socket, data: bytes) -> str:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    return digest(receive_all(connection))


def go_away(connection: socket.socket, data: bytes) -> str:
    """Read a part, then reset; only the beginning of what was sent can have been read."""
    got = exactly(connection, len(data))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return digest(got)


def read_late(connection: socket.socket, data: bytes) -> str:
    time.sleep(1)
    return both_ways(connection, data)


def behind(first: str, count: str) -> str:
    """Connect `count` times to who is behind the stack, and transfer both ways: every other seed from `first`."""
    read: dict[int, str] = {}
    to = str(ipaddress.ip_network(BEHIND)[2])

    def one(order: int) -> None:
        number = int(first) + 2 * order
        connection = socket.create_connection((to, PORT), timeout=SECONDS)
        connection.sendall(struct.pack("!I", number))
        read[number] = both_ways(connection, Random(-number).randbytes(Random(number).randrange(1, 65536)))

    in_threads(one, count)
    return json.dumps(read)


def pings(count: str) -> str:
    """`count` echoes of all sizes, each asked until it is answered; how many came back right."""
    right = []

    def one(seed: int) -> None:
        data = Random(seed).randbytes(Random(seed).randrange(1, 8000))
        protocol, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if IPV6 else (socket.IPPROTO_ICMP, 8, 0)
        with socket.socket(FAMILY, socket.SOCK_DGRAM, protocol) as pinger:
            pinger.settimeout(0.5)
            for attempt in range(100):
                pinger.sendto(struct.pack("!BBHHH", request, 0, 0, 0, attempt) + data, (OTHER, 0))
                with suppress(TimeoutError):
                    answer = pinger.recv(70000)
                    right.append(answer[0] == reply and answer[8:] == data)
                    return

    in_threads(one, count)
    return str(right.count(True))


def unreachable(count: str) -> str:
    """Datagrams to a port that the stack has not open, until the refusal comes; how often it did."""
    refused = []

    def one(seed: int) -> None:
        with socket.socket(FAMILY, socket.SOCK_DGRAM) as sender:
            sender.connect((OTHER, 9))
            sender.settimeout(0.5)
            for _ in range(100):
                try:
                    sender.send(b"x" * Random(seed).randrange(1400))
                    sender.recv(100)
                except TimeoutError:
                    continue
                except ConnectionRefusedError:
                    refused.append(seed)
                    return

    in_threads(one, count)
    return str(len(refused))


def in_threads(one: Callable[[int], None], count: str) -> None:
    threads = [Thread(target=one, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def print_line(line: str) -> None:
    control.sendall(line.encode() + b"\n")


KINDS: dict[str, Callable[[socket.socket, bytes], str]] = {
    "transfer": both_ways,
    "small-segments": both_ways,
    "small-window": both_ways,
    "keep-alive": both_ways,
    "half-close": answer_at_the_end,
    "half-close-of-the-kernel": speak_first,
    "reset": go_away,
    "slow-reader": read_late,
}

if __name__ == "__main__":
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        tap = make_tap(sys.argv[2])
    except (OSError, subprocess.CalledProcessError) as error:
        control.sendall(f"no {error}\n".encode())
        sys.exit(0)
    socket.send_fds(control, [b"yes\n"], [tap])
    commands = {
        f.__name__: f for f in (serve, connect, slow, udp, ping, reset, refused, many, behind, pings, unreachable)
    }
    while received := control.recv(200):
        name, *arguments = received.decode().split()
        print_line(commands[name](*arguments))
