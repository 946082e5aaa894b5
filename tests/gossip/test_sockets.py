"""Real sockets: ICMP errors name whom they are about, and cost no other member a datagram."""

from __future__ import annotations

import asyncio
import os
import sys
from random import Random

import pytest

from gossip.sockets import SocketUnderlay
from gossip.swim.member import Address
from gossip.underlay import ReportsRefusals

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="IP_RECVERR is Linux's")


async def test_a_closed_port_is_reported_and_nothing_else_is_lost() -> None:
    port = 20000 + Random(os.urandom(8)).randrange(12000)
    heard: list[bytes] = []
    refused: asyncio.Queue[Address] = asyncio.Queue()
    one, two = SocketUnderlay("127.0.95.1"), SocketUnderlay("127.0.95.2")
    near = await one.datagrams(port, lambda data, source: None)
    far = await two.datagrams(port, lambda data, source: heard.append(data))
    try:
        assert isinstance(near, ReportsRefusals)
        near.on_refused(refused.put_nowait)
        for number in range(50):
            near.send(b"to nobody", ("127.0.95.3", port))
            near.send(bytes((number,)), ("127.0.95.2", port))
        async with asyncio.timeout(20):
            assert await refused.get() == ("127.0.95.3", port)
            while len(heard) < 50:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert heard == [bytes((number,)) for number in range(50)]
        assert one.counters["icmp_refused"] > 0
        assert not one.counters["udp_errors"]
    finally:
        near.close()
        far.close()
