"""Laws about packets between hosts: whose network they are on, and how often one is sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Wire:
    """Sees the VXLAN datagrams of the underlay; knows by asking the hosts which MACs were ever on which network.

    gone: what has (VNI, MAC) and should get nothing; members: the hosts that broadcasts of a VNI may go to.
    """

    networks: dict[int, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    macs: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: dict[tuple[int, str], str] = field(default_factory=dict)
    members: dict[int, set[str]] = field(default_factory=dict)
    _senders: dict[tuple[int, str], dict[str, tuple[float, float]]] = field(default_factory=dict)
    _echoes: dict[tuple[str, str, bytes], float] = field(default_factory=dict)
    _order: deque[tuple[float, tuple[str, str, bytes]]] = field(default_factory=deque)
    _unknown: deque[tuple[Packet, int, str]] = field(default_factory=lambda: deque(maxlen=256))
    _clear: dict[tuple[int, str], Packet] = field(default_factory=dict)

    def learn(self, views: dict[str, View]) -> list[Violation]:
        """What the hosts say now; judges what came before it was known."""
        before, secret = dict(self.networks), dict[int, bool]()
        for view in views.values():
            for id, network in view.networks.items():
                if network.get("Driver") == "overlay" and (number := vni(network)) is not None:
                    self.networks[number] = id
                    self.names[id] = network["Name"]
                    secret[number] = "encrypted" in (network.get("Options") or {})
            for e in view.endpoints:
                if view.is_overlay(e.network):
                    self.macs.setdefault(e.mac.lower(), {})[e.network] = f"{e.host}/{e.name}"
        waiting, self._unknown = list(self._unknown), deque(maxlen=256)
        found = [v for packet, number, mac in waiting for v in self._isolation(packet, number, mac)]
        clear, self._clear = self._clear, {}
        for (number, host), packet in clear.items():
            # The number of a network that was removed may be another's by now.
            if secret.get(number) and before.get(number) == self.networks[number]:
                found.append(Violation("isolation", f"clear {number} {host}",
                    f"{host} sent a packet of an encrypted network ({self.names[self.networks[number]]}) in the clear "
                    f"at {packet.at:.3f} s", host))  # fmt: skip
        return found

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
        found = self._isolation(packet, number, mac)
        if packet.direction == "sent":
            self._clear.setdefault((number, packet.host), packet)  # whose number it is, the hosts say
            found += self._one_holder(packet, number, mac)
            found += self._stale(packet, number, data[_HEADER : _HEADER + 6])
        if packet.direction == "sent" and not duplicating:
            found += self._once(packet, data[_HEADER:])
        return found

    def _isolation(self, packet: Packet, number: int, mac: str) -> list[Violation]:
        own = self.macs.get(mac)
        network = self.networks.get(number)
        if own is None or network is None:
            if own is None and mac.startswith("02:42:"):
                self._unknown.append((packet, number, mac))
            return []
        if network in own:
            return []
        sender = next(iter(own.values()))
        return [Violation("isolation", f"wire {number} {mac}",
                f"a packet of {sender} ({mac}) is on {self.names[network]} (VNI {number}), "
                f"and its sender is only on {', '.join(self.names[n] for n in own)}",
                f"{packet.source} to {packet.target}")]  # fmt: skip

    def _stale(self, packet: Packet, number: int, target: bytes) -> list[Violation]:
        """While the checker asks for them: packets to who is gone, and broadcasts to hosts where nobody is."""
        mac = ":".join(f"{b:02x}" for b in target)
        host = packet.target.rpartition(":")[0]
        if (what := self.gone.get((number, mac))) is not None:
            return [Violation("convergence", f"gone {packet.host} {number} {mac}",
                f"{packet.host} still sends packets for {what} and nobody's now, to {host}", packet.host)]  # fmt: skip
        if target[0] & 1 and number in self.members and host not in self.members[number]:
            return [Violation("convergence", f"member {packet.host} {number} {host}",
                f"{packet.host} still sends broadcasts of {self.names.get(self.networks.get(number, ''), number)} to "
                f"{host}, where nobody is on it", packet.host)]  # fmt: skip
        return []

    def _one_holder(self, packet: Packet, number: int, mac: str) -> list[Violation]:
        """Packets of one MAC that two hosts send by turns: it is held twice at one time, however shortly."""
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
        if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 1 or frame[34] not in (0, 8):
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
