"""The host's gateway rules, by handing packets to its hooks as the stack does."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from overlay.nat import conntrack
from overlay.nat.gateway import BridgeRules, Forward, Gateway
from overlay.stack.hooks import Hooks
from overlay.wire import icmp, udp
from overlay.wire.address import ip_text, pack_ip
from overlay.wire.checksum import is_right, partial
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Packet, pseudo_header

HOST, PEER, ROUTER = "192.0.2.1", "192.0.2.2", "192.0.2.254"
WEB, OTHER, SECRET = "172.17.0.2", "172.18.0.2", "172.19.0.2"
_SYN, _ACK, _FIN, _RST = 2, 16, 1, 4


class Host:
    """Hooks in the order in which the stack runs them, with three bridges and an uplink."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counters: Counter[str] = Counter()
        self.hooks = Hooks()
        self.gateway = Gateway(self.hooks, clock=lambda: self.now, counters=self.counters)
        self.gateway.add_uplink("eth0", HOST)
        self.gateway.add_bridge(BridgeRules("docker0", ("172.17.0.0/16",)))
        self.gateway.add_bridge(BridgeRules("br-n1", ("172.18.0.0/16",)))
        self.gateway.add_bridge(BridgeRules("br-int", ("172.19.0.0/16",), internal=True, masquerade=False))

    def route(self, packet: Packet, came: str) -> Packet | None:
        """Through the host; None if dropped or for the host itself."""
        packet.in_interface = came
        assert self.hooks.prerouting and self.hooks.forward and self.hooks.postrouting
        if self.hooks.prerouting(packet) is None:
            return None
        target = ip_text(packet.destination)
        if target == HOST:
            return None
        bridges = {"172.17.": "docker0", "172.18.": "br-n1", "172.19.": "br-int"}
        packet.out_interface = bridges.get(target[:7], "eth0")
        if self.hooks.forward(packet) is None:
            return None
        return self.hooks.postrouting(packet)


def segment(source: str, sport: int, to: str, dport: int, flags: int = _SYN, protocol: int = PROTOCOL_TCP) -> Packet:
    src, dst = pack_ip(source), pack_ip(to)
    ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    if protocol == PROTOCOL_UDP:
        return Packet(src, dst, protocol, udp.Datagram(sport, dport, b"hello").emit(src, dst))
    body = bytearray(ports + bytes(8) + bytes([0x50, flags]) + bytes(6))
    body[16:18] = (-(pseudo_header(src, dst, protocol, 20) + partial(body)) % 65535).to_bytes(2, "big")
    return Packet(src, dst, protocol, bytes(body))


def echo(source: str, to: str, ident: int, kind: int = icmp.ECHO_REQUEST) -> Packet:
    return Packet(pack_ip(source), pack_ip(to), PROTOCOL_ICMP, icmp.Icmp(kind, 0, ident, 1, b"data").emit())


def seen(packet: Packet | None) -> tuple[str, int, str, int]:
    """(source, port, destination, port) with the transport checksum proved."""
    assert packet is not None
    assert is_right(
        pseudo_header(packet.source, packet.destination, packet.protocol, len(packet.payload)) + partial(packet.payload)
    )
    ports = packet.ports()
    assert ports is not None
    return ip_text(packet.source), ports[0], ip_text(packet.destination), ports[1]


@pytest.mark.parametrize("protocol", [PROTOCOL_TCP, PROTOCOL_UDP])
def test_masquerade_and_back(protocol: int) -> None:
    host = Host()
    out = host.route(segment(WEB, 40000, ROUTER, 53, protocol=protocol), "docker0")
    assert seen(out) == (HOST, 40000, ROUTER, 53)
    back = host.route(segment(ROUTER, 53, HOST, 40000, _SYN | _ACK, protocol), "eth0")
    assert seen(back) == (ROUTER, 53, WEB, 40000)


