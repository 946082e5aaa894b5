"""The asyncio face: sockets wait and wake, errors are OSErrors, bursts cost one pump, close leaves nothing."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from random import Random

import pytest

from overlay.port import Port, cable
from overlay.sandbox import QUEUED_BYTES, QUEUED_FRAMES, Sandbox
from overlay.wire import arp


class Pair:
    """Two sandboxes on one cable: .1 and .2."""

    def __init__(self, mtu: int = 1450, gso: int = 0) -> None:
        self.a, self.b = Sandbox("a", random=Random(1)), Sandbox("b", random=Random(2))
        self.ports: tuple[Port, Port] = cable(gso)
        for sandbox, number, port in ((self.a, 1, self.ports[0]), (self.b, 2, self.ports[1])):
            sandbox.add_interface(
                "eth0", mac=f"02:42:0a:00:00:0{number}", mtu=mtu, addresses=[f"10.0.0.{number}/24"], port=port
            )


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    await pair.a.close()
    await pair.b.close()


async def test_tcp_echo_of_much_data_in_both_directions(pair: Pair) -> None:
    listener = pair.b.tcp_listen("0.0.0.0", 80)
    near = await pair.a.tcp_connect("10.0.0.2", 80)
    far = await listener.accept()
    assert (near.local, near.peer) == (far.peer, far.local)
    data = Random(1).randbytes(5_000_000)

    async def echo() -> None:
        while chunk := await far.read(65536):
            await far.write(chunk)
        far.shutdown_write()

    async def send() -> None:
        await near.write(data)
        near.shutdown_write()

    async def receive() -> bytes:
        parts = []
        while chunk := await near.read():
            parts.append(chunk)
        return b"".join(parts)

    _, _, got = await asyncio.gather(echo(), send(), receive())
    assert got == data
    near.close()
    far.close()
    with pytest.raises(OSError) as caught:
        await near.read()
    assert caught.value.errno == errno.EBADF


async def test_reads_end_early_and_drain_waits(pair: Pair) -> None:
    listener = pair.b.tcp_listen("10.0.0.2", 0)
    near = await pair.a.tcp_connect(*listener.local)
    far = await listener.accept()
    await near.write(b"abcdef")
    await near.drain()
    assert await far.readexactly(4) == b"abcd"
    near.close()
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await far.readexactly(4)
    assert caught.value.partial == b"ef"


async def test_errors_are_oserrors(pair: Pair) -> None:
    for address, port, code in (
        ("10.0.0.2", 81, errno.ECONNREFUSED),
        ("192.168.0.1", 80, errno.ENETUNREACH),
        ("127.0.0.1", 80, errno.ECONNREFUSED),
    ):
        with pytest.raises(OSError) as caught:
            await pair.a.tcp_connect(address, port)
        assert caught.value.errno == code
    pair.a.add_neighbour("10.0.0.3", "02:42:0a:00:00:03", "eth0")
    with pytest.raises(OSError) as caught:
        await pair.a.tcp_connect("10.0.0.3", 80, timeout=0.05)
    assert caught.value.errno == errno.ETIMEDOUT
    assert not [info for info in pair.a.sockets() if info.protocol == "tcp"]
    pair.a.tcp_listen("0.0.0.0", 80)
    with pytest.raises(OSError) as caught:
        pair.a.tcp_listen("10.0.0.1", 80)
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_cancelled_connect_leaves_nothing(pair: Pair) -> None:
    pair.a.add_neighbour("10.0.0.3", "02:42:0a:00:00:03", "eth0")
    task = asyncio.create_task(pair.a.tcp_connect("10.0.0.3", 80))
    await asyncio.sleep(0)
    assert [info.state for info in pair.a.sockets()] == ["SYN_SENT"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pair.a.sockets() == []


async def test_udp_and_its_errors(pair: Pair) -> None:
    server, client = pair.b.udp_open(port=53), pair.a.udp_open()
    client.sendto(b"question", ("10.0.0.2", 53))
    data, peer = await server.recvfrom()
    assert (data, peer[0]) == (b"question", "10.0.0.1")
    server.sendto(b"answer", peer)
    assert await client.recvfrom() == (b"answer", ("10.0.0.2", 53))
    client.connect(("10.0.0.2", 54))
    assert client.local[0] == "10.0.0.1"
    client.sendto(b"x")
    with pytest.raises(ConnectionRefusedError):
        await client.recvfrom()
    waiting = asyncio.create_task(server.recvfrom())
    await asyncio.sleep(0)
    server.close()
    with pytest.raises(OSError) as caught:
        await waiting
    assert caught.value.errno == errno.EBADF


async def test_ping_and_traceroute(pair: Pair) -> None:
    raw = pair.a.icmp_open()
    raw.send_echo("10.0.0.2", ident=7, seq=1, payload=b"abc")
    reply = await raw.recv()
    assert (reply.type, reply.code, reply.source, reply.ident, reply.seq) == (0, 0, "10.0.0.2", 7, 1)
    assert (reply.payload, reply.ttl) == (b"abc", 64)
    probe = pair.a.udp_open(port=40000)
    probe.sendto(b"probe", ("10.0.0.2", 33434))
    error = await raw.recv()
    assert (error.type, error.code, error.source) == (3, 3, "10.0.0.2")
    assert (error.ident, error.seq, error.destination) == (40000, 33434, "10.0.0.2")


async def test_no_two_pings_of_a_sandbox_have_one_identifier(pair: Pair) -> None:
    """Each raw socket hears all answers: with an equal identifier it would take another's for its own."""
    long = pair.a.icmp_open()
    for _ in range(1 << 16):
        socket = pair.a.icmp_open()
        assert socket.ident != long.ident
        socket.close()


