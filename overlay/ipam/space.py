"""The address space of a host: which subnets are pools already, and which default comes next.

Docker's defaults of local scope are 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/16 in /20s. The search for the
next one goes on behind the last default given and wraps around (libnetwork's `predefinedStartIndex`), so a pool that
was just given back is the last to be given again. IPv6 has no defaults.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from overlay.ipam.errors import InvalidPool, NoAvailablePool, PoolOverlap
from overlay.ipam.pool import AddressPool, Subnet

LOCAL_DEFAULTS: tuple[tuple[str, int], ...] = (
    *((f"172.{n}.0.0/16", 16) for n in range(17, 32)),
    ("192.168.0.0/16", 20),
)
GLOBAL_DEFAULTS: tuple[tuple[str, int], ...] = (("10.0.0.0/8", 24),)


class AddressSpace:
    """Pools of one scope. `defaults`: (base, prefix length of each) as --default-address-pool."""

    def __init__(self, defaults: Sequence[tuple[str, int]] = LOCAL_DEFAULTS) -> None:
        self._defaults = [(ipaddress.IPv4Network(base), length) for base, length in defaults]
        self._sizes = [1 << (length - base.prefixlen) for base, length in self._defaults]
        self._start = 0
        self._pools: dict[Subnet, AddressPool] = {}

    def request_pool(
        self, subnet: str | None = None, *, ip_range: str | None = None, avoid: Iterable[str] = ()
    ) -> AddressPool:
        """That subnet, or the next default that overlaps no pool and nothing of `avoid` (the host's own routes).

        PoolOverlap, NoAvailablePool, InvalidPool ("invalid CIDR address: …").
        """
        if subnet is not None:
            network: Subnet = self.parse(subnet)
            if any(network.overlaps(other) for other in self._pools):
                raise PoolOverlap
        else:
            network = self._next_default([ipaddress.IPv4Network(each, strict=False) for each in avoid])
        pool = AddressPool(str(network), ip_range=ip_range)
        self._pools[network] = pool
        return pool

    def release(self, pool: AddressPool | str) -> None:
        """Give a pool back; nothing for one that is not there."""
        network = pool.network if isinstance(pool, AddressPool) else self.parse(pool)
        self._pools.pop(network, None)

    def pools(self) -> list[str]:
        """Subnets in use, in the order in which they were taken."""
        return [str(network) for network in self._pools]

    @staticmethod
    def parse(subnet: str) -> Subnet:
        """A subnet, host bits ignored as Go's ParseCIDR does; InvalidPool with Go's text. A prefix length is a must."""
        try:
            if "/" not in subnet:
                raise ValueError(subnet)
            return ipaddress.ip_network(subnet, strict=False)
        except ValueError as error:
            raise InvalidPool(f"invalid CIDR address: {subnet}") from error

    def _next_default(self, avoid: list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
        total = sum(self._sizes)
        for step in range(total):
            index = (self._start + step) % total
            network = self._default(index)
            if any(network.overlaps(other) for other in (*self._pools, *avoid)):
                continue
            self._start = index + 1
            return network
        raise NoAvailablePool

    def _default(self, index: int) -> ipaddress.IPv4Network:
        for (base, length), size in zip(self._defaults, self._sizes, strict=True):
            if index < size:
                return ipaddress.IPv4Network((int(base.network_address) + (index << (32 - length)), length))
            index -= size
        raise IndexError(index)
