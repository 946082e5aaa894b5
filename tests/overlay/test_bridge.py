"""The switch by calling it: learning, flooding, guards, isolation."""

from overlay.bridge import Bridge
from overlay.port import Port, cable
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.arp import REQUEST, Arp
from overlay.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, Frame
from overlay.wire.ipv4 import PROTOCOL_UDP, Packet

A, B, C = (pack_mac(f"02:42:ac:11:00:0{n}") for n in (2, 3, 4))
ALL = b"\xff" * 6


class Station:
    """The other end of a port's cable."""

    def __init__(self, bridge: Bridge, name: str, mac: bytes, ip: str, **options: bool) -> None:
        self.cable, ours = cable()
        self.got: list[bytes] = []
        self.cable.on_receive(self.got.append)
        self.mac, self.ip = mac, ip
        static = {"mac": mac.hex(":"), "addresses": [f"{ip}/16"]} if options.get("guarded") else {}
        self.port = bridge.add_port(name, ours, **static, **options)  # type: ignore[arg-type]

    def ip_frame(self, to: bytes, *, source: bytes | None = None, ip: str | None = None) -> bytes:
        packet = Packet(pack_ip(ip or self.ip), pack_ip("172.17.0.9"), PROTOCOL_UDP, bytes(8))
        return Frame(to, source or self.mac, ETHERTYPE_IPV4, packet.emit()).emit()

    def arp(self, *, ip: str | None = None, mac: bytes | None = None) -> bytes:
        asked = Arp(REQUEST, mac or self.mac, pack_ip(ip or self.ip), bytes(6), pack_ip("172.17.0.9"))
        return Frame(ALL, self.mac, ETHERTYPE_ARP, asked.emit()).emit()

    def send(self, frame: bytes) -> bytes:
        self.cable.transmit(frame)
        return frame


def stations(*, guarded: bool = False, isolated: bool = False) -> tuple[Bridge, Station, Station, Station]:
    bridge = Bridge("b")
    a, b, c = (
        Station(bridge, name, mac, ip, guarded=guarded, isolated=isolated)
        for name, mac, ip in (("a", A, "172.17.0.2"), ("b", B, "172.17.0.3"), ("c", C, "172.17.0.4"))
    )
    return bridge, a, b, c


def test_floods_until_it_has_learned() -> None:
    bridge, a, b, c = stations()
    first = a.send(a.ip_frame(B))
    assert (a.got, b.got, c.got) == ([], [first], [first])
    answer = b.send(b.ip_frame(A))
    assert (a.got, c.got) == ([answer], [first])
    bridge.remove_port(a.port)
    b.send(b.ip_frame(A))
    assert len(c.got) == 2, "what was behind a pulled port is unknown again"


def test_a_guarded_port_speaks_for_itself_only() -> None:
    bridge, a, b, c = stations(guarded=True)
    a.send(a.ip_frame(B, source=C))
    a.send(a.ip_frame(B, ip="172.17.0.4"))
    a.send(a.arp(ip="172.17.0.4"))
    a.send(a.arp(mac=C))
    assert (b.got, c.got) == ([], [])
    assert dict(bridge.counters) == {
        "bridge_dropped_spoofed_mac": 1,
        "bridge_dropped_spoofed_ip": 1,
        "bridge_dropped_spoofed_arp": 2,
    }
    good = a.send(a.ip_frame(B))
    assert (b.got, c.got) == ([good], []), "a guarded MAC needs no flooding to be found"


def test_an_unguarded_port_cannot_take_over_a_guarded_mac() -> None:
    bridge, a, b, _ = stations(guarded=True)
    gateway = Station(bridge, "gateway", pack_mac("02:42:00:00:00:01"), "172.17.0.1")
    gateway.send(gateway.ip_frame(B, source=A))
    assert b.got == []
    frame = b.send(b.ip_frame(A))
    assert a.got == [frame]


def test_without_icc_arp_passes_and_ip_does_not() -> None:
    bridge, a, b, _ = stations(guarded=True, isolated=True)
    gateway = Station(bridge, "gateway", pack_mac("02:42:00:00:00:01"), "172.17.0.1")
    question = a.send(a.arp())
    a.send(a.ip_frame(B))
    assert b.got == [question]
    assert bridge.counters["bridge_dropped_icc"] == 1
    out = a.send(a.ip_frame(gateway.mac))
    assert gateway.got == [question, out]


def test_garbage_is_counted() -> None:
    bridge, a, b, _ = stations()
    for frame in (b"", b"\x00" * 13, ALL + ALL + b"\x08\x00"):
        a.send(frame)
    assert b.got == []
    assert bridge.counters["bridge_dropped_malformed"] == 3


def test_a_pulled_port_is_silent() -> None:
    bridge, a, b, _ = stations(guarded=True)
    bridge.remove_port(a.port)
    a.send(a.ip_frame(B))
    assert b.got == []
    assert isinstance(a.cable, Port) and a.cable.dropped == 1
