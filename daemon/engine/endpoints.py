"""Containers on networks: joining, leaving, being connected while they run; sandboxes, names and published ports.

The order of steps and the texts are those of moby's daemon/container_operations.go. Whatever was taken for a step that
then fails is given back before the error is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.chosen_addresses import exhausted, is_ipv4, is_ipv6, link_local, no_such_address
from daemon.engine.container import Container, EndpointSettings
from daemon.engine.container_names import ContainerNames, main_network
from daemon.engine.legacy_links import open_links
from daemon.engine.network import Endpoint, Network
from daemon.engine.network_plan import wishes_subnet
from daemon.engine.publishing import Publishing
from daemon.errors import ApiError, BadParameter, Conflict, Forbidden, NotFound, ServerError
from overlay.ipam.errors import AddressInUse, NoAvailableAddresses, NotInSubnet
from overlay.ipam.mac import mac_from_ip
from overlay.spec import EndpointSpec, NetworkError

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.engine.networks import Networks
    from overlay.sandbox import Sandbox

# runconfig/errors.go, opts of moby
_IP_ON_PREDEFINED = "user specified IP address is supported on user defined networks only"
_IP_WITHOUT_SUBNET = (
    "user specified IP address is supported only when connecting to networks with user configured subnets"
)
_ALIAS_ON_PREDEFINED = "network-scoped alias is supported only for containers in user defined networks"
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_HOST = "container cannot be disconnected from host network or connected to host network"
_NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


class Endpoints:
    """The endpoints of this host's containers."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks
        self._joined: dict[str, None] = {}  # containers by id
        self.names = ContainerNames(engine, networks)
        self.publishing = Publishing(engine, networks)

    # -- start and stop of a container --------------------------------------------------------------------------

    async def join_all(self, container: Container) -> None:
        """Bring the networks, names and ports to the container's sandbox (`lifecycle` makes and ends that); none of
        them when one step fails."""
        if container.shares_sandbox_of is not None:
            self._share(container, container.shares_sandbox_of)
            return
        assert container.sandbox is not None, "a sandbox is made before networks are joined"
        self._joined[container.id] = None
        self.names.open(container)
        if container.config.get("NetworkDisabled"):
            return
        try:
            if not container.endpoints:
                container.endpoints[main_network(self._networks, container)] = EndpointSettings()
            # The default bridge first (moby's allocateNetwork): legacy links need its addresses.
            for name in sorted(container.endpoints, key=lambda name: name != "bridge"):
                settings = container.endpoints[name]
                network = await self._attach(container, name, settings, container.sandbox)
                self._keep_under_name(container, name, network)
            open_links(self._engine, container)
            await self.publishing.settle(container)
        except BaseException:
            await self.leave_all(container)
            raise

    @staticmethod
    def _keep_under_name(container: Container, ref: str, network: Network) -> None:
        """Networks are asked for by id too; `endpoints` has them by name, in the same order."""
        if ref != network.name:
            container.endpoints = {network.name if k == ref else k: v for k, v in container.endpoints.items()}

    def _share(self, container: Container, ref: str) -> None:
        """--network container:X"""
        other = self._engine.containers.find(ref)
        if other is container:
            raise BadParameter("cannot join own network")
        if not other.state.running or other.sandbox is None:
            raise Conflict(f"cannot join network of a non running container: {other.id}")
        container.sandbox, container.sandbox_id = other.sandbox, other.sandbox_id

    async def leave_all(self, container: Container) -> None:
        """The reverse of join_all; nothing for a container that has not joined."""
        if container.id not in self._joined:
            return
        del self._joined[container.id]
        self.names.close(container)
        await self.publishing.end(container)
        # The way out first, as libnetwork's sandbox does.
        way_out = container.sandbox and self._engine.host_network.gateway_network(container.sandbox)
        for network in sorted(self._networks.all(), key=lambda network: network.id != way_out):
            endpoint = network.endpoint_of(container.id)
            if endpoint is not None:
                await self._detach(network, endpoint)
                self._networks.event(network, "disconnect", container=container.id)
        for settings in container.endpoints.values():
            settings.clear_given()

    # -- one container, one network -----------------------------------------------------------------------------

    async def _attach(
        self, container: Container, ref: str, settings: EndpointSettings, sandbox: Sandbox
    ) -> Network:
        """Give the container its place on a network and fill in `settings`."""
        engine = self._engine
        network = await self._attachable(ref)
        self._check_settings(network, settings)
        if network.user_defined:
            settings.aliases = self._with_own_aliases(container, settings.aliases)
        if network.endpoint_of(container.id) or any(e.name == container.name for e in network.endpoints.values()):
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        endpoint = Endpoint(
            id=engine.world.hex_id(),
            network_id=network.id,
            container_id=container.id,
            name=container.name,
            names=tuple(dict.fromkeys([container.name, *(settings.aliases or [])])) if network.user_defined else (),
            mac=settings.desired_mac or self._container_mac(container, network),
            address="",
            task=engine.world.swarm_id() if network.scope == "swarm" else "",
        )
        # Known from now on: two starts at once must not both find the name free.
        network.endpoints[endpoint.id] = endpoint
        try:
            if network.has_interface:
                await engine.remote.endpoints.look(container)
                await self._address(network, endpoint, settings)
                endpoint.mac = self._mac(network, endpoint, settings)
                await engine.remote.endpoints.join(network, endpoint, container, settings)
                attached = engine.host_network.attach(self._spec(endpoint), sandbox)
                endpoint.interface = attached.interface
                endpoint.gateway = attached.gateway or ""
                endpoint.gateway6 = attached.gateway6 or ""
                await engine.remote.endpoints.joined(endpoint, container)
                if network.scope == "swarm":
                    await engine.cluster.overlays.joined(network, endpoint, container)
        except NetworkError as error:
            await self._detach(network, endpoint)
            raise ServerError(str(error)) from error
        except BaseException:
            await self._detach(network, endpoint)
            raise
        self._fill(network, endpoint, settings)
        if network.user_defined and network.has_interface:
            self.names.serve(container, sandbox)
        self.names.link(container, network, settings)
        self._networks.event(network, "connect", container=container.id)
        return network

    def _container_mac(self, container: Container, network: Network) -> str:
        """`--mac-address` is for the network that the container was made on, also when it was put back there."""
        mac = str(container.config.get("MacAddress") or "")
        return mac if mac and main_network(self._networks, container) in (network.name, network.id) else ""

    async def _attachable(self, ref: str) -> Network:
        """The network, brought to this host if it is one of the swarm's."""
        network = await self._known(ref)
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if network.scope == "swarm":
            await self._engine.cluster.overlays.attach(network)
        else:
            self._networks.revive(network)
        return network

    async def _known(self, ref: str) -> Network:
        """A network that was made on another host a moment ago counts as known, also if an id begins like its name."""
        overlays = self._engine.cluster.overlays
        try:
            found = self._networks.resolve(ref)
        except NotFound:
            network = await overlays.ask_managers(ref)
            if network is None:
                raise
            return network
        if found.is_called(ref):
            return found
        network = await overlays.ask_managers(ref)
        return network if network is not None and network.name == ref else found

    def _check_settings(self, network: Network, settings: EndpointSettings) -> None:
        """moby's updateNetworkConfig."""
        ipam = settings.ipam_config or {}
        chosen = [version for version in (4, 6) if ipam.get(f"IPv{version}Address")]
        if not network.user_defined:
            if chosen:
                raise BadParameter(_IP_ON_PREDEFINED)
            if settings.aliases:
                raise BadParameter(_ALIAS_ON_PREDEFINED)
        elif network.has_interface and not network.pools:
            pass  # one of the swarm's that is not made here yet: looked at again when it is
        elif not all(wishes_subnet(network, version) for version in chosen):
            raise BadParameter(_IP_WITHOUT_SUBNET)

    def _with_own_aliases(self, container: Container, aliases: list[str] | None) -> list[str]:
        """A container answers to its short id too, and to a hostname that differs from its name."""
        return list(dict.fromkeys([*(aliases or []), container.short_id, container.hostname]))

    async def _address(self, network: Network, endpoint: Endpoint, settings: EndpointSettings) -> None:
        ipam = settings.ipam_config or {}
        endpoint.address = await self._request(network, endpoint, ipam.get("IPv4Address") or None, 4)
        if network.enable_ipv6:
            endpoint.address6 = await self._request(network, endpoint, ipam.get("IPv6Address") or None, 6)
        endpoint.link_local = tuple(link_local(ipam.get("LinkLocalIPs") or []))

    async def _request(self, network: Network, endpoint: Endpoint, wanted: str | None, version: int) -> str:
        if network.driver == "overlay":
            return await self._engine.cluster.overlays.request(network, endpoint.id, wanted, version=version)
        if network.ipam_driver != "default":
            return await self._engine.remote.pools.request(network, endpoint, wanted or "", version=version)
        try:
            return self._networks.pools.request(network, wanted, version=version)
        except AddressInUse as error:
            raise Forbidden(str(error)) from error
        except NotInSubnet as error:
            raise no_such_address(wanted or "") from error
        except NoAvailableAddresses as error:
            raise exhausted(network, version) from error

    @staticmethod
    def _mac(network: Network, endpoint: Endpoint, settings: EndpointSettings) -> str:
        """The one that was asked for, or one made of the address (a plug-in may have another); none of its own on
        ipvlan."""
        if network.driver != "ipvlan":
            return endpoint.mac or ("" if network.remote else mac_from_ip(endpoint.address))
        if settings.desired_mac:
            raise ServerError(
                f'error setting interface "{network.driver}" MAC to "{settings.desired_mac}": operation not supported'
            )
        return ""

    def _spec(self, endpoint: Endpoint) -> EndpointSpec:
        return EndpointSpec(
            id=endpoint.id,
            network_id=endpoint.network_id,
            container_id=endpoint.container_id,
            name=endpoint.name,
            names=endpoint.names,
            mac=endpoint.mac or mac_from_ip(endpoint.address),
            addresses=tuple(filter(None, (endpoint.address, endpoint.address6))),
            link_local=endpoint.link_local,
            prefix=endpoint.prefix,
        )

    def _fill(self, network: Network, endpoint: Endpoint, settings: EndpointSettings) -> None:
        address, _, length = endpoint.address.partition("/")
        settings.network_id = network.id
        settings.endpoint_id = endpoint.id
        settings.ip_address = address
        settings.prefix_len = int(length or 0)
        settings.gateway = endpoint.gateway
        address, _, length = endpoint.address6.partition("/")
        settings.global_ipv6_address = address
        settings.global_ipv6_prefix_len = int(length or 0)
        settings.ipv6_gateway = endpoint.gateway6
        settings.mac_address = endpoint.mac
        settings.dns_names = list(endpoint.names) or None
        if network.scope == "swarm":
            given = {"IPv4Address": settings.ip_address, "IPv6Address": settings.global_ipv6_address}
            shared = network.driver == "overlay"
            settings.swarm_gave = {key: value for key, value in given.items() if value and shared}

    async def _detach(self, network: Network, endpoint: Endpoint, *, look: bool = False) -> None:
        """Undo what `_attach` has done so far; any part of it may be missing. `look`: the container goes on."""
        engine = self._engine
        network.endpoints.pop(endpoint.id, None)
        if not network.has_interface:
            return
        await engine.remote.endpoints.leave(endpoint)
        engine.host_network.detach(endpoint.id)
        await engine.remote.endpoints.left(endpoint, look=look)
        for address in filter(None, (endpoint.address, endpoint.address6)):
            if network.driver == "overlay":
                continue
            if network.ipam_driver == "default":
                self._networks.pools.release(network, address)
            else:
                await engine.remote.pools.release(network, address)
        if network.scope == "swarm":
            await engine.cluster.overlays.left(network, endpoint)

    # -- connect and disconnect ---------------------------------------------------------------------------------

    async def connect(self, ref: str, container: Container, settings: EndpointSettings) -> None:
        ipam = settings.ipam_config or {}
        if (address := ipam.get("IPv4Address")) and not is_ipv4(address):
            raise BadParameter(f"invalid IPv4 address: {address}")
        if (address := ipam.get("IPv6Address")) and not is_ipv6(address):
            raise BadParameter(f"invalid IPv6 address: {address}")
        if not container.state.running or container.sandbox is None:
            self._connect_stopped(ref, container, settings)
            self._engine.containers.save(container)
            return
        if container.shares_sandbox_of is not None:
            raise BadParameter(_SHARED)
        network = await self._known(ref)
        self._check_settings(network, settings)
        if network.endpoint_of(container.id) is not None:
            if network.scope == "swarm":
                raise ServerError(f"{container.name} is already attached to network {network.name}")
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        self._check_mix(network, container)
        await self._attach(container, ref, settings, container.sandbox)
        container.endpoints.pop(network.id, None)
        container.endpoints[network.name] = settings
        try:
            await self.publishing.settle(container)
        except ApiError:
            await self._remove_from(network, container)
            await self.publishing.settle(container)  # where they were before
            raise
        self._engine.containers.write_etc(container)
        self._engine.containers.save(container)

    def _connect_stopped(self, ref: str, container: Container, settings: EndpointSettings) -> None:
        """Only noted; a network that nobody knows yet is looked up at start."""
        network = self._networks.resolve_or_none(ref)
        if network is None:
            container.endpoints[ref] = settings
            return
        self._check_settings(network, settings)
        if network.user_defined:
            settings.aliases = self._with_own_aliases(container, settings.aliases)
        if network.name in container.endpoints and network.scope != "swarm":
            return
        self._check_mix(network, container)
        container.endpoints[network.name] = settings

    def _check_mix(self, network: Network, container: Container) -> None:
        """moby's updateNetworkSettings: host and none stand alone."""
        if container.network_mode != "host" and network.driver == "host":
            raise BadParameter(_HOST)
        for name in container.endpoints:
            other = self._networks.resolve_or_none(name)
            if other is None or other is network:
                continue
            if other.driver == "host" or network.driver == "host":
                raise BadParameter(_SHARED)
            if other.name == "none" or network.name == "none":
                raise BadParameter(_NONE)

    async def disconnect(self, ref: str, container: Container, force: bool) -> None:
        network = self._networks.resolve_or_none(ref)
        if not container.state.running or (network is None and force):
            name = network.name if network is not None else ref
            if name not in container.endpoints:
                raise ServerError(f"container {container.id} is not connected to the network {name}")
            del container.endpoints[name]
        else:
            network = network or self._networks.resolve(ref)
            if container.network_mode == "host" and network.driver == "host":
                raise BadParameter(_HOST)
            if network.endpoint_of(container.id) is None:
                raise ServerError(f"container {container.id} is not connected to network {network.name}")
            await self._remove_from(network, container)
            await self.publishing.settle(container)
            self._engine.containers.write_etc(container)
        if network is not None:
            self._networks.event(network, "disconnect", container=container.id)
        self._engine.containers.save(container)

    async def _remove_from(self, network: Network, container: Container) -> None:
        endpoint = network.endpoint_of(container.id)
        if endpoint is not None:
            await self._detach(network, endpoint, look=True)
        container.endpoints.pop(network.name, None)

    async def expel(self, network: Network) -> list[Container]:
        """The network is being removed, or this host left the swarm: take it from every running container."""
        touched = []
        for endpoint in list(network.endpoints.values()):
            if not endpoint.container_id:
                continue
            container = self._engine.containers.find_or_none(endpoint.container_id)
            if container is None:  # removed since
                await self._detach(network, endpoint)
                continue
            async with container.lock:
                if endpoint.id not in network.endpoints:
                    continue  # stopped meanwhile
                await self._remove_from(network, container)
                await self.publishing.settle(container)
                self._engine.containers.write_etc(container)
                self._engine.containers.note(container)
            self._networks.event(network, "disconnect", container=container.id)
            touched.append(container)
        return touched
