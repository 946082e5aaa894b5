"""A scenario's hosts in simulated time: whole daemons in this process, on a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import structlog
from aiohttp import web

from daemon.control.frames import FrameWatch, Seen
from daemon.underlay.contract import VXLAN_PORT
from daemon.underlay.faults import parse_faults
from daemon.underlay.tap import Capture, Captured
from scenarios.client import HostClient
from scenarios.running import plugins
from scenarios.running import swarm as common
from scenarios.running.record import DIRECTIONS, SIMULATED, Packet
from scenarios.running.swarm import ANSWER, Frame, HostSilent, SwarmFailed, control_answer
from scenarios.sim.direct import DirectClient, HostGone
from scenarios.sim.disk import Copy
from scenarios.sim.loop import HOST, SimulatedLoop
from scenarios.sim.swarm import EPOCH, SimulatedSwarm
from scenarios.sim.waiting import place

_LINES = 500
_FORGED_FROM = 49160


@lru_cache(4096)
def _end(address: str, port: int) -> str:
    return f"{address}:{port}"


class _HostLogs(logging.Handler):
    """What each host logs, told apart by whose code runs."""

    def __init__(self, lines: dict[str, deque[str]]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._lines.setdefault(HOST.get() or "", deque(maxlen=_LINES)).append(f"{record.levelname.lower()}: {text}")


class _Seen(Capture):
    """A capture that hands over at once."""

    def __init__(self, kinds: frozenset[str], see: Callable[[Captured], None]) -> None:
        super().__init__(kinds)
        self._see = see

    def offer(self, packet: Captured) -> None:
        self._see(packet)


class SimulatedHosts:
    """The Swarm protocol on `scenarios.sim.swarm`."""

    mode = SIMULATED

    def __init__(
        self, names: Sequence[str], seed: int, *, prepare: Callable[[SimulatedSwarm], None] | None = None
    ) -> None:
        self._swarm = SimulatedSwarm(seed, names=names)
        if prepare is not None:
            prepare(self._swarm)
        self.addresses: Mapping[str, str] = self._swarm.addresses
        self._clients: dict[str, DirectClient] = {}
        self._began = 0.0
        self._faults: Mapping[str, object] = {"partitions": [], "impairments": []}
        self._watchers: list[tuple[frozenset[str], Callable[[Packet], None]]] = []
        self._frame_watchers: list[Callable[[Frame], None]] = []
        self._plugins: list[web.AppRunner] = []
        self._paused: dict[str, None] = {}
        self._copies: dict[str, Copy] = {}
        self._logs: dict[str, deque[str]] = {}
        self._handler = _HostLogs(self._logs)
        self._tasks: set[int] = set()
        self._left: list[str] = []
        self._before: tuple[dict[str, Any], list[logging.Handler], int] | None = None

    async def start(self) -> None:
        self._tasks = {id(task) for task in asyncio.all_tasks()}
        root = logging.getLogger()
        self._before = (structlog.get_config(), root.handlers[:], root.level)
        root.handlers[:] = [self._handler]
        root.setLevel(logging.INFO)
        structlog.configure(
            processors=[structlog.stdlib.add_log_level, structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer()],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )  # fmt: skip
        for name in self.addresses:
            await self._swarm.boot(name)
        self._began = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        for host in list(self._clients):
            await self._forget(host)
        for name in list(self._paused):
            self._swarm.resume(name)
        await self._swarm.__aexit__()
        for runner in self._plugins:
            await runner.cleanup()
        for _ in range(3):
            await asyncio.sleep(0)
        now = [t for t in asyncio.all_tasks() if id(t) not in self._tasks and t is not asyncio.current_task()]
        self._left = sorted(f"the task {t.get_coro()!r}".partition(" at 0x")[0] for t in now)
        if self._before is not None:
            structlog.configure(**self._before[0])
            root = logging.getLogger()
            root.handlers[:] = self._before[1]
            root.setLevel(self._before[2])

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def is_up(self, host: str) -> bool:
        return host in self._swarm.hosts

    @property
    def inside(self) -> SimulatedSwarm:
        """The harness itself, for tests that break a daemon."""
        return self._swarm

    def client(self, host: str) -> HostClient:
        if host not in self._clients:
            loop = asyncio.get_running_loop()
            self._clients[host] = DirectClient(
                self._swarm.socket(host), lambda: self._swarm.calls.get(host), wall=lambda: EPOCH + loop.time()
            )
        return self._clients[host]

    async def control(self, host: str, method: str, path: str, body: object = None) -> Any:
        calls = self._swarm.calls.get(host)
        if calls is None:
            raise HostSilent(f"{host} does not answer at its control socket: it is down")
        try:
            async with asyncio.timeout(ANSWER):
                status, _, data = await calls.http(calls.host.control_api, method, path, body)
        except (HostGone, TimeoutError) as error:
            raise HostSilent(f"{host} does not answer at its control socket: {error or 'no answer in time'}") from None
        return control_answer(host, path, status, data.decode())

    async def join(self, host: str, role: str) -> None:
        await common.join(self, host, role)

    async def kill(self, host: str) -> None:
        if self.is_up(host):
            self._paused.pop(host, None)
            await self._swarm.crash(host)
        await self._forget(host)

    async def _forget(self, host: str) -> None:
        if (client := self._clients.pop(host, None)) is not None:
            await client.close()

    async def end(self, host: str) -> None:
        if self.is_up(host):
            self._paused.pop(host, None)
            self._swarm.resume(host)
            await self._swarm.halt(host)
        await self._forget(host)

    async def restart(self, host: str) -> None:
        await self.kill(host)
        await self._swarm.boot(host)
        for kinds, see in self._watchers:
            self._watch(host, kinds, see)
        for see_frame in self._frame_watchers:
            self._watch_frames(host, see_frame)

    async def pause(self, host: str) -> None:
        if self.is_up(host):
            self._paused[host] = None
            self._swarm.pause(host)

    async def resume(self, host: str) -> None:
        self._paused.pop(host, None)
        self._swarm.resume(host)

    async def fill_disk(self, host: str, full: bool) -> None:
        self._swarm.fill_disk(host, full)

    async def lose_power(self, host: str) -> None:
        self._swarm.lose_unsynced(host)

    async def lose_disk(self, host: str) -> None:
        self._swarm.disks[host].lose()

    async def copy_disk(self, host: str) -> None:
        self._copies[host] = self._swarm.disks[host].copy()

    async def put_disk_back(self, host: str) -> None:
        self._swarm.disks[host].put_back(self._copies[host])

    async def set_clock(self, host: str, *, jump: float, skew: float) -> None:
        self._swarm.set_clock(host, jump=jump, skew=skew)

    async def set_faults(self, faults: Mapping[str, object]) -> None:
        self._faults = faults
        parsed = parse_faults(faults)
        for host in self.addresses:
            if host in self._swarm.hosts:
                self._swarm.hosts[host].faults.set(parsed)
            else:
                self._swarm.leave_faults(host, faults)

    def watch_packets(self, kinds: Sequence[str], see: Callable[[Packet], None]) -> None:
        self._watchers.append((frozenset(kinds), see))
        for host in self._swarm.hosts:
            self._watch(host, frozenset(kinds), see)

    def _watch(self, host: str, kinds: frozenset[str], see: Callable[[Packet], None]) -> None:
        def seen(packet: Captured) -> None:
            see(Packet(packet.when - self._began, host, DIRECTIONS[packet.direction], packet.kind, _end(*packet.source),
                       _end(*packet.target), packet.data.hex(), packet.stream))  # fmt: skip

        self._swarm.hosts[host].tap.captures.append(_Seen(kinds, seen))

    async def plug_in(self, host: str, name: str, application: str) -> None:
        socket = self._swarm.socket(host).parent / "plugins" / f"{name}.sock"
        try:
            self._plugins.append(await plugins.serve(plugins.made(application, socket), socket))
        except (plugins.NoPlugin, OSError) as error:
            raise SwarmFailed(str(error)) from None

    def waiting(self, host: str = "") -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        stopped = [f"{name} is paused" for name in self._paused if host in ("", name)]
        asked = self._swarm.asked(host)
        return "; ".join([*stopped, *([loop.waiting()] if not host else map(place, asked, asked.values()))])

    def packets_dropped(self) -> int:
        return 0

    def watch_frames(self, see: Callable[[Frame], None]) -> None:
        self._frame_watchers.append(see)
        for host in self._swarm.hosts:
            self._watch_frames(host, see)

    def _watch_frames(self, host: str, see: Callable[[Frame], None]) -> None:
        def seen(frame: Seen) -> None:
            see(Frame(frame.when - self._began, host, frame.container, frame.network, frame.outgoing, frame.data))

        FrameWatch(self._swarm.hosts[host].engine.host_network, seen)

    async def forge(self, source: str, target: str, data: bytes) -> None:
        underlay = self._swarm.network.at(self.addresses[source])
        if underlay is not None:
            underlay.send(data, _FORGED_FROM, (self.addresses[target], VXLAN_PORT))

    def logs(self, host: str) -> list[str]:
        return list(self._logs.get(host, ()))

    def left(self) -> list[str]:
        return self._left

    def digest(self) -> str:
        return self._swarm.network.digest()
