"""A path that swallows large packets without a word (RFC 2923): TCP gets through all the same (RFC 4821)."""

from __future__ import annotations

import pytest

from overlay.stack.path_mtu import FIRST_DOUBT
from tests.overlay.stack.network import Network
from tests.overlay.stack.transfer import Program, connect

NARROW = 1300


@pytest.mark.parametrize("gso", [0, 65535])
@pytest.mark.parametrize("probing", [True, False])
def test_large_packets_vanish(gso: int, probing: bool) -> None:
    """Linux's default, which does not look for it (net.ipv4.tcp_mtu_probing=0), hangs."""
    network = Network(1)
    a, b = network.host(), network.host()
    there, _ = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", gso=gso)
    there.drop = lambda frame: len(frame) > NARROW
    a.paths.probing = probing
    near, far = connect(network, a, b, "10.0.0.2")
    sender, receiver = Program(near, bytes(300_000)), Program(far, b"")
    network.programs += [sender, receiver]
    done = network.run(lambda: len(receiver.received) == 300_000, 30)
    assert done is probing


def test_a_cut_costs_large_packets_for_a_moment_only() -> None:
    network = Network(1)
    a, b = network.host(), network.host()
    there, back = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    near, far = connect(network, a, b, "10.0.0.2")
    sender, receiver = Program(near, bytes(3_000_000)), Program(far, b"")
    network.programs += [sender, receiver]
    network.run(lambda: len(receiver.received) > 100_000, 10)
    there.cut = back.cut = True
    network.run(seconds=4)
    there.cut = back.cut = False
    assert network.run(lambda: len(receiver.received) == 3_000_000, 60)
    network.run(seconds=FIRST_DOUBT)
    assert a.path_mtu(near.remote_ip, a.route_to(near.remote_ip)) == 1500
