"""Against the kernel's own TCP/IP, over a TAP in a network namespace that the test makes.

What passes between them is damaged on purpose (loss, duplication, reordering, from a seed); the bytes must not be.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from hashlib import sha256
from random import Random

import pytest

from overlay.stack.tcp.state import State
from overlay.wire.address import ANY6
from tests.overlay.stack.kernel_wire import PORT, Wire, kernel_wire
from tests.overlay.stack.transfer import Program


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    with kernel_wire(request.param) as wire:
        yield wire


@pytest.mark.parametrize(
    ("loss", "duplicate", "reorder"), [(0, 0, 0), (0.05, 0, 0), (0.02, 0.05, 0.1)], ids=["clean", "loss", "all"]
)
@pytest.mark.parametrize("opens", ["stack", "kernel"])
def test_transfer_both_ways(wire: Wire, opens: str, loss: float, duplicate: float, reorder: float) -> None:
    wire.loss, wire.duplicate, wire.reorder = loss, duplicate, reorder
    size = 2_000_000
    if opens == "stack":
        wire.command(f"serve 5 {size}")
        assert wire.line() == "ready"
        conn = wire.connect()
    else:
        wire.command(f"connect 5 {size}")
        conn = wire.accept()
    assert conn.timestamps_on and conn.sack_on and conn.send_scale
    data = Random(6).randbytes(size)
    program = Program(conn, data)
    wire.programs.append(program)
    wire.run(lambda: program.done)
    assert wire.line() == sha256(data).hexdigest()
    assert bytes(program.received) == Random(5).randbytes(size)
    wire.run(lambda: conn.state in (State.TIME_WAIT, State.CLOSED))
    assert conn.error == 0


def test_zero_window_of_the_kernel(wire: Wire) -> None:
    data = Random(7).randbytes(300_000)
    wire.command(f"slow {len(data)}")
    assert wire.line() == "ready"
    conn = wire.connect()
    program = Program(conn, data)
    wire.programs.append(program)
    wire.run(lambda: conn.snd_wnd < conn.mss and conn.persist_count > 1)
    wire.command("read\n")
    assert wire.line() == sha256(data).hexdigest()


def test_reset_and_refusal(wire: Wire) -> None:
    wire.command("reset")
    conn = wire.accept()
    wire.run(lambda: conn.state is State.CLOSED)
    assert conn.error == errno.ECONNRESET
    assert wire.line() == "gone"
    wire.command("refused")
    assert wire.line() == "refused"
    refused = wire.stack.tcp.connect(wire.kernel, 1, time.monotonic())
    wire.run(lambda: refused.state is State.CLOSED)
    assert refused.error == errno.ECONNREFUSED


def test_ping_and_fragments(wire: Wire) -> None:
    for size in (0, 56, 1472, 1473, 20_000):
        wire.command(f"ping {size}")
        assert wire.line() == "ok"
    echo = wire.stack.udp.open(ANY6, PORT)

    def answer(now: float) -> None:
        found = echo.receive()
        if found is not None:
            echo.send(found[0], found[1], now)

    wire.programs.append(answer)
    for size in (1, 1472, 1473, 65507):
        wire.command(f"udp {size}")
        assert wire.line() == sha256(Random(1).randbytes(size)).hexdigest()
