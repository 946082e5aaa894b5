"""The plug-ins of one host, by name: looked for when a network first names them, activated once, kept.

A plug-in says at activation what it implements; for each kind that is known here it is then asked what it can do
(moby's pkg/plugins and libnetwork's remote packages, in their order).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from daemon.errors import ApiError, NotFound, ServerError
from daemon.plugins.client import PluginClient, PluginError
from daemon.plugins.discovery import Address, BadSpec
from daemon.plugins.drivers import IPAM_DRIVER, NETWORK_DRIVER, IpamDriver, NetworkDriver

log = structlog.get_logger("plugins")


@dataclass(slots=True)
class Plugin:
    """One that was activated."""

    name: str
    client: PluginClient
    implements: list[str] = field(default_factory=list)
    network: NetworkDriver | None = None
    ipam: IpamDriver | None = None


class Plugins:
    """By name. `stop` ends all connections to them."""

    def __init__(self, find: Callable[[str], Address | None]) -> None:
        """`find`: where a plug-in of a name listens, or None; raises ApiError, BadSpec, OSError."""
        self._find = find
        self._active: dict[str, Plugin] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._clients: dict[PluginClient, None] = {}
        self._hurried = False

    def hurry(self) -> None:
        """The daemon is about to stop: nothing waits for a plug-in for long any more."""
        self._hurried = True
        for client in self._clients:
            client.hurry()

    async def stop(self) -> None:
        """What is under way fails."""
        self._active.clear()
        await asyncio.gather(*(self._close(client) for client in list(self._clients)))

    async def forget(self, name: str) -> None:
        """It is not there any more."""
        plugin = self._active.pop(name, None)
        if plugin is not None:
            await self._close(plugin.client)

    async def _close(self, client: PluginClient) -> None:
        self._clients.pop(client, None)
        await client.close()

    async def network_driver(self, name: str) -> NetworkDriver:
        """Raises NotFound, PluginError, ServerError, in Docker's words."""
        driver = (await self._get(name)).network
        if driver is None:
            raise ServerError("legacy plugin: Plugin does not implement the requested driver")
        return driver

    async def ipam_driver(self, name: str) -> IpamDriver:
        """Raises NotFound, PluginError, ServerError, in Docker's words."""
        driver = (await self._get(name)).ipam
        if driver is None:
            raise ServerError("legacy plugin: Plugin does not implement the requested driver")
        return driver

    async def _get(self, name: str) -> Plugin:
        known = self._active.get(name)
        if known is not None:
            return known
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if name not in self._active:
                self._active[name] = await self._activate(name)
            return self._active[name]

    async def _activate(self, name: str) -> Plugin:
        try:
            address = self._find(name)
        except (BadSpec, OSError) as error:
            raise ServerError(f"legacy plugin: {error}") from error
        if address is None:
            self._locks.pop(name, None)  # names that nobody has are not kept
            raise NotFound(f'plugin "{name}" not found')
        client = PluginClient(address)
        self._clients[client] = None
        if self._hurried:
            client.hurry()
        try:
            try:
                listed = (await client.call("Plugin.Activate")).get("Implements")
            except PluginError as error:
                raise ServerError(f"legacy plugin: {error.message}") from error
            kinds = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
            plugin = Plugin(name, client, kinds)
            for kind in kinds:
                await self._register(plugin, kind)
        except BaseException:
            await self._close(client)
            raise
        log.info("plug-in activated", plugin=name, implements=kinds)
        return plugin

    @staticmethod
    async def _register(plugin: Plugin, kind: str) -> None:
        """A kind that cannot be registered is logged and not there; the plug-in's others are."""
        try:
            if kind == NETWORK_DRIVER:
                network = NetworkDriver(plugin.name, plugin.client)
                await network.register()
                plugin.network = network
            elif kind == IPAM_DRIVER:
                ipam = IpamDriver(plugin.name, plugin.client)
                await ipam.register()
                plugin.ipam = ipam
        except ApiError as error:
            log.error("a plug-in's driver could not be registered", plugin=plugin.name, kind=kind, error=str(error))
