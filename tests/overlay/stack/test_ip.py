"""Host and router: ARP, fragments, forwarding, ICMP errors, path MTU, hooks (RFC 826, 791, 792, 1122, 1191, 1812)."""

from __future__ import annotations

import errno
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.stack.reassembly import MAX_BYTES, Reassembly, fragment
from overlay.stack.stack import Stack
from overlay.stack.timers import Timers
from overlay.wire import arp, icmp
from overlay.wire.address import ANY, ip_text, pack_ip
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import Malformed, Packet
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import connect, exchange

A, B, C = pack_ip("10.0.0.1"), pack_ip("10.0.0.2"), pack_ip("10.0.1.2")


def pair(network: Network, **options: int) -> tuple[Stack, Stack, Link, Link]:
    a, b = network.host(), network.host()
    out, back = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", **options)
    return a, b, out, back


def routed(network: Network, *, near_mtu: int = 1500, far_mtu: int = 1500) -> tuple[Stack, Stack, Stack]:
    """a — router — c"""
    a, router, c = network.host(), network.host(), network.host()
    network.link(a, "10.0.0.1/24", router, "10.0.0.254/24", mtu=near_mtu)
    network.link(router, "10.0.1.254/24", c, "10.0.1.2/24", mtu=far_mtu)
    router.forwarding = True
    for stack, via in ((a, "10.0.0.254"), (c, "10.0.1.254")):
        stack.add_route(ANY, 0, pack_ip(via), None, None, 0)
        network.loopback(stack)
    return a, router, c


def ping(network: Network, stack: Stack, to: bytes, *, size: int = 56, ttl: int = 64) -> tuple[int, int, bytes]:
    """(type, code, from) of what comes back."""
    raw = stack.icmp.open()
    raw.send(to, Icmp(icmp.ECHO_REQUEST, 0, 1, 2, bytes(size)), ttl, network.now)
    assert network.run(lambda: bool(raw.queue), 60), stack.counters
    arrival = raw.queue.popleft()
    raw.close()
    if arrival.message.type == icmp.ECHO_REPLY:
        assert arrival.message == Icmp(icmp.ECHO_REPLY, 0, 1, 2, bytes(size))
    else:
        assert arrival.quoted is not None and arrival.quoted.destination == to
    return arrival.message.type, arrival.message.code, arrival.packet.source


# ---------------------------------------------------------------------- ARP


def test_packets_wait_for_arp_and_leave_in_order() -> None:
    network = Network()
    a, b, out, _ = pair(network)
    out.keep = True
    receiver, sender = b.udp.open(ANY, 9), a.udp.open(ANY, 0)
    for number in range(5):
        sender.send(bytes([number]), (B, 9), network.now)
    network.run(seconds=1)
    assert [receiver.receive()[0][0] for _ in range(5)] == list(range(5))  # type: ignore[index]
    assert sum(frame[12:14] == b"\x08\x06" for _, frame in out.frames) == 1


def test_nobody_answers_arp() -> None:
    network = Network()
    a, _, out, _ = pair(network)
    network.loopback(a)
    out.keep = True
    assert ping(network, a, pack_ip("10.0.0.9")) == (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, A)
    assert [round(when - 100, 3) for when, _ in out.frames] == [0, 1, 2]
    sender = a.udp.open(ANY, 0)
    for number in range(200):
        sender.send(bytes([number]), (pack_ip("10.0.0.8"), 9), network.now)
    assert a.neighbours.dropped == 200 - 101


def test_an_old_neighbour_is_asked_again_and_a_moved_address_is_followed() -> None:
    network = Network()
    a, b, out, _ = pair(network)
    ping(network, a, B)
    entry = a.neighbours.entries[(2, B)]
    assert a.neighbours.state_of(entry).value == "REACHABLE"
    network.run(seconds=50)
    a.now = network.now
    assert a.neighbours.state_of(entry).value == "STALE"
    out.keep = True
    ping(network, a, B)
    network.run(seconds=10)
    questions = [frame for _, frame in out.frames if frame[12:14] == b"\x08\x06"]
    assert [frame[:6] for frame in questions] == [b.interfaces["eth0"].hardware]
    assert a.neighbours.state_of(entry).value == "REACHABLE"
    b.interfaces["eth0"].hardware = b"\x02\x00\x00\x00\x00\x99"
    b.announce(b.interfaces["eth0"], B)
    network.run(seconds=1)
    assert entry.mac == b"\x02\x00\x00\x00\x00\x99"
    ping(network, a, B)