async def test_what_an_administrator_sees(pair: Pair) -> None:
    a = pair.a
    a.add_route("0.0.0.0/0", via="10.0.0.254")
    a.add_route("10.7.0.0/16", via="10.0.0.253", interface="eth0", source="10.0.0.1", metric=5)
    assert [(route.destination, route.via, route.interface, route.source) for route in a.routes()] == [
        ("0.0.0.0/0", "10.0.0.254", "eth0", None),
        ("10.0.0.0/24", None, "eth0", "10.0.0.1"),
        ("10.7.0.0/16", "10.0.0.253", "eth0", "10.0.0.1"),
    ]
    for arguments in ({"via": "10.0.0.254"}, {"via": "192.168.0.1", "metric": 1}):
        with pytest.raises(OSError):
            a.add_route("0.0.0.0/0", **arguments)  # type: ignore[arg-type]
    a.add_address("eth0", "10.0.0.5/24")
    assert [interface.addresses for interface in a.interfaces()] == [
        ["127.0.0.1/8"],
        ["10.0.0.1/24", "10.0.0.5/24"],
    ]
    listener = a.tcp_listen("0.0.0.0", 80)
    conn = await a.tcp_connect("10.0.0.5", 80)
    await listener.accept()
    assert {(info.protocol, info.state, info.local[1]) for info in a.sockets()} == {
        ("tcp", "LISTEN", 80),
        ("tcp", "ESTABLISHED", 80),
        ("tcp", "ESTABLISHED", conn.local[1]),
    }
    raw = a.icmp_open()
    raw.send_echo("10.0.0.2", ident=1, seq=1, payload=b"")
    await raw.recv()
    assert [(n.ip, n.mac, n.state) for n in a.neighbours()] == [("10.0.0.2", "02:42:0a:00:00:02", "REACHABLE")]
    a.set_up("eth0", False)
    assert a.routes() == []
    with pytest.raises(OSError):
        raw.send_echo("10.0.0.2", ident=1, seq=1, payload=b"")
    a.set_up("eth0", True)
    raw.send_echo("10.0.0.2", ident=1, seq=2, payload=b"")
    assert (await raw.recv()).seq == 2
    a.remove_interface("eth0")
    assert (a.routes(), a.neighbours(), [interface.name for interface in a.interfaces()]) == ([], [], ["lo"])
    listener.close()


