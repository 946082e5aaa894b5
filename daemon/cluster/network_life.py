"""How a network of the swarm comes to be and ends.

Created: a row, a VNI, a subnet, and a number space for its addresses. Removed: first only marked; every host takes its
containers off it and acknowledges; when all of the roster have, the dead too, a manager writes the final tombstone and
the numbers are free again. Until then they are in quarantine: a host that was cut off may still be using them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.cluster.network_rows import (
    ACKNOWLEDGED,
    ENDPOINTS,
    NETWORKS,
    SUBNET_SPACE,
    VNI_SPACE,
    address_spaces,
    network_of,
    row_of,
)
from daemon.cluster.node_local import blank
from daemon.cluster.overlay_numbers import DEADLINE, no_identity, taken
from daemon.engine.documents import JsonObject
from daemon.engine.network import VNI_OPTION, Network, shown_pool
from daemon.engine.network_plan import shown_config, wishes_subnet
from daemon.errors import BadParameter, NotFound, Unavailable
from gossip.numbers.errors import NumbersError, NumberTaken
from gossip.tables.row import Row, ValueRejected, check_name, encode_value
from overlay.ipam.errors import NoAvailablePool
from overlay.spec import Pool

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode

_SMALLEST = 30  # prefix length
_FIRST_VNI, _VNIS = 4096, (1 << 24) - 4096


class NetworkLife:
    """Creation and removal, on managers; every host's part in a removal."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster

    async def create_ingress(self) -> None:
        """The first node of a new swarm: its number spaces, and the network that every node is on."""
        gossip = self._running()
        gossip.numbers.define(SUBNET_SPACE, 0, len(self._cluster.default_subnets))
        gossip.numbers.define(VNI_SPACE, _FIRST_VNI, _VNIS)
        world = self._engine.world
        network = Network("", "ingress", world.wall(), "overlay", scope="swarm", ingress=True)
        await self.create(network, [])

    async def create(self, network: Network, wished: Sequence[Pool]) -> str:
        """Write the network's row; the id. Only on managers. Raises Docker's errors and those of number spaces."""
        gossip = self._running()
        network.id = self._engine.world.swarm_id()
        network.scope = "swarm"
        self._check_shareable(network)
        for pool in wished:
            subnet = ipaddress.ip_network(pool.subnet)
            if subnet.max_prefixlen - subnet.prefixlen < 32 - _SMALLEST:
                raise BadParameter(f"subnet {pool.subnet} has no room for a gateway and a container")
        given: list[JsonObject] = []
        pools = [self._with_gateway(pool) for pool in sorted(wished, key=lambda pool: ":" in pool.subnet)]
        if network.enable_ipv6 and not any(":" in pool.subnet for pool in pools):
            raise NotFound(str(NoAvailablePool(6)))
        chosen = any(":" not in pool.subnet for pool in pools)
        try:
            if not chosen:
                pools.insert(0, await self._next_subnet(network.id))
                given = [shown_pool(pools[0])]
            vnis = await self._vnis(network, [pool for pool in pools if ":" not in pool.subnet])
        except NumbersError as error:
            if not chosen:
                self._free_subnets(pools)
            raise no_identity(error, network) from error
        network.pools = tuple(pools)
        network.ipam_config = [shown_pool(pool) for pool in pools] if wished else shown_config(network, given)
        network.vni = vnis[0]
        network.options[VNI_OPTION] = ",".join(map(str, vnis))
        for index, pool in enumerate(pools):
            for space, (first, size) in address_spaces(network.id, index, pool).items():
                gossip.numbers.define(space, first, size)
        gossip.write(NETWORKS, network.id, row_of(network))
        gossip.claim("network", network.name, network.id)
        self._engine.networks.event(network, "create")
        return network.id

    def create_node_local(self, network: Network) -> str:
        """Write the row of a network that each host makes for itself; the id. Raises Docker's errors."""
        gossip = self._running()
        network.id = self._engine.world.swarm_id()
        blank(network)
        self._check_shareable(network)
        gossip.write(NETWORKS, network.id, row_of(network))
        gossip.claim("network", network.name, network.id)
        self._engine.networks.event(network, "create")
        return network.id

    @staticmethod
    def _check_shareable(network: Network) -> None:
        try:
            check_name(network.name)
            encode_value(row_of(network))
        except ValueRejected as error:
            raise BadParameter(f"network {network.name:.60} cannot be shared: {error}") from error

    async def _next_subnet(self, holder: str) -> Pool:
        gossip = self._running()
        number = await gossip.numbers.allocate(SUBNET_SPACE, holder=holder, deadline=DEADLINE)
        subnet = self._cluster.default_subnets.subnet(number)
        return Pool(str(subnet), str(subnet[1]))

    @staticmethod
    def _with_gateway(pool: Pool) -> Pool:
        if pool.gateway:
            return pool
        subnet = ipaddress.ip_network(pool.subnet)
        taken = list(pool.auxiliary.values())
        gateway = next(str(host) for host in subnet.hosts() if str(host) not in taken)
        return Pool(pool.subnet, gateway, pool.ip_range, pool.auxiliary)

    async def _vnis(self, network: Network, pools: Sequence[Pool]) -> list[int]:
        """One for each subnet: those that the user chose, then free ones. None is kept when one cannot be had."""
        gossip = self._running()
        listed = network.options.get(VNI_OPTION, "")
        chosen = listed.split(",") if listed else []
        for text in chosen:
            if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 1 << 24:
                raise BadParameter(f"invalid vxlan id value {text!r} passed")
        known = list(taken(gossip, VNI_SPACE, self._cluster.default_subnets))
        vnis: list[int] = []
        try:
            for index in range(len(pools)):
                wanted = int(chosen[index]) if index < len(chosen) else None
                if wanted is not None and wanted < _FIRST_VNI:
                    # Below the space that is shared out, where VLAN ids are: nobody's to give, but nobody's twice.
                    if wanted in [*known, *vnis]:
                        raise NumberTaken(VNI_SPACE, wanted)
                    vnis.append(wanted)
                    continue
                vnis.append(
                    await gossip.numbers.allocate(VNI_SPACE, wanted=wanted, holder=network.id, deadline=DEADLINE)
                )
        except NumbersError:
            self._free_vnis(vnis)
            raise
        return vnis

    def _free_vnis(self, vnis: Sequence[int]) -> None:
        gossip = self._running()
        for vni in vnis:
            if vni >= _FIRST_VNI:
                gossip.numbers.release(VNI_SPACE, vni)

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
        # Its name is free at once, for others too; its numbers only when everybody has acknowledged.
        gossip.give_up("network", network.name, network.id)
        self._engine.networks.event(network, "remove")

    def acknowledge(self, network_id: str) -> None:
        """This host has left a network that is being removed."""
        self._engine.tasks.insist(lambda: self._acknowledged(network_id), "the acknowledgement of a removal")

    def _acknowledged(self, network_id: str) -> None:
        gossip = self._cluster.gossip
        if gossip is None:
            return
        if gossip.row(ACKNOWLEDGED, network_id, gossip.node_id) is None:
            gossip.put(ACKNOWLEDGED, network_id, {})
        self.finish_removals()

    def finish_removals(self) -> None:
        """A manager ends the removals that every member of the roster has acknowledged, the dead ones too. One that has
        left the swarm for good is on no network."""
        self._engine.tasks.insist(self._finished_removals, "the end of a removal")

    def _finished_removals(self) -> None:
        gossip = self._cluster.gossip
        if gossip is None or not self._cluster.is_manager:
            return
        for row in gossip.rows(NETWORKS):
            if not row.value.get("removing"):
                continue
            agreed = [ack.owner for ack in gossip.all_rows(ACKNOWLEDGED) if ack.key == row.key]
            members = [entry.node_id for entry in gossip.roster.members()]
            if all(node in agreed or gossip.roster.departed(node) for node in members):
                gossip.remove(NETWORKS, row.key)

    async def remember_who_left(self) -> None:
        """To disk, with the power in mind: who forgot that a node left would wait for it for ever, once in doubt."""
        self._engine.tasks.insist(self._remembered, "that a node left")

    def _remembered(self) -> None:
        if self._cluster.gossip is not None:
            self._cluster.gossip.write_down()
            self._engine.store.sync()

    def gone(self, row: Row) -> None:
        """Removed for good: what it had of numbers is free for whoever owns their ranges."""
        self._engine.tasks.insist(lambda: self._freed(row), "the numbers of a network that is gone")

    def _freed(self, row: Row) -> None:
        gossip = self._cluster.gossip
        if gossip is None:
            return
        if gossip.row(ACKNOWLEDGED, row.key, gossip.node_id) is not None:
            gossip.delete(ACKNOWLEDGED, row.key)
        known = network_of(row)
        if known is None:
            return
        for index, pool in enumerate(known.pools):
            for space in address_spaces(row.key, index, pool):
                gossip.numbers.drop(space)
        self._free_vnis(known.vnis)
        if not wishes_subnet(known, 4):
            self._free_subnets(known.pools)

    def _free_subnets(self, pools: Sequence[Pool]) -> None:
        for number in self._cluster.default_subnets.numbers(pools):
            self._running().numbers.release(SUBNET_SPACE, number)

    def _running(self) -> GossipNode:
        if self._cluster.gossip is None:
            raise Unavailable(self._cluster.no_manager_text())
        return self._cluster.gossip
