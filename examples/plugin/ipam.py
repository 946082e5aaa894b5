"""Pools and their addresses: the IPAM driver's state, in memory."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

GATEWAY = "com.docker.network.gateway"
"""Value of the option RequestAddressType when the address is for a gateway."""


class Refused(Exception):
    """The text goes into the answer's Err."""


@dataclass(slots=True)
class Lease:
    """A pool in use; identical requests share one, counted."""

    network: ipaddress.IPv4Network
    within: ipaddress.IPv4Network
    users: int = 0
    taken: dict[ipaddress.IPv4Address, None] = field(default_factory=dict)


class Ipam:
    """Default pools are the /24s of 10.99.0.0/16, lowest first; so are addresses within a pool."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    def request_pool(self, space: str, pool: str, subpool: str) -> tuple[str, str]:
        """Its id and its subnet."""
        network = ipaddress.IPv4Network(pool) if pool else self._next()
        within = ipaddress.IPv4Network(subpool) if subpool else network
        pool_id = f"{space}/{network}" + (f"/{within}" if subpool else "")
        if pool_id not in self._leases and any(lease.network.overlaps(network) for lease in self._leases.values()):
            raise Refused(f"pool {network} overlaps with one that is in use")
        lease = self._leases.setdefault(pool_id, Lease(network, within))
        lease.users += 1
        return pool_id, str(network)

    def _next(self) -> ipaddress.IPv4Network:
        for network in ipaddress.IPv4Network("10.99.0.0/16").subnets(new_prefix=24):
            if not any(lease.network.overlaps(network) for lease in self._leases.values()):
                return network
        raise Refused("no pool left")

    def release_pool(self, pool_id: str) -> None:
        """The pool goes with its last user."""
        lease = self._leases.get(pool_id)
        if lease is not None:
            lease.users -= 1
            if lease.users <= 0:
                del self._leases[pool_id]

    def request_address(self, pool_id: str, wanted: str) -> str:
        """As CIDR."""
        lease = self._leases.get(pool_id)
        if lease is None:
            raise Refused(f"no such pool: {pool_id}")
        if wanted:
            address = ipaddress.IPv4Address(wanted)
            if address not in lease.network or address in lease.taken:
                raise Refused(f"address {address} cannot be had")
        else:
            free = (each for each in lease.within.hosts() if each not in lease.taken)
            found = next(free, None)
            if found is None:
                raise Refused(f"no address left in {lease.within}")
            address = found
        lease.taken[address] = None
        return f"{address}/{lease.network.prefixlen}"

    def release_address(self, pool_id: str, address: str) -> None:
        """Nothing for one that is free."""
        lease = self._leases.get(pool_id)
        if lease is not None and address:
            lease.taken.pop(ipaddress.IPv4Address(address), None)
