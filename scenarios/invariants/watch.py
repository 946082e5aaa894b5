"""Watches the invariants of a run."""

from __future__ import annotations

from scenarios.running.breaking import Breaker
from scenarios.running.record import Packet
from scenarios.running.stage import Stage


class Watch:
    def __init__(self, stage: Stage, breaker: Breaker) -> None:
        self._stage = stage
        self._breaker = breaker

    async def run(self) -> None:
        pass

    def packet(self, packet: Packet) -> None:
        pass

    async def last(self) -> None:
        pass

    def stopped(self) -> None:
        pass
