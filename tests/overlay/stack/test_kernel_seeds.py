"""A hundred seeds of each behaviour against the kernel's TCP/IP, on a wire that loses one frame in twenty each way and
delays and doubles others. All hundred go on at once, so what they take is one retransmission timer's patience."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random

import pytest

from overlay.stack.stack import Stack
from overlay.stack.tcp import transmit
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.state import State
from overlay.wire.address import ANY6, pack_ip
from tests.overlay.stack.kernel_wire import PORT, Wire, kernel_wire
from tests.overlay.stack.transfer import Program

SEEDS = 50
"""Of each family: the even ones over IPv4, the odd ones over IPv6."""
PATIENCE = 400.0
"""Real seconds, on a machine that has other things to do."""


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    with kernel_wire(request.param) as wire:
        wire.loss, wire.duplicate, wire.reorder = 0.05, 0.02, 0.05
        yield wire


def seeds(wire: Wire) -> range:
    return range(len(wire.kernel) == 16, 2 * SEEDS, 2)


def ours(seed: int) -> bytes:
    return Random(1000 + seed).randbytes(Random(seed).randrange(1, 65536))


def theirs(seed: int) -> bytes:
    return Random(-seed).randbytes(Random(seed).randrange(1, 65536))


class Answer(Program):
    """Says its piece only when the other has said all."""

    def __init__(self, connection: Connection, seed: int) -> None:
        super().__init__(connection, seed.to_bytes(4, "big"))
        self.shut = True
        self.seed = seed

    def __call__(self, now: float) -> None:
        super().__call__(now)
        if self.ended and self.seed >= 0:
            self.left, self.shut, self.seed = memoryview(ours(self.seed)), False, -1
            super().__call__(now)


class Learner(Program):
    """Is told its seed by the first four bytes that come."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, b"")
        self.shut = True
        self.seed = -1

    def __call__(self, now: float) -> None:
        super().__call__(now)
        if self.seed < 0 and len(self.received) >= 4:
            self.seed = int.from_bytes(self.received[:4], "big")
            self.left, self.shut = memoryview(ours(self.seed)), False
            super().__call__(now)


def opened(wire: Wire, kind: str, make: Callable[[Connection, int], Program]) -> dict[int, Program]:
    """A connection and a program for each seed."""
    wire.command(f"many {kind} {SEEDS}")
    assert wire.line() == "ready"
    programs = {}
    for seed in seeds(wire):
        conn = wire.stack.tcp.connect(wire.kernel, PORT, time.monotonic())
        programs[seed] = make(conn, seed)
    wire.programs += [started(program) for program in programs.values()]
    return programs


def started(program: Program) -> Callable[[float], None]:
    def run(now: float) -> None:
        if program.connection.established or program.connection.state is State.CLOSED:
            program(now)

    return run


def with_seed(conn: Connection, seed: int) -> Program:
    return Program(conn, seed.to_bytes(4, "big") + ours(seed))


