"""Background load: probes at intervals from inside containers, their what they measure recorded all along."""

from __future__ import annotations

import asyncio
import re

from scenarios.language.checking import LOADS, given, load_name
from scenarios.language.model import Load
from scenarios.running.judging import Way, run_in
from scenarios.running.record import SIMULATED, Series
from scenarios.running.stage import Stage

_PING = re.compile(r"time[=<]([\d.]+) ?ms")
_IPERF = re.compile(r"([\d.]+) ([KMG]?)bits/sec.*receiver")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_SIMULATED = "128K"

_SPARE = 5.0
"""Seconds beyond its own limit after which a probe is given up: the host itself is silent then."""


class Probing:
    """One load of a scenario. A probe that gets no answer in time is a point without a value."""

    def __init__(self, stage: Stage, load: Load) -> None:
        self._stage = stage
        self._load = load
        self._kind = given(load, LOADS)[0]
        self._way = str(getattr(load, self._kind))
        host = self._way.partition("/")[0].strip()
        unit = "B/s" if self._kind == "stream" else "s"
        self.series = Series(load_name(load), unit, host)
        stage.record.series.append(self.series)

    async def run(self) -> None:
        """Until cancelled, or its end."""
        stage, load = self._stage, self._load
        await asyncio.sleep(max(0.0, stage.began + load.at - stage.swarm.now()))
        event = stage.event("load", f"{self._kind} {self._way}", host=self.series.host)
        start = stage.swarm.now()
        n = 0
        try:
            while load.for_ is None or stage.swarm.now() - start < load.for_:
                at = stage.swarm.now()
                self.series.points.append((at, await self._probe()))
                n = max(n + 1, int((stage.swarm.now() - start) / load.every))
                await asyncio.sleep(max(0.0, start + n * load.every - stage.swarm.now()))
        finally:
            answered = sum(value is not None for _, value in self.series.points)
            event.details = {"probes": len(self.series.points), "answered": answered}
            stage.end(event)

    def _limit(self) -> list[str]:
        """In simulated time nothing limits a stream that has no rate, and every packet costs real time: so many bytes
        only."""
        if self._load.rate is not None:
            block = min(1 << 17, max(1 << 10, int(self._load.rate / 20)))  # a rate is even over a twentieth of a second
            return ["-t", "1", "-b", f"{self._load.rate * 8:.0f}", "-l", str(block)]
        return ["-n", _SIMULATED] if self._stage.swarm.mode == SIMULATED else ["-t", "1"]

    async def _probe(self) -> float | None:
        way = Way.read(self._stage.text(self._way))
        limit = max(1, round(self._load.timeout))
        argv = {
            "ping": ["ping", "-c", "1", "-W", str(limit), way.target],
            "http": ["wget", "-q", "-O", "/dev/null", "-T", str(limit), way.url],
            "dns": ["nslookup", "-type=a", way.target],
            "stream": ["iperf3", "-c", way.target, "-p", str(way.port or 5201), *self._limit()],
        }[self._kind]
        start = self._stage.swarm.now()
        try:
            async with asyncio.timeout(limit + _SPARE):
                code, out, _ = await run_in(self._stage, way.host, way.container, argv)
        except TimeoutError:
            return None
        took = self._stage.swarm.now() - start
        if code != 0:
            return None
        if self._kind == "ping":
            found = _PING.search(out)
            return float(found[1]) / 1e3 if found else None
        if self._kind == "stream":
            found = _IPERF.search(out)
            return float(found[1]) * _SCALE[found[2]] / 8 if found else None
        return took if took <= limit else None
