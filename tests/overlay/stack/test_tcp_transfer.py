"""Bytes arrive identical whatever the link does to frames, both ways at once (RFC 9293, 2018, 8985)."""

from __future__ import annotations

from random import Random

import pytest

from overlay.stack.tcp.limits import RECEIVE_BUFFER
from overlay.wire import tcp
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import Program, connect, exchange

FAULTS = {
    "clean": Link(),
    "loss": Link(loss=0.05),
    "everything": Link(loss=0.05, duplicate=0.05, reorder=0.1),
    "slow": Link(rate=1.25e6, loss=0.01),
}


@pytest.mark.parametrize("gso", [0, 60000])
@pytest.mark.parametrize("sack", [True, False], ids=["sack", "nosack"])
@pytest.mark.parametrize("kind", FAULTS)
def test_bytes_are_identical_over_many_seeds(kind: str, sack: bool, gso: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sack:
        original = tcp.Segment.options

        def without(segment: tcp.Segment) -> bytes:
            segment.sack_permitted = False
            return original(segment)

        monkeypatch.setattr(tcp.Segment, "options", without)
    for seed in range(10):
        network = Network(seed)
        a, b = network.host(), network.host()
        network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", gso=gso, faults=FAULTS[kind])
        near, far = connect(network, a, b, "10.0.0.2")
        assert near.sack_on is sack
        random = Random(seed)
        exchange(network, near, far, random.randbytes(300_000), random.randbytes(100_000))


def test_loss_is_repaired_without_waiting_for_timeouts() -> None:
    """Goodput at 5 % loss and 10 ms stays near what the response function of Reno allows
    (Mathis et al. 1997: 1.22 · MSS / (RTT · √p) = 0.79 MB/s)."""
    took = []
    for seed in range(5):
        network = Network(seed)
        a, b = network.host(), network.host()
        network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(loss=0.05))
        near, far = connect(network, a, b, "10.0.0.2")
        took.append(exchange(network, near, far, bytes(1_000_000), b""))
    assert sorted(took)[2] < 2 * 1_000_000 / 790_000


def test_reordering_is_not_taken_for_loss() -> None:
    """Once DSACK has told (RFC 2883), RACK waits longer, and the reduction is undone."""
    took = []
    for seed in range(5):
        network = Network(seed)
        a, b = network.host(), network.host()
        network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(reorder=0.2))
        near, far = connect(network, a, b, "10.0.0.2")
        took.append(exchange(network, near, far, bytes(1_000_000), b""))
        assert near.scoreboard.reordering_steps > 1
    assert sorted(took)[2] < 1.0  # 2.4 s without


def test_a_burst_is_acknowledged_once_and_a_lone_segment_late() -> None:
    network = Network()
    a, b = network.host(), network.host()
    _, back = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    near, far = connect(network, a, b, "10.0.0.2")
    far.quick_acks = 0
    back.keep = True
    near.write(bytes(10 * near.mss), network.now)
    network.run(lambda: not near.buffer, 1)
    assert len(back.frames) == 1
    back.frames.clear()
    start = network.now
    near.write(b"x", network.now)
    network.run(lambda: not near.buffer, 1)
    assert len(back.frames) == 1
    assert 0.04 <= network.now - start < 0.1


def test_nagle_waits_and_nodelay_does_not() -> None:
    for nodelay, expected in ((False, 2), (True, 5)):
        network = Network()
        a, b = network.host(), network.host()
        out, _ = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
        near, _far = connect(network, a, b, "10.0.0.2")
        near.nodelay = nodelay
        network.run(seconds=1)
        out.keep = True
        for _ in range(5):
            near.write(b"abc", network.now)
        network.run(lambda near=near: not near.buffer, 1)
        assert len(out.frames) == expected


def test_window_scaling_lets_a_long_fat_path_be_filled() -> None:
    network = Network()
    a, b = network.host(), network.host()
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(delay=0.1))
    near, far = connect(network, a, b, "10.0.0.2")
    took = exchange(network, near, far, bytes(10_000_000), b"")
    assert took < 10_000_000 / (65535 / 0.2) / 5  # without scaling 30 s
    assert near.max_send_window > RECEIVE_BUFFER // 2


def test_a_closed_window_is_probed_and_opens() -> None:
    network = Network()
    a, b = network.host(), network.host()
    _, back = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    near, far = connect(network, a, b, "10.0.0.2")
    data = Random(5).randbytes(3 * RECEIVE_BUFFER)
    sender, reader = Program(near, data), Program(far, b"", pause=network.now + 100)
    network.programs += [sender]
    network.run(seconds=50)
    assert near.snd_wnd == 0
    assert far.inbox.held == far.rcv_nxt - far.irs - 1 <= RECEIVE_BUFFER
    # The update that says the window is open gets lost: only the probes can find out.
    network.programs += [reader]
    network.run(lambda: network.now >= reader.pause_until - 0.001, 60)
    back.cut = True
    reader(network.now + 1)
    network.run(seconds=0.5)
    back.cut = False
    assert network.run(lambda: reader.done, 200)
    assert bytes(reader.received) == data


def test_a_small_window_does_not_make_silly_segments() -> None:
    network = Network()
    a, b = network.host(), network.host()
    out, _ = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    near, far = connect(network, a, b, "10.0.0.2")
    data = bytes(RECEIVE_BUFFER + 300_000)
    network.programs += [Program(near, data)]
    network.run(seconds=20)
    out.keep = True
    got = 0
    while got < len(data):
        got += len(far.read(1000, network.now) or b"")
        network.run(seconds=0.001)
    sizes = [len(frame) - 66 for _, frame in out.frames if len(frame) > 66]
    assert len(sizes) > 100
    assert sum(size < near.mss for size in sizes) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_frames(seed: int) -> None:
    def run() -> list[tuple[float, bytes]]:
        network = Network(seed)
        a, b = network.host(), network.host()
        out, _ = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(loss=0.05, reorder=0.1, keep=True))
        near, far = connect(network, a, b, "10.0.0.2")
        exchange(network, near, far, bytes(100_000), bytes(50_000))
        return out.frames

    assert run() == run()
