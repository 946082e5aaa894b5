"""A stack whose wire is a TAP with the kernel at its other end; what passes is damaged on purpose, from a seed."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from overlay.stack.stack import Stack
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.state import State
from overlay.wire.address import ANY6, pack_ip

PORT = 5000


MTU = 1500
PEER = Path(__file__).with_name("kernel_peer.py")
KERNELS = {4: (pack_ip("10.9.0.1"), pack_ip("10.9.0.2"), 24), 6: (pack_ip("fd09::1"), pack_ip("fd09::2"), 64)}
"""By IP version: the kernel's address, ours, prefix length."""


class Wire:
    """The stack, the TAP, the faults, and the kernel's program."""

    def __init__(self, control: socket.socket, tap: int, mtu: int, version: int) -> None:
        self.kernel, ours, length = KERNELS[version]
        self.control = control
        self.tap = tap
        self.random = Random(1)
        self.loss = self.duplicate = self.reorder = 0.0
        self.held: list[bytes] = []
        self.answer = b""
        self.stack = Stack(Random(2))
        self.interface = self.stack.add_interface(
            "eth0", hardware=b"\x02\x00\x00\x00\x00\x02", mtu=mtu, transmit=self.transmit
        )
        self.stack.add_address(self.interface, ours, length)
        self.stacks = [self.stack]
        self.programs: list[Callable[[float], None]] = []

    def faulty(self, frame: bytes, deliver: Callable[[bytes], None]) -> None:
        if self.random.random() < self.loss:
            return
        if self.random.random() < self.reorder:
            self.held.append(frame)
            return
        for _ in range(2 if self.random.random() < self.duplicate else 1):
            deliver(frame)
        if self.held:
            deliver(self.held.pop())

    def transmit(self, frame: bytes) -> None:
        self.faulty(frame, self.write)

    def write(self, frame: bytes) -> None:
        try:
            os.write(self.tap, frame)
        except BlockingIOError:
            self.stack.count("test-tap-full")

    def command(self, line: str) -> None:
        self.control.sendall(line.encode())

    def run(self, until: Callable[[], bool], seconds: float = 60) -> None:
        """Until it holds; lines of the kernel's program go to `answer`."""
        limit = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            assert now < limit, (self.answer, self.stack.counters, list(self.stack.tcp.connections.values()))
            timers = [timer for stack in self.stacks if (timer := stack.next_timer()) is not None]
            wait = min(limit - now, max(min(timers, default=now + 0.2) - now, 0))
            ready, _, _ = select.select([self.tap, self.control], [], [], wait)
            now = time.monotonic()
            if self.control in ready:
                self.answer += self.control.recv(1000)
            for _ in range(64):
                try:
                    frame = os.read(self.tap, 70000)
                except BlockingIOError:
                    break
                self.faulty(frame, lambda frame, now=now: self.stack.receive(self.interface, frame, now))  # type: ignore[misc]
            for stack in self.stacks:
                stack.flush(now)
                stack.handle_timer(now)
            for program in self.programs:
                program(now)

    def line(self, seconds: float = 60) -> str:
        """The next line of the kernel's program."""
        self.run(lambda: b"\n" in self.answer, seconds)
        line, _, self.answer = self.answer.partition(b"\n")
        return line.decode()

    def connect(self) -> Connection:
        conn = self.stack.tcp.connect(self.kernel, PORT, time.monotonic())
        self.run(lambda: conn.state is not State.SYN_SENT)
        assert conn.error == 0
        return conn

    def accept(self) -> Connection:
        listener = self.stack.tcp.listen(ANY6, PORT, 5)
        self.run(lambda: bool(listener.ready))
        conn = listener.accept()
        assert conn is not None
        listener.close(time.monotonic())
        return conn


@contextmanager
def kernel_wire(version: int) -> Iterator[Wire]:
    """Skips the test where there is no TAP to be had."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun is not there or not ours to use")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = subprocess.Popen(
            [sys.executable, str(PEER), str(theirs.fileno()), str(MTU), str(version)],
            pass_fds=[theirs.fileno()],
        )
        tap = -1
        try:
            theirs.close()
            message, fds, _, _ = socket.recv_fds(ours, 200, 1)
            if not fds:
                pytest.skip(f"no TAP in a network namespace: {message.decode().strip()}")
            tap = fds[0]
            yield Wire(ours, tap, MTU, version)
        finally:
            if tap >= 0:
                os.close(tap)
            ours.close()
            peer.kill()
            peer.wait()
