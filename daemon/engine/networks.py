"""The networks of one host: create, find, list, remove, prune; the swarm's come from `daemon/cluster/overlays.py`.

What happens when a container joins or leaves one is in `endpoints.py`; the facade here is what the rest of the daemon
and the API use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from daemon.engine import network_plan, published
from daemon.engine.container import Container, EndpointSettings
from daemon.engine.documents import JsonObject
from daemon.engine.endpoints import Endpoints
from daemon.engine.filters import Filters
from daemon.engine.network import BRIDGE_MTU, GATEWAY_BRIDGE, MTU_OPTION, PREDEFINED, Network, shown_pool
from daemon.engine.network_settings import network_settings
from daemon.engine.pools import LocalPools
from daemon.errors import ApiError, BadParameter, Conflict, Forbidden, NotFound, ServerError
from daemon.store import DiskRefused
from overlay.ipam.errors import IpamError
from overlay.spec import (
    BRIDGE_NAME,
    DEFAULT_BRIDGE,
    ENABLE_ICC,
    ENABLE_MASQUERADE,
    HOST_BINDING,
    NetworkError,
)

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

log = structlog.get_logger("networks")

_KIND = "network"
_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_PRUNE_FILTERS = ("until", "label", "label!")
_NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)


class Networks:
    """All networks that this host can name. Local ones are kept in the store; endpoints are not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._local: dict[str, Network] = {}
        self._down: dict[str, None] = {}  # ids of those that could not be brought up
        self._coming: dict[str, None] = {}  # names of networks whose plug-ins are being asked
        self.pools = LocalPools()
        self.endpoints = Endpoints(engine, self)

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring up what the store has; the first time make none, host and bridge."""
        stored = [Network.from_stored(data) for _, data in self._engine.store.all(_KIND)]
        for network in stored:
            if network.name == "bridge":
                network.options[ENABLE_ICC] = str(self._engine.config.icc).lower()
        for network in sorted(stored, key=lambda n: n.created):
            try:
                self._bring_up(network)
            except NetworkError as error:  # its parent interface is gone: what is on it cannot start
                self._down[network.id] = None
                log.warning("a network without its interface", network=network.name, error=str(error))
            except IpamError as error:
                raise ServerError(f"network {network.name} ({network.id}) cannot be brought up: {error}") from error
        for name in PREDEFINED:
            if not any(n.name == name for n in self._local.values()):
                self._make_predefined(name)
        await self._engine.remote.start()

    async def stop(self) -> None:
        """Nothing of its own to end: containers leave before, what the host's networking holds ends with it."""

    def _bring_up(self, network: Network) -> None:
        """Take the pools that the network had before this start."""
        if network.has_interface and not network.config_only and network.ipam_driver == "default":
            self.pools.take(network, network.pools)
        self._local[network.id] = network
        if network.has_interface and not network.config_only:
            self._engine.host_network.create_network(network.spec(), self.pools.of(network))

    def revive(self, network: Network) -> None:
        """Another attempt to bring up one that could not be: its parent interface may be there again. ServerError."""
        if network.id not in self._down:
            return
        try:
            self._engine.host_network.create_network(network.spec(), self.pools.of(network))
        except NetworkError as error:
            raise ServerError(str(error)) from error
        del self._down[network.id]

    def _make_predefined(self, name: str) -> None:
        world = self._engine.world
        network = Network(world.hex_id(), name, self._now(), "null" if name == "none" else name)
        if name == "bridge":
            network.options = {
                DEFAULT_BRIDGE: "true",
                ENABLE_ICC: str(self._engine.config.icc).lower(),
                ENABLE_MASQUERADE: "true",
                HOST_BINDING: "0.0.0.0",
                BRIDGE_NAME: "docker0",
                MTU_OPTION: str(BRIDGE_MTU),
            }
            self.pools.allocate(network, [])
            network.ipam_config = [shown_pool(pool, gateway=False) for pool in network.pools]
            self._engine.host_network.create_network(network.spec(), self.pools.of(network))
        self._keep(network)

    def _now(self) -> float:
        """Wall time, a little later for each network: their order is that of creation, also after a restart."""
        newest = max((network.created for network in self._local.values()), default=0.0)
        return max(self._engine.world.wall(), newest + 1e-6)

    def _keep(self, network: Network) -> None:
        self._engine.store.commit([(_KIND, network.id, network.stored())])
        self._local[network.id] = network

    # -- find ---------------------------------------------------------------------------------------------------

    def all(self) -> list[Network]:
        """Local ones in the order of their creation, then those of the swarm that this node may see."""
        return [*self._local.values(), *self._engine.cluster.overlays.networks()]

    def find(self, ref: str) -> Network:
        """By name, by id, by a prefix of the id that only one has. NotFound("network x not found"), BadParameter."""
        networks = self.all()
        # Of two networks of the swarm that a cut has let take one name, the name means the one that keeps it.
        holder = self._engine.cluster.overlays.named(ref)
        for network in networks:
            if network.id == ref:
                return network
        called = [n for n in networks if n.name == ref and (n.scope == "local" or n is holder)]
        if len(called) > 1:
            raise BadParameter(f"network {ref} is ambiguous ({len(called)} matches found based on name)")
        if called:
            return called[0]
        begun = [n for n in networks if ref and n.id.startswith(ref)]
        if len(begun) > 1:
            raise BadParameter(f"network {ref} is ambiguous ({len(begun)} matches found based on ID prefix)")
        if not begun:
            raise NotFound(f"network {ref} not found")
        return begun[0]

    def resolve(self, ref: str) -> Network:
        """As find, and an overlay too that this node does not see yet because no container here is on it. Its name goes
        before the beginning of an id."""
        overlay = self._engine.cluster.overlays.lookup(ref)
        try:
            found = self.find(ref)
        except NotFound:
            if overlay is None:
                raise
            return overlay
        return overlay if overlay is not None and overlay.name == ref and not found.is_called(ref) else found

    def resolve_or_none(self, ref: str) -> Network | None:
        try:
            return self.resolve(ref)
        except ApiError:
            return None

    def listed(self, filters: Filters) -> list[Network]:
        """Docker's `dangling` looks before it knows what is in use, so that it means "not predefined"."""
        filters.only(_FILTERS)
        try:
            dangling = filters.boolean("dangling")
        except BadParameter as error:
            raise BadParameter(
                'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")'
            ) from error
        kinds = filters.values("type")
        for kind in kinds:
            if kind not in ("builtin", "custom"):
                raise BadParameter(f"invalid filter: 'type'='{kind}'")
        found = []
        for network in self.all():
            if "dangling" in filters and dangling == network.predefined:
                continue
            if kinds and ("builtin" if network.predefined else "custom") not in kinds:
                continue
            if (
                filters.match_exact("driver", network.driver)
                and filters.match_exact("scope", network.scope)
                and filters.match_pattern("name", network.name)
                and filters.match_pattern("id", network.id)
                and filters.match_labels("label", network.labels or {})
            ):
                found.append(network)
        return found

    def inspect(self, network: Network, *, verbose: bool = False) -> JsonObject:
        """With what is on it here; of an overlay also the hosts that are on it."""
        document = network.to_api()
        present = [e for e in network.endpoints.values() if e.address or e.container_id]
        containers = {e.shown_as or e.container_id: e.to_api() for e in present}
        if network.name == GATEWAY_BRIDGE:
            for gateway in self._engine.host_network.gateway_endpoints():
                document_of = {
                    "Name": gateway.name,
                    "EndpointID": gateway.endpoint_id,
                    "MacAddress": gateway.mac,
                    "IPv4Address": gateway.address,
                    "IPv6Address": "",
                }
                containers[gateway.container_id] = document_of
        document["Containers"] = containers
        if network.scope == "swarm":
            document |= self._engine.cluster.overlays.shown(network, verbose=verbose)
        return document

    # -- create and remove --------------------------------------------------------------------------------------

    async def create(self, body: JsonObject, *, namesakes: bool = False) -> tuple[str, str]:
        """The new network's id, and a warning. `namesakes`: two of this host may have one name. Raises Docker's
        errors."""
        engine = self._engine
        name = body.get("Name") or ""
        if not name:
            raise Conflict("network with name  already exists")
        if name in PREDEFINED or name == "default":
            raise Forbidden(f"operation is not permitted on predefined {name} network")
        if name in self._coming or engine.cluster.overlays.named(name):
            raise Conflict(f"network with name {name} already exists")
        warning = ""
        if (namesake := next((n for n in self._local.values() if n.name == name), None)) is not None:
            if not namesakes:
                raise Conflict(f"network with name {name} already exists")
            warning = f"Network with name {name} (id : {namesake.id}) already exists"
        network = network_plan.record_of(body, engine.world.hex_id(), self._now())
        network_plan.check_scope(network, body.get("Scope") or "")
        if network.scope == "swarm" and not network.remote and not network.config_only:
            return await self._create_in_swarm(network), warning
        self._coming[name] = None
        try:
            await self._create_local(network, scope=body.get("Scope") or "")
        finally:
            del self._coming[name]
        return network.id, warning

    async def _create_local(self, network: Network, *, scope: str) -> None:
        engine = self._engine
        await engine.remote.networks.load(network, scope=scope)
        if network.config_from:
            network_plan.inherit(network, self.resolve_or_none(network.config_from))
        if network.config_only:
            network_plan.wished_pools(network)
            network.ipam_config = network_plan.shown_config(network, [])
            self._keep(network)
            return
        network_plan.check_single(network)
        network_plan.check_options(network, self._local.values())
        if network.ipam_driver == "default":
            self.pools.allocate(network, network_plan.wished_pools(network))
        else:
            await engine.remote.pools.allocate(network, network_plan.wished_pools(network))
        added = [] if network_plan.wishes_subnet(network, 4) else [shown_pool(network.pools[0])]
        network.ipam_config = network_plan.shown_config(network, added)
        try:
            await engine.remote.networks.create(network)
            engine.host_network.create_network(network.spec(), self.pools.of(network))
            self._keep(network)
        except NetworkError as error:
            await self._give_back(network)
            raise ServerError(str(error)) from error
        except BaseException:
            engine.host_network.delete_network(network.id)
            await self._give_back(network)
            raise
        self.event(network, "create")

    async def _give_back(self, network: Network) -> None:
        if network.ipam_driver == "default":
            self.pools.give_back(network)
        else:
            await self._engine.remote.pools.give_back(network)

    def check_multi_host(self) -> None:
        """May this host make a network of the swarm? ServerError, Forbidden."""
        cluster = self._engine.cluster
        if not cluster.active:
            raise ServerError(_NOT_A_MANAGER)
        if not cluster.is_manager:
            raise Forbidden(
                "Cannot create a multi-host network from a worker node. Please create the network from a manager node."
            )

    async def _create_in_swarm(self, network: Network) -> str:
        if network.driver != "overlay" and not self._engine.cluster.active:
            raise Forbidden("cannot create a swarm scoped network when swarm is not active")
        self.check_multi_host()
        if network.config_from and network.driver == "overlay":
            network_plan.inherit(network, self.resolve_or_none(network.config_from))
        life = self._engine.cluster.overlays.life
        if network.driver != "overlay":
            return life.create_node_local(network)
        return await life.create(network, network_plan.wished_pools(network))

    async def remove(self, ref: str) -> None:
        network = self.find(ref)
        if network.scope == "swarm":
            await self._engine.cluster.overlays.life.remove(network)
            return
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        await self._remove_local(network)

    async def _remove_local(self, network: Network) -> None:
        depending = [*self._local.values(), *self._engine.cluster.overlays.made_here()]
        if network.config_only and any(n.config_from == network.name for n in depending):
            raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')
        if self._busy(network):
            raise Forbidden(
                f"error while removing network: network {network.name} id {network.id} has active endpoints"
            )
        self._engine.store.commit([(_KIND, network.id, None)])
        if network.has_interface and not network.config_only:
            self._engine.host_network.delete_network(network.id)
        del self._local[network.id]
        self._down.pop(network.id, None)
        await self._give_back(network)
        await self._engine.remote.networks.delete(network)
        self.event(network, "destroy")

    def _busy(self, network: Network) -> bool:
        gateways = network.name == GATEWAY_BRIDGE and self._engine.host_network.gateway_endpoints()
        return bool(network.endpoints or gateways)

    async def prune(self, filters: Filters) -> list[str]:
        """Remove what nothing on this host uses; the names of what went."""
        filters.only(_PRUNE_FILTERS)
        until = filters.until(self._engine.world.wall())
        gone = []
        for network in self.all():
            labels = network.labels or {}
            excluded = "label!" in filters and filters.match_labels("label!", labels)
            if network.predefined or network.config_only or network.ingress or self._busy(network) or excluded:
                continue
            if (until is not None and network.created > until) or not filters.match_labels("label", labels):
                continue
            try:
                if network.scope == "swarm":
                    if not self._engine.cluster.is_manager:
                        continue
                    await self._engine.cluster.overlays.life.remove(network)
                else:
                    await self._remove_local(network)
            except ApiError:
                continue  # came into use meanwhile, or is in use on another host
            gone.append(network.name)
        self._engine.events.publish("network", "prune", "", {"reclaimed": "0"})
        return gone

    def gateway_bridge(self) -> None:
        """docker_gwbridge, the way out of overlays' containers: made when the host enters a swarm, kept afterwards."""
        if any(n.name == GATEWAY_BRIDGE for n in self._local.values()):
            return
        world = self._engine.world
        network = Network(world.hex_id(), GATEWAY_BRIDGE, self._now(), "bridge")
        network.options = {BRIDGE_NAME: GATEWAY_BRIDGE, ENABLE_ICC: "false", ENABLE_MASQUERADE: "true"}
        self.pools.allocate(network, [])
        network.ipam_config = [shown_pool(pool) for pool in network.pools]
        self._engine.host_network.create_network(network.spec(), self.pools.of(network))
        try:
            self._keep(network)
        except DiskRefused:
            self._engine.host_network.delete_network(network.id)
            self.pools.give_back(network)
            raise

    def event(self, network: Network, action: str, **attributes: str) -> None:
        scope = "swarm" if network.scope == "swarm" else "local"
        named = {**attributes, "name": network.name, "type": network.driver}
        self._engine.events.publish("network", action, network.id, named, scope=scope)

    # -- containers ---------------------------------------------------------------------------------------------

    def check_create(self, container: Container) -> None:
        """What Docker refuses at container create because of ports; networks are looked up at start only."""
        published.wishes(container)

    async def join_all(self, container: Container) -> None:
        """At start: join the networks with the sandbox that is there, publish the ports. All or nothing."""
        await self.endpoints.join_all(container)

    async def leave_all(self, container: Container) -> None:
        """At stop or death: give everything back. Never raises for what is already gone."""
        await self.endpoints.leave_all(container)

    async def connect(self, network: str, container: Container, settings: EndpointSettings | None = None) -> None:
        """Give a container a place on one more network, at once if it runs, else at its next start."""
        async with container.lock:  # not while it starts or stops
            await self.endpoints.connect(network, container, settings or EndpointSettings())

    async def disconnect(self, network: str, container: Container, force: bool = False) -> None:
        """Take a container off a network. `force`: also off one that is not there any more."""
        async with container.lock:
            await self.endpoints.disconnect(network, container, force)

    async def renamed(self, container: Container) -> None:
        """`docker rename`: its name changes in every network that has names."""
        self.endpoints.names.renamed(container)

    def settings(self, container: Container) -> JsonObject:
        """NetworkSettings of inspect."""
        known = [n for n in map(self.resolve_or_none, container.endpoints) if n is not None]
        unpublished = bool(known) and not any(map(network_plan.publishes, known))
        return network_settings(container, unpublished=unpublished)

    def etc_files(self, container: Container) -> Mapping[str, str]:
        """Contents of /etc/hosts, /etc/resolv.conf and /etc/hostname as they should be now."""
        return self.endpoints.names.etc_files(container)
