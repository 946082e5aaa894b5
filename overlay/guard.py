"""What a container may send: frames from its own MAC and its own addresses, and nothing with a VLAN tag of its own.

A driver puts one between a container's interface and its network, so that nobody can claim another's place; what is
dropped is counted under the driver's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from overlay import nd_proxy
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.nd import link_local
from overlay.wire.vlan import is_tagged

_IPV4, _ARP, _IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"
_UNSPECIFIED, _UNSPECIFIED6 = bytes(4), bytes(16)


class Guard:
    """For one MAC and some addresses (CIDR or plain), and the link-local one that goes with the MAC where one of them
    is IPv6. `kind` begins the counters' names: bridge, macvlan…"""

    __slots__ = ("_counters", "_link_local", "addresses", "kind", "mac")

    def __init__(self, mac: str, addresses: Iterable[str], *, kind: str, counters: Counter[str]) -> None:
        self.mac = pack_mac(mac)
        self.addresses = frozenset(pack_ip(each.partition("/")[0]) for each in addresses)
        self._link_local = link_local(self.mac)
        self.kind = kind
        self._counters = counters

    def passes(self, frame: bytes) -> bool:
        """Whether its holder may send this frame."""
        if frame[6:12] != self.mac:
            return self._refuse("spoofed_mac")
        kind = frame[12:14]
        if kind == _IPV4:
            if frame[26:30] in self.addresses or frame[26:30] == _UNSPECIFIED:
                return True
            return self._refuse("spoofed_ip")
        if kind == _ARP:
            claimed = frame[28:32]
            if frame[22:28] == self.mac and (claimed in self.addresses or claimed == _UNSPECIFIED):
                return True
            return self._refuse("spoofed_arp")
        if kind == _IPV6:
            return self._passes_ipv6(frame)
        return self._refuse("tagged") if is_tagged(frame) else True

    def _passes_ipv6(self, frame: bytes) -> bool:
        source = frame[22:38]
        if source not in self.addresses and source not in (self._link_local, _UNSPECIFIED6):
            return self._refuse("spoofed_ip")
        message = nd_proxy.kind_of(frame)
        if message:
            address, mac = nd_proxy.claims(frame, message)
            foreign = address is not None and address not in self.addresses and address != self._link_local
            if foreign or mac not in (None, self.mac):
                return self._refuse("spoofed_nd")
        return True

    def _refuse(self, why: str) -> bool:
        self._counters[f"{self.kind}_dropped_{why}"] += 1
        return False
