"""What a run needs of the hosts below it. Processes and simulated hosts answer alike: same APIs, on sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from scenarios.client import HostClient
from scenarios.launch.localhttp import Place
from scenarios.running.record import Packet

ANSWER = 10.0
"""Seconds that a control socket may take to answer."""


class SwarmFailed(Exception):
    """What was asked of the swarm below could not be done; the text is for the user."""


class HostSilent(Exception):
    """A daemon does not answer: killed, paused or hung."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's first bytes at a container's interface on a network, of those that judges want (daemon.control.frames).
    at: seconds since the start."""

    at: float
    host: str
    container: str
    network: str
    outgoing: bool
    data: bytes


class Swarm(Protocol):
    """Hosts by name. Times are seconds since `start` returned."""

    mode: str
    addresses: Mapping[str, str]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def now(self) -> float: ...
    def is_up(self, host: str) -> bool: ...
    def client(self, host: str) -> HostClient: ...
    async def control(self, host: str, method: str, path: str, body: object = None) -> Any: ...
    async def join(self, host: str, role: str) -> None: ...
    async def kill(self, host: str) -> None: ...
    async def end(self, host: str) -> None:
        """In good order, as SIGTERM does."""
        ...

    async def restart(self, host: str) -> None: ...
    async def pause(self, host: str) -> None: ...
    async def resume(self, host: str) -> None: ...
    async def fill_disk(self, host: str, full: bool) -> None: ...
    async def lose_power(self, host: str) -> None:
        """Of one that does not run."""
        ...

    async def lose_disk(self, host: str) -> None:
        """Of one that does not run."""
        ...

    async def copy_disk(self, host: str) -> None: ...
    async def put_disk_back(self, host: str) -> None:
        """Of one that does not run: what was copied last."""
        ...

    async def set_clock(self, host: str, *, jump: float, skew: float) -> None: ...
    async def set_faults(self, faults: Mapping[str, object]) -> None: ...
    def watch_packets(self, kinds: Sequence[str], see: Callable[[Packet], None]) -> None: ...
    async def plug_in(self, host: str, name: str, application: str) -> None:
        """Starts a plug-in beside a host (scenarios.running.plugins); it ends with the hosts. Raises SwarmFailed."""
        ...

    def packets_dropped(self) -> int:
        """How many packets the hosts could not tell of."""
        ...

    def waiting(self, host: str = "") -> str:
        """What everything waits for now, or what a host does for clients; "" where that cannot be seen."""
        ...

    def watch_frames(self, see: Callable[[Frame], None]) -> None: ...
    async def forge(self, source: str, target: str, data: bytes) -> None:
        """Sends a VXLAN datagram to a host as if another had: what no daemon made."""
        ...

    def logs(self, host: str) -> list[str]: ...
    def digest(self) -> str: ...
    def left(self) -> list[str]:
        """After `stop`: what is still there and should not be."""
        ...


class Sockets:
    """Clients of the two APIs of each host, made when first used."""

    def __init__(self) -> None:
        self._docker: dict[str, HostClient] = {}
        self._control: dict[str, aiohttp.ClientSession] = {}

    def client(self, host: str, place: Place) -> HostClient:
        if host not in self._docker:
            self._docker[host] = HostClient(place)
        return self._docker[host]

    def control_session(self, host: str, place: Place) -> tuple[aiohttp.ClientSession, str]:
        if host not in self._control:
            connector = aiohttp.TCPConnector() if isinstance(place, tuple) else aiohttp.UnixConnector(str(place))
            self._control[host] = aiohttp.ClientSession(connector=connector)
        return self._control[host], f"http://{place[0]}:{place[1]}" if isinstance(place, tuple) else "http://control"

    async def control(self, host: str, place: Place, method: str, path: str, body: object) -> Any:
        """A request's JSON answer. Raises HostSilent, SwarmFailed."""
        session, base = self.control_session(host, place)
        try:
            async with session.request(
                method, base + path, json=body, timeout=aiohttp.ClientTimeout(total=ANSWER)
            ) as answer:
                return control_answer(host, path, answer.status, await answer.text())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HostSilent(f"{host} does not answer at its control socket: {error or 'no answer in time'}") from None

    async def forget(self, host: str) -> None:
        """The daemon went away: its connections with it."""
        if (client := self._docker.pop(host, None)) is not None:
            await client.close()
        if (session := self._control.pop(host, None)) is not None:
            await session.close()

    async def close(self) -> None:
        for host in [*self._docker, *self._control]:
            await self.forget(host)


def control_answer(host: str, path: str, status: int, text: str) -> Any:
    """What a control socket answered, as JSON. Raises SwarmFailed."""
    if status >= 400:
        raise SwarmFailed(f"{host}: {text}")
    return [json.loads(line) for line in text.splitlines()] if "events" in path else json.loads(text)


async def make_swarm(swarm: Swarm, roles: Mapping[str, str], within: float) -> None:
    """The first host inits a swarm, the others of `roles` (name to manager or worker) join; all see all at the end."""
    import asyncio

    first, *others = roles
    async with asyncio.timeout(within):
        await swarm.client(first).post(
            "swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": swarm.addresses[first], "Spec": {}}
        )
        for host in others:
            await swarm.join(host, roles[host])
        for host in roles:
            while len(await alive(swarm, host)) < len(roles):  # noqa: ASYNC110 (it is other processes that we wait for)
                await asyncio.sleep(0.02)


async def join(swarm: Swarm, host: str, role: str) -> None:
    """Makes a host a member, by a manager that answers. Raises SwarmFailed, DockerError."""
    for manager in swarm.addresses:
        if manager == host or not swarm.is_up(manager):
            continue
        try:
            found = await swarm.client(manager).get("swarm")
        except Exception:  # not a manager, or silent: the next one
            continue
        await swarm.client(host).post(
            "swarm/join",
            {
                "ListenAddr": "0.0.0.0:2377",
                "AdvertiseAddr": swarm.addresses[host],
                "RemoteAddrs": [f"{swarm.addresses[manager]}:2377"],
                "JoinToken": found["JoinTokens"]["Manager" if role == "manager" else "Worker"],
            },
        )
        return
    raise SwarmFailed(f"{host} cannot join: no manager answers")


async def alive(swarm: Swarm, host: str) -> list[str]:
    """The hosts that a host holds alive, itself too. Raises HostSilent."""
    status = await swarm.control(host, "GET", "/v1/status")
    return [m["hostname"] for m in status["members"] if m["state"] in ("alive", "suspect")]
