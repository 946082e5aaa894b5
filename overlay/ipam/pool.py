"""One pool of addresses: lowest free first, as libnetwork's bit sequence gives them when asked non-serially.

The network's own address and, of IPv4, the broadcast address are never given; with a range only its addresses are given
unasked, its first included (drivers rows: the first container of 192.0.2.64/27 in 192.0.2.0/24 gets 192.0.2.64).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from overlay.ipam.errors import AddressInUse, InvalidPool, NoAvailableAddresses, NotInSubnet

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressPool:
    """Addresses of one subnet, IPv4 or IPv6. Texts without prefix length in and out; `prefix_length` is the subnet's.
    """

    __slots__ = ("_first", "_hint", "_last", "_own", "_taken", "gateway", "ip_range", "network")

    def __init__(self, subnet: str, *, ip_range: str | None = None) -> None:
        try:
            self.network: Subnet = ipaddress.ip_network(subnet, strict=False)
            self.ip_range: Subnet | None = ipaddress.ip_network(ip_range, strict=False) if ip_range else None
        except ValueError as error:
            raise InvalidPool(f"invalid CIDR address: {subnet if ip_range is None else ip_range}") from error
        within = self.ip_range or self.network
        if within.version != self.network.version or not _inside(within, self.network):
            raise InvalidPool(f"no matching subnet for range {ip_range}")
        low, high = int(self.network.network_address), int(self.network.broadcast_address)
        self._own: tuple[int, ...] = (low,) if self.network.version == 6 else (low, high)
        self._taken = set(self._own) if self.network.max_prefixlen - self.network.prefixlen > 1 else set()
        self._first, self._last = int(within.network_address), int(within.broadcast_address)
        self._hint = self._first
        self.gateway: str | None = None

    @property
    def prefix_length(self) -> int:
        """Of the subnet, not of the range."""
        return self.network.prefixlen

    def request(self, ip: str | None = None) -> str:
        """The lowest free address, or just that one. AddressInUse, NotInSubnet, NoAvailableAddresses."""
        if ip is None:
            number = next((n for n in range(self._hint, self._last + 1) if n not in self._taken), None)
            if number is None:
                raise NoAvailableAddresses
            self._hint = number + 1
        else:
            try:
                address = ipaddress.ip_address(ip)
            except ValueError as error:
                raise NotInSubnet from error
            number = int(address)
            if address not in self.network:
                raise NotInSubnet
            if number in self._taken:
                raise AddressInUse
        self._taken.add(number)
        return str(self._address(number))

    def _address(self, number: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.IPv4Address(number) if self.network.version == 4 else ipaddress.IPv6Address(number)

    def request_gateway(self, ip: str | None = None) -> str:
        """The network's gateway, asked for before any container's address: the lowest free one unless chosen."""
        self.gateway = self.request(ip)
        return self.gateway

    def reserve(self, addresses: Iterable[str]) -> None:
        """Auxiliary addresses: those that hosts outside of Docker have. NotInSubnet, AddressInUse."""
        for address in addresses:
            self.request(address)

    def release(self, ip: str) -> None:
        """Give it back; the subnet's own addresses stay taken, a stranger's is ignored."""
        address = ipaddress.ip_address(ip)
        number = int(address)
        if number in self._own or address.version != self.network.version:
            return
        self._taken.discard(number)
        if self._first <= number < self._hint:
            self._hint = number

    def contains(self, ip: str) -> bool:
        """Whether it lies in the subnet."""
        return ipaddress.ip_address(ip) in self.network

    def in_use(self, ip: str) -> bool:
        """Whether it is given out (or one of the subnet's own)."""
        return int(ipaddress.ip_address(ip)) in self._taken


def _inside(inner: Subnet, outer: Subnet) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer
