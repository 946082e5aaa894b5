"""The two kinds of end: the kernel behind a TAP in a network namespace of its own, and the user-space stack in a
sandbox as a container has it. Each is a process that gets lines on a control socket and answers each with a line:

    listen CONTROL    accept one connection and read it to the end: "ready", then "BYTES SECONDS SHA256"
    send CONTROL SECONDS    connect and write for so long: "BYTES SHA256"

CONTROL is the congestion control of this end's socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import time
from hashlib import sha256
from random import Random

from overlay.port import cable
from overlay.sandbox import Sandbox
from scenarios.bench.goodput.link import BURST, LARGEST

PORT = 5001
MTU = 1500
PIECE = Random(1).randbytes(1 << 16)
"""What is written, over and over."""

_NEW_NET = 0x40000000
_TUNSETIFF, _TAP, _NO_PI = 0x400454CA, 0x0002, 0x1000
_DEADLINE = 120.0


class Unavailable(Exception):
    """The machine does not let us make a TAP in a namespace."""


# ---------------------------------------------------------------------------- the kernel


def make_tap(address: str) -> int:
    """This process moves to a network namespace of its own, with a TAP that has `address`; its file descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NET):
        raise Unavailable(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH", b"tap0", _TAP | _NO_PI))
        for line in (f"ip link set tap0 mtu {MTU} up", f"ip addr add {address}/24 dev tap0"):
            subprocess.run(line.split(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"no TAP: {error}") from error
    return tap


def kernel_end(control: socket.socket, address: str, other: str) -> None:
    """Serve the control socket; the TAP goes out over it first."""
    try:
        tap = make_tap(address)
    except Unavailable as error:
        control.sendall(f"no {error}\n".encode())
        return
    socket.send_fds(control, [b"yes\n"], [tap])
    os.close(tap)
    for line in control.makefile():
        match line.split():
            case ["listen", name]:
                _kernel_listen(control, address, name)
            case ["send", name, seconds]:
                _kernel_send(control, other, name, float(seconds))


def _kernel_listen(control: socket.socket, address: str, name: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        listener.bind((address, PORT))
        listener.listen(1)
        control.sendall(b"ready\n")
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(_DEADLINE)
            tally = Tally()
            while data := connection.recv(1 << 18):
                tally.add(data)
    control.sendall(tally.line())


def _kernel_send(control: socket.socket, other: str, name: str, seconds: float) -> None:
    with socket.socket() as connection:
        connection.settimeout(_DEADLINE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        connection.connect((other, PORT))
        tally = Tally()
        while time.monotonic() - tally.start < seconds:
            connection.sendall(PIECE)
            tally.add(PIECE)
        control.sendall(tally.line())


class Tally:
    """How much went by, in which time, and what it was."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self._size = 0
        self._digest = sha256()

    def add(self, data: bytes) -> None:
        """More of it."""
        if not self._size:
            self.start = time.monotonic()
        self._size += len(data)
        self._digest.update(data)
        self.last = time.monotonic()

    def line(self) -> bytes:
        """As the control socket says it."""
        return f"{self._size} {self.last - self.start:.6f} {self._digest.hexdigest()}\n".encode()


# ---------------------------------------------------------------------------- ours


def stack_end(control: socket.socket, wire: socket.socket, address: str, other: str) -> None:
    """Serve the control socket with a sandbox whose cable ends in `wire`, a frame a message."""
    asyncio.run(_serve(control, wire, address, other))


async def _serve(control: socket.socket, wire: socket.socket, address: str, other: str) -> None:
    sandbox = Sandbox("end", random=Random(1))
    theirs, ours = cable()
    wire.setblocking(False)
    fd = wire.fileno()

    def to_wire(frame: bytes) -> None:
        try:
            os.write(fd, frame)
        except BlockingIOError:
            sandbox.counters["wire-full"] += 1

    def from_wire() -> None:
        for _ in range(BURST):
            try:
                frame = os.read(fd, LARGEST)
            except BlockingIOError:
                return
            ours.transmit(frame)

    ours.on_receive(to_wire)
    sandbox.add_interface("eth0", mac="02:42:0a:09:00:02", mtu=MTU, addresses=[f"{address}/24"], port=theirs)
    asyncio.get_running_loop().add_reader(fd, from_wire)
    reader, writer = await asyncio.open_connection(sock=control)
    while line := await reader.readline():
        match line.decode().split():
            case ["listen", name]:
                await _stack_listen(writer, sandbox, name)
            case ["send", name, seconds]:
                await _stack_send(writer, sandbox, other, name, float(seconds))
    asyncio.get_running_loop().remove_reader(fd)
    await sandbox.close()


async def _stack_listen(control: asyncio.StreamWriter, sandbox: Sandbox, name: str) -> None:
    sandbox.stack.tcp.congestion = name
    listener = sandbox.tcp_listen("0.0.0.0", PORT)
    control.write(b"ready\n")
    connection = await listener.accept()
    listener.close()
    tally = Tally()
    while data := await connection.read(1 << 18):
        tally.add(data)
    connection.close()
    control.write(tally.line())


async def _stack_send(control: asyncio.StreamWriter, sandbox: Sandbox, other: str, name: str, seconds: float) -> None:
    sandbox.stack.tcp.congestion = name
    connection = await sandbox.tcp_connect(other, PORT, timeout=_DEADLINE)
    tally = Tally()
    while time.monotonic() - tally.start < seconds:
        await connection.write(PIECE)
        tally.add(PIECE)
    connection.close()
    control.write(tally.line())
