"""What the chapters share: the swarm, a client for each host, the checks and the figures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.client import HostClient, RunSpec
from scenarios.demo.view import View
from scenarios.launch.record import Host, Swarm

NETWORK = "ov1"

_ADDRESS = re.compile(r"^Address(?: \d+)?:\s+(\d+(?:\.\d+){3})(?:\s|$)", re.M)
_ROUND_TRIP = re.compile(r"time=([\d.]+) ms")


class Stop(Exception):
    """A check failed on which everything later depends."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A time of ours beside Docker's, both in `unit`."""

    what: str
    ours: float
    docker: float
    unit: str = "s"


@dataclass(slots=True)
class Stage:
    """The demo's state from chapter to chapter."""

    directory: Path
    keep: bool
    view: View
    swarm: Swarm | None = None
    clients: dict[str, HostClient] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    """Container to host, in the order of their making."""
    held: int = 0
    failed: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    @property
    def hosts(self) -> tuple[Host, ...]:
        assert self.swarm is not None
        return self.swarm.hosts

    def check(self, held: bool, text: str) -> bool:
        """Notes and shows whether something that was promised is so."""
        if held:
            self.held += 1
        else:
            self.failed.append(text)
        self.view.result(held, text)
        return held

    def need(self, held: bool, text: str) -> None:
        """A check without which the rest makes no sense; raises Stop."""
        if not self.check(held, text):
            raise Stop(text)

    def figure(self, what: str, ours: float, docker: float, unit: str = "s") -> None:
        self.figures.append(Figure(what, ours, docker, unit))

    async def run(
        self, host: str, name: str, command: Sequence[str] = ("sleep", "86400"), **more: Sequence[str]
    ) -> str:
        """`docker run -d --name NAME --network ov1 alpine COMMAND` on a host; the container's address."""
        await self.clients[host].run(
            RunSpec("alpine", command, name=name, network=NETWORK, publish=more.get("publish", ()))
        )
        self.where[name] = host
        return await self.address(name)

    async def inspect(self, name: str) -> tuple[str, str]:
        """A container's address and MAC on the network, as `docker inspect` tells them."""
        document = await self.clients[self.where[name]].get(f"containers/{name}/json")
        settings = document["NetworkSettings"]["Networks"][NETWORK]
        return str(settings["IPAddress"]), str(settings["MacAddress"])

    async def address(self, name: str) -> str:
        return (await self.inspect(name))[0]

    async def ping(self, source: str, target: str, *, wait: int = 1) -> float | None:
        """One ping from a container to a name; the round trip in milliseconds, None when no answer came."""
        done = await self.clients[self.where[source]].execute(source, ["ping", "-c", "1", "-W", str(wait), target])
        found = _ROUND_TRIP.search(done.text)
        return float(found[1]) if done.exit_code == 0 and found else None

    async def resolve(self, source: str, name: str) -> list[str]:
        """The addresses that a name has for a container, sorted; none when it is not known."""
        done = await self.clients[self.where[source]].execute(source, ["nslookup", "-type=a", name])
        _, _, answer = done.text.partition("\n\n")
        return sorted(_ADDRESS.findall(answer))

    async def seconds_until(
        self, condition: Callable[[], Awaitable[bool]], *, since: float, limit: float
    ) -> float | None:
        """Asks again and again until `condition` holds; how long after `since` its answer was there, None after
        `limit`."""
        while time.monotonic() - since < limit:
            if await condition():
                return time.monotonic() - since
            await asyncio.sleep(0.02)
        return None
