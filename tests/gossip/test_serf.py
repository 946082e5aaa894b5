"""Against the real thing: serf agents and our nodes in one cluster on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from random import Random

import pytest

from gossip.shell import Memberlist
from gossip.sockets import SocketUnderlay
from gossip.swim.member import MemberState
from gossip.swim.profile import Config
from tests.gossip.lan import Talk

SERF = shutil.which("serf")
KEY = bytes(range(16, 32))
pytestmark = pytest.mark.skipif(SERF is None, reason="no serf here (apt-get install serf)")


class Serf:
    def __init__(self, number: int, port: int, key: bytes) -> None:
        self.name = f"serf{number}"
        self.address = (f"127.0.92.{100 + number}", port)
        self._rpc = f"127.0.92.{100 + number}:{port + 1}"
        self._key = key
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert SERF is not None
        argv = ["agent", f"-node={self.name}", f"-bind={self.address[0]}:{self.address[1]}", f"-rpc-addr={self._rpc}"]
        if self._key:
            argv.append("-encrypt=" + base64.b64encode(self._key).decode())
        self._process = await asyncio.create_subprocess_exec(
            SERF, *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            # An agent tells nobody when it changes: it has to be asked again.
            while not await self.members():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def call(self, *argv: str) -> str:
        assert SERF is not None
        process = await asyncio.create_subprocess_exec(
            SERF, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        out, _ = await process.communicate()
        return out.decode(errors="replace")

    async def join(self, address: str, port: int) -> str:
        return await self.call("join", f"-rpc-addr={self._rpc}", f"{address}:{port}")

    async def leave(self) -> None:
        await self.call("leave", f"-rpc-addr={self._rpc}")

    async def members(self) -> dict[str, str]:
        """Name -> alive, failed, left..."""
        lines = (await self.call("members", f"-rpc-addr={self._rpc}")).splitlines()
        return {line.split()[0]: line.split()[2] for line in lines if len(line.split()) >= 3}

    async def until(self, name: str, status: str, deadline: float) -> None:
        async with asyncio.timeout(deadline):
            while (await self.members()).get(name) != status:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def ours(number: int, port: int, key: bytes) -> tuple[Memberlist, Talk]:
    address = f"127.0.92.{number}"
    talk = Talk(f"ours{number}")
    config = Config(talk.name, address, port, (key,) if key else ())
    random = Random(number)
    return Memberlist(
        config, underlay=SocketUnderlay(address), delegate=talk, random=random, entropy=os.urandom
    ), talk


async def until(members: Memberlist, name: str, state: MemberState, deadline: float) -> None:
    changed = asyncio.Event()
    end = members.subscribe(lambda event: changed.set())
    async with asyncio.timeout(deadline):
        while (member := members.member(name)) is None or member.state is not state:
            changed.clear()
            await changed.wait()
    end()


@contextlib.asynccontextmanager
async def mixed(key: bytes) -> AsyncIterator[tuple[Memberlist, Memberlist, Serf, Serf, Talk]]:
    port = 20000 + Random(os.urandom(8)).randrange(20000)
    (one, talk), (two, _) = ours(1, port, key), ours(2, port, key)
    first, second = Serf(1, port, key), Serf(2, port, key)
    try:
        await asyncio.gather(one.start(), two.start(), first.start(), second.start())
        yield one, two, first, second, talk
    finally:
        await asyncio.gather(one.stop(), two.stop(), first.kill(), second.kill())


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "encrypted"])
async def test_one_cluster_with_serf(key: bytes) -> None:
    async with mixed(key) as (one, two, first, second, talk):
        assert await one.join([first.address]) == 1, "we join serf"
        assert await two.join([(one.config.address, one.config.port)]) == 1
        assert "Successfully joined" in await second.join(two.config.address, two.config.port), "serf joins us"
        names = ("ours1", "ours2", "serf1", "serf2")
        for members in (one, two):
            for name in names:
                await until(members, name, MemberState.ALIVE, 3)
        for agent in (first, second):
            for name in names:
                await agent.until(name, "alive", 3)
        serf = one.member("serf1")
        ally = one.member("ours2")
        assert serf is not None
        assert ally is not None
        assert (serf.native, ally.native) == (False, True)

        talk.to_say.append(b"for ours only")
        one.broadcast_soon()
        await asyncio.sleep(4)
        assert {member.state for member in one.members()} == {MemberState.ALIVE}, "each answers the other's probes"
        assert set((await first.members()).values()) == {"alive"}

        await second.kill()
        await until(one, "serf2", MemberState.DEAD, 8)
        await first.until("serf2", "failed", 10)
        await two.leave()
        await two.stop()
        await first.until("ours2", "left", 5)
        await first.leave()
        await until(one, "serf1", MemberState.LEFT, 5)
        bad = {name: count for name, count in one.counters.items() if name.startswith("dropped.")}
        assert not set(bad) - {"dropped.foreign_user_message"}
