"""A swarm for somebody's own Python: started, spoken to, broken, reset, stopped. The pytest plug-in gives the same.

    with Swarm(hosts=2) as swarm:
        swarm.docker("h1", "network create -d overlay --attachable ov1")
        swarm.docker("h2", "run -d --name web --network ov1 nginx")

        async def story() -> bytes:
            reader, writer = await swarm.open_connection("h1/ov1", "web", 80)
            writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
            return await reader.read()

        print(swarm.run(story()))

With `simulated=True` the same runs in one process and in virtual time, from a seed; there a Python callable can be an
image's program (`register`).
"""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scenarios.api import evidence, relay, restoring
from scenarios.api.ground import Ground, RealTime, VirtualTime
from scenarios.api.lines import Printed, perform
from scenarios.api.relay import Accept, Listening
from scenarios.client import HostClient
from scenarios.launch import record
from scenarios.running.processes import Processes
from scenarios.running.record import Packet
from scenarios.running.simulated import SimulatedHosts
from scenarios.running.swarm import SwarmFailed, alive, make_swarm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.runtime.context import Program
    from scenarios.api.proxy import Proxy
    from scenarios.launch.localhttp import Place

T = TypeVar("T")

FORMED_WITHIN = 60.0
PACKETS = 20_000
"""How many of the newest packets are kept for the evidence of a failure."""
_STEP = 0.02


class CommandFailed(Exception):
    """A docker command ended with another status than 0; `printed` has all of it."""

    def __init__(self, host: str, line: str, printed: Printed) -> None:
        said = (printed.stderr or printed.stdout).strip()
        super().__init__(f"{host}: docker {line}: exit status {printed.exit_code}: {said}")
        self.printed = printed


