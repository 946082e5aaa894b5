"""The swarm's networks as this host has them: rows of the replicated tables on one side, drivers on the other.

Everything the data path is told is a function of the tables' present state: a change only says which rows to look at
again. Addresses, subnets and VNIs come from number spaces (`gossip.numbers`), so two hosts never give one twice, cut
off or not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from daemon.cluster.network_rows import (
    ADDRESS_SPACE,
    SUBNET_SPACE,
    VNI_SPACE,
    address_space,
    network_of,
    offset_of,
    row_of,
    subnet_numbers,
    text_list,
)
from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.engine.endpoints import exhausted, no_such_address
from daemon.engine.network import VNI_OPTION, Endpoint, Network, shown_pool
from daemon.engine.network_plan import shown_config
from daemon.errors import ApiError, BadParameter, Conflict, Forbidden, NotFound, ServerError, Unavailable
from gossip.numbers.errors import NumberOutside, NumbersError, NumberTaken, OwnerUnreachable, SpaceExhausted
from gossip.tables.row import Change, Row, Value
from overlay.ipam.mac import mac_from_ip
from overlay.spec import EndpointFact, NetworkError, Pool

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode

log = structlog.get_logger("overlays")

NETWORKS = "networks"
ENDPOINTS = "endpoints"
ATTACHMENTS = "attachments"
NODES = "nodes"
ACKNOWLEDGED = "acknowledged"  # owned; key: a network that is being removed, which the owner has left

_FIRST_VNI, _VNIS = 4096, (1 << 24) - 4096
_PULL = 2.0  # seconds for one manager to tell what it knows
_ALLOCATE = 8.0  # seconds for a number: longer than a host just started waits for its peers before it gives any


class Overlays:
    """The swarm's networks, empty while the host is in no swarm."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster
        self._gossip: GossipNode | None = None
        self._networks: dict[str, Network] = {}
        self._attached: dict[str, None] = {}

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, gossip: GossipNode) -> None:
        """Begin to follow the tables. What endpoints of an earlier boot held of this host's ranges is free again."""
        self._gossip = gossip
        gossip.numbers.taken_by_rows(lambda space: _taken(gossip, space, self._cluster))
        for space in gossip.numbers.spaces():
            if space.startswith(f"{ADDRESS_SPACE}/"):
                for number in gossip.numbers.holders(space):
                    gossip.numbers.release(space, number)
        for row in gossip.rows(NETWORKS):
            self._network_changed(row)
        for row in gossip.rows(ENDPOINTS):
            self._tell_directory(row)
        gossip.watch(self._changed)

    async def withdraw(self) -> None:
        """The host leaves the swarm or ends: its containers lose their overlays, the swarm its endpoints."""
        for network in list(self._networks.values()):
            await self._engine.networks.endpoints.expel(network)
            self._take_down(network)

    def stop(self) -> None:
        """Follow the tables no more, and forget what they said."""
        gossip, self._gossip = self._gossip, None
        if gossip is not None:
            for row in gossip.rows(ENDPOINTS):
                self._engine.host_network.directory.remove(row.key)
        self._networks.clear()
        self._attached.clear()

    async def create_ingress(self) -> None:
        """The first node of a new swarm: its number spaces, and the network that every node is on."""
        gossip = self._running()
        base, length = self._cluster.address_pools[0], self._cluster.subnet_size
        gossip.numbers.define(SUBNET_SPACE, 0, 1 << (length - ipaddress.ip_network(base).prefixlen))
        gossip.numbers.define(VNI_SPACE, _FIRST_VNI, _VNIS)
        world = self._engine.world
        network = Network("", "ingress", world.wall(), "overlay", scope="swarm", ingress=True)
        await self.create(network, [])

    # -- what there is ------------------------------------------------------------------------------------------

    def networks(self) -> list[Network]:
        """Those that this node may see: all for a manager, for a worker those that it is on."""
        everything = self._cluster.is_manager
        seen = [n for n in self._networks.values() if everything or n.ingress or n.id in self._attached]
        return sorted(seen, key=lambda n: (n.created, n.id))

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
            return {"Containers": None, "Labels": network.labels or None}
        gossip = self._running()
        peers = [(row.owner, self._vtep(row.owner)) for row in gossip.rows(ATTACHMENTS) if row.key == network.id]
        document: JsonObject = {"Peers": [{"Name": node[:12], "IP": vtep} for node, vtep in peers if vtep]}
        if verbose:
            document["Services"] = {}
        return document

    # -- create and remove --------------------------------------------------------------------------------------

    async def create(self, network: Network, wished: Sequence[Pool]) -> str:
        """Write the network's row; the id. Only on managers. Raises Docker's errors and those of number spaces."""
        gossip = self._running()
        network.id = self._engine.world.swarm_id()
        network.scope = "swarm"
        given: list[JsonObject] = []
        pools = [self._with_gateway(pool) for pool in wished]
        try:
            if not pools:
                pools = [await self._next_subnet(network.id)]
                given = [shown_pool(pools[0])]
            network.vni = await self._vni(network)
        except NumbersError as error:
            raise _number_error(error, network) from error
        network.pools = tuple(pools)
        network.ipam_config = [shown_pool(pool) for pool in pools] if wished else shown_config(network, given)
        network.options[VNI_OPTION] = str(network.vni)
        for index, pool in enumerate(pools):
            gossip.numbers.define(address_space(network.id, index), *_numbers_of(pool))
        gossip.write(NETWORKS, network.id, row_of(network))
        gossip.claim("network", network.name, network.id)
        self._engine.networks.event(network, "create")
        return network.id

    async def _next_subnet(self, holder: str) -> Pool:
        gossip = self._running()
        base = ipaddress.IPv4Network(self._cluster.address_pools[0])
        length = self._cluster.subnet_size
        number = await gossip.numbers.allocate(SUBNET_SPACE, holder=holder, deadline=_ALLOCATE)
        first = int(base.network_address) + (number << (32 - length))
        subnet = ipaddress.IPv4Network((first, length))
        return Pool(str(subnet), str(subnet[1]))

    @staticmethod
    def _with_gateway(pool: Pool) -> Pool:
        if pool.gateway:
            return pool
        subnet = ipaddress.IPv4Network(pool.subnet)
        taken = list(pool.auxiliary.values())
        gateway = next(str(host) for host in subnet.hosts() if str(host) not in taken)
        return Pool(pool.subnet, gateway, pool.ip_range, pool.auxiliary)

    async def _vni(self, network: Network) -> int:
        gossip = self._running()
        chosen = network.options.get(VNI_OPTION)
        wanted = None
        if chosen:
            first = chosen.split(",")[0]
            if not first.isdigit() or not 0 < int(first) < 1 << 24:
                raise BadParameter(f"invalid vxlan id value {first!r} passed")
            if int(first) < _FIRST_VNI:
                return int(first)
            wanted = int(first)
        return await gossip.numbers.allocate(VNI_SPACE, wanted=wanted, holder=network.id, deadline=_ALLOCATE)

    async def remove(self, network: Network) -> None:
        """Mark the network as being removed; it goes for good, with its numbers, when all hosts have left it."""
        if not self._cluster.is_manager:
            raise Unavailable(self._cluster.no_manager_text())
        gossip = self._running()
        for row in gossip.all_rows(ENDPOINTS):
            if row.value.get("network") == network.id:
                task = str(row.value.get("task") or row.key)
                raise BadParameter(
                    f"rpc error: code = FailedPrecondition desc = network {network.id} is in use by task {task}"
                )
        known = gossip.row(NETWORKS, network.id)
        if known is None:
            raise NotFound(f"network {network.name} not found")
        gossip.write(NETWORKS, network.id, {**known.value, "removing": True})
        self._engine.networks.event(network, "remove")

    def _acknowledge(self, network_id: str) -> None:
        gossip = self._running()
        if gossip.row(ACKNOWLEDGED, network_id, gossip.node_id) is None:
            gossip.put(ACKNOWLEDGED, network_id, {})

    def _finish_removals(self) -> None:
        """A manager ends the removals that every member of the roster has acknowledged, the dead ones too."""
        gossip = self._gossip
        if gossip is None or not self._cluster.is_manager:
            return
        for row in gossip.rows(NETWORKS):
            if not row.value.get("removing"):
                continue
            agreed = [ack.owner for ack in gossip.all_rows(ACKNOWLEDGED) if ack.key == row.key]
            if all(entry.node_id in agreed for entry in gossip.roster.members()):
                gossip.remove(NETWORKS, row.key)

    # -- this host on a network ---------------------------------------------------------------------------------

    async def attach(self, network: Network) -> None:
        """Bring a network to this host. Does not yield, so that nobody takes it away again before it is used."""
        if not network.attachable and not network.ingress:
            raise ServerError(
                f"Could not attach to network {network.name}: rpc error: code = PermissionDenied desc = "
                f"network {network.name} not manually attachable"
            )
        holder = self._running().holder("network", network.name)
        if holder is not None and holder != network.id:
            raise Conflict(f"network {network.name} ({network.id}) has lost its name to {holder}; remove one of them")
        self._bring_up(network)

    def _bring_up(self, network: Network) -> None:
        if network.id in self._attached:
            return
        try:
            self._engine.host_network.create_network(network.spec())
        except NetworkError as error:
            raise ServerError(str(error)) from error
        self._attached[network.id] = None
        gossip = self._running()
        gossip.put(ATTACHMENTS, network.id, {})
        # Taking a network down made the directory forget it.
        for row in gossip.rows(ENDPOINTS):
            if row.value.get("network") == network.id:
                self._tell_directory(row)

    async def request(self, network: Network, holder: str, wanted: str | None = None) -> str:
        """An address of the network for this host, as CIDR. Raises Docker's errors, or one that names the host that
        would have had to be asked."""
        gossip = self._running()
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
                number = await gossip.numbers.allocate(
                    address_space(network.id, index), wanted=offset, holder=holder, deadline=_ALLOCATE
                )
            except NumbersError as error:
                failure = error
                continue
            return f"{subnet[number]}/{subnet.prefixlen}"
        assert failure is not None
        raise _number_error(failure, network, wanted) from failure

    def _release(self, network: Network, cidr: str) -> None:
        gossip = self._gossip
        if gossip is None or not cidr:
            return
        address = cidr.partition("/")[0]
        for index, pool in enumerate(network.pools):
            subnet = ipaddress.IPv4Network(pool.subnet)
            if ipaddress.ip_address(address) in subnet:
                gossip.numbers.release(address_space(network.id, index), offset_of(address, subnet))
                return

    async def joined(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        """Tell the swarm of an endpoint; the first one on this host brings the load balancer's with it."""
        self._put(network, endpoint, container)
        self._balance(network)

    def renamed(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        self._put(network, endpoint, container)

    def _put(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        value: Value = {
            "network": network.id,
            "container": container.id,
            "name": endpoint.name,
            "names": list(endpoint.names),
            "hostname": container.hostname,
            "mac": endpoint.mac,
            "addresses": [endpoint.address],
            "task": endpoint.task,
        }
        self._running().put(ENDPOINTS, endpoint.id, value)

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
        address = self._own_address(network, endpoint.id)
        if address is not None:
            self._balanced(network, endpoint, address)
        else:
            self._engine.tasks.spawn(self._balance_later(network, endpoint), f"balancer of {network.name}")

    def _own_address(self, network: Network, holder: str) -> str | None:
        numbers = self._running().numbers
        for index, pool in enumerate(network.pools):
            try:
                number = numbers.allocate_now(address_space(network.id, index), holder=holder)
            except NumbersError:
                continue
            if number is not None:
                subnet = ipaddress.IPv4Network(pool.subnet)
                return f"{subnet[number]}/{subnet.prefixlen}"
        return None

    async def _balance_later(self, network: Network, endpoint: Endpoint) -> None:
        gossip = self._running()
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
            gossip.delete(ENDPOINTS, endpoint.id)
        self._release(network, endpoint.address)
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
        if self._gossip is not None:
            self._gossip.delete(ATTACHMENTS, network.id)

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
                self._network_gone(row)
            else:
                self._network_changed(change.after)
        elif change.table == ACKNOWLEDGED:
            self._finish_removals()

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
                self._engine.tasks.spawn(self._leave_removed(network), f"leave network {network.name}")
            else:
                self._acknowledge(row.key)
                self._finish_removals()
            return
        if row.key in self._networks:
            return
        network = network_of(row)
        if network is None:
            log.warning("a network's row that cannot be read", id=row.key)
            return
        self._networks[row.key] = network
        if network.ingress and self._cluster.ready:
            self.join_ingress()

    async def _leave_removed(self, network: Network) -> None:
        """The network is being removed: its containers here lose it, and the swarm hears that this host is off it."""
        for container in await self._engine.networks.endpoints.expel(network):
            log.warning("disconnected from a removed network", network=network.name, container=container.name)
        self._take_down(network)
        if self._gossip is not None:
            self._acknowledge(network.id)
            self._finish_removals()

    def _network_gone(self, row: Row) -> None:
        """Removed for good: what it had of numbers is free for whoever owns their ranges."""
        gossip = self._running()
        network = self._networks.pop(row.key, None)
        if network is not None:
            self._engine.tasks.spawn(self._leave_removed(network), f"leave network {network.name}")
        if gossip.row(ACKNOWLEDGED, row.key, gossip.node_id) is not None:
            gossip.delete(ACKNOWLEDGED, row.key)
        known = network_of(row)
        if known is None:
            return
        for index in range(len(known.pools)):
            gossip.numbers.drop(address_space(row.key, index))
        if known.vni is not None and known.vni >= _FIRST_VNI:
            gossip.numbers.release(VNI_SPACE, known.vni)
        base, length = self._cluster.address_pools[0], self._cluster.subnet_size
        if not known.wished_config:
            for number in subnet_numbers(known.pools, base, length):
                gossip.numbers.release(SUBNET_SPACE, number)

    def _vtep(self, node: str) -> str:
        row = self._running().row(NODES, node, node)
        return str(row.value.get("vtep") or "") if row is not None else ""

    def _running(self) -> GossipNode:
        if self._gossip is None:
            raise Unavailable(self._cluster.no_manager_text())
        return self._gossip


def _numbers_of(pool: Pool) -> tuple[int, int]:
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


def _number_error(error: NumbersError, network: Network, wanted: str | None = None) -> ApiError:
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


def _taken(gossip: GossipNode, space: str, cluster: Cluster) -> Iterable[int]:
    """Numbers of a space that rows name, rows of dead hosts and of networks on their way out included."""
    known = [network for network in map(network_of, gossip.all_rows(NETWORKS)) if network is not None]
    if space == VNI_SPACE:
        return [network.vni for network in known if network.vni is not None]
    if space == SUBNET_SPACE:
        base, length = cluster.address_pools[0], cluster.subnet_size
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
