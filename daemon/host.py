"""One host, put together: underlay with its faults and tap, engine, Docker's API and the control API.

The same object runs in a process of its own (`main`) and, many at a time, in simulated time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from aiohttp import web

from daemon.api.app import make_app
from daemon.cluster.control_plane import ControlPlane
from daemon.config import Config
from daemon.control.app import make_control_app
from daemon.control.history import History
from daemon.engine.engine import Engine
from daemon.engine.volumes import Folders
from daemon.runtime.folders import MemoryFolders
from daemon.runtime.images import Images
from daemon.store.contract import Storage
from daemon.underlay.contract import Underlay
from daemon.underlay.faults import STORED_AS, Faults, parse_faults
from daemon.underlay.faulty import FaultyUnderlay
from daemon.underlay.tap import TappedUnderlay
from daemon.world import World
from overlay.host import HostNetwork
from overlay.spec import MachineNetwork, RealPorts

_OWN = ControlPlane()


def _anyone(path: Path) -> AbstractContextManager[None]:
    return nullcontext()


class Host:
    """`carrier` is the bare network, `machine` what the LAN's router forwards to. `folders` keep volumes and show what
    is outside; without, memory keeps them and nothing is outside. `guard` wraps the making of each unix socket
    (rights, leftovers). `control_plane`: the swarm's insides, for models of others'."""

    def __init__(
        self,
        config: Config,
        world: World,
        *,
        carrier: Underlay,
        store: Storage,
        real_ports: RealPorts,
        machine: MachineNetwork | None = None,
        folders: Folders | None = None,
        guard: Callable[[Path], AbstractContextManager[None]] = _anyone,
        control_plane: ControlPlane = _OWN,
    ) -> None:
        self.config = config
        self.world = world
        self.store = store
        self.faults = Faults()
        self.tap = TappedUnderlay(carrier)
        self.underlay = FaultyUnderlay(self.tap, self.faults, world.random, self.tap.swallowed)
        self.history = History(world.wall)
        self.engine = Engine(
            config=config,
            world=world,
            store=store,
            underlay=self.underlay,
            real_ports=real_ports,
            host_network=HostNetwork(
                hostname=config.hostname,
                address=config.address,
                underlay=self.underlay,
                lan_peers=self._lan_peers,
                real_ports=real_ports,
                random=world.random,
                entropy=world.entropy,
                wall=world.wall,
                extra_addresses=config.extra_addresses,
                on_link=config.on_link,
                machine=machine,
                directory=control_plane.directory(),
                mtu_probing=control_plane.mtu_probing,
            ),
            images=Images(),
            folders=folders or MemoryFolders(),
            control_plane=control_plane,
        )
        self._guard = guard
        self._runners: list[web.AppRunner] = []

    @property
    def control_api(self) -> web.Server:
        """The handlers of the control API, for callers in this process. Only while it runs."""
        return self._served(0)

    @property
    def docker_api(self) -> web.Server:
        """Those of Docker's API."""
        return self._served(1)

    def _served(self, number: int) -> web.Server:
        server = self._runners[number].server
        assert server is not None
        return server

    def _lan_peers(self) -> list[str]:
        return [address for address in self.config.lan.values() if address != self.config.address]

    async def start(self) -> None:
        """Faults before the first bind, so that a host restarted inside a partition starts inside it. Raises OSError
        when an address or socket is taken; what was started until then is stopped."""
        saved = self.store.get(*STORED_AS)
        if saved is not None:
            self.faults.set(parse_faults(json.loads(saved)))
        self.faults.subscribe(self._save_faults)
        try:
            await self._serve(make_control_app(self), self.config.control, self.config.control_tcp)
            await self.engine.start()
            self.engine.cluster.subscribe_members(self.history.member_event)
            app = make_app(self.engine)
            await self._serve(app, self.config.socket, self.config.api_tcp)
        except BaseException:
            await self.stop()
            raise

    def _save_faults(self) -> None:
        """For the next boot; a disk that is full, perhaps by one of these very faults, keeps none from acting. Written
        when there is room again: the next boot would begin in what has ended."""
        self.engine.tasks.insist(self._write_faults, "the faults in force")
        self.history.record("faults", self.faults.describe())

    def _write_faults(self) -> None:
        self.store.commit([(*STORED_AS, json.dumps(self.faults.describe()).encode())])

    async def _serve(self, app: web.Application, path: Path, tcp: str) -> None:
        # The limits are Docker's clients' needs: long filters and credentials in headers; without cancellation every
        # `docker run -d` would leave its wait behind.
        runner = web.AppRunner(
            app,
            handler_cancellation=True,
            shutdown_timeout=0.5,
            access_log=None,
            max_line_size=1 << 20,
            max_field_size=1 << 20,
        )
        await runner.setup()
        self._runners.append(runner)
        if self.config.unix_sockets:
            with self._guard(path):
                await web.UnixSite(runner, str(path)).start()
        if tcp:
            host, _, port = tcp.rpartition(":")
            await web.TCPSite(runner, host or "127.0.0.1", int(port)).start()

    async def stop(self) -> None:
        """Streams end first, then the engine, then the sockets."""
        self.history.close()
        await self.engine.stop()
        await asyncio.gather(*(runner.cleanup() for runner in reversed(self._runners)))
        self._runners.clear()
