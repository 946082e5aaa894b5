"""Impairments in simulated time: each does what it says, to whom it says, in both directions' own right, and ends."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.underlay.contract import GOSSIP_PORT, VXLAN_PORT, Address
from daemon.underlay.faults import DISTRIBUTIONS, TRAFFIC, FaultList, Faults, parse_faults
from daemon.underlay.faulty import FaultyUnderlay
from scenarios.sim.network import LinkQuality, Network
from scenarios.sim.swarm import simulate

A, B = "192.0.2.1", "192.0.2.2"
LATENCY = 0.001


class Pair:
    """Two hosts; what B heard, with times, and a way to send from A."""

    def __init__(self) -> None:
        network = Network(1, LinkQuality(latency=LATENCY, jitter=0.0))
        self.faults = Faults()
        self.a, self.b = (FaultyUnderlay(network.host(h), self.faults, random.Random(h)) for h in (A, B))
        self.heard: list[tuple[float, bytes]] = []
        self.back: list[bytes] = []

    async def open(self, port: int = VXLAN_PORT) -> None:
        loop = asyncio.get_running_loop()
        self.to_a = await self.b.datagrams(port, lambda data, _: self.heard.append((loop.time(), data)))
        self.to_b = await self.a.datagrams(port, lambda data, _: self.back.append(data))
        self.port = port

    def set(self, **impairment: object) -> None:
        self.faults.set(parse_faults({"impairments": [{"id": "1", **impairment}]}))

    async def send(self, count: int, size: int = 100, gap: float = 0.01) -> None:
        for n in range(count):
            self.to_b.send(n.to_bytes(4, "big") + bytes(size - 4), (B, self.port))
            await asyncio.sleep(gap)
        await asyncio.sleep(100)

    @property
    def order(self) -> list[int]:
        return [int.from_bytes(data[:4], "big") for _, data in self.heard]


def on_a_pair(story: Callable[[Pair], Awaitable[None]]) -> None:
    async def run() -> None:
        pair = Pair()
        await pair.open()
        await story(pair)

    simulate(run())


def test_loss_is_about_its_probability_one_way_only_and_ends() -> None:
    async def story(pair: Pair) -> None:
        pair.set(**{"from": [A], "loss": 0.3})
        await pair.send(1000)
        assert 620 < len(pair.heard) < 780
        assert pair.a.counters["fault_lost"] == 1000 - len(pair.heard)
        for _ in range(50):
            pair.to_a.send(b"back", (A, pair.port))
        await asyncio.sleep(1)
        assert len(pair.back) == 50
        pair.faults.set(FaultList())
        pair.heard.clear()
        await pair.send(100)
        assert pair.order == list(range(100))

    on_a_pair(story)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_delay_and_jitter(distribution: str) -> None:
    async def story(pair: Pair) -> None:
        pair.set(delay=0.5, jitter=0.1, distribution=distribution)
        await pair.send(300, gap=1)
        waits = sorted(when - n * 1.0 - LATENCY for n, (when, _) in zip(pair.order, pair.heard, strict=True))
        assert len(waits) == 300 and waits[0] < 0.55 and waits[-1] > 0.55
        assert 0.45 < sum(waits) / 300 < 0.6
        if distribution == "uniform":
            assert waits[0] >= 0.4 and waits[-1] <= 0.6 + 1e-9

    on_a_pair(story)


def test_duplicates_reordering_corruption() -> None:
    async def story(pair: Pair) -> None:
        pair.set(duplicate=0.5)
        await pair.send(200)
        assert 260 < len(pair.heard) < 340 and sorted(set(pair.order)) == list(range(200))
        pair.heard.clear()
        pair.set(delay=0.05, reorder=0.2)
        await pair.send(200)
        assert sorted(pair.order) == list(range(200)) != pair.order
        pair.heard.clear()
        pair.set(corrupt=1)
        await pair.send(50)
        for n, (_, data) in enumerate(pair.heard):
            sent = n.to_bytes(4, "big") + bytes(96)
            assert sum((x ^ y).bit_count() for x, y in zip(sent, data, strict=True)) == 1

    on_a_pair(story)


def test_rate_and_its_queue_and_mtu() -> None:
    async def story(pair: Pair) -> None:
        pair.set(rate=10_000, queue=5_000)
        await pair.send(100, size=1000, gap=0)
        # 10 a second and room for five more behind the one that leaves.
        assert 5 <= len(pair.heard) <= 7
        times = [when for when, _ in pair.heard]
        assert all(later - earlier == pytest.approx(0.1) for earlier, later in itertools.pairwise(times))
        pair.heard.clear()
        pair.set(mtu=1000)
        await pair.send(5, size=1000)
        assert len(pair.heard) == 5
        await pair.send(5, size=1001)
        assert len(pair.heard) == 5 and pair.a.counters["fault_too_large"] == 5

    on_a_pair(story)


def test_a_fault_keeps_to_its_traffic() -> None:
    async def story(pair: Pair) -> None:
        other = Pair.__new__(Pair)
        other.__dict__.update(pair.__dict__, heard=[], back=[])
        await other.open(GOSSIP_PORT)
        pair.set(traffic=["vxlan"], loss=1)
        await pair.send(10)
        await other.send(10)
        assert (len(pair.heard), len(other.heard)) == (0, 10)
        cut = {"id": "1", "groups": [[A], [B]], "traffic": ["gossip", "udp"]}
        pair.faults.set(parse_faults({"partitions": [cut]}))
        await pair.send(10)
        await other.send(10)
        assert (len(pair.heard), len(other.heard)) == (10, 10)

    on_a_pair(story)


def test_a_one_way_cut_lets_the_other_way_pass_but_stalls_streams() -> None:
    async def story(pair: Pair) -> None:
        pair.faults.set(parse_faults({"partitions": [{"id": "1", "groups": [[A], [B]], "oneway": True}]}))
        await pair.send(5)
        pair.to_a.send(b"back", (A, pair.port))
        await asyncio.sleep(1)
        assert (len(pair.heard), pair.back) == (0, [b"back"])

        async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
            writer.write(b"hello")

        listener = await pair.b.listen(7946, hello)
        with pytest.raises(TimeoutError):
            await pair.a.connect((B, 7946), deadline=5)
        await listener.close()

    on_a_pair(story)


def test_a_slowed_stream_is_late_in_order_and_whole() -> None:
    async def story(pair: Pair) -> None:
        loop = asyncio.get_running_loop()
        whole: asyncio.Future[bytes] = loop.create_future()

        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
            whole.set_result(await reader.read())

        listener = await pair.b.listen(7946, sink)
        pair.set(delay=0.2, jitter=0.2, loss=0.2, rate=50_000)
        _, writer = await pair.a.connect((B, 7946), deadline=10)
        sent = b""
        start = loop.time()
        for n in range(100):
            chunk = bytes([n]) * 1000
            sent += chunk
            writer.write(chunk)
            await writer.drain()
        writer.close()
        assert await whole == sent
        assert 2.0 <= loop.time() - start < 60
        await listener.close()

    on_a_pair(story)


_impairments = st.fixed_dictionaries(
    {"delay": st.floats(0.001, 10)},
    optional={
        "from": st.lists(st.sampled_from([A, B]), unique=True),
        "traffic": st.lists(st.sampled_from(TRAFFIC), unique=True),
        "loss": st.floats(0, 1),
        "rate": st.floats(1, 1e9),
        "mtu": st.integers(0, 65535),
        "distribution": st.sampled_from(DISTRIBUTIONS),
    },
)


@given(st.lists(_impairments, max_size=3))
def test_what_is_described_can_be_read_again(entries: list[dict[str, object]]) -> None:
    found = parse_faults({"impairments": [{"id": str(n), **entry} for n, entry in enumerate(entries)]})
    assert parse_faults(found.describe()) == found
