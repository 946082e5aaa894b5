"""Pools and addresses of networks whose IPAM driver is a plug-in's: what it gave, remembered across restarts.

The order of calls is libnetwork's (ipamAllocate, ipamRelease): the pool, its gateway, its auxiliary addresses; back in
the order of gateway, auxiliary addresses, pool.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING

import structlog

from daemon.engine.network import Endpoint, Network
from daemon.errors import ApiError, Forbidden, ServerError
from daemon.plugins.client import PluginError
from daemon.plugins.drivers import IpamDriver
from daemon.plugins.registry import Plugins
from overlay.spec import Pool

if TYPE_CHECKING:
    from daemon.store.contract import Storage

log = structlog.get_logger("plugins")

_KIND = "plugin-pools"  # in the store


@dataclass(slots=True)
class Lease:
    """A pool that a plug-in gave; gateway and auxiliary addresses as CIDR, as it gave them."""

    id: str
    subnet: str
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return 6 if ":" in self.subnet else 4


class RemotePools:
    """By network."""

    def __init__(self, store: Storage, plugins: Plugins, random: Random) -> None:
        self._store = store
        self._random = random
        self._plugins = plugins
        self._leases: dict[str, list[Lease]] = {}
        self._to_replay: dict[str, None] = {}

    def restore(self) -> None:
        """What the store has."""
        for network_id, data in self._store.all(_KIND):
            self._leases[network_id] = [Lease(**lease) for lease in json.loads(data)]
            self._to_replay[network_id] = None

    def of(self, network: Network) -> list[Lease]:
        return self._leases.get(network.id, [])

    async def allocate(self, network: Network, wished: Sequence[Pool]) -> None:
        """Fill in the network's pools; nothing stays taken when one of them cannot be had. Raises Docker's errors."""
        driver = await self._plugins.ipam_driver(network.ipam_driver)
        wishes = [pool for pool in wished if ":" not in pool.subnet] or [Pool("", None)]
        six = [pool for pool in wished if ":" in pool.subnet]
        if network.enable_ipv6 and not six:
            six = [Pool("", None)]
        leases = self._leases[network.id] = []
        try:
            for wish in wishes:
                await self._take(driver, network, wish, leases, six=False)
            for wish in six:
                await self._take(driver, network, wish, leases, six=True)
        except BaseException:
            await self.give_back(network)
            raise
        self._store.commit([(_KIND, network.id, json.dumps([asdict(lease) for lease in leases]).encode())])
        network.pools = tuple(
            Pool(
                lease.subnet,
                lease.gateway.partition("/")[0] or None,
                lease.ip_range or None,
                {name: address.partition("/")[0] for name, address in lease.auxiliary.items()},
            )
            for lease in leases
        )

    @staticmethod
    async def _take(driver: IpamDriver, network: Network, wish: Pool, leases: list[Lease], *, six: bool) -> None:
        options = network.ipam_options or {}
        pool_id, subnet, gateway = await driver.request_pool(wish.subnet, wish.ip_range or "", options, six=six)
        lease = Lease(pool_id, subnet, wish.ip_range or "")
        leases.append(lease)
        if gateway and not wish.gateway:
            lease.gateway = gateway
        else:
            try:
                lease.gateway = await driver.request_address(pool_id, wish.gateway or "", gateway=True)
            except PluginError as error:
                raise ServerError(f"failed to allocate gateway ({wish.gateway or ''}): {error.message}") from error
        for name, address in wish.auxiliary.items():
            if ipaddress.ip_address(address) not in ipaddress.ip_network(subnet):
                raise Forbidden(f"auxilairy address: ({name}:{address}) must belong to the master pool: {subnet}")
            try:
                lease.auxiliary[name] = await driver.request_address(pool_id, address)
            except PluginError as error:
                text = f"failed to allocate secondary ip address ({name}:{address}): {error.message}"
                raise ServerError(text) from error

    async def give_back(self, network: Network) -> None:
        """What the plug-in does not take back is logged: its network goes all the same, as in Docker."""
        leases = self._leases.pop(network.id, [])
        self._to_replay.pop(network.id, None)
        self._store.commit([(_KIND, network.id, None)])
        try:
            driver = await self._plugins.ipam_driver(network.ipam_driver)
            for lease in leases:
                for address in filter(None, (lease.gateway, *lease.auxiliary.values())):
                    await driver.release_address(lease.id, address.partition("/")[0])
                await driver.release_pool(lease.id)
        except ApiError as error:
            log.warning("pools not given back", network=network.name, error=error.message)

    async def request(self, network: Network, endpoint: Endpoint, wanted: str, *, version: int) -> str:
        """An address as CIDR. A plug-in that must know the MAC address is told it; the endpoint gets one if it has
        none. Raises Docker's errors."""
        driver = await self._plugins.ipam_driver(network.ipam_driver)
        await self._replay(driver, network)
        if driver.requires_mac and not endpoint.mac:
            endpoint.mac = ":".join(f"{byte:02x}" for byte in b"\x02\x42" + self._random.randbytes(4))
        mac = endpoint.mac if driver.requires_mac else ""
        for lease in self.of(network):
            if lease.version != version:
                continue
            if wanted and ipaddress.ip_address(wanted) not in ipaddress.ip_network(lease.subnet):
                continue
            return await driver.request_address(lease.id, wanted, mac=mac)
        if wanted:
            raise ServerError(f"Invalid address {wanted}: It does not belong to any of this network's subnets")
        where = f"this network's address pools: {network.name} ({network.id})"
        raise ServerError(f"no available IPv{version} addresses on {where}")

    async def _replay(self, driver: IpamDriver, network: Network) -> None:
        """RequiresRequestReplay: a daemon that was restarted asks for its pools again."""
        if network.id not in self._to_replay:
            return
        if driver.requires_replay:
            for lease in self.of(network):
                options = network.ipam_options or {}
                again, _, _ = await driver.request_pool(lease.subnet, lease.ip_range, options, six=lease.version == 6)
                if again != lease.id:
                    raise ServerError(f"the plug-in gave pool {again} where it had given {lease.id}")
        self._to_replay.pop(network.id, None)

    async def release(self, network: Network, address: str) -> None:
        """Give an address (CIDR) back; a plug-in that does not take it is logged."""
        found = ipaddress.ip_interface(address).ip
        lease = next((each for each in self.of(network) if found in ipaddress.ip_network(each.subnet)), None)
        if lease is None:
            return
        try:
            await (await self._plugins.ipam_driver(network.ipam_driver)).release_address(lease.id, str(found))
        except ApiError as error:
            log.warning("address not given back", network=network.name, address=address, error=error.message)