@pytest.mark.parametrize(
    "kind",
    [
        "transfer",
        "small-segments",
        "small-window",
        "half-close",
        "half-close-of-the-kernel",
        "slow-reader",
        "keep-alive",
    ],
)
def test_bytes_are_identical(wire: Wire, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(conn: Connection, seed: int) -> Program:
        if kind == "half-close-of-the-kernel":
            return Answer(conn, seed)
        program = with_seed(conn, seed)
        if kind == "small-window":  # of ours: the kernel has to probe it
            program.pause_until = time.monotonic() + 1.5
        if kind == "keep-alive":
            conn.keepalive(0.1, 0.1, 50, time.monotonic())
            program.pause_until = time.monotonic() + 1
        return program

    if kind == "small-window":
        monkeypatch.setattr(transmit, "RECEIVE_BUFFER", 8000)
        monkeypatch.setattr(transmit, "EARLY_BYTES", 8000)
    programs = opened(wire, kind, make)
    wire.run(lambda: all(program.done for program in programs.values()), PATIENCE)
    assert json.loads(wire.line(PATIENCE)) == {str(seed): sha256(ours(seed)).hexdigest() for seed in seeds(wire)}
    assert all(bytes(program.received) == theirs(seed) for seed, program in programs.items())
    over = (State.TIME_WAIT, State.CLOSED)
    wire.run(lambda: all(program.connection.state in over for program in programs.values()), PATIENCE)
    assert {program.connection.error for program in programs.values()} == {0}
    if kind == "small-segments":
        assert {program.connection.mss for program in programs.values()} == {536 - 12}


def test_reset(wire: Wire) -> None:
    class Doomed(Program):
        def __call__(self, now: float) -> None:
            if self.connection.state is not State.CLOSED:
                self.left = self.left[self.connection.write(self.left, now) :]

    data = {seed: ours(seed) + bytes(200_000) for seed in seeds(wire)}
    programs = opened(wire, "reset", lambda conn, seed: Doomed(conn, seed.to_bytes(4, "big") + data[seed]))
    wire.run(lambda: all(program.connection.state is State.CLOSED for program in programs.values()), PATIENCE)
    assert {program.connection.error for program in programs.values()} == {errno.ECONNRESET}
    read = json.loads(wire.line(PATIENCE))
    assert read == {str(seed): sha256(data[seed][: len(theirs(seed))]).hexdigest() for seed in seeds(wire)}


def test_the_kernel_finds_the_path_s_mtu_from_our_router_s_errors(wire: Wire) -> None:
    """Behind our stack, over a link of 800 (IPv6: 1280) bytes, is another one that says it takes 1460."""
    version = len(wire.kernel)
    net, length, narrow = ("10.8.0.", 24, 800) if version == 4 else ("fd08::", 64, 1280)
    router, host = wire.stack, Stack(Random(3))
    router.forwarding = True
    inside = router.add_interface("eth1", hardware=b"\2\0\0\0\0\3", mtu=narrow, transmit=lambda frame: None)
    outside = host.add_interface("eth0", hardware=b"\2\0\0\0\0\4", mtu=1500, transmit=lambda frame: None)
    inside.transmit = lambda frame: host.receive(outside, frame, time.monotonic())
    outside.transmit = lambda frame: router.receive(inside, frame, time.monotonic())
    router.add_address(inside, pack_ip(net + "1"), length)
    host.add_address(outside, pack_ip(net + "2"), length)
    host.add_route(bytes(version), 0, pack_ip(net + "1"), None, None, 0)
    wire.stacks.append(host)
    listener = host.tcp.listen(ANY6, PORT, 256)
    programs: list[Learner] = []

    def accept(now: float) -> None:
        while (conn := listener.accept()) is not None:
            programs.append(Learner(conn))
            wire.programs.append(programs[-1])

    wire.programs.append(accept)
    wire.command(f"behind {seeds(wire).start} {SEEDS}")
    wire.run(lambda: len(programs) == SEEDS and all(program.done for program in programs), PATIENCE)
    assert json.loads(wire.line(PATIENCE)) == {str(seed): sha256(ours(seed)).hexdigest() for seed in seeds(wire)}
    assert {program.seed for program in programs} == set(seeds(wire))
    assert all(bytes(program.received[4:]) == theirs(program.seed) for program in programs)
    assert router.counters["ip-too-big"] > 0


def test_echoes_whole_and_in_fragments(wire: Wire) -> None:
    wire.command(f"pings {SEEDS}")
    assert wire.line(PATIENCE) == str(SEEDS)


def test_our_refusals_of_datagrams_reach_the_kernel_s_sockets(wire: Wire) -> None:
    wire.command(f"unreachable {SEEDS}")
    assert wire.line(PATIENCE) == str(SEEDS)


def test_the_kernel_s_refusals_reach_our_sockets(wire: Wire) -> None:
    sockets = [wire.stack.udp.open(ANY6, 0) for _ in range(SEEDS)]
    asked = dict.fromkeys(range(SEEDS), 0.0)

    def ask(now: float) -> None:
        for seed, socket in enumerate(sockets):
            if not socket.error and now - asked[seed] > 0.3:
                asked[seed] = now
                socket.send(ours(seed)[:1400], None, now)

    for socket in sockets:
        socket.connect((wire.kernel, 9))
    wire.programs.append(ask)
    wire.run(lambda: all(socket.error for socket in sockets), PATIENCE)
    assert {socket.error for socket in sockets} == {errno.ECONNREFUSED}