def test_two_containers_with_one_port_get_two() -> None:
    host = Host()
    host.route(segment(WEB, 40000, ROUTER, 53), "docker0")
    out = host.route(segment(OTHER, 40000, ROUTER, 53), "br-n1")
    assert seen(out) == (HOST, 40001, ROUTER, 53)
    assert seen(host.route(segment(ROUTER, 53, HOST, 40001, _ACK), "eth0")) == (ROUTER, 53, OTHER, 40000)
    assert seen(host.route(segment(ROUTER, 53, HOST, 40000, _ACK), "eth0")) == (ROUTER, 53, WEB, 40000)


def test_the_host_s_own_flows_keep_their_ports() -> None:
    host = Host()
    own = segment(HOST, 40000, ROUTER, 53)
    own.out_interface = "eth0"
    assert host.hooks.postrouting is not None
    assert seen(host.hooks.postrouting(own)) == (HOST, 40000, ROUTER, 53)
    assert seen(host.route(segment(WEB, 40000, ROUTER, 53), "docker0")) == (HOST, 40001, ROUTER, 53)


def test_pings_are_told_apart_by_identifier() -> None:
    host = Host()
    first = host.route(echo(WEB, ROUTER, 7), "docker0")
    second = host.route(echo(OTHER, ROUTER, 7), "br-n1")
    assert first is not None and second is not None
    one, two = icmp.parse(first.payload), icmp.parse(second.payload)
    assert (one.first, two.first) == (7, 1024 + (7 + 1 - 1024) % 64512)
    back = host.route(echo(ROUTER, HOST, two.first, icmp.ECHO_REPLY), "eth0")
    assert back is not None and ip_text(back.destination) == OTHER
    assert icmp.parse(back.payload).first == 7


def test_a_ping_towards_the_host_is_not_taken_for_an_answer() -> None:
    host = Host()
    host.route(echo(WEB, PEER, 7), "docker0")
    ping = echo(PEER, HOST, 7)
    host.route(ping, "eth0")
    assert ip_text(ping.destination) == HOST


def test_an_error_about_a_masqueraded_packet_finds_its_sender() -> None:
    host = Host()
    out = host.route(segment(WEB, 40000, "192.0.2.9", 33434, protocol=PROTOCOL_UDP), "docker0")
    assert out is not None
    error = icmp.Icmp(icmp.TIME_EXCEEDED, 0, 0, 0, out.emit()[:28])
    told = host.route(Packet(pack_ip(ROUTER), pack_ip(HOST), PROTOCOL_ICMP, error.emit()), "eth0")
    assert told is not None
    assert (ip_text(told.source), ip_text(told.destination)) == (ROUTER, WEB)
    quoted = icmp.parse(told.payload).payload
    assert quoted[12:16] == pack_ip(WEB) and int.from_bytes(quoted[20:22], "big") == 40000
    assert is_right(partial(quoted[:20]))


def test_published_port_keeps_the_client_s_address() -> None:
    host = Host()
    host.gateway.add_forward(Forward("tcp", "", 8080, WEB, 80))
    into = host.route(segment(PEER, 50000, HOST, 8080), "eth0")
    assert seen(into) == (PEER, 50000, WEB, 80)
    assert seen(host.route(segment(WEB, 80, PEER, 50000, _SYN | _ACK), "docker0")) == (HOST, 8080, PEER, 50000)
    refused = icmp.Icmp(icmp.UNREACHABLE, 3, 0, 0, segment(PEER, 50000, WEB, 80).emit()[:28])
    told = host.route(Packet(pack_ip(WEB), pack_ip(PEER), PROTOCOL_ICMP, refused.emit()), "docker0")
    assert told is not None and ip_text(told.source) == HOST
    quoted = icmp.parse(told.payload).payload
    assert quoted[16:20] == pack_ip(HOST) and int.from_bytes(quoted[22:24], "big") == 8080


def test_a_container_s_way_to_a_published_port_is_the_listener_in_the_host() -> None:
    host = Host()
    host.gateway.add_forward(Forward("tcp", "", 8080, WEB, 80))
    assert host.route(segment(OTHER, 50000, HOST, 8080), "br-n1") is None
    assert not host.counters, "it is for the host itself: nothing was dropped"


