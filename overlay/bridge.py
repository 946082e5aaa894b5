"""A learning switch (IEEE 802.1D without spanning tree: nothing here can be wired into a loop by a container).

Ports of containers are *guarded*: they may send only from the MAC and the addresses that they were given; what claims
another's is dropped and counted. Isolated ports (Docker's enable_icc=false) exchange ARP and ND, so that silence is
what a container sees, but no other IP. Nothing is queued here: a frame goes in and out in the same call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from overlay.guard import Guard
from overlay.nd_proxy import kind_of
from overlay.port import Port
from overlay.stack.gso import segment
from overlay.wire.address import pack_mac
from overlay.wire.ethernet import HEADER_LENGTH
from overlay.wire.ipv4 import Malformed

_IPV4, _ARP = b"\x08\x00", b"\x08\x06"
_LEARNED = 4096


class BridgePort:
    """One port of a bridge: the bridge's end of a cable, and what may come in through it."""

    __slots__ = ("bridge", "cable", "guard", "hairpin", "isolated", "limit", "mtu", "name")

    def __init__(
        self,
        bridge: Bridge,
        name: str,
        cable: Port,
        *,
        mtu: int,
        isolated: bool,
        hairpin: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self.bridge = bridge
        self.name = name
        self.cable = cable
        self.mtu = mtu
        self.limit = max(mtu + HEADER_LENGTH, cable.gso_size)
        self.isolated = isolated
        self.hairpin = hairpin
        self.guard = guard
        cable.on_receive(self.receive)

    def receive(self, frame: bytes) -> None:
        """A frame comes out of the cable: check, learn, switch."""
        bridge = self.bridge
        source = frame[6:12]
        if len(frame) < HEADER_LENGTH or source[0] & 1:
            bridge.counters["bridge_dropped_malformed"] += 1
            return
        if self.guard is not None:
            if not self.guard.passes(frame):
                return
        elif bridge.fdb.get(source) is not self and not bridge.learn(source, self):
            return
        out = bridge.fdb.get(frame[:6])
        if out is not None:
            if out is not self or self.hairpin:
                out.deliver(frame, self)
        elif frame[0] & 1:
            bridge.broadcast(frame, self)
        else:
            bridge.unknown(frame, self)

    def deliver(self, frame: bytes, source: BridgePort | None) -> None:
        """Send a frame out of this port."""
        if self.isolated and source is not None and source.isolated and not self._may_reach(frame, source):
            self.bridge.counters["bridge_dropped_icc"] += 1
            return
        if len(frame) > self.limit:
            self._deliver_large(frame)
        else:
            self.cable.transmit(frame)

    def _may_reach(self, frame: bytes, source: BridgePort) -> bool:
        """Isolated ports find each other, but talk only if they are linked."""
        return frame[12:14] == _ARP or bool(kind_of(frame)) or self.bridge.linked(source, self, frame)

    def _deliver_large(self, frame: bytes) -> None:
        """More than the other end takes: a super-segment is cut, anything else is the sender's mistake."""
        pieces = pieces_of(frame, self.mtu)
        if not pieces:
            self.bridge.counters["bridge_dropped_too_big"] += 1
        for piece in pieces:
            self.cable.transmit(piece)


def pieces_of(frame: bytes, mtu: int) -> list[bytes]:
    """A super-segment cut to the MTU; nothing if the frame cannot be cut."""
    try:
        pieces = segment(frame, mtu)
    except Malformed:
        return []
    return pieces if len(pieces) > 1 else []


class Bridge:
    """A switch. `counters` is shared with whoever reports them."""

    def __init__(self, name: str, *, counters: Counter[str] | None = None) -> None:
        self.name = name
        self.fdb: dict[bytes, BridgePort] = {}
        self.ports: list[BridgePort] = []
        self._links: dict[tuple[BridgePort, BridgePort], dict[tuple[int, bytes], None]] = {}
        self.counters: Counter[str] = Counter() if counters is None else counters

    def add_port(
        self,
        name: str,
        cable: Port,
        *,
        mtu: int = 1500,
        mac: str | None = None,
        addresses: Iterable[str] = (),
        guarded: bool = False,
        isolated: bool = False,
        hairpin: bool = False,
    ) -> BridgePort:
        """Plug the bridge's end of a cable in. A `mac` is entered at once (no flooding to find it). `hairpin`: frames
        go back out of the port that they came in by (802.1Qbg's reflective relay). ValueError: a MAC or address that
        is none."""
        guard = None
        if mac is not None and guarded:
            guard = Guard(mac, addresses, kind="bridge", counters=self.counters)
        port = BridgePort(self, name, cable, mtu=mtu, isolated=isolated, hairpin=hairpin, guard=guard)
        if mac is not None:
            self.fdb[pack_mac(mac)] = port
        self.ports.append(port)
        return port

    def remove_port(self, port: BridgePort) -> None:
        """Pull it out, and forget every MAC behind it."""
        self.ports.remove(port)
        self._links = {pair: allowed for pair, allowed in self._links.items() if port not in pair}
        for mac in [mac for mac, behind in self.fdb.items() if behind is port]:
            del self.fdb[mac]
        port.cable.unplug()

    def link(self, client: BridgePort, server: BridgePort, protocol: int, port: int) -> None:
        """Let an isolated port reach one service of another (Docker's --link without icc), until either is removed."""
        self._links.setdefault((client, server), {})[protocol, port.to_bytes(2, "big")] = None

    def linked(self, source: BridgePort, target: BridgePort, frame: bytes) -> bool:
        """Whether a frame belongs to such a service: to its port, or from it. Later fragments carry no ports."""
        if not self._links or frame[12:14] != _IPV4 or frame[20] & 0x1F or frame[21]:
            return False
        ports = HEADER_LENGTH + (frame[14] & 0x0F) * 4
        there = self._links.get((source, target), {})
        back = self._links.get((target, source), {})
        return (frame[23], frame[ports + 2 : ports + 4]) in there or (frame[23], frame[ports : ports + 2]) in back

    def learn(self, mac: bytes, port: BridgePort) -> bool:
        """Enter a MAC that sends from an unguarded port; False for one that belongs to a guarded port."""
        known = self.fdb.get(mac)
        if known is not None and known.guard is not None and known.guard.mac == mac:
            self.counters["bridge_dropped_spoofed_mac"] += 1
            return False
        if len(self.fdb) >= _LEARNED + len(self.ports):
            self.counters["bridge_fdb_full"] += 1
        else:
            self.fdb[mac] = port
        return True

    def broadcast(self, frame: bytes, source: BridgePort | None) -> None:
        """Broadcast and multicast: out of every other port."""
        for port in self.ports:
            if port is not source or port.hairpin:
                port.deliver(frame, source)

    def unknown(self, frame: bytes, source: BridgePort | None) -> None:
        """Unicast to a MAC that nobody has sent from yet: as broadcast."""
        self.broadcast(frame, source)
