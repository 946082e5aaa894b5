"""Address pools of this host's own networks, and Docker's answers when one cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.config import LAN_NETWORK
from daemon.engine import network_plan
from daemon.engine.network import Network
from daemon.errors import BadParameter, Forbidden, NotFound, ServerError
from overlay.ipam.errors import AddressInUse, InvalidPool, IpamError, NoAvailablePool, PoolOverlap
from overlay.ipam.pool import AddressPool
from overlay.ipam.space import AddressSpace
from overlay.spec import Pool


class LocalPools:
    """Pools by network."""

    def __init__(self) -> None:
        self._space = AddressSpace()
        self._pools: dict[str, AddressPool] = {}

    def allocate(self, network: Network, wished: Sequence[Pool]) -> None:
        """The wished pool, or the next default one; gateway first, then auxiliary addresses, as libnetwork does."""
        self.take(network, wished or [Pool("", None)])
        pool = self._pools[network.id]
        first = wished[0] if wished else Pool("", None)
        network.pools = (Pool(str(pool.network), pool.gateway, first.ip_range, dict(first.auxiliary)),)

    def check_ipv6(self, network: Network, others: Iterable[Network]) -> None:
        """IPv6 subnets have no defaults, and do not overlap. Addresses from them are not given yet."""
        wished = network_plan.ipv6_subnets(network)
        if network.enable_ipv6 and not wished:
            raise NotFound(
                "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the "
                "network"
            )
        taken = [s for other in others if other.enable_ipv6 for s in network_plan.ipv6_subnets(other)]
        if network.enable_ipv6 and any(mine.overlaps(theirs) for mine in wished for theirs in taken):
            raise Forbidden(str(PoolOverlap()))

    def take(self, network: Network, wished: Sequence[Pool]) -> None:
        """Exactly this pool (its subnet "" is: the next default). Raises Docker's errors."""
        if len(wished) > 1:
            raise Forbidden(f"{network.driver} driver doesn't support multiple subnets")
        wish = wished[0]
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
        self._pools[network.id] = pool

    def give_back(self, network: Network) -> None:
        """Nothing for a network without a pool."""
        pool = self._pools.pop(network.id, None)
        if pool is not None:
            self._space.release(pool)

    def of(self, network: Network) -> AddressPool:
        """A local network's addresses."""
        return self._pools[network.id]