class Swarm:
    """Hosts by name (h1, h2, …), one swarm in Docker's sense unless `formed` is False.

    Methods are coroutines, for any loop; `docker` and `run` are for callers without one. All raise SwarmFailed or
    HostSilent when a host does not answer, DockerError with the API's words when it refuses.
    """

    def __init__(
        self, hosts: int | Sequence[str] = 3, *, simulated: bool = False, seed: int = 1, formed: bool = True,
        capture: bool = True,
    ) -> None:  # fmt: skip
        self.hosts = [f"h{n}" for n in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts)
        self.simulated = simulated
        self.seed = seed
        self.started = 0.0
        self.packets: deque[Packet] = deque(maxlen=PACKETS)
        self._formed = formed
        self._capture = capture
        self._ground: Ground | None = None
        self._below: Processes | SimulatedHosts | None = None
        self._images: dict[str, list[str]] = {}
        self._helpers: dict[tuple[str, str], str] = {}
        self._lock: asyncio.Lock | None = None
        self._random = random.Random()
        self._directory = Path()

    # Life

    def start(self) -> None:
        """Returns when every host sees every other. Raises SwarmFailed; nothing is left then."""
        if self._ground is not None:
            raise SwarmFailed("this swarm runs already")
        self._ground = VirtualTime() if self.simulated else RealTime()
        self._random = random.Random(self.seed) if self.simulated else random.Random()
        # Made by the launcher, and removed by it or by the janitor; short, for the sockets' paths.
        self._directory = Path(tempfile.gettempdir(), f"shoal-api-{self._random.getrandbits(48):012x}")
        try:
            self._ground.block(self._start())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Nothing is left. A second time does nothing."""
        ground, self._ground = self._ground, None
        if ground is not None:
            try:
                ground.block(self._stop())
            finally:
                ground.close()

    async def _start(self) -> None:
        self._lock = asyncio.Lock()
        self._below = (
            SimulatedHosts(self.hosts, self.seed)
            if self.simulated
            else Processes(self.hosts, directory=self._directory)
        )
        await self._below.start()
        self.started = time.time()
        if self._capture:
            self._below.watch_packets(("gossip", "vxlan", "lan", "cluster", "lost"), self.packets.append)
        if self._formed:
            await make_swarm(self._below, dict.fromkeys(self.hosts, "worker"), FORMED_WITHIN)
        self._images = {host: await restoring.images(self._below, host) for host in self.hosts}

    async def _stop(self) -> None:
        below, self._below = self._below, None
        self._helpers.clear()
        self.packets.clear()
        if below is not None:
            await below.stop()

    def __enter__(self) -> Swarm:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Swarm:
        if self.simulated:
            raise SwarmFailed("a simulated swarm has a loop of its own: `with Swarm(simulated=True)` and swarm.run(…)")
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def running(self) -> bool:
        return self._below is not None

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end: of this swarm's methods, or the caller's own that use them."""
        return self._on().run(story)

    # What is there

    def _on(self) -> Ground:
        if self._ground is None:
            raise SwarmFailed("this swarm does not run")
        return self._ground

    def _hosts(self) -> Processes | SimulatedHosts:
        if self._below is None:
            raise SwarmFailed("this swarm does not run")
        return self._below

    def _known(self, host: str) -> str:
        if host not in self.hosts:
            raise SwarmFailed(f"no host {host!r}: there are {', '.join(self.hosts)}")
        return host

    def _place(self, host: str) -> Place:
        below = self._hosts()
        if isinstance(below, SimulatedHosts):
            return below.inside.socket(host)
        return record.running(self._directory).host(host).docker_api

    def docker_host(self, host: str) -> str:
        """A DOCKER_HOST for the docker command, docker-py, testcontainers, …; there is none in simulated time."""
        if self.simulated:
            raise SwarmFailed("a simulated host has no socket that other programs could reach")
        place = self._place(host)
        return f"unix://{place}" if isinstance(place, Path) else f"tcp://{place[0]}:{place[1]}"

    @property
    def state(self) -> Path:
        """The state directory, for `shoal --state`; running hosts only."""
        return self._directory

    @asynccontextmanager
    async def client(self, host: str) -> AsyncIterator[HostClient]:
        """Docker's API of a host, for the loop that runs."""
        async with HostClient(self._place(self._known(host))) as client:
            yield client

    # Docker

    async def on(self, host: str, line: str, *, stdin: bytes = b"", check: bool = True) -> Printed:
        """A docker command on a host. Raises CommandFailed (with `check`), BadLine for what docker does not know."""
        printed = await self._on().join(perform(self._hosts().client(self._known(host)), line, stdin))
        if check and printed.exit_code:
            raise CommandFailed(host, line, printed)
        return printed

    def docker(self, host: str, line: str, *, stdin: bytes = b"", check: bool = True) -> Printed:
        """`on`, for callers without a loop."""
        return self.run(self.on(host, line, stdin=stdin, check=check))

    def register(
        self, reference: str, main: Program, *, exposed_ports: Sequence[str] = (), env: Sequence[str] = (),
        programs: Mapping[str, Program] | None = None,
    ) -> None:  # fmt: skip
        """Makes a coroutine function the program of an image on all hosts (simulated only): docker run REFERENCE.

        It gets a ProcessContext (daemon.runtime.context) and returns the exit status. In real time a host is another
        process: `listen` brings a program of this one into a network there.
        """
        below = self._hosts()
        if not isinstance(below, SimulatedHosts):
            raise SwarmFailed("a callable can be a program in simulated time only; use listen() on running hosts")
        for host in below.inside.hosts.values():
            host.engine.images.register(reference, main, exposed_ports=exposed_ports, env=env, programs=programs)

    # Into and out of networks

    async def open_connection(
        self, where: str, host: str, port: int, *, timeout: float | None = None, within: float = 0.0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection from inside a network: `where` is HOST/NETWORK, `host` a name there or an address.

        `timeout`: seconds for a try; `within`: seconds in which a name that is not known yet (it has to reach the host
        by gossip) and a refusal (the server is starting) are tried again. Raises OSError as asyncio.open_connection
        does: ConnectionRefusedError, socket.gaierror, TimeoutError, …
        """
        at, network = self._split(where)
        helper = await self._on().join(self._helper(at, network))
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            try:
                return await relay.connect(self._place(at), helper, host, port, timeout=timeout)
            except (socket.gaierror, ConnectionRefusedError):
                if loop.time() >= end:
                    raise
            await asyncio.sleep(_STEP)

    async def listen(self, where: str, port: int, accept: Accept, *, name: str | None = None) -> Listening:
        """Accepts TCP connections of a network's containers: at `name` (resolved there) and the result's `address`.

        `accept` is called with (reader, writer), as asyncio.start_server's; end it with `await listening.close()`.
        """
        at, network = self._split(where)
        helper = await self._on().join(self._new_helper(at, network, name))
        try:
            listening = await relay.listen(self._place(at), helper, network, port, accept)
        except BaseException:
            await self._on().join(relay.remove_helper(self._hosts().client(at), helper))
            raise

        async def remove() -> None:
            if self.running and self._hosts().is_up(at):
                await self._on().join(relay.remove_helper(self._hosts().client(at), helper))

        listening.on_close(remove)
        return listening

    def proxy(self, where: str) -> Proxy:
        """`async with swarm.proxy("h1/ov1") as proxy`: SOCKS5 and HTTP at 127.0.0.1:proxy.port, into the network."""
        from scenarios.api.proxy import Proxy

        self._split(where)
        if self.simulated:
            raise SwarmFailed("no program outside can reach a simulated network")
        return Proxy(lambda host, port: self.open_connection(where, host, port))

    def _split(self, where: str) -> tuple[str, str]:
        host, slash, network = where.partition("/")
        if not slash or not network:
            raise ValueError(f"HOST/NETWORK expected, as in h1/ov1, not {where!r}")
        return self._known(host), network

    async def _helper(self, host: str, network: str) -> str:
        """One for all connections of a network on a host, as long as it runs."""
        assert self._lock is not None
        async with self._lock:
            found = self._helpers.get((host, network))
            if found is not None:
                state = await restoring.state_of(self._hosts().client(host), found)
                if state == "running":
                    return found
            self._helpers[host, network] = made = await self._new_helper(host, network, None)
            return made

    async def _new_helper(self, host: str, network: str, alias: str | None) -> str:
        name = f"shoal-relay-{self._random.getrandbits(32):08x}"
        return await relay.place_helper(self._hosts().client(host), network, name, alias=alias)

    # Breaking and mending

    async def partition(self, *groups: Sequence[str]) -> None:
        """Cuts groups of hosts apart, silently; one group alone is cut off from all others."""
        named = [[self._known(host) for host in group] for group in groups]
        if len(named) == 1:
            named.append([host for host in self.hosts if host not in named[0]])
        below = self._hosts()
        addresses = [[below.addresses[host] for host in group] for group in named]
        fault = {"id": "1", "groups": addresses, "since": time.time()}
        await self._on().join(below.set_faults({"partitions": [fault], "impairments": []}))

    async def heal(self) -> None:
        await self._on().join(self._hosts().set_faults({"partitions": [], "impairments": []}))

    async def faults(self, faults: Mapping[str, object]) -> None:
        """Sets all faults of all hosts, in the control socket's own words (docs/testing.md)."""
        await self._on().join(self._hosts().set_faults(faults))

    async def kill(self, host: str) -> None:
        """As SIGKILL."""
        await self._on().join(self._hosts().kill(self._known(host)))

    async def restart(self, host: str) -> None:
        """Kills it if it runs; its disk is as it was."""
        await self._on().join(self._hosts().restart(self._known(host)))

    async def pause(self, host: str) -> None:
        """As SIGSTOP."""
        await self._on().join(self._hosts().pause(self._known(host)))

    async def resume(self, host: str) -> None:
        await self._on().join(self._hosts().resume(self._known(host)))

    async def members(self, host: str) -> list[str]:
        """The hosts that one host holds alive."""
        return await self._on().join(alive(self._hosts(), self._known(host)))

    async def eventually(self, check: Callable[[], Awaitable[T]], *, within: float = 10.0) -> T:
        """Asks until the answer is true; seconds of the swarm's time. Raises the last try's
        AssertionError, CommandFailed or OSError, or TimeoutError."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            try:
                answer = await check()
                if answer:
                    return answer
                last: Exception = TimeoutError(f"not within {within} s; the last answer was {answer!r}")
            except (AssertionError, CommandFailed, OSError) as error:
                last = error
            if loop.time() >= end:
                raise last
            await asyncio.sleep(_STEP)

    # Between tests

    def reset(self) -> None:
        """As if just started: no containers, networks, volumes, faults of before. What cannot be made so (a host that
        left the swarm, an image that was removed) is started anew."""
        if self._on().block(self._reset()):
            return
        self.stop()
        self.start()

    async def _reset(self) -> bool:
        below = self._hosts()
        self._helpers.clear()
        self.packets.clear()
        try:
            async with asyncio.timeout(restoring.WITHIN):
                return await restoring.restore(below, self.hosts, self._images, formed=self._formed)
        except Exception:  # whatever it is, new hosts have it not
            return False

    def keep(self, directory: Path) -> list[Path]:
        """Writes what explains a failure: each daemon's log, each host's inspect, each container's log, pcapng."""
        return self._on().block(evidence.keep(self._hosts(), directory, list(self.packets), self.started))
