"""The swarm's networks as this host has them: rows of the replicated tables on one side, drivers on the other.

Everything the data path is told is a function of the tables' present state: a change only says which rows to look at
again. Addresses, subnets and VNIs come from number spaces (`gossip.numbers`), so two hosts never give one twice, cut
off or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.cluster.network_life import NetworkLife
from daemon.cluster.network_rows import (
    ACKNOWLEDGED,
    ADDRESS_SPACE,
    ATTACHMENTS,
    ENDPOINTS,
    NETWORKS,
    network_of,
    text_list,
)
from daemon.cluster.node_local import is_node_local, make, names_are_shared, unmake
from daemon.cluster.nodes import NODES
from daemon.cluster.overlay_numbers import Addresses, expected, taken
from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.engine.network import Endpoint, Network
from daemon.errors import ApiError, Conflict, NotFound, ServerError, Unavailable
from gossip.tables.record import DEPARTURES_TABLE
from gossip.tables.row import Change, Row, Value
from gossip.tables.view import ROSTER_TABLE
from overlay.ipam.mac import mac_from_ip
from overlay.spec import EndpointFact, NetworkError

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode

log = structlog.get_logger("overlays")

_PULL = 2.0  # seconds for one manager to tell what it knows


class Overlays:
    """The swarm's networks, empty while the host is in no swarm."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster
        self._gossip: GossipNode | None = None
        self.addresses: Addresses | None = None
        self.life = NetworkLife(engine, cluster)
        self._networks: dict[str, Network] = {}
        self._attached: dict[str, None] = {}

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, gossip: GossipNode) -> None:
        """Begin to follow the tables. What endpoints of an earlier boot held of this host's ranges is free again."""
        self._gossip = gossip
        self.addresses = Addresses(gossip)
        defaults = self._cluster.default_subnets
        gossip.numbers.taken_by_rows(lambda space: taken(gossip, space, defaults))
        gossip.numbers.expected_by(lambda space: expected(self._engine.containers.all(), self._networks, space))
        for space in gossip.numbers.spaces():
            if space.startswith(f"{ADDRESS_SPACE}/"):
                for number in gossip.numbers.holders(space):
                    gossip.numbers.release(space, number)
        for row in gossip.rows(NETWORKS):
            self._network_changed(row)
        for row in gossip.rows(ENDPOINTS):
            self._tell_directory(row)
        gossip.watch(self._changed)
        # The last that a host says may come by way of others, when it is not alive any more.
        gossip.notice(ACKNOWLEDGED, self.life.finish_removals)
        gossip.notice(DEPARTURES_TABLE, self._somebody_left)

    async def withdraw(self) -> None:
        """The host leaves the swarm or ends: its containers lose their overlays, the swarm its endpoints."""
        for network in list(self._networks.values()):
            await self._engine.networks.endpoints.expel(network)
            self._take_down(network)

    def stop(self) -> None:
        """Follow the tables no more, and forget what they said."""
        gossip, self._gossip = self._gossip, None
        self.addresses = None
        if gossip is not None:
            for row in gossip.rows(ENDPOINTS):
                self._engine.host_network.directory.remove(row.key)
        self._networks.clear()
        self._attached.clear()

    # -- what there is ------------------------------------------------------------------------------------------

    def networks(self) -> list[Network]:
        """Those that this node may see: all for a manager, for a worker those that it is on."""
        everything = self._cluster.is_manager
        seen = [n for n in self._networks.values() if everything or n.ingress or n.id in self._attached]
        return sorted(seen, key=lambda n: (n.created, n.id))

    def made_here(self) -> list[Network]:
        """Those that this host is on."""
        return [network for id, network in self._networks.items() if id in self._attached]

    def named(self, name: str) -> Network | None:
        """The network that holds a name in the whole swarm."""
        found = [n for n in self._networks.values() if n.name == name]
        if len(found) > 1 and self._gossip is not None:
            holder = self._gossip.holder("network", name)
            found = [n for n in found if n.id == holder] or found
        return found[0] if found else None

    def lookup(self, ref: str) -> Network | None:
        """By name, id or a prefix of the id that only one has, whether this node may see it or not."""
        exact = self._networks.get(ref) or self.named(ref)
        if exact is not None:
            return exact
        begun = [n for n in self._networks.values() if ref and n.id.startswith(ref)]
        return begun[0] if len(begun) == 1 else None

    async def ask_managers(self, ref: str) -> Network | None:
        """As lookup, for a name that this host has not heard of: a manager has, if there is such a network."""
        gossip = self._gossip
        if gossip is None:
            return None
        for manager in self._cluster.nodes.managers().values():
            if manager != gossip.node_id:
                await gossip.pull(_PULL, manager)
                if self._gossip is gossip and (found := self.lookup(ref)) is not None:
                    return found
        return None

    def shown(self, network: Network, *, verbose: bool) -> JsonObject:
        """What inspect says of an overlay beside its record."""
        if network.id not in self._attached:
            hidden: JsonObject = {"Options": None} if is_node_local(network) else {}
            return hidden | {"Containers": None, "Labels": network.labels or None}
        if not names_are_shared(network):
            return {}
        gossip = self._running()
        peers = [(row.owner, self._vtep(row.owner)) for row in gossip.rows(ATTACHMENTS) if row.key == network.id]
        document: JsonObject = {"Peers": [{"Name": node[:12], "IP": vtep} for node, vtep in peers if vtep]}
        if verbose:
            document["Services"] = {}
        return document

    # -- this host on a network ---------------------------------------------------------------------------------

    async def attach(self, network: Network) -> None:
        """Bring a network to this host, with all that is known of it. Does not yield after it is up, so that nobody
        takes it away again before it is used."""
        if not network.attachable and not network.ingress:
            raise ServerError(
                f"Could not attach to network {network.name}: rpc error: code = PermissionDenied desc = "
                f"network {network.name} not manually attachable"
            )
        holder = self._running().holder("network", network.name)
        if holder is not None and holder != network.id:
            raise Conflict(f"network {network.name} ({network.id}) has lost its name to {holder}; remove one of them")
        self._bring_up(network)
        await self._running().attach(network.id, _PULL)
        if network.id not in self._networks:
            raise NotFound(f"network {network.name} not found")
        self._bring_up(network)  # in a large swarm that took a moment, in which it may have been taken down

    def _bring_up(self, network: Network) -> None:
        if network.id in self._attached:
            return
        if is_node_local(network):
            make(self._engine, network)
        pools = self._engine.networks.pools.of(network)
        try:
            self._engine.host_network.create_network(network.spec(), pools)
        except NetworkError as error:
            if is_node_local(network):
                unmake(self._engine, network)
            raise ServerError(str(error)) from error
        self._attached[network.id] = None
        gossip = self._running()
        gossip.put(ATTACHMENTS, network.id, {})
        # Taking a network down made the directory forget it.
        for row in gossip.rows(ENDPOINTS):
            if row.value.get("network") == network.id:
                self._tell_directory(row)

    async def request(self, network: Network, holder: str, wanted: str | None = None, *, version: int = 4) -> str:
        """An address of the network for this host, as CIDR. Raises Docker's errors, or one that names the host that
        would have had to be asked."""
        if self.addresses is None:
            raise Unavailable(self._cluster.no_manager_text())
        return await self.addresses.request(network, holder, wanted, version=version)

    def _release(self, network: Network, cidr: str) -> None:
        if (addresses := self.addresses) is not None:
            self._engine.tasks.insist(lambda: self._given_back(addresses, network, cidr), "an address given back")

    def _given_back(self, addresses: Addresses, network: Network, cidr: str) -> None:
        if self.addresses is addresses:
            addresses.release(network, cidr)

    def _withdrawn(self, gossip: GossipNode, endpoint_id: str) -> None:
        if self._gossip is gossip:
            gossip.delete(ENDPOINTS, endpoint_id)

    async def joined(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        """Tell the swarm of an endpoint; the first one on an overlay here brings the load balancer's with it."""
        self._put(network, endpoint, container)
        if not is_node_local(network):
            self._balance(network)

    def renamed(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        self._put(network, endpoint, container)

    def _put(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        shared = names_are_shared(network)
        value: Value = {
            "network": network.id,
            "container": container.id,
            "name": endpoint.name,
            "names": list(endpoint.names) if shared else [],
            "hostname": container.hostname,
            "mac": endpoint.mac or mac_from_ip(endpoint.address),
            "addresses": [a for a in (endpoint.address, endpoint.address6) if a and shared],
            "task": endpoint.task,
        }
        self._running().put(ENDPOINTS, endpoint.id, value, scope=network.id)

    def _balance(self, network: Network) -> None:
        """The address that a node's load balancer has on each network, in inspect `NAME-endpoint`. Only services need
        it, so nobody waits: what is not in this host's own ranges is asked for in the background."""
        if any(e.shown_as for e in network.endpoints.values()):
            return
        endpoint = Endpoint(
            self._engine.world.hex_id(), network.id, "", f"{network.name}-endpoint", (), "", "",
            shown_as="ingress-sbox" if network.ingress else f"lb-{network.name}",
        )  # fmt: skip
        network.endpoints[endpoint.id] = endpoint
        address = self.addresses.request_now(network, endpoint.id) if self.addresses is not None else None
        if address is not None:
            self._balanced(network, endpoint, address)
        else:
            self._engine.tasks.spawn(self._balance_later(network, endpoint), f"balancer of {network.name}")

    async def _balance_later(self, network: Network, endpoint: Endpoint) -> None:
        gossip = self._gossip
        if gossip is None:
            return  # this host has left the swarm in the meantime
        try:
            address = await self.request(network, endpoint.id)
        except ApiError as error:
            network.endpoints.pop(endpoint.id, None)
            log.warning("no address for the load balancer", network=network.name, error=error.message)
            return
        if self._gossip is gossip and endpoint.id in network.endpoints and network.id in self._attached:
            self._balanced(network, endpoint, address)
        else:
            self._release(network, address)

    def _balanced(self, network: Network, endpoint: Endpoint, address: str) -> None:
        endpoint.address, endpoint.mac = address, mac_from_ip(address)
        self._running().put(ATTACHMENTS, network.id, {"balancer": address, "mac": endpoint.mac})

    async def left(self, network: Network, endpoint: Endpoint) -> None:
        """The reverse of `request` and `joined`; with the last container the host leaves the network."""
        gossip = self._gossip
        if gossip is not None and gossip.row(ENDPOINTS, endpoint.id, gossip.node_id) is not None:
            self._engine.tasks.insist(lambda: self._withdrawn(gossip, endpoint.id), "an endpoint's end")
        if not is_node_local(network):
            self._release(network, endpoint.address)
            self._release(network, endpoint.address6)
        if not network.ingress and not any(e.container_id for e in network.endpoints.values()):
            self._take_down(network)

    def _take_down(self, network: Network) -> None:
        for balancer in [e for e in network.endpoints.values() if not e.container_id]:
            self._release(network, balancer.address)
            network.endpoints.pop(balancer.id, None)
        if network.id not in self._attached:
            return
        del self._attached[network.id]
        self._engine.host_network.delete_network(network.id)
        if is_node_local(network):
            unmake(self._engine, network)
        if self._gossip is not None:
            self._engine.tasks.insist(lambda: self._off(network.id), "an attachment's end")

    def _off(self, network_id: str) -> None:
        """Say that this host is not on a network, unless it came back to it."""
        if self._gossip is not None and network_id not in self._attached:
            self._gossip.delete(ATTACHMENTS, network_id)

    def join_ingress(self) -> None:
        """Every node is on the ingress network; nothing while its row has not arrived."""
        ingress = next((n for n in self._networks.values() if n.ingress), None)
        if ingress is not None:
            self._bring_up(ingress)
            self._balance(ingress)

    # -- from the tables ----------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        row = change.after or change.before
        if row is None or self._gossip is None:
            return
        if change.table == ENDPOINTS:
            self._tell_directory(row)
        elif change.table == NODES:
            for endpoint in self._gossip.all_rows(ENDPOINTS):
                if endpoint.owner == row.owner:
                    self._tell_directory(endpoint)
        elif change.table == NETWORKS:
            if change.after is None:
                network = self._networks.pop(row.key, None)
                if network is not None:
                    self._leave_soon(network)
                self.life.gone(row)
            else:
                self._network_changed(change.after)
        elif change.table == ROSTER_TABLE:
            self.life.finish_removals()

    def _somebody_left(self) -> None:
        self._engine.tasks.spawn(self.life.remember_who_left(), "a node left")
        self.life.finish_removals()

    def _tell_directory(self, row: Row) -> None:
        """Say of one endpoint of another host what the tables say of it now."""
        gossip = self._running()
        if row.owner == gossip.node_id:
            return
        directory = self._engine.host_network.directory
        now = gossip.row(ENDPOINTS, row.key, row.owner)
        node = gossip.row(NODES, row.owner, row.owner)
        vtep = node.value.get("vtep") if node is not None else None
        if now is None or node is None or not isinstance(vtep, str):
            directory.remove(row.key)
            return
        fact = EndpointFact(
            network_id=str(now.value.get("network")),
            endpoint_id=row.key,
            node=row.owner,
            vtep=vtep,
            mac=str(now.value.get("mac")),
            addresses=text_list(now.value.get("addresses")),
            names=text_list(now.value.get("names")),
            claim=now.lamport,
            super_frames=bool(node.value.get("super_frames")),
        )
        try:
            directory.put(fact)
        except ValueError as error:
            directory.remove(row.key)
            log.warning("an endpoint's row that cannot be used", owner=row.owner, endpoint=row.key, error=str(error))

    def _network_changed(self, row: Row) -> None:
        if row.value.get("removing"):
            network = self._networks.pop(row.key, None)
            if network is not None and (network.endpoints or network.id in self._attached):
                self._leave_soon(network, acknowledge=True)
            else:
                self.life.acknowledge(row.key)
            return
        if row.key in self._networks:
            return
        network = network_of(row)
        if network is None:
            log.warning("a network's row that cannot be read", id=row.key)
            return
        if any(other.name == network.name for other in self._networks.values()):
            log.warning("two networks of one name, made on both sides of a cut", name=network.name, id=network.id)
        self._networks[row.key] = network
        if network.ingress and self._cluster.ready:
            self.join_ingress()

    def _leave_soon(self, network: Network, *, acknowledge: bool = False) -> None:
        self._engine.tasks.spawn(self._leave_removed(network, acknowledge), f"leave network {network.name}")

    async def _leave_removed(self, network: Network, acknowledge: bool) -> None:
        """The network is being removed: its containers here lose it, and the swarm hears that this host is off it."""
        for container in await self._engine.networks.endpoints.expel(network):
            log.warning("disconnected from a removed network", network=network.name, container=container.name)
        self._take_down(network)
        if acknowledge and self._gossip is not None:
            self.life.acknowledge(network.id)

    def _vtep(self, node: str) -> str:
        row = self._running().row(NODES, node, node)
        return str(row.value.get("vtep") or "") if row is not None else ""

    def _running(self) -> GossipNode:
        if self._gossip is None:
            raise Unavailable(self._cluster.no_manager_text())
        return self._gossip
