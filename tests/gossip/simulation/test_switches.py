"""Each of Lifeguard's parts does what the paper says when it is on, and nothing when it is off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossip.simulation.baseline import name_of
from gossip.simulation.network import one_way
from gossip.simulation.reference import Passed
from gossip.simulation.world import World
from gossip.swim.profile import LAN
from gossip.swim.suspicion import Suspicion
from gossip.wire.messages import IndirectPing, Message, Ping, Suspect, decode_message


def heard_by(world: World, number: int) -> list[list[Message]]:
    """The packets that reach a member from now on, as messages."""
    packets: list[list[Message]] = []
    membership = world.members[number].membership
    receive = membership.receive_datagram

    def spy(data: bytes, source: tuple[str, int], now: float) -> None:
        assert isinstance(data, Passed)
        packets.append([decode_message(part) for part in data.parts])
        receive(data, source, now)

    membership.receive_datagram = spy  # type: ignore[method-assign]
    return packets


@pytest.mark.parametrize("on", [True, False])
def test_lha_suspicion_is_long_until_confirmed(on: bool) -> None:
    """mult 4, 1 s, n = 10: SWIM's fixed 4 s, or Lifeguard's 6 times that."""
    suspicion = Suspicion(replace(LAN, lha_suspicion=on), accuser="a", incarnation=1, members=10, now=0.0)
    assert suspicion.deadline == pytest.approx(24.0 if on else 4.0)
    assert suspicion.confirm("b", 0.0) is on


@pytest.mark.parametrize("on", [True, False])
def test_lha_probe_doubts_itself(on: bool) -> None:
    """A deaf member: its relays' nacks stay away too. Off, nobody is asked for nacks."""
    world = World.converged(8, 1, profile=replace(LAN, lha_probe=on))
    asked = heard_by(world, 5)
    world.network.cut("deaf", one_way(range(3, 4), ingress=True))
    world.run(20.0)
    assert (world.members[3].membership.awareness > 3) is on
    requests = [message for packet in asked for message in packet if isinstance(message, IndirectPing)]
    assert requests
    assert all(request.nack is on for request in requests)


@pytest.mark.parametrize("on", [True, False])
def test_the_buddy_system_tells_the_accused_first(on: bool) -> None:
    """In the very packet that pings him, whatever else has been told before."""
    world = World.converged(3, 1, profile=replace(LAN, buddy_system=on, gossip_nodes=0))
    assert world.codec is not None
    heard = heard_by(world, 2)
    teller, accuser = world.members[0], world.members[1]
    accusation = world.codec.encode([Suspect(1, name_of(2), accuser.name).encode()])
    teller.membership.receive_datagram(accusation, accuser.address, world.now)
    teller.membership._local.rumours.discard(name_of(2))
    world.drain(teller)
    world.run(2.5)
    pings = [packet for packet in heard if any(isinstance(message, Ping) for message in packet)]
    assert pings
    assert any(isinstance(message, Suspect) for packet in pings for message in packet) is on
