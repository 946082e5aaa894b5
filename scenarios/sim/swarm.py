"""Several whole daemons in one process on a virtual clock: the harness of tests, and the ground of simulation.

Each host is a `daemon.host.Host`, unchanged, with its own randomness, entropy and disk, all drawn from one seed. Its
API answers on a socket that exists only in the loop; clients are ordinary ones (aiodocker, aiohttp).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import shlex
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from daemon.cluster.control_plane import ControlPlane
from daemon.config import Config
from daemon.host import Host
from daemon.underlay.faults import STORED_AS, parse_faults
from daemon.underlay.real_ports import NoPorts
from daemon.world import World
from scenarios.sim.alarm import CallbackNeverReturns, alarm
from scenarios.sim.direct import Calls
from scenarios.sim.disk import Handle, SimulatedDisk
from scenarios.sim.loop import HOST, LoopGaveUp, SimulatedLoop
from scenarios.sim.network import LinkQuality, Network
from scenarios.sim.power import POWER, Power

T = TypeVar("T")

EPOCH = 1_700_000_000.0
"""Wall-clock seconds at which every simulation starts."""

_ENDING, _PARTING = 20.0, 60.0
"""Real and simulated seconds that what is left of a simulation may take to end when it is cancelled."""


class ApiRefused(Exception):
    """The API answered with an error; `status` and the message that a client would print."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class SimulatedSwarm:
    """Hosts by name; not yet a swarm in Docker's sense: `form()` makes it one. `calls`: what is asked of those that
    run, without sockets. `control_plane` and `on_boot` (called with each host before it starts) may be set before any
    host is booted."""

    def __init__(
        self,
        seed: int,
        hosts: int = 3,
        *,
        prefix: str = "h",
        names: Sequence[str] | None = None,
        quality: LinkQuality | None = None,
    ) -> None:
        self.seed = seed
        self.network = Network(seed, quality or LinkQuality())
        names = names or [f"{prefix}{n}" for n in range(1, hosts + 1)]
        self.addresses = {name: f"192.0.2.{n}" for n, name in enumerate(names, 1)}
        self.hosts: dict[str, Host] = {}
        self.disks = {name: SimulatedDisk() for name in self.addresses}
        self.calls: dict[str, Calls] = {}
        self._power: dict[str, Power] = {}
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._boots: dict[str, int] = {}
        self._clocks: dict[str, tuple[float, float, float]] = {}
        self.control_plane = ControlPlane()
        self.on_boot: Callable[[Host], None] = lambda host: None

    async def __aenter__(self) -> SimulatedSwarm:
        for name in self.addresses:
            await self.boot(name)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for name in list(self.hosts):
            await self.halt(name)

    async def boot(self, name: str) -> None:
        """Start a host on the disk that it had."""
        self._loop().labels = self.labels
        context = copy_context()
        context.run(HOST.set, name)
        power = self._power[name] = Power()
        context.run(POWER.set, power)
        await asyncio.get_running_loop().create_task(self._boot(name), context=context)
        self.calls[name] = Calls(self.hosts[name], context, power)

    async def _boot(self, name: str) -> None:
        boot = self._boots[name] = self._boots.get(name, 0) + 1
        loop = asyncio.get_running_loop()
        entropy = random.Random(f"{self.seed}/{name}/{boot}/entropy")
        world = World(
            wall=lambda: EPOCH + loop.time() + self._clock_error(name, loop.time()),
            random=random.Random(f"{self.seed}/{name}/{boot}"),
            entropy=entropy.randbytes,
        )
        power = self._power[name]
        config = Config(
            hostname=name,
            address=self.addresses[name],
            state_dir=Path("/simulated") / name,
            lan=self.addresses,
            cluster_tls=False,
        )
        host = Host(
            config,
            world,
            carrier=self.network.host(self.addresses[name]),
            store=Handle(self.disks[name], lambda: power.dead),
            real_ports=NoPorts(),
            control_plane=self.control_plane,
        )
        host.engine.remote.sockets_are(self._loop().is_socket)
        self.on_boot(host)
        await host.start()
        self.hosts[name] = host
        self._sessions[name] = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(config.socket)))

    def asked(self, name: str) -> dict[asyncio.Task[Any], str]:
        """What a host does for clients now, as in "h1: POST /v1.44/networks/create"."""
        calls = self.calls.get(name)
        return {task: f"{name}: {what}" for task, what in calls.unanswered().items()} if calls is not None else {}

    def labels(self) -> dict[asyncio.Task[Any], str]:
        """That of all hosts, and the programs in their containers, as in "h1/web: nc -l -p 80"."""
        found = {task: what for name in self.addresses for task, what in self.asked(name).items()}
        for name, host in self.hosts.items():
            for container in reversed(host.engine.containers.all()):
                for process in container.guest.processes() if container.guest is not None else ():
                    if process.task is not None:
                        found[process.task] = f"{name}/{container.name}: {shlex.join(process.argv)}"
        return found

    def socket(self, name: str) -> Path:
        """Where the host's Docker API answers, in this loop."""
        return Path("/simulated") / name / "docker.sock"

    def control_socket(self, name: str) -> Path:
        """Where its control API answers."""
        return Path("/simulated") / name / "control.sock"

    def _clock_error(self, name: str, now: float) -> float:
        offset, skew, since = self._clocks.get(name, (0.0, 0.0, 0.0))
        return offset + skew * (now - since)

    def set_clock(self, name: str, *, jump: float = 0.0, skew: float = 0.0) -> None:
        """Put a host's wall clock `jump` seconds from the truth, gaining `skew` seconds a second from now on."""
        self._clocks[name] = (jump, skew, asyncio.get_running_loop().time())

    def pause(self, name: str) -> None:
        """As SIGSTOP."""
        self._loop().freeze(name)

    def resume(self, name: str) -> None:
        """As SIGCONT."""
        self._loop().thaw(name)

    @staticmethod
    def _loop() -> SimulatedLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return loop

    def fill_disk(self, name: str, full: bool) -> None:
        """While it is full, nothing more is written to this host's disk."""
        self.disks[name].full = full

    def leave_faults(self, name: str, faults: Mapping[str, object]) -> None:
        """Write faults to the disk of a host that is down, so that it starts in them; not while it is full, for then it
        cannot start either, and is told again when that ends."""
        with contextlib.suppress(OSError):
            self.disks[name].commit([(*STORED_AS, json.dumps(faults).encode())])

    async def halt(self, name: str) -> None:
        """As SIGTERM: to its end."""
        self.calls.pop(name).end()
        await self._sessions.pop(name).close()
        await self.hosts.pop(name).stop()

    async def crash(self, name: str) -> None:
        """As SIGKILL: nothing more is heard of it and nothing more reaches its disk."""
        self.cut_off(name)
        self.resume(name)
        await self.halt(name)

    def is_alive(self, name: str) -> bool:
        """Whether it runs and has not died in this very instant."""
        return name in self.hosts and not self._power[name].dead

    def cut_off(self, name: str) -> None:
        """The first half of a crash, in an instant: whatever the process still does reaches nobody. `crash` clears it
        away."""
        self._power[name].dead = True
        underlay = self.network.at(self.addresses[name])
        if underlay is not None:
            underlay.unplug()

    async def lose_power(self, name: str) -> int:
        """A crash that takes unsynced commits with it; how many."""
        await self.crash(name)
        return self.lose_unsynced(name)

    def lose_unsynced(self, name: str) -> int:
        """A host that is down loses what was not synced; how many commits."""
        return self.disks[name].lose_power(random.Random(f"{self.seed}/{name}/{self._boots[name]}/power"))

    async def api(self, host: str, method: str, path: str, body: object = None) -> object:
        """One request to a host's API; the answer's JSON or text. Raises ApiRefused."""
        session = self._sessions[host]
        async with session.request(method, f"http://{host}/v1.44{path}", json=body) as response:
            text = await response.text()
            found: object = text
            if response.content_type == "application/json" and text:
                found = json.loads(text)
            if response.status >= 400:
                raise ApiRefused(response.status, str(found.get("message")) if isinstance(found, dict) else text)
            return found

    async def form(self) -> None:
        """The first host inits a swarm, the others join; returns when every host sees every other alive."""
        first, *others = self.addresses
        await self.api(first, "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "192.0.2.1"})
        swarm = await self.api(first, "GET", "/swarm")
        assert isinstance(swarm, dict)
        for name in others:
            body = {
                "ListenAddr": "0.0.0.0:2377",
                "AdvertiseAddr": self.addresses[name],
                "RemoteAddrs": ["192.0.2.1:2377"],
                "JoinToken": swarm["JoinTokens"]["Worker"],
            }
            await self.api(name, "POST", "/swarm/join", body)
        await self.until(lambda: all(len(self.alive(name)) == len(self.hosts) for name in self.hosts), 10)

    def alive(self, host: str) -> list[str]:
        """The hosts that one host holds for alive, itself included."""
        return [
            str(member["hostname"])
            for member in self.hosts[host].engine.cluster.members_view()
            if member["state"] in ("alive", "suspect")
        ]

    async def until(self, condition: Callable[[], bool], deadline: float, step: float = 0.01) -> float:
        """Wait, in virtual seconds, for a condition; how long it took. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not condition():
            if loop.time() - start > deadline:
                raise TimeoutError(f"not within {deadline} s of simulated time")
            await asyncio.sleep(step)
        return loop.time() - start

    async def run(
        self, host: str, name: str, command: Sequence[str], *, network: str = "bridge", image: str = "alpine"
    ) -> str:
        """`docker run -d --name NAME --network NETWORK IMAGE COMMAND`; the container's id."""
        body = {"Image": image, "Cmd": list(command), "HostConfig": {"NetworkMode": network}}
        made = await self.api(host, "POST", f"/containers/create?name={name}", body)
        assert isinstance(made, dict)
        await self.api(host, "POST", f"/containers/{made['Id']}/start")
        return str(made["Id"])

    async def exec(self, host: str, container: str, command: Sequence[str]) -> tuple[int, str]:
        """`docker exec CONTAINER COMMAND`: exit code, and both outputs as one text."""
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, "Tty": True}
        made = await self.api(host, "POST", f"/containers/{container}/exec", body)
        assert isinstance(made, dict)
        output = await self.api(host, "POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True})
        state = await self.api(host, "GET", f"/exec/{made['Id']}/json")
        assert isinstance(state, dict)
        return int(state["ExitCode"]), str(output).replace("\r\n", "\n")

    def partition(self, *groups: Sequence[str]) -> None:
        """Cut the hosts apart by name."""
        addresses = [[self.addresses[name] for name in group] for group in groups]
        self._set_faults({"partitions": [{"id": "1", "groups": addresses, "since": 0}]})

    def heal(self) -> None:
        self._set_faults({"partitions": []})

    def _set_faults(self, faults: Mapping[str, object]) -> None:
        for host in self.hosts.values():
            host.faults.set(parse_faults(faults))


def simulate(main: Coroutine[object, object, T], *, limit: float | None = None) -> T:
    """Run a coroutine in simulated time, to its end. Raises RunNeverEnds or CallbackNeverReturns after `limit` seconds
    of real time, SimulatedDeadlock when nothing can happen any more."""
    loop = SimulatedLoop()
    try:
        asyncio.set_event_loop(loop)
        loop.limit(limit)
        with _garbage_at_its_time(), alarm(limit):
            try:
                return loop.run_until_complete(main)
            finally:  # from here on garbage tells of tasks that waited for what nobody holds any more
                loop.set_exception_handler(lambda loop, context: None)
    finally:
        loop.limit(_ENDING)
        leftover = sorted(asyncio.all_tasks(loop), key=hash)
        for task in leftover:
            task.cancel()
        with contextlib.suppress(LoopGaveUp, CallbackNeverReturns, SystemExit), alarm(_ENDING):  # it has ended already
            if leftover:
                loop.run_until_complete(asyncio.wait(leftover, timeout=_PARTING))
            loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


@contextlib.contextmanager
def _garbage_at_its_time() -> Iterator[None]:
    """The loop collects garbage, at rounds of its own: that is less often than the interpreter does, and the same in
    every run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
