"""From addresses on the LAN to the machine's own, and back.

Where the whole of 127.0.0.0/8 can be bound, host 192.0.2.N is 127.0.B.N and ports stay what they are. Where only
127.0.0.1 can be, hosts share it with a stretch of ports each. `direct` is for daemons on machines of their own.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from daemon.underlay.contract import CLUSTER_PORT, GOSSIP_PORT, LAN_PORT, VXLAN_PORT, Address

_FIXED = (GOSSIP_PORT, VXLAN_PORT, LAN_PORT, CLUSTER_PORT)
_DYNAMIC_FROM = 49152
PORTS_PER_HOST = 64
API_OFFSET, CONTROL_OFFSET = 62, 63
"""Of a host's stretch of ports: where its two APIs are served when they are on TCP."""


class AddressMap(Protocol):
    """A bijection between (LAN address, port) and the machine's."""

    def real(self, address: Address) -> Address | None:
        """The machine's address of one on the LAN; None when there is none."""

    def lan(self, address: Address) -> Address | None:
        """The LAN's address of one of the machine's; None for a stranger's."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Addresses are what they say: each daemon on a machine of its own."""

    def real(self, address: Address) -> Address | None:
        return address

    def lan(self, address: Address) -> Address | None:
        return address


@dataclass(frozen=True, slots=True)
class Loopback:
    """192.0.2.N is 127.0.B.N. `extra` are addresses outside the LAN that this host was given besides, in order: the
    k-th of host N is 127.k.B.N, so that no two hosts' meet."""

    block: int
    own: str
    network: str = "192.0.2.0/24"
    extra: tuple[str, ...] = ()

    def real(self, address: Address) -> Address | None:
        host, port = address
        if host in self.extra:
            return f"127.{self.extra.index(host) + 1}.{self.block}.{self._number(self.own)}", port
        number = self._number(host)
        return None if number is None else (f"127.0.{self.block}.{number}", port)

    def lan(self, address: Address) -> Address | None:
        host, port = address
        prefix = f"127.0.{self.block}."
        if host.startswith(prefix):
            return str(ipaddress.ip_network(self.network).network_address + int(host[len(prefix) :])), port
        return next(((extra, port) for extra in self.extra if self.real((extra, port)) == address), None)

    def _number(self, host: str) -> int | None:
        net = ipaddress.ip_network(self.network)
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return None
        return int(ip) - int(net.network_address) if ip in net else None


@dataclass(frozen=True, slots=True)
class SharedPorts:
    """All hosts on 127.0.0.1, host number n (the last byte) with the ports from base + n * 64. The four fixed ports
    come first, dynamic ones (49152 and up: VXLAN's source ports) after them."""

    base: int
    network: str = "192.0.2.0/24"

    def real(self, address: Address) -> Address | None:
        host, port = address
        net = ipaddress.ip_network(self.network)
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return None
        if ip not in net:
            return None
        if port in _FIXED:
            offset = _FIXED.index(port)
        elif 0 <= port - _DYNAMIC_FROM < API_OFFSET - len(_FIXED):
            offset = len(_FIXED) + port - _DYNAMIC_FROM
        else:
            return None
        return "127.0.0.1", self.base + (int(ip) - int(net.network_address)) * PORTS_PER_HOST + offset

    def lan(self, address: Address) -> Address | None:
        host, port = address
        if host != "127.0.0.1" or port < self.base:
            return None
        number, offset = divmod(port - self.base, PORTS_PER_HOST)
        if not 0 < number < 255 or offset >= API_OFFSET:
            return None
        inner = _FIXED[offset] if offset < len(_FIXED) else _DYNAMIC_FROM + offset - len(_FIXED)
        return str(ipaddress.ip_network(self.network).network_address + number), inner