def test_arp_for_others_is_not_answered_and_ours_is_not_taken_away() -> None:
    network = Network()
    a, b, _, back = pair(network)
    back.keep = True
    request = arp.Arp(arp.REQUEST, a.interfaces["eth0"].hardware, A, bytes(6), C)
    a.emit(a.interfaces["eth0"], b"\xff" * 6, b"\x08\x06", request.emit())
    thief = arp.Arp(arp.REPLY, a.interfaces["eth0"].hardware, B, bytes(6), B)
    a.emit(a.interfaces["eth0"], b"\xff" * 6, b"\x08\x06", thief.emit())
    network.run(seconds=1)
    assert not back.frames
    assert b.counters["arp-conflict"] == 1


# ---------------------------------------------------------------------- fragments


@given(st.binary(min_size=1, max_size=5000), st.integers(68, 1500), st.randoms(use_true_random=False))
def test_fragments_in_any_order_make_the_packet_again(data: bytes, mtu: int, random: Random) -> None:
    packet = Packet(A, B, 17, data, identification=7, ttl=9)
    pieces = fragment(packet, mtu)
    assert all(piece.total_length <= mtu for piece in pieces)
    pieces += random.sample(pieces, min(3, len(pieces) - 1)) if len(pieces) > 1 else []
    random.shuffle(pieces)
    reassembly = Reassembly(Timers(), lambda first: None)
    done = [whole for piece in pieces if (whole := reassembly.add(piece, 0.0) if piece.is_fragment else piece)]
    assert done[0].payload == data and not done[0].is_fragment


def test_overlapping_fragments_are_dropped() -> None:
    def piece(offset: int, size: int, more: bool) -> Packet:
        return Packet(A, B, 17, bytes(size), more_fragments=more, fragment_offset=offset)

    reassembly = Reassembly(Timers(), lambda first: None)
    assert reassembly.add(piece(0, 24, True), 0.0) is None
    assert reassembly.add(piece(8, 24, True), 0.0) is None
    with pytest.raises(Malformed):
        reassembly.add(piece(32, 8, False), 0.0)
    with pytest.raises(Malformed):
        reassembly.add(piece(65528, 100, False), 0.0)
    with pytest.raises(Malformed):
        reassembly.add(piece(0, 13, True), 0.0)


def test_incomplete_datagrams_cost_bounded_memory_and_are_reported() -> None:
    network = Network()
    a, b, _, back = pair(network)
    a.neighbours.set_permanent(a.interfaces["eth0"], B, b.interfaces["eth0"].hardware)
    ping(network, b, A)
    back.keep = True
    route = a.route_to(B)
    for number in range(2000):
        first = fragment(Packet(A, B, 17, bytes(3000), identification=number), 1500)[0]
        a.output(first, route)
    network.run(seconds=1)
    assert b.reassembly._held <= MAX_BYTES
    assert b.reassembly.dropped > 1000
    assert not back.frames
    network.run(seconds=40)
    kinds = {frame[34:36] for _, frame in back.frames if frame[23] == 1}
    assert kinds == {bytes((icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED))}
    assert b.reassembly._held == 0


@pytest.mark.parametrize("size", [1472, 1473, 3000, 65507])
def test_large_datagrams_cross(size: int) -> None:
    network = Network()
    a, b, _, _ = pair(network)
    receiver, sender = b.udp.open(ANY, 9), a.udp.open(ANY, 0)
    data = Random(size).randbytes(size)
    sender.send(data, (B, 9), network.now)
    network.run(seconds=1)
    found = receiver.receive()
    assert found is not None and found[0] == data
    with pytest.raises(OSError) as caught:
        sender.send(bytes(65508), (B, 9), network.now)
    assert caught.value.errno == errno.EMSGSIZE


# ---------------------------------------------------------------------- forwarding


def test_a_router_forwards_and_counts_hops_down() -> None:
    network = Network()
    a, router, c = routed(network)
    raw = a.icmp.open()
    assert ping(network, a, C) == (icmp.ECHO_REPLY, 0, C)
    assert raw.queue.popleft().packet.ttl == 63
    raw.close()
    assert ping(network, a, C, size=5000) == (icmp.ECHO_REPLY, 0, C)
    assert ping(network, a, C, ttl=1) == (icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED, pack_ip("10.0.0.254"))
    assert ping(network, a, pack_ip("8.8.8.8")) == (
        icmp.UNREACHABLE,
        icmp.NET_UNREACHABLE,
        pack_ip("10.0.0.254"),
    )
    assert ping(network, a, pack_ip("10.0.1.77")) == (
        icmp.UNREACHABLE,
        icmp.HOST_UNREACHABLE,
        pack_ip("10.0.0.254"),
    )
    router.forwarding = False
    raw = a.icmp.open()
    raw.send(C, Icmp(icmp.ECHO_REQUEST, 0, 1, 2, b""), 64, network.now)
    network.run(seconds=5)
    assert not raw.queue
    assert not c.counters


