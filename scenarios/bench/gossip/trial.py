"""One cluster's figures: it is started, joined, left idle, changed, and its members are killed and stopped.

The same code measures serf and ours; what differs is only how a node is started and asked (``node.Node``).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random

from scenarios.bench.gossip.node import (
    GOSSIP_PORT,
    Condition,
    Node,
    View,
    cpu_seconds,
    resident_megabytes,
    resume,
    stop,
)
from scenarios.bench.gossip.traffic import Meter

JOIN, REFUSED, SILENT, UPDATE = "join", "refused", "silent", "update"
FALSE_DEATHS, PACKETS, BYTES, CPU, MEMORY = "stopped 3 s", "idle packets", "idle bytes", "idle CPU", "memory"

_LIMIT = 40.0
"""Seconds after which a measurement is given up: the figure is infinite."""
_SETTLE = 4.0
"""Seconds without anything new before load is measured: rumours have been sent often enough by then."""
_IDLE_AFTER = 32.0
"""Seconds from the start until load is measured: serf's first periodic push/pull comes after 30 s at the earliest."""
_PAUSE = 3.0
_AFTERMATH = 4.0
"""Seconds after a pause in which a wrong death would still be declared."""

Figures = dict[str, list[float]]
"""Measurement -> one value a run. Seconds; per node: packets/s, B/s, ms of CPU a second, MB. False deaths: a count."""


def everyone(names: Sequence[str], status: str = "alive") -> Condition:
    def met(view: View) -> bool:
        return all(name in view and view[name].status == status for name in names)

    return met


class Trial:
    def __init__(
        self, make: Callable[[str, str], Node], *, block: int, size: int, random: Random, say: Callable[[str], None]
    ) -> None:
        self._make = make
        self._block = block
        self._size = size
        self._random = random
        self._say = say
        self._nodes: list[Node] = []
        self._figures: Figures = defaultdict(list)
        self._started = 0.0

    async def run(self, runs: int, idle: float) -> Figures:
        """``idle``: seconds for which an idle cluster's load is measured."""
        try:
            for number in range(runs):
                await self._join(number)
                if number == 0:
                    self._say("idle")
                    await self._idle(idle)
                await self._update(f"v{number}")
                await self._pause()
                await self._silent()
                await self._refused()
                await self._end()
        finally:
            await self._end()
        return self._figures

    async def _end(self) -> None:
        await asyncio.gather(*(node.kill() for node in self._nodes))
        self._nodes = []

    @property
    def _names(self) -> list[str]:
        return [node.name for node in self._nodes]

    async def _seen(self, observers: Sequence[Node], condition: Condition, since: float) -> float:
        """Seconds from ``since`` until the last of ``observers`` sees it."""
        try:
            async with asyncio.timeout(_LIMIT):
                return max(await asyncio.gather(*(node.until(condition) for node in observers))) - since
        except TimeoutError:
            return math.inf

    async def _join(self, number: int) -> None:
        """All members but the first join it at the same moment."""
        self._say(f"run {number + 1}: join")
        self._nodes = [self._make(f"n{k}", f"127.0.{self._block}.{k}") for k in range(1, self._size + 1)]
        for start in range(0, self._size, 4):
            await asyncio.gather(*(node.start() for node in self._nodes[start : start + 4]))
        self._started = time.monotonic()
        await asyncio.sleep(1.0)
        began = time.monotonic()
        seen = asyncio.ensure_future(self._seen(self._nodes, everyone(self._names), began))
        await asyncio.gather(*(node.join(self._nodes[0].address) for node in self._nodes[1:]))
        self._figures[JOIN].append(await seen)
        await asyncio.sleep(_SETTLE)

    async def _idle(self, window: float) -> None:
        try:
            meter = Meter(self._block, GOSSIP_PORT)
        except OSError:
            meter = None
        await asyncio.sleep(max(0.0, self._started + _IDLE_AFTER - time.monotonic()))
        before = sum(cpu_seconds(node.pid) for node in self._nodes)
        if meter is not None:
            meter.start()
        began = time.monotonic()
        await asyncio.sleep(window)
        per_node = (time.monotonic() - began) * self._size
        if meter is not None:
            traffic = meter.read()
            meter.close()
            self._figures[PACKETS].append(traffic.packets / per_node)
            self._figures[BYTES].append(traffic.octets / per_node)
        after = sum(cpu_seconds(node.pid) for node in self._nodes)
        self._figures[CPU].append((after - before) / per_node * 1000)
        self._figures[MEMORY].append(sum(resident_megabytes(node.pid) for node in self._nodes) / self._size)

    async def _update(self, value: str) -> None:
        self._say("update")
        one = self._random.choice(self._nodes)
        began = time.monotonic()
        seen = asyncio.ensure_future(
            self._seen(self._nodes, lambda view: one.name in view and view[one.name].tag == value, began)
        )
        await one.retag(value)
        self._figures[UPDATE].append(await seen)
        await asyncio.sleep(1.0)

    def _victim(self) -> tuple[Node, list[Node]]:
        victim = self._random.choice(self._nodes)
        return victim, [node for node in self._nodes if node is not victim]

    async def _pause(self) -> None:
        """A member stopped for 3 s is dead for nobody, and accuses nobody to death when it goes on."""
        self._say("stopped for 3 s")
        victim, _ = self._victim()
        watch = [
            asyncio.ensure_future(node.until(lambda view: any(seen.status == "failed" for seen in view.values())))
            for node in self._nodes
        ]
        stop(victim)
        await asyncio.sleep(_PAUSE)
        resume(victim)
        await asyncio.sleep(_AFTERMATH)
        self._figures[FALSE_DEATHS].append(sum(1 for future in watch if future.done()))
        for future in watch:
            future.cancel()
        await asyncio.gather(*watch, return_exceptions=True)
        await self._seen(self._nodes, everyone(self._names), time.monotonic())

    async def _silent(self) -> None:
        self._say("silent")
        victim, others = self._victim()
        began = time.monotonic()
        stop(victim)
        self._figures[SILENT].append(await self._seen(others, everyone([victim.name], "failed"), began))
        resume(victim)
        # serf tries a failed member again every 30 s; ours is back at once. Either way: start it anew.
        await victim.kill()
        await victim.start()
        await victim.join(others[0].address)
        await self._seen(self._nodes, everyone(self._names), time.monotonic())
        await asyncio.sleep(_SETTLE / 2)

    async def _refused(self) -> None:
        self._say("refused")
        victim, others = self._victim()
        began = time.monotonic()
        await victim.kill()
        self._figures[REFUSED].append(await self._seen(others, everyone([victim.name], "failed"), began))
