"""A host as the gateway of its bridge networks: what Docker writes as iptables rules, on the stack's hooks.

    prerouting   answers find their flow; a published port of the LAN side becomes the container's (DNAT)
    forward      isolation: between two networks nothing passes, into a network only answers and published ports,
                 out of or into an internal one nothing; dropped without a word, as Docker's DROP
    postrouting  what leaves a network gets the address of the interface that it leaves by (MASQUERADE)

IPv6 is filtered alike and never translated: what comes in unasked is dropped there too, and published ports are reached
through the listener in the host's stack.

What comes from a container to a published port of its own host is not translated but reaches the listener in the host's
stack, as with docker-proxy: every Docker bridge returns from the DOCKER chain at once.
Per packet: one look-up by tuple, one by number; rules are only read for the first packet of a flow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from overlay.nat.conntrack import Conntrack
from overlay.nat.listing import RuleLine, lines_of
from overlay.nat.tuples import Tuple, inverse, quoted, requote, set_destination, set_source, tuple_of, with_source
from overlay.stack.hooks import Hooks
from overlay.wire.address import network_of, pack_ip, parse_cidr
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet

_RELATED = 1 << 60
"""Mark of an ICMP error of a known flow: translated already, accepted everywhere."""

_PROTOCOLS = {"tcp": PROTOCOL_TCP, "udp": PROTOCOL_UDP}
_FIRST_PORT, _PORTS = 1024, 64512


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """What holds for one bridge network: `subnets` are CIDR."""

    interface: str
    subnets: tuple[str, ...]
    internal: bool = False
    masquerade: bool = True
    icc: bool = True


@dataclass(frozen=True, slots=True)
class Forward:
    """A published port. `host_ip` "" is any address of the host."""

    protocol: str
    host_ip: str
    host_port: int
    target_ip: str
    target_port: int


class Gateway:
    """Rules of one host, put on the hooks of its stack."""

    def __init__(self, hooks: Hooks, *, clock: Callable[[], float], counters: Counter[str]) -> None:
        self.flows = Conntrack(clock, counters=counters)
        self._counters = counters
        self._bridges: dict[str, BridgeRules] = {}
        self._subnets: dict[str, list[tuple[bytes, int]]] = {}
        self._uplinks: dict[str, bytes] = {}
        self._own: dict[bytes, None] = {}
        self._forwards: dict[tuple[int, int], list[Forward]] = {}
        hooks.prerouting = self._prerouting
        hooks.forward = self._forward
        hooks.postrouting = self._postrouting

    def add_uplink(self, interface: str, address: str, *, further: tuple[str, ...] = ()) -> None:
        """An interface to the LAN; masqueraded packets get `address`, `further` are the host's as well."""
        self._uplinks[interface] = pack_ip(address)
        self._own.update(dict.fromkeys(pack_ip(each) for each in (address, *further)))

    def lines(self, names: Mapping[str, str]) -> list[RuleLine]:
        """All rules in the order in which they are asked; `names`: the networks' names by bridge."""
        forwards = [rule for rules in self._forwards.values() for rule in rules]
        return lines_of(self._bridges.values(), forwards, self._uplinks, names)

    def add_bridge(self, rules: BridgeRules) -> None:
        """A bridge network of this host."""
        self._bridges[rules.interface] = rules
        self._subnets[rules.interface] = [
            (network_of(address, bits), bits) for address, bits in map(parse_cidr, rules.subnets)
        ]

    def remove_bridge(self, interface: str) -> None:
        """It is gone; nothing for an unknown one."""
        self._bridges.pop(interface, None)
        self._subnets.pop(interface, None)

    def add_forward(self, rule: Forward) -> None:
        """A published port."""
        self._forwards.setdefault((_PROTOCOLS[rule.protocol], rule.host_port), []).append(rule)

    def remove_forward(self, rule: Forward) -> None:
        """No longer published: its flows are forgotten too, or their next packets would still get through."""
        key = _PROTOCOLS[rule.protocol], rule.host_port
        rules = self._forwards.get(key, [])
        if rule in rules:
            rules.remove(rule)
            if not rules:
                del self._forwards[key]
        target = pack_ip(rule.target_ip), rule.target_port.to_bytes(2, "big")
        self.flows.forget_all(lambda flow: (flow.reply[1], flow.reply[3][:2]) == target and flow.reply[0] == key[0])

    def _prerouting(self, packet: Packet) -> Packet | None:
        key = tuple_of(packet)
        if key is None:
            return self._related(packet)
        hit = self.flows.find(key)
        if hit is not None:
            flow, answer = hit
            packet.mark = -flow.number if answer else flow.number
            self.flows.saw(flow, packet, answer)
            set_destination(packet, inverse(flow.original) if answer else inverse(flow.reply))
            return packet
        if packet.in_interface in self._uplinks and packet.destination in self._own:
            rule = self._published(key)
            if rule is not None:
                return self._translate(packet, key, rule)
        return packet

    def _published(self, key: Tuple) -> Forward | None:
        rules = self._forwards.get((key[0], int.from_bytes(key[3][2:], "big")))
        if rules is None:
            return None
        return next((r for r in rules if not r.host_ip or pack_ip(r.host_ip) == key[2]), None)

    def _translate(self, packet: Packet, key: Tuple, rule: Forward) -> Packet | None:
        port = rule.target_port.to_bytes(2, "big")
        reply = key[0], pack_ip(rule.target_ip), key[1], port + key[3][:2]
        flow = self.flows.add(key, reply) if self.flows.free(reply) else None
        if flow is None:
            return None
        packet.mark = flow.number
        self.flows.saw(flow, packet, False)
        set_destination(packet, inverse(reply))
        return packet

    def _related(self, packet: Packet) -> Packet:
        about = quoted(packet)
        hit = self.flows.find(inverse(about)) if about is not None else None
        if hit is None:
            return packet
        flow, answer = hit
        if packet.version == 6:
            packet.mark = _RELATED
            return packet
        # `answer`: the quoted packet went the original way, so its sender knows it by the original tuple.
        known, other = (flow.original, flow.reply) if answer else (flow.reply, flow.original)
        try:
            requote(packet, known)
        except Malformed:
            return packet
        if packet.source == other[1]:
            packet.source = known[2]
        packet.destination = known[1]
        packet.mark = _RELATED
        return packet

    def _forward(self, packet: Packet) -> Packet | None:
        came, goes = packet.in_interface, packet.out_interface
        source, target = self._bridges.get(came), self._bridges.get(goes)
        if source is not None and source is target:
            return packet if source.icc else self._drop("forward_dropped_icc")
        if source is not None and target is not None:
            return self._drop("forward_dropped_isolation")
        if (source is not None and source.internal) or (target is not None and target.internal):
            return self._drop("forward_dropped_internal")
        if packet.mark:
            return packet
        if source is None:
            return self._drop("forward_dropped_unsolicited")
        return packet

    def _postrouting(self, packet: Packet) -> Packet | None:
        if packet.mark == _RELATED:
            return packet
        if packet.mark:
            flow = self.flows.numbered(packet.mark)
            if flow is None:
                return packet
            set_source(packet, inverse(flow.original) if packet.mark < 0 else inverse(flow.reply))
            return packet
        if packet.out_interface not in self._uplinks:
            return packet
        key = tuple_of(packet)
        if key is None:
            # An error of the host's own may be about a packet that it had translated: its sender knows only the other.
            return self._related(packet) if packet.in_interface == "" else packet
        if packet.in_interface == "":
            return self._track_own(packet, key)
        reply = inverse(key)
        if self._masqueraded(packet):
            unique = self._unique(key, self._uplinks[packet.out_interface])
            if unique is None:
                return self._drop("nat_dropped_no_port")
            reply = inverse(unique)
        flow = self.flows.add(key, reply)
        if flow is None:
            return None
        self.flows.saw(flow, packet, False)
        set_source(packet, inverse(flow.reply))
        return packet

    def _track_own(self, packet: Packet, key: Tuple) -> Packet:
        """The host's own flows are known too: masquerading takes no port that they use, nor they one of its."""
        hit = self.flows.find(key)
        if hit is None:
            unique = self._unique(key, key[1])
            flow = self.flows.add(key, inverse(unique)) if unique is not None else None
            hit = (flow, False) if flow is not None else None
        if hit is not None:
            flow, answer = hit
            self.flows.saw(flow, packet, answer)
            set_source(packet, inverse(flow.original) if answer else inverse(flow.reply))
        return packet

    def _masqueraded(self, packet: Packet) -> bool:
        rules = self._bridges.get(packet.in_interface)
        if rules is None or not rules.masquerade:
            return False
        return any(network_of(packet.source, bits) == net for net, bits in self._subnets[packet.in_interface])

    def _unique(self, key: Tuple, address: bytes) -> Tuple | None:
        """The tuple with the host's address, its port kept if nobody else has it towards that destination."""
        wanted = int.from_bytes(key[3][:2], "big")
        for step in range(_PORTS):
            port = (wanted + step - _FIRST_PORT) % _PORTS + _FIRST_PORT if step else wanted
            candidate = with_source(key, address, port.to_bytes(2, "big"))
            if self.flows.free(inverse(candidate)):
                return candidate
        return None

    def _drop(self, why: str) -> Packet | None:
        self._counters[why] += 1
        return None