def test_path_mtu_is_discovered_by_tcp_and_udp() -> None:
    network = Network()
    a, router, _ = routed(network)
    # a — router —(1000)— second — c: neither end's MSS tells of the narrow link
    second, c = network.host(), network.host()
    network.link(router, "10.0.2.1/24", second, "10.0.2.2/24", mtu=1000)
    network.link(second, "10.0.3.254/24", c, "10.0.3.2/24")
    second.forwarding = True
    router.add_route(pack_ip("10.0.3.0"), 24, pack_ip("10.0.2.2"), None, None, 0)
    second.add_route(ANY, 0, pack_ip("10.0.2.1"), None, None, 0)
    c.add_route(ANY, 0, pack_ip("10.0.3.254"), None, None, 0)
    target = pack_ip("10.0.3.2")
    near, far = connect(network, a, c, "10.0.3.2")
    data = Random(1).randbytes(200_000)
    exchange(network, near, far, data, data)
    assert near.mss == 1000 - 52
    assert router.counters["ip-too-big"] > 0
    assert a.paths.mtu(target, 1500, network.now) == 1000
    receiver, sender = c.udp.open(ANY, 9), a.udp.open(ANY, 0)
    sender.send(data[:1400], (target, 9), network.now)
    network.run(seconds=1)
    found = receiver.receive()
    assert found is not None and found[0] == data[:1400]
    network.run(seconds=601)
    assert a.paths.mtu(target, 1500, network.now) == 1500


def test_a_path_that_shrinks_in_the_middle_of_a_transfer() -> None:
    network = Network(3)
    a, router, c = routed(network)
    near, far = connect(network, a, c, "10.0.1.2")

    def shrink(now: float) -> None:
        if len(near.buffer) and near.snd_una - near.iss > 300_000:
            router.interfaces["eth1"].mtu = 900

    network.programs.append(shrink)
    data = Random(1).randbytes(1_000_000)
    assert exchange(network, near, far, data, b"") < 3
    assert near.mss == 900 - 52


# ---------------------------------------------------------------------- UDP and ICMP to sockets


def test_port_unreachable_reaches_the_connected_socket_only() -> None:
    network = Network()
    a, _, _, _ = pair(network)
    plain, connected = a.udp.open(ANY, 0), a.udp.open(ANY, 0)
    connected.connect((B, 9))
    assert connected.local_ip == A
    for socket in (plain, connected):
        socket.send(b"x", (B, 9), network.now)
    network.run(seconds=1)
    assert plain.receive() is None
    with pytest.raises(ConnectionRefusedError):
        connected.receive()
    assert connected.receive() is None


def test_ports_are_exclusive_and_the_most_special_socket_gets_the_datagram() -> None:
    network = Network()
    a, b, _, _ = pair(network)
    anybody = b.udp.open(ANY, 9)
    for ip in (ANY, B):
        with pytest.raises(OSError) as caught:
            b.udp.open(ip, 9)
        assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError) as caught:
        b.udp.open(C, 10)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    sender = a.udp.open(ANY, 1234)
    anybody.connect((A, 99))
    sender.send(b"x", (B, 9), network.now)
    network.run(seconds=1)
    assert anybody.receive() is None
    chosen = {b.udp.open(ANY, 0).local_port for _ in range(100)}
    assert len(chosen) == 100 and min(chosen) >= 32768 and max(chosen) <= 60999


def test_broadcast_reaches_sockets_but_is_answered_by_nobody() -> None:
    network = Network()
    a, b, _, back = pair(network)
    receiver, sender = b.udp.open(ANY, 67), a.udp.open(ANY, 68)
    back.keep = True
    for target in ("255.255.255.255", "10.0.0.255"):
        sender.send(b"discover", (pack_ip(target), 67), network.now)
        sender.send(b"nobody", (pack_ip(target), 69), network.now)
        network.run(seconds=1)
        found = receiver.receive()
        assert found is not None and found[0] == b"discover"
    raw = a.icmp.open()
    raw.send(pack_ip("10.0.0.255"), Icmp(icmp.ECHO_REQUEST, 0, 1, 1, b""), 64, network.now)
    network.run(seconds=1)
    assert not back.frames


