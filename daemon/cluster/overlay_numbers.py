"""Addresses of the swarm's networks from the number spaces of gossip; refusals in Docker's words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from daemon.cluster.network_rows import (
    ADDRESS_SPACE,
    ATTACHMENTS,
    ENDPOINTS,
    NETWORKS,
    SUBNET_SPACE,
    VNI_SPACE,
    address_space,
    network_of,
    offset_of,
    subnet_numbers,
    text_list,
)
from daemon.engine.endpoints import exhausted, no_such_address
from daemon.engine.network import Network
from daemon.errors import ApiError, Forbidden, ServerError
from gossip.numbers.errors import NumberOutside, NumbersError, NumberTaken, OwnerUnreachable, SpaceExhausted
from overlay.spec import Pool

if TYPE_CHECKING:
    from gossip.node import GossipNode

DEADLINE = 8.0  # seconds for a number: longer than a host just started waits for its peers before it gives any


class Addresses:
    """Addresses of overlays as this host gets them."""

    def __init__(self, gossip: GossipNode) -> None:
        self._gossip = gossip

    async def request(self, network: Network, holder: str, wanted: str | None = None) -> str:
        """An address of the network for this host, as CIDR. Raises Docker's errors, or one that names the host that
        would have had to be asked."""
        found = [
            (index, pool)
            for index, pool in enumerate(network.pools)
            if wanted is None or ipaddress.ip_address(wanted) in ipaddress.ip_network(pool.subnet)
        ]
        if not found:
            raise no_such_address(wanted or "")
        failure: NumbersError | None = None
        for index, pool in found:
            subnet = ipaddress.IPv4Network(pool.subnet)
            offset = None if wanted is None else offset_of(wanted, subnet)
            try:
                number = await self._gossip.numbers.allocate(
                    address_space(network.id, index), wanted=offset, holder=holder, deadline=DEADLINE
                )
            except NumbersError as error:
                failure = error
                continue
            return f"{subnet[number]}/{subnet.prefixlen}"
        assert failure is not None
        raise refusal(failure, network, wanted) from failure

    def release(self, network: Network, cidr: str) -> None:
        """Give an address back; nothing for an empty one."""
        if not cidr:
            return
        address = cidr.partition("/")[0]
        for index, pool in enumerate(network.pools):
            subnet = ipaddress.IPv4Network(pool.subnet)
            if ipaddress.ip_address(address) in subnet:
                self._gossip.numbers.release(address_space(network.id, index), offset_of(address, subnet))
                return

    def request_now(self, network: Network, holder: str) -> str | None:
        """As request, but only from this host's own ranges; None when others would have to be asked."""
        numbers = self._gossip.numbers
        for index, pool in enumerate(network.pools):
            try:
                number = numbers.allocate_now(address_space(network.id, index), holder=holder)
            except NumbersError:
                continue
            if number is not None:
                subnet = ipaddress.IPv4Network(pool.subnet)
                return f"{subnet[number]}/{subnet.prefixlen}"
        return None


def numbers_of(pool: Pool) -> tuple[int, int]:
    """First offset and how many offsets of the subnet containers may get: not the network's own, nor broadcast."""
    subnet = ipaddress.IPv4Network(pool.subnet)
    if pool.ip_range:
        within = ipaddress.IPv4Network(pool.ip_range)
        first, size = int(within.network_address) - int(subnet.network_address), within.num_addresses
    else:
        first, size = 0, subnet.num_addresses
    last = min(first + size - 1, subnet.num_addresses - 2)
    first = max(first, 1)
    if pool.gateway == str(subnet[first]):
        first += 1
    return first, max(last - first + 1, 1)


def refusal(error: NumbersError, network: Network, wanted: str | None = None) -> ApiError:
    if isinstance(error, NumberTaken):
        return Forbidden("Address already in use" if wanted else f"vxlan id {error.number} is already in use")
    if isinstance(error, NumberOutside):
        return no_such_address(wanted or "")
    if isinstance(error, SpaceExhausted):
        return exhausted(network)
    if isinstance(error, OwnerUnreachable):
        return ServerError(
            f"no address of network {network.name} can be given out now: host {error.hostname}, "
            "which has the free ones, cannot be reached"
        )
    return ServerError(str(error))


def taken(gossip: GossipNode, space: str, base: str, length: int) -> Iterable[int]:
    """Numbers of a space that rows name, rows of dead hosts and of networks on their way out included."""
    known = [network for network in map(network_of, gossip.all_rows(NETWORKS)) if network is not None]
    if space == VNI_SPACE:
        return [network.vni for network in known if network.vni is not None]
    if space == SUBNET_SPACE:
        return [n for network in known for n in subnet_numbers(network.pools, base, length)]
    kind, _, rest = space.partition("/")
    network_id, _, index = rest.partition("/")
    network = next((n for n in known if n.id == network_id), None)
    if kind != ADDRESS_SPACE or network is None or int(index) >= len(network.pools):
        return []
    pool = network.pools[int(index)]
    subnet = ipaddress.IPv4Network(pool.subnet)
    texts = [pool.gateway or "", *pool.auxiliary.values()]
    for row in gossip.all_rows(ENDPOINTS):
        if row.value.get("network") == network_id:
            texts += text_list(row.value.get("addresses"))
    texts += [str(row.value.get("balancer") or "") for row in gossip.all_rows(ATTACHMENTS) if row.key == network_id]
    addresses = [ipaddress.IPv4Address(text.partition("/")[0]) for text in texts if text]
    return [int(address) - int(subnet.network_address) for address in addresses if address in subnet]
