"""The hosts' LAN: one Ethernet segment across all daemons, as frames in UDP 4788.

Each host has a switch; its trunk port sends a frame to the host where its destination MAC was last heard from, or to
all hosts if it is broadcast or not known yet. The LAN's router (.254) is everywhere the same, a copy at each daemon, so
what is for it or from it never takes the trunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from overlay.bridge import Bridge
from overlay.port import Port, cable
from overlay.spec import Address, Datagrams, Underlay
from overlay.wire.ethernet import HEADER_LENGTH

PORT = 4788
SUPER_FRAME = 65000
"""Bytes of the largest frame on the trunk: it fits in one UDP datagram, and both ends are shoal daemons."""

_ARP = b"\x08\x06"
_LEARNED = 4096


class Lan:
    """This host's part of the LAN: a switch with a trunk to the others."""

    def __init__(
        self,
        underlay: Underlay,
        peers: Callable[[], Sequence[str]],
        *,
        router_mac: bytes,
        router_ip: bytes,
        reflective_relay: bool = False,
        counters: Counter[str],
    ) -> None:
        self.switch = Bridge("lan", counters=counters)
        self._underlay = underlay
        self._peers = peers
        self._router_mac = router_mac
        self._router_ip = router_ip
        self._reflective_relay = reflective_relay
        self._counters = counters
        self._where: dict[bytes, Address] = {}
        self._socket: Datagrams | None = None
        ours, self._trunk = cable(SUPER_FRAME)
        self._trunk.on_receive(self._send)
        self.switch.add_port("trunk", ours)

    async def start(self) -> None:
        """Bind 4788; OSError if it is taken."""
        self._socket = await self._underlay.datagrams(PORT, self._receive)

    def stop(self) -> None:
        """Leave the LAN."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def plug(self, name: str, *, mac: str) -> Port:
        """A new station on the LAN: its end of the cable."""
        theirs, ours = cable(SUPER_FRAME)
        self.switch.add_port(name, ours, mac=mac, hairpin=self._reflective_relay)
        return theirs

    def _send(self, frame: bytes) -> None:
        if self._socket is None or frame[:6] == self._router_mac or frame[6:12] == self._router_mac:
            return
        if frame[12:14] == _ARP and frame[38:42] == self._router_ip:
            return
        known = self._where.get(frame[:6])
        if known is not None:
            self._counters["lan_sent"] += 1
            self._socket.send(frame, known)
            return
        for peer in self._peers():
            if peer != self._underlay.address:
                self._counters["lan_sent"] += 1
                self._socket.send(frame, (peer, PORT))

    def _receive(self, data: bytes, source: Address) -> None:
        mac = data[6:12]
        if len(data) < HEADER_LENGTH:
            self._counters["lan_dropped_short"] += 1
            return
        if self._where.get(mac) != source:
            if mac == self._router_mac or source[0] not in self._peers():
                self._counters["lan_dropped_stranger"] += 1
                return
            if len(self._where) >= _LEARNED:
                self._where.clear()
            self._where[mac] = (source[0], PORT)
        self._counters["lan_received"] += 1
        self._trunk.transmit(data)
