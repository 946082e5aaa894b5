"""Networks of plug-ins: what they are told when one is made or removed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import structlog

from daemon.engine.documents import JsonObject
from daemon.engine.network import Network
from daemon.errors import ApiError, BadParameter, Forbidden, NotImplementedYet

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

log = structlog.get_logger("plugins")

_SPACE = "LocalDefault"  # the built-in IPAM's address space


class RemoteNetworks:
    """Of this host. Nothing is asked of networks whose drivers are built in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def load(self, network: Network, *, scope: str) -> None:
        """Find and activate the driver that a new network names. `scope` as it was asked for. Raises NotFound and
        others, in Docker's words."""
        if network.config_only:
            return
        network.ipam_driver = self._engine.remote.bundles.driver_name(network.ipam_driver)
        if not network.remote:
            return
        network.driver = self._engine.remote.bundles.driver_name(network.driver)
        driver = await self._engine.remote.plugins.network_driver(network.driver)
        if driver.scope == "global":
            self._refuse_global(network, scope)

    def _refuse_global(self, network: Network, scope: str) -> None:
        """Networks of the swarm: Docker has them for installed plug-ins only, shoal for none."""
        if scope == "local":
            raise Forbidden(f"cannot downgrade network scope for {network.driver} networks")
        self._engine.networks.check_multi_host()
        if self._engine.remote.bundles.address(network.driver) is None:
            raise BadParameter(
                f"rpc error: code = InvalidArgument desc = legacy plugin {network.driver} of type NetworkDriver is not "
                "supported in swarm mode"
            )
        raise NotImplementedYet(f"{network.driver}: plug-ins' networks of swarm scope are not there yet in shoal")

    async def create(self, network: Network) -> None:
        """CreateNetwork, after the pools are there."""
        if not network.remote:
            return
        driver = await self._engine.remote.plugins.network_driver(network.driver)
        options: JsonObject = {
            "com.docker.network.enable_ipv6": network.enable_ipv6,
            "com.docker.network.generic": dict(network.options),
        }
        if network.internal or network.config_from:
            options["com.docker.network.internal"] = network.internal
        data = await self._data(network)
        await driver.create_network(network.id, options, data[4], data[6])

    async def _data(self, network: Network) -> dict[int, list[JsonObject]]:
        """IPv4Data and IPv6Data."""
        space, leases = _SPACE, self._engine.remote.pools.of(network)
        if network.ipam_driver != "default":
            space = (await self._engine.remote.plugins.ipam_driver(network.ipam_driver)).space
        data: dict[int, list[JsonObject]] = {4: [], 6: []}
        for index, pool in enumerate(network.pools):
            subnet = ipaddress.ip_network(pool.subnet)
            gateway = f"{pool.gateway}/{subnet.prefixlen}" if pool.gateway else ""
            auxiliary = {name: f"{address}/{subnet.prefixlen}" for name, address in pool.auxiliary.items()}
            if index < len(leases):  # in the plug-in's own words
                gateway, auxiliary = leases[index].gateway, leases[index].auxiliary
            entry: JsonObject = {"AddressSpace": space, "AuxAddresses": dict(auxiliary), "Gateway": gateway}
            entry = {key: value for key, value in entry.items() if value} | {"Pool": pool.subnet}
            data[subnet.version].append(entry)
        return data

    async def delete(self, network: Network) -> None:
        """DeleteNetwork; a plug-in that fails at it is logged, the network is gone all the same (as in Docker)."""
        if not network.remote:
            return
        try:
            await (await self._engine.remote.plugins.network_driver(network.driver)).delete_network(network.id)
        except ApiError as error:
            log.warning("driver error deleting network", network=network.name, error=error.message)
