"""The swarm's nodes: what each says of itself (owned rows), what managers decided about it (shared rows), liveness.

`nodes` rows are the node's own; `nodespec` rows (role, availability, labels) are shared; whether it lives is SWIM's
opinion and is stored nowhere.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.cluster.network_rows import text_map
from daemon.cluster.spec import tls_info
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.filters import Filters
from daemon.engine.log_drivers import LOG_DRIVERS
from daemon.engine.network import BUILT_IN
from daemon.engine.stats import memory_total
from daemon.errors import BadParameter, NotFound, ServerError
from daemon.version import VERSION
from gossip.node import GossipNode, node_of
from gossip.swim.member import Member
from gossip.tables.roster import RosterEntry
from gossip.tables.row import Row, Value

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine

NODES = "nodes"
NODE_SPECS = "nodespec"
_FILTERS = ("id", "label", "name", "role", "membership", "node.label")
_PLUGINS = (
    *(("Log", name) for name in LOG_DRIVERS), *(("Network", name) for name in BUILT_IN), ("Volume", "local"),
)  # fmt: skip
_NO_SPEC = Row(NODE_SPECS, "", "", {}, 0)


class Nodes:
    """Nodes as this host knows them; listing and changing them is for managers."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster

    # -- rows ---------------------------------------------------------------------------------------------------

    def describe_self(self) -> None:
        """This host's own row; others take its VTEP's address from it."""
        gossip, config = self._cluster.gossip, self._engine.config
        assert gossip is not None
        value: Value = {
            "hostname": config.hostname,
            "address": gossip.identity.address,
            "vtep": gossip.identity.address,
            "super_frames": True,
            "role": gossip.role,
            "engine": VERSION,
            "cpus": (os.cpu_count() or 1) * 1_000_000_000,
            "memory": memory_total(),
            "os": config.os,
            "architecture": "x86_64",
        }
        if (membership := self._cluster.membership) is not None:
            value |= self._cluster.rotation.said_of_self(membership)
        gossip.put(NODES, gossip.node_id, value)

    def admit(self, node_id: str, role: str, availability: str = "active") -> None:
        """The shared row of a node that has just been admitted."""
        gossip, _ = self._cluster.manage()
        now = self._engine.world.wall()
        value: Value = {
            "role": role, "availability": availability, "labels": {}, "name": "", "created": now, "updated": now,
        }  # fmt: skip
        gossip.write(NODE_SPECS, node_id, value)

    def role_of(self, node_id: str) -> str | None:
        """What the swarm has decided; None for an id that is not in the roster."""
        gossip = self._cluster.gossip
        if gossip is None or not gossip.roster.contains(node_id):
            return None
        row = gossip.row(NODE_SPECS, node_id)
        if row is None:
            return next((e.role for e in gossip.roster.members() if e.node_id == node_id), None)
        return str(row.value.get("role"))

    def managers(self) -> dict[str, str]:
        """Address -> id of the roster's managers, the earliest admitted first."""
        gossip = self._cluster.gossip
        if gossip is None:
            return {}
        found = [e for e in gossip.roster.members() if self.role_of(e.node_id) == "manager"]
        return {e.address: e.node_id for e in sorted(found, key=lambda e: (self._admitted(e.node_id), e.node_id))}

    def seeds(self) -> list[str]:
        """Addresses for a newcomer to gossip with: managers first, then others, at most ten."""
        gossip = self._cluster.gossip
        if gossip is None:
            return []
        return list(dict.fromkeys([*self.managers(), *(e.address for e in gossip.roster.members())]))[:10]

    def _admitted(self, node_id: str) -> float:
        created = self._spec(node_id).value.get("created")
        return float(created) if isinstance(created, int | float) else float("inf")

    def _spec(self, node_id: str) -> Row:
        gossip = self._cluster.gossip
        row = gossip.row(NODE_SPECS, node_id) if gossip is not None else None
        return row or _NO_SPEC

    # -- list and inspect ---------------------------------------------------------------------------------------

    def listed(self, filters: Filters) -> list[JsonObject]:
        gossip, _ = self._cluster.manage()
        filters.only(_FILTERS)
        found = []
        for entry in gossip.roster.members():
            document = self._document(gossip, entry)
            spec = document["Spec"]
            if (
                filters.match_prefix("id", entry.node_id)
                and filters.match_prefix("name", entry.hostname)
                and filters.match_exact("role", spec["Role"])
                and filters.match_labels("node.label", spec["Labels"])
                and filters.match_labels("label", {})
            ):
                found.append(document)
        return sorted(found, key=lambda d: str(d["Description"]["Hostname"]))

    def inspect(self, ref: str) -> JsonObject:
        gossip, _ = self._cluster.manage()
        return self._document(gossip, self._find(gossip, ref))

    def _find(self, gossip: GossipNode, ref: str) -> RosterEntry:
        """By id, host name, or a prefix of the id that only one has."""
        entries = gossip.roster.members()
        if ref == "self":
            ref = gossip.node_id
        for matches in (
            [e for e in entries if e.node_id == ref],
            [e for e in entries if e.hostname == ref],
            [e for e in entries if ref and e.node_id.startswith(ref)],
        ):
            if len(matches) > 1:
                raise BadParameter(f"node {ref} is ambiguous ({len(matches)} matches found)")
            if matches:
                return matches[0]
        raise NotFound(f"node {ref} not found")

    def _document(self, gossip: GossipNode, entry: RosterEntry) -> JsonObject:
        row, said = self._spec(entry.node_id), self._said(gossip, entry.node_id)
        value = row.value
        role = self.role_of(entry.node_id) or entry.role
        spec: JsonObject = {
            "Labels": text_map(value.get("labels")),
            "Role": role,
            "Availability": str(value.get("availability") or "active"),
        }
        if value.get("name"):
            spec = {"Name": value["name"], **spec}
        document: JsonObject = {
            "ID": entry.node_id,
            "Version": {"Index": row.lamport},
            "CreatedAt": _when(value.get("created")),
            "UpdatedAt": _when(value.get("updated")),
            "Spec": spec,
            "Description": {
                "Hostname": entry.hostname,
                "Platform": {
                    "Architecture": str(said.get("architecture") or "x86_64"),
                    "OS": str(said.get("os") or "linux"),
                },
                "Resources": {"NanoCPUs": said.get("cpus") or 0, "MemoryBytes": said.get("memory") or 0},
                "Engine": {
                    "EngineVersion": str(said.get("engine") or ""),
                    "Plugins": [{"Type": kind, "Name": name} for kind, name in _PLUGINS],
                },
                "TLSInfo": tls_info(*self._cluster.rotation.roots_of(dict(said))),
            },
            "Status": {"State": self._status(gossip, entry.node_id), "Addr": entry.address},
        }
        if role == "manager":
            alive = self._alive(gossip, entry.node_id)
            document["ManagerStatus"] = {
                "Leader": self._leader(gossip) == entry.node_id,
                "Reachability": "reachable" if alive else "unreachable",
                "Addr": f"{entry.address}:2377",
            }
            if not document["ManagerStatus"]["Leader"]:
                del document["ManagerStatus"]["Leader"]
        return document

    @staticmethod
    def _said(gossip: GossipNode, node_id: str) -> Value:
        """A node's own row, of the dead too."""
        rows = [row for row in gossip.all_rows(NODES) if row.owner == node_id]
        return rows[-1].value if rows else {}

    @staticmethod
    def _member(gossip: GossipNode, node_id: str) -> Member | None:
        return next((m for m in gossip.members.members() if node_of(m.name) == node_id), None)

    def _alive(self, gossip: GossipNode, node_id: str) -> bool:
        member = self._member(gossip, node_id)
        return node_id == gossip.node_id or (member is not None and member.reachable)

    def _status(self, gossip: GossipNode, node_id: str) -> str:
        if self._alive(gossip, node_id):
            return "ready"
        return "down" if self._member(gossip, node_id) is not None else "unknown"

    def _leader(self, gossip: GossipNode) -> str | None:
        """shoal has no leader to elect; the CLI shows one, so it is the first admitted of the live managers."""
        return next((node for node in self.managers().values() if self._alive(gossip, node)), None)

    def alive(self) -> list[str]:
        """Ids of the roster's nodes that live in this host's eyes, itself included."""
        gossip = self._cluster.gossip
        if gossip is None:
            return []
        return [e.node_id for e in gossip.roster.members() if self._alive(gossip, e.node_id)]

    def leads(self) -> bool:
        """Whether it falls to this host to do what one manager does for all."""
        gossip = self._cluster.gossip
        return gossip is not None and self._leader(gossip) == gossip.node_id

    # -- change -------------------------------------------------------------------------------------------------

    def update(self, ref: str, version: int, body: JsonObject) -> None:
        """`docker node update`, promote and demote."""
        gossip, _ = self._cluster.manage()
        entry = self._find(gossip, ref)
        row = self._spec(entry.node_id)
        if row.lamport != version:
            raise ServerError("rpc error: code = Unknown desc = update out of sequence")
        role, availability = body.get("Role") or "", body.get("Availability") or ""
        if role not in ("manager", "worker"):
            raise BadParameter(f'invalid Role: "{role}"')
        if availability not in ("active", "pause", "drain"):
            raise BadParameter(f'invalid Availability: "{availability}"')
        if role == "worker" and list(self.managers().values()) == [entry.node_id]:
            raise BadParameter(
                "rpc error: code = FailedPrecondition desc = attempting to demote the last manager of the swarm"
            )
        value: Value = {
            **row.value,
            "role": role,
            "availability": availability,
            "labels": dict(body.get("Labels") or {}),
            "name": body.get("Name") or "",
            "updated": self._engine.world.wall(),
        }
        gossip.write(NODE_SPECS, entry.node_id, value)
        if role != entry.role:
            gossip.roster.admit(entry.node_id, entry.hostname, role, entry.address)

    def remove(self, ref: str, force: bool) -> None:
        """`docker node rm`: the id is spent for good; with `force` also of a node that is merely out of reach."""
        gossip, _ = self._cluster.manage()
        entry = self._find(gossip, ref)
        if self.role_of(entry.node_id) == "manager":
            raise BadParameter(
                f"rpc error: code = FailedPrecondition desc = node {entry.node_id} is a cluster manager and is a "
                "member of the raft cluster. It must be demoted to worker before removal"
            )
        if self._status(gossip, entry.node_id) == "ready" and not force:
            raise BadParameter(
                f"rpc error: code = FailedPrecondition desc = node {entry.node_id} is not down and can't be removed"
            )
        # The removal itself last: until it is written the command can be given again.
        gossip.remove(NODE_SPECS, entry.node_id)
        gossip.roster.remove(entry.node_id)
        self._engine.store.sync()
        self._cluster.keys.rotate()  # it knows the old key
        self._engine.events.publish("node", "remove", entry.node_id, {"name": entry.hostname}, scope="swarm")

    def forget_removed(self) -> None:
        """Nobody has said `node rm` of who was removed with the one that admitted it: its row is still there."""
        gossip, _ = self._cluster.manage()
        for row in gossip.rows(NODE_SPECS):
            if gossip.roster.removed(row.key):
                gossip.remove(NODE_SPECS, row.key)


def _when(value: object) -> str:
    return rfc3339(value if isinstance(value, int | float) else None)
