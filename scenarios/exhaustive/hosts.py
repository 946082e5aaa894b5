"""One host of the model: the daemon's own protocol objects on a disk in memory, and what can be done to it.

`Replica`, `Roster`, `Allocator`, `Numbers`, `Inheritance`, `Gates` and the repair dialogue are the real ones; only the
shell that sends and waits is left out. A host is copied before each step, and `key` names the state that it is in.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence
from typing import NamedTuple

from gossip.gates import LONELY, ON_ITS_WAY, Gates
from gossip.numbers.allocator import Allocator, Donation
from gossip.numbers.inheritance import Inheritance
from gossip.numbers.numbers import ASK_TIMEOUT, Numbers
from gossip.tables.record import RING, ROSTER, SHARED, RecordId, SharedBody
from gossip.tables.repair import NotAdmitted, answer, repair
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk

SPACE = "net"
TABLE, ROW = "networks", "row"
_ROW_ID = RecordId(SHARED, TABLE, ROW, "")
KINDS = {"ring": RING, "roster": ROSTER, "row": SHARED}
"""What packets tell alone."""


class Known(NamedTuple):
    """What the invariants look at. gives: numbers that it may give now; owners: of each number; row: "", "live",
    "removed", or "unproven" (only a doubtful disk says so); removed: ids that are so on its disk; acks: who
    acknowledged the row's removal, as it knows."""

    gives: tuple[int, ...]
    owners: tuple[str, ...]
    conflict: bool
    removed: tuple[str, ...]
    row: str
    acks: tuple[str, ...]


class _Asked:
    """A question under way; what it is sent is the answer."""

    def __await__(self) -> Generator[None, bytes, bytes]:
        return (yield)


class _Peers:
    """What `Numbers` needs of a node; its questions wait for the model."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self.asked = b""

    def now(self) -> float:
        return 0.0

    async def ask(self, node_id: str, kind: str, payload: bytes, *, deadline: float) -> bytes:
        self.asked = payload
        return await _Asked()

    def may_give(self) -> bool:
        return self._gates.may_give()

    async def wait_may_give(self, deadline: float) -> bool:
        return self._gates.may_give()

    def awaited(self) -> list[str]:
        return self._gates.awaited()

    async def pull(self, deadline: float) -> None:
        """The model's own steps do that."""

    def live_peers(self) -> list[str]:
        return []


