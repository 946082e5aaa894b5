"""What each congestion control makes of a path, in virtual time (draft-cardwell-iccrg-bbr-…-control, RFC 5681)."""

from __future__ import annotations

from random import Random

import pytest

from overlay.stack.tcp.bbr import Bbr, Phase
from overlay.stack.tcp.connection import Connection
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import Program, connect, exchange, listen

MEGABYTE = 1_000_000
RATE = 12.5 * MEGABYTE  # 100 Mbit/s


def joined(
    faults: Link, *, control: str = "bbr", seed: int = 1
) -> tuple[Network, Connection, Connection, tuple[Link, Link]]:
    network = Network(seed)
    a, b = network.host(), network.host()
    a.tcp.congestion = b.tcp.congestion = control
    links = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=faults)
    near, far = connect(network, a, b, "10.0.0.2")
    return network, near, far, links


def bbr_of(connection: Connection) -> Bbr:
    assert isinstance(connection.congestion, Bbr)
    return connection.congestion


@pytest.mark.parametrize(("delay", "least"), [(0.0005, 0.6), (0.005, 0.55), (0.02, 0.3)])
def test_loss_that_is_not_congestion_costs_bbr_little_and_reno_nearly_all(delay: float, least: float) -> None:
    share = {}
    for control, size in (("bbr", 8 * MEGABYTE), ("reno", MEGABYTE // 2)):
        network, near, far, _ = joined(Link(rate=RATE, loss=0.05, delay=delay, queue=500), control=control)
        share[control] = size / exchange(network, near, far, Random(1).randbytes(size), b"") / RATE
    assert share["bbr"] > least
    assert share["bbr"] > 2 * share["reno"]


def test_a_clean_path_is_filled_with_a_short_queue() -> None:
    for control in ("bbr", "reno"):
        network, near, far, _ = joined(Link(rate=RATE, queue=500), control=control)
        longest = []
        network.programs.append(lambda now, near=near, longest=longest: longest.append(near.rtt.srtt))
        took = exchange(network, near, far, bytes(10 * MEGABYTE), b"")
        assert 10 * MEGABYTE / took > 0.85 * RATE
        settled = sorted(longest[len(longest) // 2 :])
        if control == "bbr":
            assert settled[len(settled) // 2] < 2 * 0.0102, "Reno fills the queue, BBR need not"
            assert near.congestion.window < 5 * RATE * 0.01


def test_the_rate_follows_the_path() -> None:
    network, near, far, links = joined(Link(rate=RATE, queue=100))
    network.programs += [Program(near, bytes(60 * MEGABYTE)), Program(far, b"")]
    model = bbr_of(near)
    network.run(seconds=2)
    assert model.phase is Phase.PROBE_BANDWIDTH
    assert model.bandwidth == pytest.approx(RATE, rel=0.1)
    links[0].rate = RATE / 5
    network.run(seconds=3)
    assert model.bandwidth == pytest.approx(RATE / 5, rel=0.15)
    links[0].rate = RATE
    network.run(seconds=3)
    assert model.bandwidth > 0.7 * RATE


def test_the_least_rtt_is_asked_for_again() -> None:
    """A path that became longer: the old minimum is believed for ten seconds, then the pipe is drained to look."""
    network, near, far, links = joined(Link(rate=MEGABYTE, queue=100))
    network.programs += [Program(near, bytes(40 * MEGABYTE)), Program(far, b"")]
    model = bbr_of(near)
    network.run(seconds=2)
    assert model.rtt == pytest.approx(0.0116, abs=0.002)
    links[0].delay = 0.055
    network.run(lambda: model.phase is Phase.PROBE_RTT, 30)
    assert near.congestion.window == 4 * near.mss
    network.run(lambda: model.phase is not Phase.PROBE_RTT, 1)
    assert model.rtt == pytest.approx(0.06, abs=0.01)
    assert near.congestion.window > 4 * near.mss


def test_what_is_sent_is_spaced() -> None:
    """In no two milliseconds does much more leave than the path takes in them."""
    network, near, far, links = joined(Link(rate=RATE, queue=40))
    network.programs += [Program(near, bytes(30 * MEGABYTE)), Program(far, b"")]
    network.run(seconds=1)
    links[0].keep = True
    network.run(seconds=0.5)
    times = [when for when, frame in links[0].frames if len(frame) > 1000]
    fullest = max(sum(1 for when in times if start <= when < start + 0.002) for start in times[::20])
    assert fullest < 3 * 0.002 * RATE / near.mss + 4


def test_a_program_that_pauses_goes_on_at_the_rate_it_had() -> None:
    network, near, far, links = joined(Link(rate=RATE, queue=100))
    network.programs.append(Program(far, b""))
    for _ in range(40):
        near.write(bytes(250_000), network.now)
        network.run(lambda: not near.buffer, 10)
    model = bbr_of(near)
    known = model.bandwidth
    assert known > 0.5 * RATE
    network.run(seconds=5)
    links[0].keep = True
    start = network.now
    near.write(bytes(250_000), network.now)
    assert network.run(lambda: not near.buffer, 10)
    assert network.now - start < 7 * 250_000 / known


@pytest.mark.parametrize("control", ["bbr", "reno"])
def test_many_flows_share_a_path_and_all_arrive(control: str) -> None:
    network = Network(3)
    a, b = network.host(), network.host()
    a.tcp.congestion = b.tcp.congestion = control
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(rate=RATE, loss=0.01, queue=300))
    listener = listen(b, backlog=64)
    data = [Random(n).randbytes(200_000) for n in range(30)]
    near = [a.tcp.connect(b"\x0a\0\0\x02", 80, network.now) for _ in data]
    assert network.run(lambda: len(listener.ready) == len(near), 30)
    far = {}
    while (conn := listener.accept()) is not None:
        far[conn.remote_port] = conn
    senders = [Program(conn, each) for conn, each in zip(near, data, strict=True)]
    readers = [Program(far[conn.local_port], b"") for conn in near]
    network.programs += [*senders, *readers]
    start = network.now
    assert network.run(lambda: all(each.done for each in [*senders, *readers]), 120)
    assert [bytes(reader.received) for reader in readers] == data
    assert 30 * 200_000 / (network.now - start) > (0.5 if control == "bbr" else 0.3) * RATE


def test_two_long_flows_get_about_as_much() -> None:
    network = Network(5)
    a, b = network.host(), network.host()
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(rate=RATE / 5, queue=200))
    flows = []
    for delay in (0, 3):
        network.run(seconds=delay)
        near, far = connect(network, a, b, "10.0.0.2")
        flows.append(Program(far, b""))
        network.programs += [Program(near, bytes(80 * MEGABYTE)), flows[-1]]
    network.run(seconds=4)
    before = [len(flow.received) for flow in flows]
    network.run(seconds=10)
    one, two = (len(flow.received) - start for flow, start in zip(flows, before, strict=True))
    assert one + two > 0.85 * 10 * RATE / 5
    assert 0.25 < one / (one + two) < 0.75
