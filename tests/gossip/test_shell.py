"""The asyncio shell on real loopback sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from gossip.shell import Memberlist, MemberUnreachable, RequestRefused
from gossip.sockets import SocketUnderlay
from gossip.swim.member import EventKind, MemberEvent, MemberState
from gossip.swim.profile import Config
from tests.gossip.lan import Talk

KEY = bytes(range(32))
SOON = 20.0
"""Seconds: what should take one at most, on a machine that has no time."""


class Node:
    def __init__(self, number: int, port: int, keys: tuple[bytes, ...], label: bytes) -> None:
        address = f"127.0.91.{number}"
        self.name = f"n{number}"
        self.talk = Talk(self.name)
        self.events: list[MemberEvent] = []
        self.changed = asyncio.Event()
        self.list = Memberlist(
            Config(self.name, address, port, keys, label),
            underlay=SocketUnderlay(address),
            delegate=self.talk,
            random=Random(number),
            entropy=os.urandom,
        )
        self.list.subscribe(self._noted)

    def _noted(self, event: MemberEvent) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def sees(self, name: str, state: MemberState) -> Callable[[], bool]:
        def look() -> bool:
            member = self.list.member(name)
            return member is not None and member.state is state

        return look


async def eventually(condition: Callable[[], bool]) -> None:
    """Of what changes without an event that could be awaited."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def cluster(size: int, *, keys: tuple[bytes, ...] = (KEY,), label: bytes = b"c") -> AsyncIterator[list[Node]]:
    port = 20000 + Random(os.urandom(8)).randrange(12000)  # below those that the kernel gives out
    nodes = [Node(number, port, keys, label) for number in range(1, size + 1)]
    try:
        for node in nodes:
            await node.list.start()
        for node in nodes[1:]:
            assert await node.list.join([("127.0.91.1", port)]) == 1
        for node in nodes:
            await node.until(lambda node=node: len(node.list.members()) == size)  # type: ignore[misc]
        yield nodes
    finally:
        for node in nodes:
            await node.list.stop()


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "sealed"])
async def test_join_talk_fail_leave(keys: tuple[bytes, ...]) -> None:
    async with cluster(3, keys=keys) as (one, two, three):
        assert b"state of n1" in two.talk.merged
        one.talk.to_say.append(b"news")
        one.list.broadcast_soon()
        await eventually(lambda: bool(two.talk.heard + three.talk.heard))
        await three.list.stop()
        for node in (one, two):
            await node.until(node.sees("n3", MemberState.DEAD))
        await two.list.leave()
        await two.list.stop()
        await one.until(one.sees("n2", MemberState.LEFT))
        seen = [event.kind for event in one.events if event.member.name == "n3"]
        # On a machine that is slow enough it was suspected before, and refuted.
        assert (seen[0], seen[-2:]) == (EventKind.JOINED, [EventKind.SUSPECTED, EventKind.FAILED])
        assert seen.count(EventKind.FAILED) == 1


async def test_requests() -> None:
    async def upper(peer: str, payload: bytes) -> bytes:
        if payload == b"bad":
            raise ValueError("not that one")
        return peer.encode() + b" said " + payload.upper()

    async def slow(peer: str, payload: bytes) -> bytes:
        await asyncio.sleep(30)
        return b""

    async with cluster(2) as (one, two):
        one.list.serve("upper", upper)
        one.list.serve("slow", slow)
        assert await two.list.request("n1", "upper", b"hello", deadline=SOON) == b"n2 said HELLO"
        large = bytes(3_000_000)
        assert await two.list.request("n1", "upper", large, deadline=SOON) == b"n2 said " + large
        with pytest.raises(RequestRefused, match="not that one"):
            await two.list.request("n1", "upper", b"bad", deadline=SOON)
        with pytest.raises(RequestRefused, match="no such request"):
            await two.list.request("n1", "lower", b"", deadline=SOON)
        with pytest.raises(MemberUnreachable):
            await two.list.request("n1", "slow", b"", deadline=0.2)
        with pytest.raises(MemberUnreachable, match="no such member"):
            await two.list.request("n9", "upper", b"", deadline=SOON)
        with pytest.raises(MemberUnreachable, match="over the limit"):
            await two.list.request("n1", "upper", bytes(21 * 1024 * 1024), deadline=SOON)
        await one.list.stop()
        with pytest.raises(MemberUnreachable):
            await two.list.request("n1", "upper", b"hello", deadline=1)


async def test_other_cluster_and_other_key_do_not_merge() -> None:
    async with cluster(2) as (one, _two):
        port = one.list.config.port
        for number, (keys, label) in enumerate([((KEY,), b"d"), ((bytes(32),), b"c"), ((), b"c"), ((), b"")], start=5):
            stranger = Node(number, port, keys, label)
            await stranger.list.start()
            try:
                assert await stranger.list.join([("127.0.91.1", port)]) == 0
                assert len(stranger.list.members()) == 1
            finally:
                await stranger.list.stop()
        assert len(one.list.members()) == 2
        assert one.list.counters["dropped.wrong_label"] >= 2
        assert one.list.counters["dropped.unauthenticated"] >= 2


async def test_garbage_on_both_ports_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with cluster(2, keys=(), label=b"") as (one, two):
        random = Random(1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.91.1", one.list.config.port)
        )
        for _ in range(300):
            transport.sendto(random.randbytes(random.randrange(1, 1500)))
        transport.close()
        for kind in range(16):
            _, writer = await asyncio.open_connection("127.0.91.1", one.list.config.port)
            writer.write(bytes((kind,)) + random.randbytes(200))
            writer.close()
            await writer.wait_closed()
        await eventually(lambda: sum(n for name, n in one.list.counters.items() if name.startswith("dropped.")) > 100)
        assert all(member.reachable for member in one.list.members())
        assert await two.list.join([("127.0.91.1", one.list.config.port)]) == 1
        assert len(one.list.members()) == 2
        await eventually(lambda: bool(caplog.records))  # at the next packet, if all came just after a look
        took = loop.time() - began
        assert 1 <= len(caplog.records) <= 2 * (1 + took), "logged, but not line by line"


async def test_taken_port_is_an_error_and_leaves_nothing_bound() -> None:
    async with cluster(1) as (one,):
        double = Node(1, one.list.config.port, (), b"")
        with pytest.raises(OSError, match="in use"):
            await double.list.start()
        await double.list.stop()


async def test_who_ends_while_it_joins_has_joined_nobody() -> None:
    async with cluster(2) as (one, two):
        asked, go_on = asyncio.Event(), asyncio.Event()
        connect = two.list._underlay.connect

        async def slowly(*args: Any, **options: Any) -> Any:
            asked.set()
            await go_on.wait()
            return await connect(*args, **options)

        two.list._underlay.connect = slowly  # type: ignore[method-assign]
        joining = asyncio.create_task(two.list.join([("127.0.91.1", one.list.config.port)]))
        await asked.wait()
        await two.list.stop()
        go_on.set()
        assert await joining == 0
