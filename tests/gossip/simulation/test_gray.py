"""Members neither dead nor alive, and what they do to the healthy. The bounds are far from what was once measured."""

from __future__ import annotations

from gossip.simulation.lifeguard import accuracy
from gossip.simulation.slowness import Slowness
from gossip.simulation.stability import stability
from gossip.swim.profile import SHOAL


def test_slow_members_accuse_nobody_to_death() -> None:
    """They process no message for spells of 16 s while their timers run. Before they asked for an echo of their own,
    they took that for a cut: hundreds of events."""
    found = accuracy(40, 4, Slowness(16.0, 0.5), [1, 2], profile=SHOAL, seconds=40.0)
    assert (found.false_positives, found.at_healthy) == (0, 0)
    assert found.missed == 0, "who really died is still found"


def test_nobody_innocent_dies_when_a_one_way_cut_ends() -> None:
    """Old suspicions got their confirmations at once, and the refutations came a round trip later: 1,850 events."""
    found = stability(60, 1, "is heard by nobody, 20 s in 40", 4, profile=SHOAL, seconds=65.0)
    assert found.innocent_failures == 0
    assert found.flips == 2.0, "the faulty one came back each time"


def test_one_lossy_member_does_not_make_everybody_talk() -> None:
    """35 packets a second and member, once."""
    for fault in ("loses 80 % of what it sends", "loses 80 % of what it is sent"):
        found = stability(50, 1, fault, 3, profile=SHOAL, seconds=40.0)
        assert found.innocent_failures == 0
        assert found.packets < 15
