"""What must be so at every moment of the story, and what in its end: judged from the hosts' own state and from what was
acknowledged. Each violation is one line that names the rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from gossip.node import GossipNode
from gossip.tables.record import EpochBody, OwnedBody, RecordError, SharedBody, decode_record
from scenarios.crashes.story import Told
from scenarios.sim.swarm import SimulatedSwarm

TABLES = ("networks", "endpoints", "attachments", "nodes", "nodespec", "swarm", "claims", "spaces", "roster")


def members(swarm: SimulatedSwarm) -> dict[str, GossipNode]:
    """The hosts that run and are in the swarm."""
    found = {}
    for name in swarm.addresses:
        if swarm.is_alive(name) and (gossip := swarm.hosts[name].engine.cluster.gossip) is not None:
            found[name] = gossip
    return found


def at_any_time(swarm: SimulatedSwarm) -> Iterator[str]:
    """Numbers: no address twice, no number two hosts' to give, no dispute."""
    held: dict[tuple[str, str], str] = {}
    for name in swarm.addresses:
        if not swarm.is_alive(name):
            continue
        for network in swarm.hosts[name].engine.networks.all():
            for endpoint in network.endpoints.values():
                if network.scope == "swarm" and endpoint.address:
                    first = held.setdefault((network.id, endpoint.address), endpoint.id)
                    if first != endpoint.id:
                        yield f"given twice: {endpoint.address} of {network.name}, once on {name}"
    owned: dict[str, list[tuple[int, int, str]]] = {}
    for name, gossip in members(swarm).items():
        for space in gossip.numbers.disputed():
            yield f"disputed: {name} holds {space} in dispute"
        for space in gossip.numbers.spaces():
            if gossip.may_give():
                own = gossip.numbers.ranges(space).get(gossip.node_id, [])
                owned.setdefault(space, []).extend((low, high, name) for low, high in own)
    for space, ranges in owned.items():
        for one, two in itertools.pairwise(sorted(ranges)):
            if two[0] < one[1]:
                yield f"two owners: {one[2]} and {two[2]} may both give {two[0]} of {space}"


def in_step(swarm: SimulatedSwarm, told: Told) -> str:
    """What still differs among hosts that are all alive and hear one another; "" when nothing does."""
    nodes = members(swarm)
    wanted = [name for name in swarm.addresses if name not in told.away]
    if sorted(nodes) != sorted(wanted):
        return f"members are {', '.join(nodes)}, should be {', '.join(wanted)}"
    for name in nodes:
        if sorted(swarm.alive(name)) != sorted(wanted):
            return f"{name} holds {', '.join(sorted(swarm.alive(name)))} alive"
    first, *others = nodes
    for name in others:
        for table in TABLES:
            if nodes[name].rows(table) != nodes[first].rows(table):
                return f"the table {table} of {name} differs from that of {first}"
        for space in nodes[first].numbers.spaces():
            if nodes[name].numbers.ranges(space) != nodes[first].numbers.ranges(space):
                return f"the ring {space} of {name} differs from that of {first}"
    for name, gossip in nodes.items():
        if held := gossip.unfinished_removals():
            return f"{name} still holds the tombstones of {', '.join(held)}"
        if gossip.in_doubt:
            return f"{name} is still in doubt of its disk"
        key = gossip.row("swarm", "gossip-keys")
        if key is None or key.value.get("removed") != gossip.roster.removals():
            return f"{name} still gossips under a key that a removed node knows"
        keys = [row.value.get("keys") for row in gossip.rows("keyrings")]
        if any(ring != keys[0] for ring in keys):
            return f"{name} sees different gossip keys"
    for space, left in _unowned(swarm):
        return f"{left} numbers of {space} are a removed node's, and nobody has inherited them"
    return ""


def in_the_end(swarm: SimulatedSwarm, told: Told, forgetful: str = "") -> Iterator[str]:
    """What was acknowledged is there, what was removed is not, the removed stay out. forgetful: a host that lost power
    may have lost containers (docs/guarantees.md)."""
    for name, host in told.containers.items():
        engine = swarm.hosts[host].engine
        if host == forgetful:
            continue
        if name not in [container.name for container in engine.containers.all()]:
            yield f"durability: container {name} was acknowledged by {host} and is not there"
        elif next(c for c in engine.containers.all() if c.name == name).state.status != "running":
            yield f"durability: container {name} of {host} restarts always and does not run"
    for host, gossip in members(swarm).items():
        rows = gossip.rows("networks")
        names = [str(row.value.get("name")) for row in rows if not row.value.get("removing")]
        for name in told.networks:
            if names.count(name) != 1:
                yield f"durability: network {name} was acknowledged and {host} has it {names.count(name)} times"
        for name in told.removed_networks:
            if name in [str(row.value.get("name")) for row in rows]:
                yield f"removal: network {name} was removed and {host} has it"
        vnis = [row.value.get("vni") for row in rows]
        if len(dict.fromkeys(vnis)) != len(vnis):
            yield f"given twice: two networks of one VNI on {host}"
        for node in told.removed_nodes:
            if gossip.roster.contains(node):
                yield f"removal: node {node} was removed and is in the roster of {host}"
        for row in (*gossip.all_rows("nodes"), *gossip.all_rows("endpoints")):
            if gossip.roster.removed(row.owner):
                yield f"removal: {host} keeps the row {row.key} of a removed node"
    for host, role in told.roles.items():
        if swarm.hosts[host].engine.cluster.is_manager != (role == "manager"):
            yield f"durability: {host} should be a {role}"


def _unowned(swarm: SimulatedSwarm) -> Iterator[tuple[str, int]]:
    """Ranges whose owner is removed and whom nobody inherited from."""
    gossip = next(iter(members(swarm).values()), None)
    for space in gossip.numbers.spaces() if gossip is not None else ():
        left = 0
        for owner, ranges in gossip.numbers.ranges(space).items() if gossip is not None else ():
            if gossip is not None and gossip.roster.removed(owner):
                left += sum(high - low for low, high in ranges)
        if left:
            yield space, left


class Versions:
    """Watches every disk: no version of a record is ever used for two contents, and no removal is taken back."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, ...], bytes] = {}
        self._removed: dict[str, None] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self.found: dict[str, None] = {}

    def see(self, host: str, changes: object) -> None:
        """A commit of a host."""
        for kind, _, value in changes:  # type: ignore[attr-defined]
            if value is None or not str(kind).endswith("/record"):
                continue
            try:
                id, body = decode_record(value)
            except RecordError:
                self.found["format: a record that cannot be read was stored"] = None
                continue
            if isinstance(body, OwnedBody):
                self._once(("row", id.owner, id.table, id.key, str(body.epoch), str(body.sequence)), body.value or b"-")
            elif isinstance(body, SharedBody) and body.value is not None:
                self._once(("write", body.writer, str(body.lamport), id.table, id.key), body.value)
            elif isinstance(body, EpochBody):
                before = self._epochs.get((host, id.owner), 0)
                if body.epoch < before:
                    self.found[f"epoch: {host} stored epoch {body.epoch} of {id.owner} after {before}"] = None
                self._epochs[host, id.owner] = body.epoch

    def _once(self, version: tuple[str, ...], content: bytes) -> None:
        if self._said.setdefault(version, content) != content:
            self.found[f"version: {' '.join(version)} was used for two contents"] = None
