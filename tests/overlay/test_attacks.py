"""What somebody on the wire tries who wants to disturb, impersonate or exhaust: nothing raises, nothing of it has an
effect, each is counted under a name, and the host answers afterwards as before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import pytest

from overlay.stack.reassembly import MAX_BYTES
from overlay.stack.stack import Stack
from overlay.stack.tcp.limits import HALF_OPEN
from overlay.wire import arp, icmp, icmpv6, nd, tcp, vxlan
from overlay.wire.address import ANY6, pack_ip, pack_mac
from overlay.wire.extension import DESTINATION, HOP_BY_HOP, ROUTING, Extension
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Packet
from overlay.wire.ipv6 import Packet6
from overlay.wire.udp import Datagram
from tests.overlay.lab import bridge, lab, overlay, ping

MAC, OTHER_MAC = b"\x02\x42\x0a\0\0\x02", b"\x02\x42\x0a\0\0\x03"
ME, STRANGER, GATEWAY = pack_ip("10.0.0.2"), pack_ip("10.0.0.3"), pack_ip("10.0.0.1")
ME6, STRANGER6 = pack_ip("fd00::2"), pack_ip("fd00::3")


class Victim:
    """A host with an open TCP port 80 and a UDP port 7; `sent` is what it says."""

    def __init__(self) -> None:
        self.stack = Stack(Random(1))
        self.sent: list[bytes] = []
        self.eth0 = self.stack.add_interface("eth0", hardware=MAC, mtu=1500, transmit=self.sent.append)
        self.stack.enable_ipv6(self.eth0)
        for address, prefix in ((ME, 24), (ME6, 64)):
            self.stack.add_address(self.eth0, address, prefix)
        self.stack.add_route(bytes(4), 0, GATEWAY, None, None, 0)
        self.listener = self.stack.tcp.listen(ANY6, 80, 16)
        self.heard = self.stack.udp.open(ANY6, 7)
        for stranger in (STRANGER, STRANGER6):
            self.stack.neighbours.set_permanent(self.eth0, stranger, OTHER_MAC)
        self.now = 100.0

    def hears(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            self.frame((b"\x86\xdd" if packet.version == 6 else b"\x08\x00") + packet.emit())

    def frame(self, rest: bytes, *, to: bytes = MAC) -> None:
        self.now += 0.001
        self.stack.receive(self.eth0, to + OTHER_MAC + rest, self.now)
        self.stack.flush(self.now)

    def is_well(self) -> bool:
        """Both families still answer an echo."""
        self.now += 60
        self.stack.handle_timer(self.now)
        self.sent.clear()
        echo = Icmp(icmp.ECHO_REQUEST, 0, 1, 2, b"well?")
        self.hears([Packet(STRANGER, ME, 1, echo.emit())])
        echo6 = Icmp(icmpv6.ECHO_REQUEST, 0, 1, 2, b"well?")
        self.hears([Packet6(STRANGER6, ME6, 58, icmpv6.emit(echo6, STRANGER6, ME6))])
        return len(self.sent) == 2 and all(frame.endswith(b"well?") for frame in self.sent)


def datagram(size: int = 64, *, six: bool = False) -> bytes:
    here, there = (STRANGER6, ME6) if six else (STRANGER, ME)
    return Datagram(9, 7, bytes(size)).emit(here, there)


def piece(body: bytes, offset: int, *, more: bool, six: bool = False, number: int = 7) -> Packet:
    kind = Packet6 if six else Packet
    here, there = (STRANGER6, ME6) if six else (STRANGER, ME)
    return kind(here, there, PROTOCOL_UDP, body, identification=number, more_fragments=more, fragment_offset=offset)


@pytest.mark.parametrize("six", [False, True], ids=["ipv4", "ipv6"])
def test_fragments_that_overlap_or_overflow(six: bool) -> None:
    """Teardrop, ping of death, and one piece inside of another (RFC 5722: the whole datagram goes)."""
    body = datagram(4000, six=six)
    attacks = {
        "teardrop": [(body[:1480], 0, True), (body[24:1400], 24, False)],
        "the second covers the first's end": [(body[:1480], 0, True), (body[1472:], 1472, False)],
        "death": [(body[:1480], 0, True), (bytes(1480), 65528, False)],
        "two ends": [(body[:1480], 0, True), (body[1480:2000], 1480, False), (body[1480:2960], 1480, True)],
        "a longer one in place of the first": [(body[:8], 0, True), (body[16:24], 16, False), (body[:16], 0, True)],
        "one behind the end": [(body[:8], 0, True), (body[16:24], 16, True), (body[8:16], 8, False)],
        "no middle": [(body[:8], 0, True), (body[-8:], len(body) // 8 * 8, False)],
    }
    for number, (name, pieces) in enumerate(attacks.items()):
        victim = Victim()
        victim.hears(piece(data, at, more=more, six=six, number=number) for data, at, more in pieces)
        assert victim.heard.receive() is None, name
        if name not in ("two ends", "no middle"):
            counted = "fragment-size" if name == "death" else "fragment-overlap"
            assert victim.stack.counters[counted] == 1, name
        assert victim.is_well(), name
        whole = [(body[:1480], 0, True), (body[1480:2960], 1480, True), (body[2960:], 2960, False)]
        victim.hears(piece(data, at, more=more, six=six, number=99) for data, at, more in whole)
        assert victim.heard.receive() is not None, name


@pytest.mark.parametrize("six", [False, True], ids=["ipv4", "ipv6"])
def test_a_flood_of_first_fragments_is_bounded(six: bool) -> None:
    victim = Victim()
    victim.hears(piece(bytes(1400), 0, more=True, six=six, number=number) for number in range(20_000))
    layer = victim.stack.ip6.reassembly if six else victim.stack.reassembly
    assert layer._held <= MAX_BYTES and layer.dropped > 10_000
    assert victim.is_well()


def segment(flags: int, *, port: int = 9, options: bytes = b"", source: bytes = STRANGER, seq: int = 1) -> Packet:
    """A TCP segment to port 80 with options as they are, whatever they are."""
    blank = tcp.Segment(port, 80, seq, 0, flags, 1000).emit(source, ME)
    padded = options + bytes(-len(options) % 4)
    body = bytearray(blank[:12] + bytes(((20 + len(padded)) << 2,)) + blank[13:20] + padded)
    body[16:18] = b"\0\0"
    total = source + ME + bytes((0, PROTOCOL_TCP)) + len(body).to_bytes(2, "big") + bytes(body)
    body[16:18] = (-int.from_bytes(total + bytes(len(total) % 2), "big") % 65535).to_bytes(2, "big")
    return Packet(source, ME, PROTOCOL_TCP, bytes(body))


def test_options_of_tcp_that_are_garbage() -> None:
    """Lengths of zero, beyond the end, too small for their kind; a scale of 255, an MSS of 0; and every random one."""
    random = Random(3)
    options = [
        b"\x02\x00", b"\x02\x04\x00\x00", b"\x02\x03\x05", b"\x03\x03\xff", b"\x08\x0a\x00", b"\x08\x00\x00\x00",
        b"\x05\x0a" + b"\xff" * 8, b"\x05\x03\x00", b"\x04\x01", b"\xff\xff\xff\xff", b"\x01" * 40, b"\x00" * 40,
        b"\x13\x12" + bytes(16), *(random.randbytes(random.randrange(41)) for _ in range(300)),
    ]  # fmt: skip
    victim = Victim()
    for number, each in enumerate(options):
        for flags in (tcp.SYN, tcp.ACK, tcp.SYN | tcp.ACK, tcp.RST, tcp.FIN | tcp.SYN, 0, 0xFF):
            victim.hears([segment(flags, port=1000 + number, options=each)])
    assert len(victim.listener.half_open) <= HALF_OPEN
    assert victim.is_well()
    conn = tcp.parse(segment(tcp.SYN, options=b"\x03\x03\xff").payload, STRANGER, ME)
    assert conn.window_scale == 255, "what the listener limits (RFC 7323 2.3)"


def test_sources_that_cannot_be() -> None:
    """Land (from the victim to itself), loopback, groups, broadcast, nobody: no answer, no connection."""
    victim = Victim()
    forged = [ME, *map(pack_ip, ("127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.255", "0.0.0.0", "0.1.2.3"))]
    for source in forged:
        victim.hears([segment(tcp.SYN, source=source)])
        victim.hears([Packet(source, ME, 1, Icmp(icmp.ECHO_REQUEST, 0, 1, 2, b"").emit())])
    assert victim.sent == [] and not victim.listener.half_open
    assert victim.stack.counters["ip-martian"] == 2 * len(forged)
    assert victim.is_well()


def chain(*kinds: tuple[int, bytes], last: int = 58) -> Packet6:
    echo = Icmp(icmpv6.ECHO_REQUEST, 0, 1, 2, b"x")
    packet = Packet6(STRANGER6, ME6, last, icmpv6.emit(echo, STRANGER6, ME6))
    packet.extensions = tuple(Extension(kind, body) for kind, body in kinds)
    return packet


def test_chains_of_extension_headers() -> None:
    """Long ones, hop-by-hop in the middle, routing that asks to go on, options that run over their header, headers that
    run over the packet, fragments of nothing, and what nobody knows."""
    padding, routing, wild = b"\0\0\1\4\0\0\0\0", b"\0\0\0\1\0\0\0\0", b"\0\0\xc2\x80\0\0\0\0"
    victim = Victim()
    victim.hears([chain((DESTINATION, padding))])
    assert len(victim.sent) == 1, "an honest one passes"
    victim.sent.clear()
    bad = {
        "long": chain(*[(DESTINATION, padding)] * 100),
        "hop-by-hop later": chain((DESTINATION, padding), (HOP_BY_HOP, padding)),
        "routing": chain((ROUTING, routing)),
        "options beyond": chain((DESTINATION, wild)),
        "unknown": chain((DESTINATION, padding), last=200),
    }
    for packet in bad.values():
        victim.hears([packet])
    emitted = chain((DESTINATION, padding)).emit()
    for size in range(40, len(emitted)):
        victim.frame(b"\x86\xdd" + emitted[:size])
        victim.frame(b"\x86\xdd" + emitted[:4] + (size - 40).to_bytes(2, "big") + emitted[6:size])
    overrun = bytearray(emitted)
    overrun[41] = 255
    victim.frame(b"\x86\xdd" + bytes(overrun))
    victim.hears([piece(b"", 0, more=True, six=True), piece(b"", 0, more=False, six=True)])
    assert not any(frame.endswith(b"x") and frame[54] == icmpv6.ECHO_REPLY for frame in victim.sent)
    assert victim.is_well()


def test_redirects_and_advertised_routers_are_not_believed() -> None:
    victim = Victim()
    routes = [(each.network, each.via) for each in victim.stack.routes.entries]
    quoted = Packet(ME, pack_ip("8.8.8.8"), PROTOCOL_UDP, bytes(8)).emit()
    redirect = Icmp(icmp.REDIRECT, 1, *(int.from_bytes(STRANGER[at : at + 2], "big") for at in (0, 2)), quoted)
    victim.hears([Packet(GATEWAY, ME, 1, redirect.emit())])
    link_local = pack_ip("fe80::3")
    for kind in (icmpv6.REDIRECT, 133, 134):
        body = icmpv6.emit(Icmp(kind, 0, 0, 0, bytes(4) + ME6 + STRANGER6 + b"\x02\x01" + OTHER_MAC), link_local, ME6)
        victim.hears([Packet6(link_local, ME6, 58, body, ttl=255)])
    assert [(each.network, each.via) for each in victim.stack.routes.entries] == routes
    assert victim.stack.counters["icmp-redirect"] == 1 and victim.stack.counters["icmp6-ignored"] == 3
    assert victim.is_well()


def test_neighbours_that_nobody_asked_for_do_not_displace_those_in_use() -> None:
    """A scan of a /16 by claims and questions: the cache is bounded, and who is in it permanently stays."""
    victim = Victim()
    for number in range(5000):
        ip = pack_ip(f"10.0.{number // 250}.{number % 250 + 4}")
        for operation in (arp.REQUEST, arp.REPLY):
            victim.frame(b"\x08\x06" + arp.Arp(operation, OTHER_MAC, ip, MAC, ME).emit())
        six = pack_ip(f"fd00::{number + 16:x}")
        asked = nd.Solicitation(ME6, OTHER_MAC).message()
        victim.hears([Packet6(six, ME6, 58, icmpv6.emit(asked, six, ME6), ttl=255)])
    assert len(victim.stack.neighbours.entries) <= 1024
    assert victim.is_well()


@pytest.mark.parametrize("driver", ["bridge", "overlay"])
async def test_a_container_cannot_be_another_by_any_kind_of_claim(driver: str) -> None:
    """The gateway's or a neighbour's address: by reply, by announcement, with a third one's MAC inside; replayed frames
    of others; frames too short to say who they are from."""
    async with lab(2) as net:
        h1, _ = net.hosts
        spec = bridge("net", "10.0.9.0/24") if driver == "bridge" else overlay("net", "10.0.9.0/24", 4097)
        network = net.create(spec, *net.hosts[: 1 if driver == "bridge" else 2])
        evil, _ = net.run(h1, "evil", network, "10.0.9.2")
        victim, _ = net.run(h1, "victim", network, "10.0.9.3")
        mine, theirs = evil.interface("eth0").hardware, victim.interface("eth0").hardware
        assert await ping(victim, "10.0.9.2", wait=30) == 64
        known = {n.ip: n.mac for n in victim.neighbours()}
        everybody, send = b"\xff" * 6, evil.cable("eth0").transmit
        own = pack_ip("10.0.9.2")
        claims: list[Callable[[], object]] = []
        for claimed in ("10.0.9.1", "10.0.9.3", "10.0.9.77"):
            ip = pack_ip(claimed)
            for to in (everybody, theirs):
                for said in (
                    arp.Arp(arp.REPLY, mine, ip, theirs, pack_ip("10.0.9.3")),
                    arp.Arp(arp.REQUEST, mine, ip, bytes(6), ip),
                    arp.Arp(arp.REPLY, theirs, own, theirs, pack_ip("10.0.9.3")),
                ):
                    claims.append(lambda to=to, said=said: send(to + mine + b"\x08\x06" + said.emit()))  # type: ignore[misc]
        for claim in claims:
            claim()
        for size in range(14):
            send((theirs + mine + b"\x08\x00")[:size])
        for size in range(14, 60):
            send((everybody + mine + b"\x08\x06" + claims_body())[:size])
        assert h1.counters["bridge_dropped_spoofed_arp"] >= len(claims)
        assert h1.counters["bridge_dropped_malformed"] >= 12
        assert {n.ip: n.mac for n in victim.neighbours()} == known
        assert await ping(victim, "10.0.9.2", wait=30) == 64 == await ping(evil, "10.0.9.3", wait=30)


def claims_body() -> bytes:
    return arp.Arp(arp.REQUEST, OTHER_MAC, GATEWAY, bytes(6), GATEWAY).emit()


async def test_tunnel_packets_that_no_member_sent() -> None:
    """From outside of the cluster, for no network, with an inner frame that is cut, tagged, looped or somebody's."""
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(overlay("net", "10.0.9.0/24", 4097))
        near, _ = net.run(h1, "near", network, "10.0.9.2")
        far, _ = net.run(h2, "far", network, "10.0.9.3")
        assert await ping(near, "10.0.9.3", wait=30) == 64
        capture = near.capture("eth0")
        port = net.wires.ports["192.0.2.1", vxlan.PORT]
        mine, theirs = near.interface("eth0").hardware, far.interface("eth0").hardware
        udp = Datagram(1, 2, b"x").emit(pack_ip("10.0.9.3"), pack_ip("10.0.9.2"))
        inner = mine + theirs + b"\x08\x00" + Packet(pack_ip("10.0.9.3"), pack_ip("10.0.9.2"), 17, udp).emit()
        head = vxlan.emit(vxlan.Header(4097))
        nobody = pack_mac("02:42:00:00:00:99")
        for number, (data, source, why) in enumerate(
            [
                (head + inner, "192.0.2.77", "unknown_vtep"),
                (vxlan.emit(vxlan.Header(9999)) + inner, "192.0.2.2", "unknown_vni"),
                (bytes(4) + head[4:] + inner, "192.0.2.2", "flags"),
                (head + inner[:13], "192.0.2.2", "short"),
                (head[:5], "192.0.2.2", "short"),
                (b"", "192.0.2.2", "short"),
                (head + mine + mine + inner[12:], "192.0.2.2", "spoofed"),
                (head + nobody + theirs + inner[12:], "192.0.2.2", "unknown_mac"),
            ]
        ):
            before = h1.counters[f"vxlan_dropped_{why}"]
            port(data, (source, vxlan.PORT))
            assert h1.counters[f"vxlan_dropped_{why}"] == before + 1, number
        for size in range(14, len(inner)):
            port(head + inner[:size], ("192.0.2.2", vxlan.PORT))
        capture.close()
        assert [each.frame async for each in capture if inner == each.frame] == []
        assert await ping(near, "10.0.9.3", wait=30) == 64 == await ping(far, "10.0.9.2", wait=30)
