"""Laws about packets between hosts: whose network they are on, and how often one is sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field

from daemon.control.frames import is_echo
from scenarios.invariants.snapshot import View, vni
from scenarios.invariants.statics import Violation
from scenarios.running.record import Packet

_HEADER = 8
_INNER = 14
_SEALED = 0x20
_TURNS = 1.0
"""Seconds after which a MAC may have moved to another host and back."""
_WINDOW = 0.25
"""Seconds within which an equal echo is the same one; its sender takes another number each second."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A packet that breaks a law by what hosts said before it, or that they had said nothing about. held: the networks
    that had its VNI then."""

    packet: Packet
    number: int
    mac: str
    held: tuple[str, ...]


@dataclass(slots=True)
class Wire:
    """Sees the VXLAN datagrams of the underlay; knows by asking the hosts which MACs were ever on which network, and
    which network has which VNI. A VNI is given again once its network is gone for all, and a MAC with its address; so
    what hosts say after a packet decides, and only of what was so before it.

    gone: what has (VNI, MAC) and should get nothing; members: the hosts that broadcasts of a VNI may go to; strays:
    what was sent in spite of these, for those who asked to judge: a policy may have started somebody meanwhile;
    removed: hosts that `docker node rm --force` took out.
    """

    names: dict[str, str] = field(default_factory=dict)
    macs: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: dict[tuple[int, str], str] = field(default_factory=dict)
    members: dict[int, set[str]] = field(default_factory=dict)
    strays: dict[tuple[int, str], Violation] = field(default_factory=dict)
    removed: Container[str] = ()
    _held: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _present: dict[str, None] = field(default_factory=dict)
    _secret: dict[str, None] = field(default_factory=dict)
    _doubts: dict[tuple[int, str, str, str], _Doubt] = field(default_factory=dict)
    _senders: dict[tuple[int, str], dict[str, tuple[float, float]]] = field(default_factory=dict)
    _echoes: dict[tuple[str, str, bytes], float] = field(default_factory=dict)
    _order: deque[tuple[float, tuple[str, str, bytes]]] = field(default_factory=deque)

    def learn(self, views: dict[str, View]) -> list[Violation]:
        """What the hosts say now; judges what came before they were asked."""
        held: dict[int, dict[str, None]] = {}
        self._present = {}
        for view in views.values():
            for id, network in view.networks.items():
                if network.get("Driver") == "overlay" and (number := vni(network)) is not None:
                    held.setdefault(number, {})[id] = None
                    self.names[id] = network["Name"]
                    if "encrypted" in (network.get("Options") or {}):
                        self._secret[id] = None
            for e in view.endpoints:
                if view.is_overlay(e.network):
                    self.macs.setdefault(e.mac.lower(), {})[e.network] = f"{e.host}/{e.name}"
                    self._present[e.mac.lower()] = None
        self._held = {number: tuple(sorted(ids)) for number, ids in held.items()}
        asked = min((view.at for view in views.values()), default=0.0)
        ripe = [key for key, doubt in self._doubts.items() if doubt.packet.at < asked]
        return [violation for key in ripe for violation in self._decided(self._doubts.pop(key))]

    def see(self, packet: Packet, duplicating: bool) -> list[Violation]:
        if packet.kind != "vxlan":
            return []
        data = bytes.fromhex(packet.data)
        if len(data) < _HEADER + _INNER or not data[0] & 0x08:
            return []
        number = int.from_bytes(data[4:7], "big")
        mac = data[_HEADER + 6 : _HEADER + 12].hex(":")
        if data[0] & _SEALED:
            return []  # judged where it comes out (delivered.py)
        held, own = self._held.get(number, ()), self.macs.get(mac, {})
        strange = (own or mac.startswith("02:42:")) and not any(id in own for id in held)
        if strange or any(id in self._secret for id in held):
            key = (number, mac, packet.host, packet.direction)
            self._doubts.setdefault(key, _Doubt(packet, number, mac, held))
        found: list[Violation] = []
        if packet.direction == "sent":
            found += self._one_holder(packet, number, mac)
            self._stale(packet, number, data[_HEADER : _HEADER + 6].hex(":"))
        if packet.direction == "sent" and not duplicating:
            found += self._once(packet, data[_HEADER:])
        return found

    def _decided(self, doubt: _Doubt) -> list[Violation]:
        packet, number, mac, held = doubt.packet, doubt.number, doubt.mac, doubt.held
        if not held or held != self._held.get(number):
            return []  # whose VNI it was when the packet was sent cannot be told
        found = []
        own = self.macs.get(mac, {})
        if mac in self._present and not any(id in own for id in held):
            sender = next(iter(own.values()))
            found.append(Violation("isolation", f"wire {number} {mac}",
                f"a packet of {sender} ({mac}) is on {self.names[held[0]]} (VNI {number}), "
                f"and its sender is only on {', '.join(self.names[n] for n in own)}",
                f"{packet.source} to {packet.target}"))  # fmt: skip
        if packet.direction == "sent" and all(id in self._secret for id in held):
            found.append(Violation("isolation", f"clear {number} {packet.host}",
                f"{packet.host} sent a packet of an encrypted network ({self.names[held[0]]}) in the clear "
                f"at {packet.at:.3f} s",
                packet.host))  # fmt: skip
        return found

    def _stale(self, packet: Packet, number: int, mac: str) -> None:
        """While the checker asks for them: packets to who is gone, and broadcasts to hosts where nobody is."""
        host = packet.target.rpartition(":")[0]
        if (what := self.gone.get((number, mac))) is not None:
            self.strays[number, mac] = Violation("convergence", f"gone {packet.host} {number} {mac}",
                f"{packet.host} still sends packets for {what} and nobody's now, to {host}", packet.host)  # fmt: skip
        if int(mac[:2], 16) & 1 and number in self.members and host not in self.members[number]:
            self.strays[number, host] = Violation("convergence", f"member {packet.host} {number} {host}",
                f"{packet.host} still sends broadcasts of {self._named(number)} to {host}, "
                "where nobody is on it", packet.host)  # fmt: skip

    def _named(self, number: int) -> str:
        return self.names[self._held[number][0]] if number in self._held else f"VNI {number}"

    def _one_holder(self, packet: Packet, number: int, mac: str) -> list[Violation]:
        """Packets of one MAC that two hosts send by turns: it is held twice at one time, however shortly."""
        if packet.host in self.removed:
            return []  # what it had is others' by now, and nobody takes its packets
        at = packet.at
        senders = self._senders.setdefault((number, mac), {})
        for host, (_, last) in list(senders.items()):
            if last < at - _TURNS:
                del senders[host]
        first, last = senders.get(packet.host, (at, at))
        senders[packet.host] = first, last = min(first, at), max(last, at)
        for host, (begin, end) in senders.items():
            if host != packet.host and max(first, begin) < min(last, end):
                both = f"{packet.host} and {host}"
                return [Violation("addresses", f"turns {number} {mac}",
                    f"{both} both send packets of {mac} on VNI {number}, by turns", both)]  # fmt: skip
        return []

    def _once(self, packet: Packet, frame: bytes) -> list[Violation]:
        """ICMP echoes have numbers: an equal one sent to the same host again is a copy that nothing explains."""
        if not is_echo(frame):
            return []
        key = (packet.source, packet.target, frame[26:])  # the IP header's identification is each copy's own
        before = self._echoes.get(key)
        self._echoes[key] = packet.at
        self._order.append((packet.at, key))
        while self._order and self._order[0][0] < packet.at - _WINDOW:
            at, old = self._order.popleft()
            if self._echoes.get(old) == at:
                del self._echoes[old]
        if before is None or packet.at - before > _WINDOW:
            return []
        ends = " > ".join(".".join(map(str, frame[a : a + 4])) for a in (26, 30))
        return [Violation("delivery", f"twice {packet.source} {packet.target}",
                f"{packet.host} sent one ICMP echo ({ends}) to {packet.target} twice, and no fault duplicates",
                packet.host)]  # fmt: skip
