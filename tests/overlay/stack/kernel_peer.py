"""The kernel's end of test_kernel: a process in a network namespace of its own, with a TAP whose file it hands out.

Run as `python kernel_peer.py FD MTU VERSION`: FD is a unix socket over which the TAP goes out (SCM_RIGHTS) and commands
come in, a line each; answers go back, a line each. 10.9.0.1 or fd09::1 is the kernel, 10.9.0.2 or fd09::2 the stack
under test.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import socket
import struct
import subprocess
import sys
from random import Random
from threading import Thread

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
IPV6 = sys.argv[3:] == ["6"]
FAMILY = socket.AF_INET6 if IPV6 else socket.AF_INET
ADDRESS, OTHER = ("fd09::1", "fd09::2") if IPV6 else ("10.9.0.1", "10.9.0.2")
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
    ):
        subprocess.run(command.split(), check=True)
    subprocess.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"], check=True)
    return tap


def receive_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


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
        connection.settimeout(120)
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


def print_line(line: str) -> None:
    control.sendall(line.encode() + b"\n")


if __name__ == "__main__":
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        tap = make_tap(sys.argv[2])
    except (OSError, subprocess.CalledProcessError) as error:
        control.sendall(f"no {error}\n".encode())
        sys.exit(0)
    socket.send_fds(control, [b"yes\n"], [tap])
    commands = {f.__name__: f for f in (serve, connect, slow, udp, ping, reset, refused)}
    while received := control.recv(200):
        name, *arguments = received.decode().split()
        print_line(commands[name](*arguments))