def test_an_address_of_its_own_and_what_is_not_published() -> None:
    host = Host()
    rule = Forward("tcp", "192.168.1.100", 8080, WEB, 80)
    host.gateway.add_uplink("eth0", HOST, further=("192.168.1.100",))
    host.gateway.add_forward(rule)
    assert host.route(segment(PEER, 1, HOST, 8080), "eth0") is None
    assert seen(host.route(segment(PEER, 1, "192.168.1.100", 8080), "eth0")) == (PEER, 1, WEB, 80)
    host.gateway.remove_forward(rule)
    again = segment(PEER, 1, "192.168.1.100", 8080, _ACK)
    host.route(again, "eth0")
    assert ip_text(again.destination) == "192.168.1.100", "the flow went with the rule"


@pytest.mark.parametrize(
    ("source", "came", "to", "why"),
    [
        (WEB, "docker0", OTHER, "forward_dropped_isolation"),
        (SECRET, "br-int", WEB, "forward_dropped_isolation"),
        (WEB, "docker0", SECRET, "forward_dropped_isolation"),
        (SECRET, "br-int", ROUTER, "forward_dropped_internal"),
        (PEER, "eth0", SECRET, "forward_dropped_internal"),
        (PEER, "eth0", WEB, "forward_dropped_unsolicited"),
        (PEER, "eth0", "192.0.2.3", "forward_dropped_unsolicited"),
    ],
)
def test_what_must_not_pass(source: str, came: str, to: str, why: str) -> None:
    host = Host()
    assert host.route(segment(source, 1, to, 80), came) is None
    assert dict(host.counters) == {why: 1}


def test_flows_live_as_long_as_tcp_says() -> None:
    host = Host()
    flows, ports = host.gateway.flows, count(1)

    def exchange(*steps: tuple[bool, int]) -> None:
        for back, flags in steps:
            packet = segment(ROUTER, 80, HOST, 40000, flags) if back else segment(WEB, 40000, ROUTER, 80, flags)
            assert host.route(packet, "eth0" if back else "docker0") is not None

    def known_after(seconds: float) -> bool:
        host.now += seconds
        host.route(segment(OTHER, next(ports), "192.0.2.77", 1), "br-n1")  # a new flow makes the table sweep
        return any(flow.original[1] == pack_ip(WEB) for flow in flows._by_number.values())

    exchange((False, _SYN))
    assert not known_after(conntrack.TCP_OPENING + 1)
    exchange((False, _SYN), (True, _SYN | _ACK), (False, _ACK))
    assert known_after(4 * 86400), "idle for days, still known (moby 31208)"
    exchange((False, _FIN | _ACK), (True, _FIN | _ACK))
    assert not known_after(conntrack.TCP_CLOSING + 1)
    exchange((False, _SYN), (True, _SYN | _ACK), (False, _RST))
    assert not known_after(40.0)


def test_a_full_table_drops_new_flows_and_keeps_old_ones() -> None:
    host = Host()
    host.gateway.flows._limit = 2
    for port in (1, 2, 3):
        host.route(segment(WEB, port, ROUTER, 80), "docker0")
    assert host.counters["nat_dropped_table_full"] == 1
    assert host.route(segment(ROUTER, 80, HOST, 1, _ACK), "eth0") is not None
    host.now += 200
    assert host.route(segment(WEB, 3, ROUTER, 80), "docker0") is not None


def test_a_new_flow_costs_the_same_whether_the_table_is_empty_or_not() -> None:
    host = Host()
    asked = 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        return host.now

    host.gateway.flows._clock = clock
    costs = []
    for port in range(40000, 41000):
        before = asked
        host.route(segment(WEB, port, ROUTER, 53, protocol=PROTOCOL_UDP), "docker0")
        costs.append(asked - before)
    assert set(costs) == {2}, "every port was free at the first look"