async def test_capture_sees_both_directions_and_is_bounded(pair: Pair) -> None:
    capture, small = pair.a.capture("eth0"), pair.a.capture(limit=1)
    raw = pair.a.icmp_open()
    raw.send_echo("10.0.0.2", ident=1, seq=1, payload=b"")
    await raw.recv()
    capture.close()
    seen = [(captured.outgoing, captured.frame[12:14].hex()) async for captured in capture]
    assert seen == [(True, "0806"), (False, "0806"), (True, "0800"), (False, "0800")]
    assert small.dropped == 3


async def test_a_flood_is_bounded_and_does_not_starve_others(pair: Pair) -> None:
    frame = bytes(60)
    for _ in range(QUEUED_FRAMES + 100):
        pair.ports[1].transmit(frame)
    assert pair.a.interfaces()[1].counters.rx_dropped == 100
    turns = 0
    while pair.a.interfaces()[1].counters.rx_packets < QUEUED_FRAMES:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_the_queue_is_bounded_in_bytes_too(pair: Pair) -> None:
    counters = pair.a.interfaces()[1].counters
    frame = bytes(60_000)
    for _ in range(2):
        before = counters.rx_dropped
        for _ in range(300):
            pair.ports[1].transmit(frame)
        assert counters.rx_dropped == before + 300 - QUEUED_BYTES // len(frame)
        for _ in range(300):
            await asyncio.sleep(0)


async def test_close_wakes_everybody(pair: Pair) -> None:
    listener = pair.b.tcp_listen("0.0.0.0", 80)
    near = await pair.a.tcp_connect("10.0.0.2", 80)
    far = await listener.accept()
    udp, raw = pair.b.udp_open(), pair.b.icmp_open()
    waiting = [
        asyncio.create_task(awaitable) for awaitable in (listener.accept(), far.read(), udp.recvfrom(), raw.recv())
    ]
    await asyncio.sleep(0)
    await pair.b.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, OSError) for result in results)
    with pytest.raises(ConnectionResetError):
        await near.read()
    with pytest.raises(OSError):
        pair.b.udp_open()
    await pair.b.close()


async def test_an_idle_sandbox_has_no_alarm(pair: Pair) -> None:
    raw = pair.a.icmp_open()
    raw.send_echo("10.0.0.2", ident=1, seq=1, payload=b"")
    await raw.recv()
    await asyncio.sleep(0)
    assert pair.b.stack.next_timer() is None


async def test_an_announcement_that_changes_nothing_costs_no_pump_and_is_counted_and_captured(pair: Pair) -> None:
    """Gratuitous ARP of a stranger: only who has the address, or asked for it, or captures, has work with it."""
    a, eth0 = pair.a, pair.a.interface("eth0")
    mac, stranger, known = b"\x02\x42\x0a\0\0\x09", bytes((10, 0, 0, 9)), bytes((10, 0, 0, 2))

    def announce(ip: bytes, sender: bytes = mac) -> None:
        message = arp.Arp(arp.REQUEST, sender, ip, bytes(6), ip)
        pair.ports[1].transmit(b"\xff" * 6 + sender + b"\x08\x06" + message.emit())

    pair.b.tcp_listen("0.0.0.0", 80)
    await asyncio.sleep(0)
    before = eth0.counters.rx_packets
    announce(stranger)
    assert eth0.counters.rx_packets == before + 1, "received without waiting for the pump"
    assert a.neighbours() == []
    capture = a.capture()
    announce(stranger)
    await asyncio.sleep(0)
    capture.close()
    assert len([each async for each in capture if each.frame[28:32] == stranger]) == 1
    announce(bytes((10, 0, 0, 1)))
    await asyncio.sleep(0)
    assert a.counters["arp-conflict"] == 1
    await a.tcp_connect("10.0.0.2", 80, timeout=60)
    assert [n.mac for n in a.neighbours()] == ["02:42:0a:00:00:02"]
    announce(known)
    await asyncio.sleep(0)
    assert [n.mac for n in a.neighbours()] == ["02:42:0a:00:00:09"], "an address that moved is followed"
