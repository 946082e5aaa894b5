"""NetworkDB: who is on which network and what endpoints there are, gossiped; without I/O.

After moby's libnetwork/networkdb (20.10 to 29): cluster.go, delegate.go, event_delegate.go, nodemgmt.go, networkdb.go.
What is kept, because wounds come of it:

- A table event of a network is refused unless its owner is known to be attached to that network (handleTableEvent), and
  an attachment is refused unless memberlist holds the node for alive (handleNetworkEvent).
- A node that fails loses its rows and its attachments everywhere (changeNodeState, deleteNodeTableEntries,
  deleteNodeFromNetworks); moby 53141, mended in 2026 by 53142.
- News is sent a limited number of times and never again (a terminating epidemic, moby 53437); what was missed comes
  with the bulk sync of every 30 s or the push/pull of memberlist.
- Only the failed are tried again, and for a day; who left is not (reconnectNode, reapDeadNode). Managers are tried once
  a minute (rejoinClusterBootStrap, libnetwork 2134; before 2018 not at all).

endpoint_table and overlay_peer_table have one key and travel in one packet: here they are one table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from scenarios.docker_model.broadcasts import LimitedQueue

CREATE, UPDATE, DELETE = "create", "update", "delete"
JOIN, LEAVE = "join", "leave"

REAP_ENTRY = 30 * 60.0
"""reapEntryInterval: seconds that a deleted row is remembered."""
REAP_NODE = 24 * 3600.0
"""nodeReapInterval: seconds that a failed node is tried."""
PACKET = 1400 - 50
"""Config.PacketBufferSize, less what a compound message needs."""
_PEERS = 3  # memberlist's GossipNodes
_OVERHEAD = 2

Value = dict[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """What watchers hear: libnetwork's driver (FDB) and its resolver (names) patch their state by these, in order."""

    what: str
    network: str
    key: str
    value: Value


@dataclass(slots=True)
class _Entry:
    owner: str
    time: int
    value: Value
    deleted_until: float | None = None


@dataclass(slots=True)
class _Attachment:
    time: int
    leaving: bool = False


@dataclass(slots=True)
class _Own:
    """A network that this node is on."""

    time: int
    own: LimitedQueue = field(default_factory=LimitedQueue)
    relayed: LimitedQueue = field(default_factory=LimitedQueue)
    leaving: bool = False
    in_sync: bool = False


@dataclass(slots=True)
class Peer:
    """A node of the gossip cluster. A daemon's every start is another node (NodeID is random)."""

    member: str
    address: tuple[str, int]
    since: float = 0.0


