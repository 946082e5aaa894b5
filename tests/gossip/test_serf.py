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
from gossip.swim.member import EventKind, MemberState
from gossip.swim.profile import Config
from tests.gossip.lan import Talk

SERF = shutil.which("serf")
KEY = bytes(range(16, 32))
SOON = 30.0
"""Seconds: what takes some at most (failures: 6), on a machine that has no time. Each look at an agent is a process."""
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
        async with asyncio.timeout(SOON):
            # An agent tells nobody when it changes: it has to be asked again. (What is printed when it is not there
            # yet has words enough for a line of a member.)
            while (await self.members()).get(self.name) != "alive":  # noqa: ASYNC110
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

    async def command(self, verb: str, *argv: str) -> str:
        return await self.call(verb, f"-rpc-addr={self._rpc}", *argv)

    async def asked(self, verb: str, *argv: str, wanted: str) -> str:
        """The answer that has ``wanted`` in it, or the last one: agents alone miss a query's acknowledgement now and
        then (in two of a hundred queries among six), because gossip leaves to chance whom it reaches in time."""
        for _ in range(5):
            answer = await self.command(verb, *argv)
            if wanted in answer:
                break
        return answer

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def leave(self) -> None:
        await self.call("leave", f"-rpc-addr={self._rpc}")

    async def members(self) -> dict[str, str]:
        """Name -> alive, failed, left..."""
        lines = (await self.call("members", f"-rpc-addr={self._rpc}")).splitlines()
        return {line.split()[0]: line.split()[2] for line in lines if len(line.split()) >= 3}

    async def until(self, name: str, status: str) -> None:
        async with asyncio.timeout(SOON):
            while (await self.members()).get(name) != status:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def ours(
    number: int, port: int, key: bytes, *, name: str = "", host: int = 0, compress: bool = False
) -> tuple[Memberlist, Talk]:
    address = f"127.0.92.{host or number}"
    talk = Talk(name or f"ours{number}")
    config = Config(talk.name, address, port, (key,) if key else (), compress=compress)
    random = Random(number)
    return Memberlist(
        config, underlay=SocketUnderlay(address), delegate=talk, random=random, entropy=os.urandom
    ), talk


async def until(members: Memberlist, name: str, state: MemberState) -> None:
    changed = asyncio.Event()
    end = members.subscribe(lambda event: changed.set())
    async with asyncio.timeout(SOON):
        while (member := members.member(name)) is None or member.state is not state:
            changed.clear()
            await changed.wait()
    end()


@contextlib.asynccontextmanager
async def mixed(key: bytes) -> AsyncIterator[tuple[Memberlist, Memberlist, Serf, Serf, Talk]]:
    port = 20000 + Random(os.urandom(8)).randrange(12000)
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
                await until(members, name, MemberState.ALIVE)
        for agent in (first, second):
            for name in names:
                await agent.until(name, "alive")
        serf = one.member("serf1")
        ally = one.member("ours2")
        assert serf is not None
        assert ally is not None
        assert (serf.native, ally.native) == (False, True)

        talk.to_say.append(b"for ours only")
        one.broadcast_soon()
        await asyncio.sleep(4)
        assert all(member.reachable for member in one.members()), "each answers the other's probes"
        assert set((await first.members()).values()) == {"alive"}

        await second.kill()
        await until(one, "serf2", MemberState.DEAD)
        await first.until("serf2", "failed")
        await two.leave()
        await two.stop()
        await first.until("ours2", "left")
        await first.leave()
        await until(one, "serf1", MemberState.LEFT)
        bad = {name: count for name, count in one.counters.items() if name.startswith("dropped.")}
        assert not set(bad) - {"dropped.foreign_user_message", "dropped.digest_of_a_stranger"}


