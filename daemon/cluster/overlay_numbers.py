"""Addresses of the swarm's networks from the number spaces of gossip; refusals in Docker's words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from daemon.cluster.network_rows import (
    ATTACHMENTS,
    ENDPOINTS,
    NETWORKS,
    SUBNET_SPACE,
    VNI_SPACE,
    DefaultSubnets,
    network_of,
    offset_of,
    place_of,
    space_of,
    text_list,
)
from daemon.engine.chosen_addresses import exhausted, no_such_address
from daemon.engine.network import Network
from daemon.errors import ApiError, Forbidden, ServerError
from gossip.numbers.errors import InDoubt, NumberOutside, NumbersError, NumberTaken, OwnerUnreachable, SpaceExhausted

if TYPE_CHECKING:
    from daemon.engine.container import Container
    from gossip.node import GossipNode

DEADLINE = 8.0  # seconds for a number: longer than a host just started waits for its peers before it gives any


class Addresses:
    """Addresses of overlays as this host gets them."""

    def __init__(self, gossip: GossipNode) -> None:
        self._gossip = gossip

    async def request(self, network: Network, holder: str, wanted: str | None = None, *, version: int = 4) -> str:
        """An address of the network for this host, as CIDR. Raises Docker's errors, or one that names the host that
        would have had to be asked."""
        found = [
            (index, pool)
            for index, pool in enumerate(network.pools)
            if (":" in pool.subnet) == (version == 6)
            and (wanted is None or ipaddress.ip_address(wanted) in ipaddress.ip_network(pool.subnet))
        ]
        if not found:
            raise no_such_address(wanted or "")
        failure: NumbersError | None = None
        for index, pool in found:
            subnet = ipaddress.ip_network(pool.subnet)
            offset = None if wanted is None else offset_of(wanted, subnet)
            try:
                number = await self._gossip.numbers.allocate(
                    space_of(network.id, index, pool, offset), wanted=offset, holder=holder, deadline=DEADLINE
                )
            except NumbersError as error:
                failure = error
                continue
            return f"{subnet[number]}/{subnet.prefixlen}"
        assert failure is not None
        raise refusal(failure, network, wanted, version=version) from failure

    def release(self, network: Network, cidr: str) -> None:
        """Give an address back; nothing for an empty one."""
        if not cidr:
            return
        address = cidr.partition("/")[0]
        for index, pool in enumerate(network.pools):
            subnet = ipaddress.ip_network(pool.subnet)
            if ipaddress.ip_address(address) in subnet:
                offset = offset_of(address, subnet)
                self._gossip.numbers.release(space_of(network.id, index, pool, offset), offset)
                return

    def request_now(self, network: Network, holder: str) -> str | None:
        """An IPv4 address as request gives it, but only from this host's own ranges; None when others would have to be
        asked."""
        numbers = self._gossip.numbers
        for index, pool in enumerate(network.pools):
            if ":" in pool.subnet:
                continue
            try:
                number = numbers.allocate_now(space_of(network.id, index, pool, None), holder=holder)
            except NumbersError:
                continue
            if number is not None:
                subnet = ipaddress.IPv4Network(pool.subnet)
                return f"{subnet[number]}/{subnet.prefixlen}"
        return None


def refusal(error: NumbersError, network: Network, wanted: str | None = None, *, version: int = 4) -> ApiError:
    """What the API says of an address that could not be had."""
    if isinstance(error, NumberTaken | NumberOutside):
        return Forbidden("Address already in use") if wanted else ServerError(str(error))
    if isinstance(error, SpaceExhausted):
        return exhausted(network, version)
    if isinstance(error, OwnerUnreachable):
        return ServerError(
            f"no address of network {network.name} can be given out now: host {error.hostname}, "
            "which has the free ones, cannot be reached"
        )
    if isinstance(error, InDoubt):
        return ServerError(f"no address of network {network.name} can be given out now: {error}")
    return ServerError(str(error))


def no_identity(error: NumbersError, network: Network) -> ApiError:
    """What the API says of a network that gets no subnet or no VNI."""
    if isinstance(error, NumberTaken | NumberOutside):
        return Forbidden(f"failed to allocate vxlan id {error.number}: it is in use or out of range")
    if isinstance(error, SpaceExhausted):
        return ServerError(
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
        )
    if isinstance(error, OwnerUnreachable):
        return ServerError(
            f"network {network.name} cannot be made now: host {error.hostname}, which has the free subnets and VNIs, "
            "cannot be reached"
        )
    if isinstance(error, InDoubt):
        return ServerError(f"network {network.name} cannot be made now: {error}")
    return ServerError(str(error))


def taken(gossip: GossipNode, space: str, defaults: DefaultSubnets) -> Iterable[int]:
    """Numbers of a space that rows name, rows of dead hosts and of networks on their way out included."""
    known = [network for network in map(network_of, gossip.all_rows(NETWORKS)) if network is not None]
    if space == VNI_SPACE:
        return [vni for network in known for vni in network.vnis]
    if space == SUBNET_SPACE:
        return [n for network in known for n in defaults.numbers(network.pools)]
    network_id, index = place_of(space) or ("", 0)
    network = next((n for n in known if n.id == network_id), None)
    if network is None or index >= len(network.pools):
        return []
    pool = network.pools[index]
    subnet = ipaddress.ip_network(pool.subnet)
    texts = [pool.gateway or "", *pool.auxiliary.values()]
    for row in gossip.all_rows(ENDPOINTS):
        if row.value.get("network") == network_id:
            texts += text_list(row.value.get("addresses"))
    texts += [str(row.value.get("balancer") or "") for row in gossip.all_rows(ATTACHMENTS) if row.key == network_id]
    addresses = [ipaddress.ip_address(text.partition("/")[0]) for text in texts if text]
    return [int(address) - int(subnet.network_address) for address in addresses if address in subnet]


def expected(containers: Iterable[Container], networks: Mapping[str, Network], space: str) -> list[int]:
    """Numbers of an address space that containers chose (--ip) which are about to be started again: who
    chose none, or the load balancer, would take one in the moment between two runs."""
    found: list[int] = []
    network = networks.get((place_of(space) or ("", 0))[0])
    if network is None:
        return found
    for container in containers:
        if not (container.state.restarting or container.stopped_by_daemon):
            continue
        for name, settings in container.endpoints.items():
            if name not in (network.name, network.id) or settings.ip_address:
                continue
            chosen = [(settings.ipam_config or {}).get(field) for field in ("IPv4Address", "IPv6Address")]
            for address in map(ipaddress.ip_address, filter(None, chosen)):
                for index, pool in enumerate(network.pools):
                    subnet = ipaddress.ip_network(pool.subnet)
                    offset = int(address) - int(subnet.network_address)
                    if address in subnet and space_of(network.id, index, pool, offset) == space:
                        found.append(offset)
    return found
