"""Address pools of this host's own networks, and Docker's answers when one cannot be had."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.config import LAN_NETWORK
from daemon.engine.network import Network
from daemon.errors import ApiError, BadParameter, Forbidden, NotFound, ServerError
from overlay.ipam.errors import (
    AddressInUse,
    InvalidPool,
    IpamError,
    NoAvailableAddresses,
    NoAvailablePool,
    NotInSubnet,
    PoolOverlap,
)
from overlay.ipam.pool import AddressPool
from overlay.ipam.space import AddressSpace
from overlay.spec import Pool


class LocalPools:
    """Pools by network."""

    def __init__(self) -> None:
        self._space = AddressSpace()
        self._pools: dict[str, list[AddressPool]] = {}

    def allocate(self, network: Network, wished: Sequence[Pool]) -> None:
        """The wished pools, of IPv4 or else the next default one, those of IPv6 where the network has that; of each the
        gateway first, then auxiliary addresses, as libnetwork does."""
        wishes = [pool for pool in wished if ":" not in pool.subnet] or [Pool("", None)]
        six = [pool for pool in wished if ":" in pool.subnet] if network.enable_ipv6 else []
        wishes += six
        self.take(network, wishes)
        if network.enable_ipv6 and not six:
            self.give_back(network)
            raise NotFound(str(NoAvailablePool(6)))
        network.pools = tuple(
            Pool(str(pool.network), pool.gateway, wish.ip_range, dict(wish.auxiliary))
            for pool, wish in zip(self._pools[network.id], wishes, strict=True)
        )

    def take(self, network: Network, wished: Sequence[Pool]) -> None:
        """Exactly these pools, IPv4's first (a subnet "" is: the next default); none of them when one cannot be had.
        Raises Docker's errors."""
        six = sum(":" in wish.subnet for wish in wished)
        if max(six, len(wished) - six) > 1 and network.driver == "bridge":
            raise Forbidden(f"{network.driver} driver doesn't support multiple subnets")
        taken: list[AddressPool] = []
        try:
            for wish in wished:
                taken.append(self._take_one(wish))
        except ApiError:
            for pool in taken:
                self._space.release(pool)
            raise
        self._pools[network.id] = taken

    def _take_one(self, wish: Pool) -> AddressPool:
        try:
            pool = self._space.request_pool(wish.subnet or None, ip_range=wish.ip_range, avoid=(LAN_NETWORK,))
        except PoolOverlap as error:
            raise Forbidden(str(error)) from error
        except NoAvailablePool as error:
            raise NotFound(str(error)) from error
        except InvalidPool as error:
            raise BadParameter(str(error)) from error
        try:
            pool.request_gateway(wish.gateway)
        except IpamError as error:
            self._space.release(pool)
            raise ServerError(f"failed to allocate gateway ({wish.gateway or ''}): {error}") from error
        for name, address in wish.auxiliary.items():
            try:
                pool.reserve([address])
            except AddressInUse as error:
                self._space.release(pool)
                raise ServerError(f"failed to allocate secondary ip address ({name}:{address}): {error}") from error
        return pool

    def give_back(self, network: Network) -> None:
        """Nothing for a network without a pool."""
        for pool in self._pools.pop(network.id, []):
            self._space.release(pool)

    def of(self, network: Network) -> AddressPool | None:
        """A local network's addresses (of its first subnet); None when an IPAM plug-in has them."""
        pools = self._pools.get(network.id)
        return pools[0] if pools else None

    def request(self, network: Network, wanted: str | None, *, version: int = 4) -> str:
        """An address as CIDR, from the first subnet of that IP version that has one. AddressInUse, NotInSubnet,
        NoAvailableAddresses."""
        failure: IpamError = NotInSubnet()
        for pool in self._pools[network.id]:
            if pool.network.version != version:
                continue
            try:
                return f"{pool.request(wanted)}/{pool.prefix_length}"
            except (NotInSubnet, NoAvailableAddresses) as error:
                failure = error
        raise failure

    def release(self, network: Network, cidr: str) -> None:
        """Give an address back."""
        address = cidr.partition("/")[0]
        for pool in self._pools.get(network.id, []):
            if pool.contains(address):
                pool.release(address)