@contextlib.asynccontextmanager
async def six(key: bytes) -> AsyncIterator[tuple[list[Memberlist], list[Serf]]]:
    """Three of each kind, joined in a chain in which each kind joins the other."""
    port = 20000 + Random(os.urandom(8)).randrange(12000)
    nodes = [ours(number, port, key, compress=number == 2)[0] for number in (1, 2, 3)]
    agents = [Serf(number, port, key) for number in (1, 2, 3)]
    try:
        await asyncio.gather(*(node.start() for node in nodes), *(agent.start() for agent in agents))
        for node, agent, behind in zip(nodes, agents, [*agents[1:], None], strict=True):
            assert await node.join([agent.address]) == 1
            if behind is not None:
                assert "Successfully" in await behind.join(node.config.address, port)
        names = [member.config.name for member in nodes] + [agent.name for agent in agents]
        for name in names:
            await asyncio.gather(
                *(until(node, name, MemberState.ALIVE) for node in nodes),
                *(agent.until(name, "alive") for agent in agents),
            )
        yield nodes, agents
    finally:
        await asyncio.gather(*(node.stop() for node in nodes), *(agent.kill() for agent in agents))


async def test_serfs_operator_rotates_the_keys_of_all() -> None:
    new = base64.b64encode(bytes(range(100, 116))).decode()
    old = base64.b64encode(KEY).decode()
    async with six(KEY) as (nodes, agents):
        failed: list[str] = []
        for node in nodes:
            node.subscribe(lambda event: failed.append(event.member.name) if event.kind is EventKind.FAILED else None)
        for argv in ([f"-install={new}"], [f"-use={new}"], [f"-remove={old}"]):
            assert "Success" in await agents[0].asked("keys", *argv, wanted="Success"), "all six said yes"
        assert [node.keyring.keys() for node in nodes] == [[bytes(range(100, 116))]] * 3
        assert "6/6" in await agents[1].asked("keys", "-list", wanted="6/6")
        assert "Success" in await agents[2].asked("reachability", wanted="Success")
        await asyncio.sleep(2)
        assert failed == []
        assert set((await agents[2].members()).values()) == {"alive"}
        unread = [name for node in nodes for name in node.counters if "unauth" in name]
        assert not unread, "not one message was lost"


async def test_leaves_returns_and_conflicts_are_seen_alike() -> None:
    async with six(b"") as (nodes, agents):
        port = nodes[0].config.port
        await nodes[1].leave()
        await nodes[1].stop()
        await asyncio.gather(*(agent.until("ours2", "left") for agent in agents))
        again, _ = ours(2, port, b"", host=22)
        impostor, _ = ours(9, port, b"", name="serf3", host=99)
        try:
            await again.start()
            assert await again.join([agents[0].address]) == 1
            await asyncio.gather(*(agent.until("ours2", "alive") for agent in agents))
            await until(nodes[0], "ours2", MemberState.ALIVE)
            member = nodes[0].member("ours2")
            assert member is not None
            assert member.address == "127.0.92.22"
            assert "127.0.92.22" in await agents[2].command("members")
            await again.leave()
            await asyncio.gather(*(agent.until("ours2", "left") for agent in agents)), "a second time"

            await impostor.start()
            await impostor.join([agents[0].address, (nodes[0].config.address, port)])
            await asyncio.sleep(7)
            assert all(agent.running for agent in agents), "whose name it is asked, and was told that it is his"
            for node in (nodes[0], nodes[2]):
                await until(node, "serf3", MemberState.ALIVE)
                member = node.member("serf3")
                assert member is not None
                assert member.address == agents[2].address[0]
                assert node.counters["dropped.name_conflict"] > 0
        finally:
            await asyncio.gather(again.stop(), impostor.stop())

        await agents[1].kill()
        await until(nodes[0], "serf2", MemberState.DEAD)
        await agents[0].until("serf2", "failed")
        await agents[0].command("force-leave", "serf2")
        await until(nodes[0], "serf2", MemberState.LEFT)
        await until(nodes[2], "serf2", MemberState.LEFT)