@dataclass(slots=True)
class NetworkDB:
    """`tell` hears each event once, in order of arrival; `news` is called when there is something to gossip."""

    me: str
    random: Random
    now: Callable[[], float]
    tell: Callable[[Event], None]
    news: Callable[[], None]
    counters: Counter[str] = field(default_factory=Counter)
    nodes: dict[str, Peer] = field(default_factory=dict)
    failed: dict[str, Peer] = field(default_factory=dict)
    left: dict[str, Peer] = field(default_factory=dict)
    network_clock: int = 0
    table_clock: int = 0
    _attachments: dict[str, dict[str, _Attachment]] = field(default_factory=dict)
    _own: dict[str, _Own] = field(default_factory=dict)
    _on: dict[str, list[str]] = field(default_factory=dict)
    _entries: dict[str, dict[str, _Entry]] = field(default_factory=dict)
    _cluster_news: LimitedQueue = field(default_factory=LimitedQueue)

    # -- nodes: event_delegate.go, nodemgmt.go ----------------------------------------------------------------------

    def alive(self, node: str, peer: Peer) -> None:
        """memberlist says that a node lives: NotifyJoin."""
        self.failed.pop(node, None)
        self.left.pop(node, None)
        for other, known in [*self.nodes.items()]:
            if other != node and known.member == peer.member:
                self._gone(other, self.left)  # purgeReincarnation
        self.nodes[node] = peer

    def dead(self, node: str, peer: Peer, *, left: bool) -> None:
        """memberlist says that a node failed or left: NotifyLeave."""
        if node in self.nodes:
            self._gone(node, self.left if left else self.failed)
        elif left and node in self.failed:
            self.left[node] = self.failed.pop(node)

    def _gone(self, node: str, where: dict[str, Peer]) -> None:
        peer = self.nodes.pop(node)
        peer.since = self.now()
        where[node] = peer
        for nodes in self._on.values():
            if node in nodes:
                nodes.remove(node)
        self._attachments.pop(node, None)
        for network in list(self._entries):
            self._forget_of(network, node)

    def _forget_of(self, network: str, node: str) -> None:
        """A node's rows of a network go, without a tombstone; watchers hear of deletes."""
        rows = self._entries.get(network, {})
        for key, entry in list(rows.items()):
            if entry.owner == node:
                del rows[key]
                if entry.deleted_until is None:
                    self.tell(Event(DELETE, network, key, entry.value))

    def to_reconnect(self) -> Peer | None:
        """reconnectNode: one of the failed, by chance; reapDeadNode: a day long."""
        for node, peer in list(self.failed.items()):
            if self.now() - peer.since > REAP_NODE:
                del self.failed[node]
        return self.random.choice(list(self.failed.values())) if self.failed else None

    def knows_address(self, host: str) -> bool:
        """Is a live node at this address?"""
        return any(peer.address[0] == host for peer in self.nodes.values())

    # -- this node's networks and rows ------------------------------------------------------------------------------

    def join(self, network: str) -> list[str]:
        """JoinNetwork; the nodes to sync with. `synced` when that is done."""
        self.network_clock += 1
        known = self._own.get(network)
        if known is not None and not known.leaving:
            return []
        self._own[network] = _Own(self.network_clock)
        self._network_news(JOIN, network, self.network_clock)
        return [node for node in self._on.get(network, []) if node in self.nodes]

    def synced(self, network: str) -> None:
        if network in self._own:
            self._own[network].in_sync = True

    def leave(self, network: str) -> None:
        """LeaveNetwork: own rows get tombstones, others' are dropped."""
        own = self._own.get(network)
        if own is None or own.leaving:
            return
        self.network_clock += 1
        self._network_news(LEAVE, network, self.network_clock)
        own.time, own.leaving = self.network_clock, True
        rows = self._entries.get(network, {})
        for key, entry in list(rows.items()):
            if entry.owner != self.me:
                del rows[key]
            elif entry.deleted_until is None:
                self.table_clock += 1
                rows[key] = _Entry(self.me, self.table_clock, entry.value, self.now() + REAP_ENTRY)
            if entry.deleted_until is None:
                self.tell(Event(DELETE, network, key, entry.value))

    def put(self, network: str, key: str, value: Value) -> None:
        """CreateEntry or UpdateEntry, of an own row."""
        known = self._entries.get(network, {}).get(key)
        what = CREATE if known is None or known.deleted_until is not None else UPDATE
        self.table_clock += 1
        self._write(network, key, _Entry(self.me, self.table_clock, value))
        self._table_news(what, network, key)

    def delete(self, network: str, key: str) -> None:
        """DeleteEntry, of an own row; nothing for one that is not there."""
        known = self._entries.get(network, {}).get(key)
        if known is None or known.deleted_until is not None:
            return
        self.table_clock += 1
        self._write(network, key, _Entry(self.me, self.table_clock, known.value, self.now() + REAP_ENTRY))
        self._table_news(DELETE, network, key)

    def _write(self, network: str, key: str, entry: _Entry) -> None:
        self._entries.setdefault(network, {})[key] = entry

    # -- gossip out: cluster.go, broadcast.go -----------------------------------------------------------------------

    def _network_news(self, what: str, network: str, time: int) -> None:
        self._spread(["network", what, time, self.me, network])

    def _spread(self, message: list[object]) -> None:
        self._cluster_news.put(f"{message[3]}/{message[4]}", _packed(message))
        self.news()

    def _table_news(self, what: str, network: str, key: str) -> None:
        own = self._own.get(network)
        if own is not None:
            own.own.put(key, _packed(self._table_message(what, network, key)))
            self.news()

    def _table_message(self, what: str, network: str, key: str) -> list[object]:
        entry = self._entries[network][key]
        left = 0.0 if entry.deleted_until is None else max(0.0, entry.deleted_until - self.now())
        return ["table", what, entry.time, entry.owner, network, key, entry.value, left]

    @property
    def has_riders(self) -> bool:
        """Is there an attachment that was not told often enough?"""
        return len(self._cluster_news) > 0

    def riders(self, overhead: int, limit: int) -> list[bytes]:
        """delegate.GetBroadcasts: what rides on memberlist's packets, attachments."""
        return self._cluster_news.take(overhead, limit, len(self.nodes) + 1)

    def gossip(self) -> list[tuple[str, bytes]]:
        """One tick's messages with the members that they go to: rows, to three nodes of each network."""
        out: list[tuple[str, bytes]] = []
        for network, own in self._own.items():
            nodes = [node for node in self._on.get(network, []) if node in self.nodes]
            messages = own.own.take(_OVERHEAD, PACKET, len(nodes) + 1)
            room = PACKET - sum(len(message) + _OVERHEAD for message in messages)
            messages += own.relayed.take(_OVERHEAD, room, len(nodes) + 1)
            if messages:
                for node in self.random.sample(nodes, min(_PEERS, len(nodes))):
                    out += [(self.nodes[node].member, message) for message in messages]
        return out

    @property
    def has_news(self) -> bool:
        """Is there a row that was not sent often enough?"""
        return any(len(own.own) or len(own.relayed) for own in self._own.values())

    # -- gossip in: delegate.go ---------------------------------------------------------------------------------------

    def receive(self, data: bytes, *, bulk: bool = False) -> None:
        """A message of another node; one that cannot be read is counted."""
        try:
            message = json.loads(data)
            if message[0] == "network":
                _, what, time, node, network = message
                if self._network_event(str(what), int(time), str(node), str(network)):
                    self._spread(message)
            elif message[0] == "table":
                _, what, time, owner, network, key, value, left = message
                self._table_event(message, str(what), int(time), str(owner), str(network), str(key), dict(value),
                                  float(left), bulk=bulk)  # fmt: skip
        except (ValueError, TypeError, IndexError, KeyError):
            self.counters["networkdb_unreadable"] += 1

    def _network_event(self, what: str, time: int, node: str, network: str) -> bool:
        """handleNetworkEvent; whether to pass it on."""
        self.network_clock = max(self.network_clock, time + 1)
        if node == self.me:
            return False
        leaving = what == LEAVE
        known = self._attachments.get(node, {}).get(network)
        if known is not None:
            if known.time >= time:
                return False
            known.time, known.leaving = time, leaving
        elif leaving:
            return False
        elif node not in self.nodes:
            self.counters["networkdb_attachment_refused"] += 1
            return False
        else:
            self._attachments.setdefault(node, {})[network] = _Attachment(time)
        nodes = self._on.setdefault(network, [])
        if leaving:
            if node in nodes:
                nodes.remove(node)
            self._forget_of(network, node)
        elif node not in nodes:
            nodes.append(node)
        return True

    def _table_event(
        self, message: list[object], what: str, time: int, owner: str, network: str, key: str, value: Value,
        left: float, *, bulk: bool,
    ) -> None:  # fmt: skip
        """handleTableEvent, and the relaying of handleTableMessage."""
        if owner == self.me:
            return
        self.table_clock = max(self.table_clock, time + 1)
        own = self._own.get(network)
        if own is None or own.leaving:
            return
        if owner not in self._on.get(network, []):
            self.counters["networkdb_row_refused"] += 1
            return
        before = self._entries.get(network, {}).get(key)
        if before is not None and before.time >= time:
            return
        deleted = what == DELETE
        self._write(network, key, _Entry(owner, time, value, self.now() + left if deleted else None))
        if before is None and deleted:
            relay = bulk and own.in_sync and left > REAP_ENTRY / 6
        else:
            relay = own.in_sync
            if not deleted:
                self.tell(Event(UPDATE if before and before.deleted_until is None else CREATE, network, key, value))
            elif before is not None and before.deleted_until is None:
                self.tell(Event(DELETE, network, key, before.value))
        if relay:
            own.relayed.put(key, _packed(message))
            self.news()

    # -- whole states ---------------------------------------------------------------------------------------------

    def local_state(self, join: bool) -> bytes:
        """delegate.LocalState: the attachments of all nodes, for memberlist's push/pull."""
        if join and self._own:
            self.network_clock += 1
            for own in self._own.values():
                own.time = self.network_clock
        told = [[self.me, network, own.time, own.leaving] for network, own in self._own.items()]
        told += [
            [node, network, attachment.time, attachment.leaving]
            for node, networks in self._attachments.items()
            for network, attachment in networks.items()
        ]
        return _packed(["state", told])

    def merge_state(self, data: bytes) -> None:
        """delegate.MergeRemoteState."""
        try:
            _, told = json.loads(data)
            for node, network, time, leaving in told:
                self._network_event(LEAVE if leaving else JOIN, int(time), str(node), str(network))
        except (ValueError, TypeError):
            self.counters["networkdb_unreadable"] += 1

    def sync_targets(self) -> list[tuple[str, list[str]]]:
        """bulkSyncTables: for each network of ours two nodes by chance, of which the second is for when the first
        does not answer; a network is left out that the one before has in common."""
        done: dict[str, None] = {}
        found: list[tuple[str, list[str]]] = []
        for network, own in self._own.items():
            nodes = [node for node in self._on.get(network, []) if node in self.nodes]
            if own.leaving or network in done or not nodes:
                continue
            chosen = self.random.sample(nodes, min(2, len(nodes)))
            found.append((network, chosen))
            done.update(dict.fromkeys(self.common(chosen[0])))
        return found

    def common(self, node: str) -> list[str]:
        """findCommonNetworks."""
        theirs = self._attachments.get(node, {})
        return [network for network in self._own if network in theirs and not theirs[network].leaving]

    def bulk(self, networks: list[str]) -> bytes:
        """bulkSyncNode: all rows of some networks, whoever has written them."""
        self._reap()
        rows = [
            self._table_message(CREATE if entry.deleted_until is None else DELETE, network, key)
            for network in networks
            for key, entry in self._entries.get(network, {}).items()
        ]
        return _packed([self.me, networks, [_packed(row).decode() for row in rows]])

    def merge_bulk(self, data: bytes) -> list[str]:
        """handleBulkSync; the networks that it is about."""
        try:
            _, networks, rows = json.loads(data)
            for row in rows:
                self.receive(str(row).encode(), bulk=True)
            return [str(network) for network in networks]
        except (ValueError, TypeError):
            self.counters["networkdb_unreadable"] += 1
            return []

    def _reap(self) -> None:
        now = self.now()
        for rows in self._entries.values():
            for key, entry in list(rows.items()):
                if entry.deleted_until is not None and entry.deleted_until <= now:
                    del rows[key]


def _packed(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
