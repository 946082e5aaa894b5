"""Replicated tables in the simulated world: what ``gossip.node`` does with asyncio, by agenda.

The objects are the real ones: ``Replica``, ``Spreading``, ``repair`` and ``answer``. Only the waiting is here: who is
repaired with when, and how long a stream takes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from random import Random

from gossip.anti_entropy import FANOUT, REPAIR_INTERVAL, REQUEST_TIMEOUT, stream_peers
from gossip.simulation.member import SimulatedMember
from gossip.simulation.world import World
from gossip.swim.member import EventKind, MemberEvent
from gossip.tables.delta import encode_delta
from gossip.tables.outbox import Outbox
from gossip.tables.record import Record
from gossip.tables.repair import NotAdmitted, Repaired, RepairError, answer, repair
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.row import Change
from gossip.tables.spreading import Spreading


class NoDisk:
    """A storage that keeps nothing: what a process forgets when it crashes, its peers still have."""

    doubtful = False

    def settle(self) -> None:
        pass

    def get(self, kind: str, key: str) -> bytes | None:
        return None

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return []

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        pass


class TableNode:
    """One host: its replica as a delegate, and its repairs. ``member`` is set once it is in a world."""

    def __init__(self, tables: Tables, name: str, epoch: int) -> None:
        self.name = name
        self.member: SimulatedMember | None = None
        self.began = 0.0
        self.replica = Replica(name, epoch, NoDisk())
        self.spreading = Spreading(
            self.replica,
            role="manager",
            members=lambda: len(self.live),
            differs=self.repair_soon,
            too_large=self._stream,
        )
        self.live: dict[str, None] = {name: None}
        self.repair_octets = 0
        self._tables = tables
        self._random = Random(f"rows of {name} {epoch}")
        self._due: dict[str, None] = {}
        self._repairing = False

    def begin(self, member: SimulatedMember) -> None:
        """It is in the world: tell news from now on, and repair now and then."""
        self.member = member
        self.began = self._tables.world.now
        self.replica.on_news = self._news  # type: ignore[method-assign]
        self._next_repair()

    def saw(self, event: MemberEvent) -> None:
        """A change of a member: its rows are shown or hidden; with a new one there may be something to repair."""
        name = event.member.name
        if event.member.reachable == (name in self.live):
            return
        if event.member.reachable:
            self.live[name] = None
        else:
            del self.live[name]
        self.replica.set_live(self.live)
        if event.kind in (EventKind.JOINED, EventKind.RECOVERED):
            self.repair_soon(name)

    # -- deltas

    def _news(self) -> None:
        outbox = self.replica.outbox
        outbox.relieve()
        if outbox.streaming:
            self._stream()
        if len(outbox) and self.member is not None:
            self.member.membership.broadcast_soon()
            self._tables.world.agenda.after(0.0, self._tables.world.drain, self.member)

    def _stream(self) -> None:
        self._tables.world.agenda.after(0.0, self._push)

    def _push(self) -> None:
        packed = [data for data in map(self.replica.packed, self.replica.outbox.take_stream()) if data is not None]
        peers = [name for name in self.live if name != self.name]
        if self.replica.outbox.streaming:
            self._stream()
        for peer in stream_peers(self.name, peers, self._random) if packed else []:
            payload = encode_delta(packed)
            self.repair_octets += len(payload)
            self._tables.carry(self, peer, partial(_receive, payload))

    # -- repairs

    def repair_soon(self, node: str) -> None:
        """Repair with a node once the repairs under way are done."""
        self._due[node] = None
        if not self._repairing:
            self._tables.world.agenda.after(0.0, self._repair_due)

    def _next_repair(self) -> None:
        wait = REPAIR_INTERVAL * (0.75 + self._random.random() / 2)
        self._tables.world.agenda.after(wait, self._repair_anybody)

    def _repair_anybody(self) -> None:
        if self._tables.is_running(self):
            peers = [name for name in self.live if name != self.name]
            if peers:
                self.repair_soon(self._random.choice(peers))
            self._next_repair()

    def _repair_due(self) -> None:
        if self._repairing or not self._due or not self._tables.is_running(self):
            return
        names, self._due = [name for name in self._due if name in self.live][:FANOUT], {}
        self._repair_each(names)

    def _repair_each(self, names: list[str]) -> None:
        if not names:
            self._repairing = False
            self._repair_due()
            return
        self._repairing = True
        dialogue = repair(self.replica)
        self._say(dialogue, next(dialogue), names)

    def _say(self, dialogue: Generator[bytes, bytes, Repaired], request: bytes, names: list[str]) -> None:
        """One question of a repair with the first of ``names``."""
        self.repair_octets += len(request)
        agenda = self._tables.world.agenda

        def ask(other: TableNode) -> None:
            try:
                reply = answer(other.replica, self.name, request)
            except RepairError:
                return
            other.repair_octets += len(reply)
            self._tables.carry(other, self.name, lambda _: go_on(reply))

        def go_on(reply: bytes) -> None:
            if not waiting:
                return
            waiting.clear()
            try:
                following = dialogue.send(reply)
            except (StopIteration, NotAdmitted, RepairError):
                self._repair_each(names[1:])
            else:
                self._say(dialogue, following, names)

        def give_up() -> None:
            if waiting:
                waiting.clear()
                self._repair_each(names[1:])

        waiting = [request]
        self._tables.carry(self, names[0], ask)
        agenda.after(REQUEST_TIMEOUT, give_up)


def _receive(payload: bytes, node: TableNode) -> None:
    node.spreading.receive(payload)


class Tables:
    """A world whose members all have a replica, equal at the beginning: everybody admitted, some rows each."""

    def __init__(self, size: int, rows: int, world: Callable[[Callable[[int], Spreading]], World]) -> None:
        """``world`` makes a converged one of ``size`` from the members' delegates."""
        names = [f"m{number:05d}" for number in range(size)]
        self.nodes = [TableNode(self, name, 1) for name in names]
        self.observe: Callable[[TableNode, Change], None] | None = None
        self._equal_from_the_start(rows)
        self.world = world(lambda number: self.nodes[number].spreading)
        for node, member in zip(self.nodes, self.world.members, strict=True):
            node.begin(member)
        self.world.on_event = self._event

    def _equal_from_the_start(self, rows: int) -> None:
        roster = Roster(self.nodes[0].replica)
        for node in self.nodes:
            roster.admit(node.name, node.name, "manager", "192.0.2.1")
        records: list[Record] = []
        for node in self.nodes:
            node.replica.begin_epoch(1)
            for row in range(rows):
                node.replica.put("endpoints", f"{node.name} {row}", {"version": 0})
            node.replica.complete_snapshot()
            records += node.replica.records()
        for node in self.nodes:
            self._fill(node, records)

    def _fill(self, node: TableNode, records: list[Record]) -> None:
        node.replica.merge(records)
        node.live = dict.fromkeys(other.name for other in self.nodes)
        node.replica.set_live(node.live)
        node.replica.outbox = Outbox()
        node.replica.view.watch(lambda change: self.observe(node, change) if self.observe is not None else None)

    def _event(self, member: SimulatedMember, event: MemberEvent) -> None:
        node = self.nodes[member.number]
        if node.member is member:
            node.saw(event)

    def is_running(self, node: TableNode) -> bool:
        """Whether it is still the process at its name."""
        return node.member is not None and not node.member.crashed and self.nodes[node.member.number] is node

    def crash(self, number: int) -> None:
        """Power off."""
        self.world.crash(self.world.members[number])

    def restart(self, number: int, seed: int) -> TableNode:
        """A new boot with an empty disk cache and a higher epoch joins by another member; it says one row."""
        old = self.nodes[number]
        node = TableNode(self, old.name, old.replica.epoch + 1)
        self.nodes[number] = node
        node.replica.view.watch(lambda change: self.observe(node, change) if self.observe is not None else None)
        node.replica.begin_epoch(node.replica.epoch)
        node.replica.put("endpoints", f"{node.name} 0", {"version": -node.replica.epoch})
        node.replica.complete_snapshot()
        self.world.restart(self.world.members[number], node.spreading)
        member = self.world.members[number]
        node.begin(member)
        self.world.join(member, self.world.members[seed])
        return node

    def carry(self, source: TableNode, to: str, then: Callable[[TableNode], None]) -> None:
        """Something goes by stream to a node; nothing happens when it does not get there."""
        target = self.nodes[int(to[1:])]
        if source.member is None or target.member is None:
            return
        one, other = source.member, target.member
        delay = self.world.network.stream_delay(one.number, other.number, self.world.now, one.luck, 1)
        if delay is not None:
            self.world.agenda.after(delay, self._arrive, target, then)

    def _arrive(self, target: TableNode, then: Callable[[TableNode], None]) -> None:
        if self.is_running(target) and target.member is not None:
            then(target)
            self.world.drain(target.member)

    def running(self) -> list[TableNode]:
        """The nodes that live."""
        return [node for node in self.nodes if self.is_running(node)]

    def equal(self) -> bool:
        """Whether all that live hold the same."""
        return len({node.replica.digests.root() for node in self.running()}) == 1

    def whole(self) -> bool:
        """Whether all that live hold one another alive, and nobody else."""
        names = [node.name for node in self.running()]
        return all(sorted(node.live) == names for node in self.running())
