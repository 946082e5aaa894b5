"""A whole host on a socket of its own in this event loop, and real clients that talk to it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from daemon.config import Config
from daemon.engine.volumes import Folders
from daemon.host import Host
from daemon.underlay.real_ports import NoPorts
from daemon.world import World
from scenarios.sim.disk import SimulatedDisk
from scenarios.sim.network import LinkQuality, Network


@dataclass(frozen=True)
class Printed:
    """What a command printed."""

    exit: int
    stdout: str
    stderr: str


class Machine:
    """One host; `restart` gives a new daemon the old one's disk."""

    def __init__(self, directory: Path) -> None:
        self.config = Config(hostname="d1", address="192.0.2.1", state_dir=directory, lan={"d1": "192.0.2.1"})
        self.store = SimulatedDisk()
        self.folders: Folders | None = None
        self.host: Host

    async def start(self) -> None:
        seed = random.Random(7)
        self.host = Host(
            self.config,
            World(wall=time.time, random=seed, entropy=os.urandom),
            carrier=Network(1, LinkQuality()).host("192.0.2.1"),
            store=self.store,
            real_ports=NoPorts(),
            folders=self.folders,
        )
        await self.host.start()

    async def stop(self) -> None:
        await self.host.stop()
        self.config.socket.unlink(missing_ok=True)
        self.config.control.unlink(missing_ok=True)

    @property
    def url(self) -> str:
        return f"unix://{self.config.socket}"

    async def shell(self, command: str, *, version: str = "1.41", timeout: float = 20) -> Printed:
        """Run a shell command line in which `docker` talks to this host."""
        environment = dict(os.environ, DOCKER_HOST=self.url, DOCKER_API_VERSION=version, LC_ALL="C")
        environment["DOCKER_CONFIG"] = str(self.config.state_dir)
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, env=environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(timeout):
            out, err = await process.communicate()
        return Printed(process.returncode or 0, out.decode().replace("\r\n", "\n"), err.decode())

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            base_url="http://d1", connector=aiohttp.UnixConnector(str(self.config.socket)),
            timeout=aiohttp.ClientTimeout(20),
        )  # fmt: skip


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: unix sockets allow some hundred bytes."""
    path = Path(tempfile.mkdtemp(prefix="shoal"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest_asyncio.fixture
async def machine(directory: Path) -> AsyncIterator[Machine]:
    made = Machine(directory)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def api(machine: Machine) -> AsyncIterator[aiohttp.ClientSession]:
    async with machine.session() as session:
        yield session


@pytest.fixture
def docker_cli() -> str:
    """The real CLI; tests that need it are skipped without."""
    found = shutil.which("docker")
    if found is None:
        pytest.skip("no docker CLI on this machine")
    return found