class Host:
    """A host that runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.boots = 0
        self._disk = Disk()
        self._backup: dict[tuple[str, str], bytes] = {}
        self._clock = self._age = 0.0
        self._peers_alive = True
        self._boot()

    def _boot(self) -> None:
        self.boots += 1
        self._age = 0.0
        self.replica = Replica(self.name, self.boots, self._disk)
        self.roster = Roster(self.replica)
        self.gates = Gates(self.name, self.roster, self._live_peers, self._now, self._disk)
        self.replica.awaits = self._awaits  # type: ignore[method-assign]
        if self._disk.doubtful:
            self.roster.doubt(self.boots)
        self.gates.start()
        self.allocator = Allocator(self.replica, self._disk)
        self.peers = _Peers(self.gates)
        self.numbers = Numbers(self.allocator, self.replica, self.roster, self.peers)
        self.inheritance = Inheritance(self.allocator, self.replica, self.roster)

    def _awaits(self) -> bool:
        return bool(self.gates.unheard())

    def _now(self) -> float:
        return max(self._clock, self._age)

    def _live_peers(self) -> list[str]:
        return [entry.node_id for entry in self.roster.members() if self._peers_alive and entry.node_id != self.name]

    def frozen(self) -> bytes:
        """Of which `thawed` makes as many equal hosts as are wanted; ten times as fast as a deep copy."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def thawed(frozen: bytes) -> Host:
        host = pickle.loads(frozen)
        assert isinstance(host, Host)
        return host

    def key(self) -> tuple[object, ...]:
        """Equal for hosts that behave alike from now on."""
        held = tuple(packed for record in self.replica.records() if (packed := self.replica.packed(record.id)))
        agreed = tuple((removed, tuple(nodes)) for removed, nodes in self.inheritance._agreed.items() if nodes)
        disk = tuple((*key, value) for key, value in sorted(self._disk.kept.items()))
        return (
            self.name, self.boots, disk, held, self.told("row"), self.gates.is_synced, self.gates.may_give(),
            self.replica.clock.time, self.replica.bounded, agreed, self._disk.doubtful, tuple(self.replica.unproven()),
            self.replica.corrected, tuple(self.gates.awaited()), self._age, self.replica.newcomer,
        )  # fmt: skip

    def known(self) -> Known:
        ring = self.allocator.ring(SPACE)
        owners = () if ring is None else tuple(ring.owner(number) for number in range(ring.start, ring.end))
        start = 0 if ring is None else ring.start
        gives = tuple(start + at for at, owner in enumerate(owners) if owner == self.name and self.gates.may_give())
        body = self.replica.body(_ROW_ID)
        acks = tuple(node for node, _ in body.acks) if isinstance(body, SharedBody) else ()
        live = self.replica.view.row(TABLE, ROW, "") is not None
        row = "live" if live else "removed" if self.replica.has_tombstone(_ROW_ID) else ""
        row = "unproven" if self.replica.is_unproven(_ROW_ID) else row
        removed = tuple(node for node in sorted(self.replica.roster()) if self.roster.removed(node))
        return Known(gives, owners, ring is not None and ring.conflict, removed, row, acks)

    # -- what can be done --------------------------------------------------------------------------------------

    def crash(self) -> None:
        """Whatever is not on disk is gone; it is started again at once."""
        self._boot()

    def back_up(self) -> None:
        """Its disk as it is now, for `put_back`."""
        self._backup = dict(self._disk.kept)

    def put_back(self) -> None:
        """It is started on its disk of before, and knows that this may not be its last one."""
        self._disk.kept, self._disk.doubtful = dict(self._backup), True
        self._boot()

    def flush(self) -> None:
        self.replica.flush()

    def told(self, kind: str) -> tuple[bytes, ...]:
        """Its records of a kind, as packets carry them; tombstones that it has collected too."""
        ids = [record.id for record in self.replica.records() if record.id.kind == KINDS[kind]]
        ids = [id for id in ids if not self.replica.is_unproven(id)]
        if kind == "row" and _ROW_ID not in ids and self.replica.has_tombstone(_ROW_ID):
            ids.append(_ROW_ID)
        return tuple(packed for id in ids if (packed := self.replica.packed(id)) is not None)

    def hear(self, packed: Sequence[bytes]) -> None:
        self.replica.merge_packed(packed)

    def be_lonely(self) -> None:
        """It has been without any peer for as long as the gates want."""
        self._clock, self._peers_alive = LONELY, False
        self.gates.may_give()
        self._clock, self._peers_alive = 0.0, True

    def doubts(self) -> bool:
        """Whether it is in doubt, and answers of before may still be on their way."""
        return self._disk.doubtful and not self._age

    def outlast_answers(self) -> None:
        """It has run for so long that no answer of before is on its way any more."""
        self._age = ON_ITS_WAY

    def take(self) -> int | None:
        """Give a number out of its own ranges."""
        return self.allocator.take(SPACE, wanted=None, holder="")

    def asked(self, kind: str, peer: str, data: bytes) -> bytes | None:
        """Its answer to a question for numbers ("ask") or for agreement; None when it refuses."""
        try:
            return self.numbers.answer(peer, data) if kind == "ask" else self.inheritance.answer(peer, data)
        except ValueError:
            return None

    def question(self, donor: str) -> bytes:
        """What it asks a donor."""
        waiting = self.numbers._ask(donor, {SPACE: (None, False)}, ASK_TIMEOUT)
        waiting.send(None)
        waiting.close()
        return self.peers.asked

    def answered(self, donor: str, data: bytes) -> bool:
        """The donor's answer has come; whether it gave."""
        waiting = self.numbers._ask(donor, {SPACE: (None, False)}, ASK_TIMEOUT)
        waiting.send(None)
        try:
            waiting.send(data)
        except StopIteration as end:
            answers: dict[str, Donation] = end.value
            return answers.get(SPACE) is Donation.GIVEN
        except OSError:
            return False
        raise AssertionError("a question has one answer")

    def admit(self, name: str) -> None:
        """Let a newcomer in."""
        self.roster.admit(name, name, "manager", "192.0.2.3")

    def begin(self, roster: tuple[bytes, ...]) -> None:
        """It has been let in by who has this roster."""
        self.replica.begin_as_newcomer(roster)

    def repair_with(self, other: Host) -> None:
        """A whole repair; when it comes to its end this host's gates open."""
        dialogue = repair(self.replica, other.name)
        try:
            request = next(dialogue)
            while True:
                request = dialogue.send(answer(other.replica, self.name, request))
        except StopIteration as end:
            if not (self.roster.contains(self.name) and self.roster.contains(other.name)):
                return
            if self.replica.is_welcome(other.name, doubtful=end.value.doubtful):
                self.gates.sync(other.name, doubtful=end.value.doubtful)
                self.replica.bounded = self.replica.bounded or self.gates.is_synced
                if self.replica.in_doubt and self.gates.may_give():
                    self.replica.end_doubt()
                self.numbers.define_pending()
        except NotAdmitted:
            pass