def test_errors_are_rate_limited() -> None:
    network = Network()
    a, b, _, back = pair(network)
    ping(network, a, B)
    back.keep = True
    sender = a.udp.open(ANY, 0)
    for _ in range(500):
        sender.send(b"x", (B, 9), network.now)
    network.run(seconds=1)
    assert 50 <= len(back.frames) <= 60
    assert b.counters["icmp-rate"] == 500 - len(back.frames)


@given(st.binary(max_size=100), st.sampled_from([b"\x08\x00", b"\x08\x06", b"\x86\xdd", b""]))
def test_garbage_is_counted_and_changes_nothing(body: bytes, ethertype: bytes) -> None:
    network = Network()
    a, _, _out, _ = pair(network)
    interface = a.interfaces["eth0"]
    a.receive(interface, interface.hardware + bytes(6) + ethertype + body, network.now)
    a.flush(network.now)
    assert sum(a.counters.values()) <= 1
    assert interface.counters.rx_packets == 1


# ---------------------------------------------------------------------- loopback and hooks


def test_a_host_talks_to_itself_over_lo() -> None:
    network = Network()
    a, _, out, _ = pair(network)
    out.keep = True
    network.loopback(a)
    for to in (A, pack_ip("127.0.0.1"), pack_ip("127.0.0.11")):
        assert ping(network, a, to) == (icmp.ECHO_REPLY, 0, to)
    assert not out.frames
    near, far = connect(network, a, a, "127.0.0.1")
    data = Random(1).randbytes(500_000)
    exchange(network, near, far, data, data)
    assert near.mss == 65535 - 52


def test_destination_nat_by_hooks() -> None:
    """prerouting changes the destination, postrouting the answers' source: the client sees only the router."""
    network = Network()
    a, router, c = routed(network)
    front, back = pack_ip("10.0.0.254"), C

    def prerouting(packet: Packet) -> Packet | None:
        assert packet.in_interface and not packet.out_interface and not packet.is_fragment
        if packet.destination == front and packet.ports() is not None:
            packet.rewrite(destination=back, destination_port=80)
        return packet

    def postrouting(packet: Packet) -> Packet | None:
        assert packet.out_interface
        if packet.source == back and packet.ports() is not None:
            packet.rewrite(source=front, source_port=8080 if packet.protocol == 6 else 9)
        return packet

    router.hooks.prerouting, router.hooks.postrouting = prerouting, postrouting
    listener = c.tcp.listen(ANY, 80, 5)
    near = a.tcp.connect(front, 8080, network.now)
    assert network.run(lambda: bool(listener.ready) and near.established, 5)
    far = listener.accept()
    assert far is not None and ip_text(far.remote_ip) == "10.0.0.1"
    exchange(network, near, far, bytes(100_000), bytes(100_000))
    receiver, sender = c.udp.open(ANY, 80), a.udp.open(ANY, 0)
    sender.send(bytes(4000), (front, 9), network.now)
    network.run(seconds=1)
    found = receiver.receive()
    assert found is not None
    receiver.send(found[0], found[1], network.now)
    network.run(seconds=1)
    answer = sender.receive()
    assert answer is not None and answer[1] == (front, 9) and len(answer[0]) == 4000


def test_the_output_hook_reroutes_and_any_hook_may_drop() -> None:
    network = Network()
    a, router, c = routed(network)
    receiver, sender = c.udp.open(ANY, 9), a.udp.open(ANY, 0)

    def output(packet: Packet) -> Packet | None:
        if packet.destination == pack_ip("127.0.0.5"):
            packet.rewrite(destination=C)
        return packet

    def masquerade(packet: Packet) -> Packet | None:
        if packet.out_interface == "eth0" and packet.source[0] == 127:
            packet.rewrite(source=A)
        return packet

    a.hooks.output, a.hooks.postrouting = output, masquerade
    sender.send(b"x", (pack_ip("127.0.0.5"), 9), network.now)
    network.run(seconds=1)
    found = receiver.receive()
    assert found is not None and found[1][0] == A
    a.hooks.postrouting = None
    for stack, name in ((a, "output"), (a, "postrouting"), (router, "prerouting"), (router, "forward"), (c, "input")):
        setattr(stack.hooks, name, lambda packet: None)
        sender.send(b"x", (C, 9), network.now)
        network.run(seconds=1)
        assert receiver.receive() is None
        assert stack.counters[f"hook-{name}"] > 0
        setattr(stack.hooks, name, None)
