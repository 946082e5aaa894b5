"""Slow members as Lifeguard means them: alive, but for spells they process no message, in or out.

Their timers run: so acks are found after their deadline, and refutations after the suspicion has run out (Lifeguard,
sections I and II). Or the whole process is stopped, timers too: what our stall rule is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossip.simulation.member import SimulatedMember
from gossip.simulation.world import World


@dataclass(frozen=True, slots=True)
class Slowness:
    """Spells of ``stopped`` seconds between moments of ``running`` seconds; each is drawn evenly from half to one and
    a half times that."""

    stopped: float
    running: float
    timers: bool = True
    """Timers run during a spell; else they are served at its end."""


def slow_down(world: World, members: Sequence[SimulatedMember], slowness: Slowness, seconds: float) -> None:
    """From now on for so many seconds; then they run freely again."""
    end = world.now + seconds

    def draw(typical: float) -> float:
        return typical * (0.5 + world.random.random())

    def halt(member: SimulatedMember) -> None:
        if world.now < end and not member.crashed:
            (world.hold if slowness.timers else world.stop)(member)
            world.agenda.after(draw(slowness.stopped), go_on, member)

    def go_on(member: SimulatedMember) -> None:
        world.resume(member)
        world.agenda.after(draw(slowness.running), halt, member)

    for member in members:
        world.agenda.after(draw(slowness.running), halt, member)
