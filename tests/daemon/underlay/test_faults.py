"""Cuts on real loopback sockets: silent, complete in both directions, and undone without loss of what a stream held."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator

import pytest

from daemon.underlay.addresses import Direct, Loopback, SharedPorts
from daemon.underlay.contract import Address
from daemon.underlay.faults import BadFaults, FaultList, Faults, parse_faults
from daemon.underlay.faulty import FaultyUnderlay
from daemon.underlay.sockets import SocketUnderlay
from daemon.underlay.tap import TappedUnderlay

BLOCK = 200 + os.getpid() % 50
A, B = "192.0.2.1", "192.0.2.2"
PORT = 7946


def host(address: str, faults: Faults) -> FaultyUnderlay:
    return FaultyUnderlay(TappedUnderlay(SocketUnderlay(address, Loopback(BLOCK, address))), faults, random.Random(1))


@pytest.fixture
async def faults() -> AsyncIterator[Faults]:
    yield Faults()


CUT = parse_faults({"partitions": [{"id": "1", "groups": [[A], [B]], "since": 0}]})


async def test_datagrams_vanish_in_a_cut_and_come_back(faults: Faults) -> None:
    a, b = host(A, faults), host(B, faults)
    heard: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
    at_b = await b.datagrams(PORT, lambda data, source: heard.put_nowait((data, source)))
    from_a = await a.datagrams(PORT, lambda data, source: None)
    from_a.send(b"one", (B, PORT))
    assert await asyncio.wait_for(heard.get(), 2) == (b"one", (A, PORT))
    faults.set(CUT)
    from_a.send(b"two", (B, PORT))
    faults.set(FaultList())
    from_a.send(b"three", (B, PORT))
    assert (await asyncio.wait_for(heard.get(), 2))[0] == b"three"
    assert a.counters["fault_cut"] == 1
    at_b.close()
    from_a.close()


async def test_a_stream_stalls_both_ways_and_goes_on(faults: Faults) -> None:
    a, b = host(A, faults), host(B, faults)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        assert peer[0] == A
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        writer.close()

    listener = await b.listen(PORT, echo)
    reader, writer = await a.connect((B, PORT), deadline=2)
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 2) == b"hello"
    faults.set(CUT)
    writer.write(b"held")
    writer.write_eof()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    with pytest.raises(TimeoutError):
        await a.connect((B, PORT), deadline=0.1)
    waiting = asyncio.ensure_future(a.connect((B, PORT), deadline=5))
    await asyncio.sleep(0)
    faults.set(FaultList())
    assert await asyncio.wait_for(reader.read(), 2) == b"heldbye"
    _, other = await asyncio.wait_for(waiting, 2)
    for w in (writer, other):
        w.close()
        await w.wait_closed()
    await listener.close()


async def test_a_writer_waits_while_a_cut_holds_its_bytes_and_all_arrive(faults: Faults) -> None:
    a, b = host(A, faults), host(B, faults)
    whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        whole.set_result(await reader.read())
        writer.close()

    listener = await b.listen(PORT, sink)
    _, writer = await a.connect((B, PORT), deadline=2)
    faults.set(CUT)
    sent = 0

    async def pour() -> None:
        nonlocal sent
        for n in range(64):
            writer.write(bytes([n]) * 65536)
            sent += 1
            await writer.drain()
        writer.write_eof()

    pouring = asyncio.ensure_future(pour())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(pouring), 0.1)
    assert 16 <= sent <= 18
    faults.set(FaultList())
    await asyncio.wait_for(pouring, 5)
    assert await asyncio.wait_for(whole, 5) == b"".join(bytes([n]) * 65536 for n in range(64))
    writer.close()
    await listener.close()


async def test_an_end_closed_inside_a_cut_is_not_noticed_before_it_heals(faults: Faults) -> None:
    a, b = host(A, faults), host(B, faults)
    closed = asyncio.Event()

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        await reader.readexactly(1)
        faults.set(CUT)
        writer.close()
        closed.set()

    listener = await b.listen(PORT, closes)
    reader, writer = await a.connect((B, PORT), deadline=2)
    writer.write(b"x")
    await asyncio.wait_for(closed.wait(), 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    faults.set(FaultList())
    assert await asyncio.wait_for(reader.read(1), 2) == b""
    writer.close()
    await listener.close()


@pytest.mark.parametrize(
    "addresses", [Direct(), Loopback(9, "192.0.2.3", extra=("192.168.1.100", "10.1.2.3")), SharedPorts(30000)]
)
def test_address_maps_are_bijections(addresses: Direct | Loopback | SharedPorts) -> None:
    hosts = [f"192.0.2.{n}" for n in (1, 2, 254)]
    if isinstance(addresses, Loopback):
        hosts += ["192.168.1.100", "10.1.2.3"]
    lan = [(h, p) for h in hosts for p in (7946, 4789, 4788, 2377, 49152, 49170)]
    real = [addresses.real(a) for a in lan]
    assert len(set(real)) == len(lan) and None not in real
    assert [addresses.lan(r) for r in real if r is not None] == lan


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {"partitions": [{"groups": [["a"]]}]},
        {"partitions": [{"groups": [["a"], ["a"]]}]},
        {"partitions": [{"groups": [["a"], []]}]},
        {"partitions": [], "losses": []},
        {"partitions": [{"groups": [["a"], ["b"]], "oneway": 1}]},
        {"partitions": [{"groups": [["a"], ["b"]], "traffic": ["http"]}]},
        {"impairments": [{"id": "1"}]},
        {"impairments": [{"id": "1", "loss": 1.5}]},
        {"impairments": [{"id": "1", "loss": True}]},
        {"impairments": [{"id": "1", "delay": "1s"}]},
        {"impairments": [{"id": "1", "delay": 1, "distribution": "flat"}]},
        {"impairments": [{"id": "1", "delay": 1}, {"id": "1", "loss": 0.1}]},
    ],
)
def test_bad_faults_are_refused(bad: object) -> None:
    with pytest.raises(BadFaults):
        parse_faults(bad)
