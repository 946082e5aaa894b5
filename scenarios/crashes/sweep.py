"""Runs the story once to count its commits, then once for each of them with its host dying just before or just after
it, with the power going, or with the disk full at that instant; and judges each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Literal

from scenarios.crashes.judge import Versions, at_any_time, in_step, in_the_end
from scenarios.crashes.story import HOSTS, NotDone, Story
from scenarios.sim.quiet import Errors
from scenarios.sim.swarm import SimulatedSwarm, simulate

How = Literal["before", "after", "power", "full"]
HOWS: tuple[How, ...] = ("before", "after", "power", "full")
_SETTLE = 60.0
_PAUSES = (0.2, 9.0)
"""Seconds for which a host is dead: too short to be noticed, and long enough."""
_FULL = 1.0
"""Seconds for which its disk is full."""


@dataclass(frozen=True, slots=True)
class Point:
    """One commit of one host, and what happens there."""

    host: str
    commit: int
    how: How

    def __str__(self) -> str:
        return f"{self.host}:{self.commit}:{self.how}"

    @staticmethod
    def parse(text: str) -> Point:
        """Raises ValueError."""
        host, commit, how = text.split(":")
        if how not in HOWS:
            raise ValueError(f"{how!r} is none of {', '.join(HOWS)}")
        return Point(host, int(commit), how)


@dataclass(slots=True)
class Outcome:
    """Of one run. step: what the story was doing at the point, steps: at each host's commits; acts: how many it has;
    commits: by host, and those before it began."""

    point: Point | None
    before: dict[str, int] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    step: str = ""
    acts: int = 0
    steps: dict[str, list[str]] = field(default_factory=dict)
    simulated: float = 0.0


def points(whole: Outcome, every: int = 1, hows: Sequence[How] = HOWS) -> Iterator[Point]:
    """Every n-th of all that the undisturbed story has, evenly over hosts and kinds."""
    everything = [
        Point(host, k, how) for host, n in whole.commits.items() for k in range(whole.before[host], n) for how in hows
    ]
    return iter(everything[::every])


def run(seed: int, point: Point | None = None, pause: float | None = None) -> Outcome:
    """One story, in simulated time; the same for the same arguments. pause: for how long the host is dead (from the
    seed, if not told)."""
    return simulate(_Run(seed, point, pause).go())


class _Run:
    def __init__(self, seed: int, point: Point | None, pause: float | None) -> None:
        self._swarm = SimulatedSwarm(seed, names=HOSTS)
        self._story = Story(self._swarm)
        self._point = point
        self._outcome = Outcome(point)
        self._versions = Versions()
        self._tasks: list[asyncio.Task[None]] = []
        self._pause = random.Random(f"{seed}/{point}").choice(_PAUSES) if pause is None else pause

    async def go(self) -> Outcome:
        outcome, found = self._outcome, dict[str, None]()
        with Errors(dead=lambda host: not self._swarm.is_alive(host)) as errors:
            outside = Context()
            for host, disk in self._swarm.disks.items():
                disk.on_commit = lambda number, done, host=host: self._commit(host, number, done, outside)
                disk.on_changes = lambda changes, host=host: self._versions.see(host, changes)
            async with self._swarm:
                outcome.before = {host: disk.commits for host, disk in self._swarm.disks.items()}
                watching = asyncio.create_task(self._watch(found))
                try:
                    await self._story.play()
                    await self._settled()
                    found.update(dict.fromkeys(in_the_end(self._swarm, self._story.told, self._forgetful())))
                    outcome.commits = {host: disk.commits for host, disk in self._swarm.disks.items()}
                except (NotDone, TimeoutError) as error:
                    found[str(error) or f"{self._story.step}: not within its time"] = None
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, *self._tasks, return_exceptions=True)
                found.update(dict.fromkeys(at_any_time(self._swarm)))
            outcome.simulated = asyncio.get_running_loop().time()
        full = self._point is not None and self._point.how == "full"
        logged = [] if full else [f"log: {line}" for line in errors.lines]
        outcome.violations = [*found, *self._versions.found, *logged]
        outcome.acts = len(self._story.acts())
        return outcome

    def _forgetful(self) -> str:
        return self._point.host if self._point is not None and self._point.how == "power" else ""

    async def _watch(self, found: dict[str, None]) -> None:
        while True:
            await asyncio.sleep(0.25)
            found.update(dict.fromkeys(at_any_time(self._swarm)))

    async def _settled(self) -> None:
        """Everybody runs again and hears the others: within the bound nothing differs any more."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLE
        for host in HOSTS:
            await self._story.up(host)
        while differs := in_step(self._swarm, self._story.told):
            if loop.time() > end:
                raise NotDone(f"convergence: {_SETTLE:g} s after the end {differs}")
            await asyncio.sleep(0.5)

    # -- what happens at the point ------------------------------------------------------------------------------

    def _commit(self, host: str, number: int, done: bool, outside: Context) -> None:
        point = self._point
        if done:
            self._outcome.steps.setdefault(host, []).append(self._story.step)
        # What is written while all are stopped is no part of the story.
        if (
            point is None
            or not self._story.step
            or self._outcome.commits
            or self._outcome.step
            or (host, number) != (point.host, point.commit)
        ):
            return
        if point.how == "full":
            self._outcome.step = self._story.step
            self._swarm.fill_disk(host, True)
            loop = asyncio.get_running_loop()
            loop.call_later(_FULL, self._swarm.fill_disk, host, False, context=outside)
        elif done == (point.how != "before"):
            self._outcome.step = self._story.step
            self._swarm.cut_off(host)
            asyncio.get_running_loop().call_soon(self._begin_revival, host, context=outside)

    def _begin_revival(self, host: str) -> None:
        self._tasks.append(asyncio.create_task(self._revive(host)))

    async def _revive(self, host: str) -> None:
        assert self._point is not None
        if self._point.how == "power":
            await self._swarm.lose_power(host)
        else:
            await self._swarm.crash(host)
        await asyncio.sleep(self._pause)
        await self._swarm.boot(host)
