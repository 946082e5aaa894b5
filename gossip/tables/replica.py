"""One host's copy of everything replicated: merging, what readers see of it, what must be on disk, what to tell.

Nothing here sends or waits; the storage is handed in. What readers see is in `view`, what becomes of tombstones in
`tombstones`, what is queued for sending in `outbox`.

Durability: tombstones, roster, rings and own acknowledgements are committed before anybody can hear of them (a
host that forgot a tombstone it had acknowledged could bring the dead back). Other hosts' rows are a cache that a
peer can fill again: they are written by `flush`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from gossip.numbers.ring import Ring
from gossip.storage import Storage
from gossip.tables.bounds import LENIENCE, OWNER_BYTES, OWNER_ROWS, STRANGERS, within
from gossip.tables.digest import Digests
from gossip.tables.doubt import Doubt
from gossip.tables.holdings import Holdings, account_of
from gossip.tables.lamport import LamportClock
from gossip.tables.outbox import Outbox
from gossip.tables.record import (
    ATTACHMENTS_TABLE,
    EPOCH,
    MAX_TIME,
    OWNED,
    RING,
    ROSTER,
    SHARED,
    SPACES_TABLE,
    Body,
    EpochBody,
    OpaqueBody,
    OwnedBody,
    Record,
    RecordError,
    RecordId,
    RosterBody,
    SharedBody,
    decode_record,
    encode_record,
)
from gossip.tables.row import Row, RowRemoved, Value, ValueRejected, check_name, decode_value, encode_value
from gossip.tables.tombstones import Tombstones
from gossip.tables.view import View
from gossip.tables.vouching import gone_with

_STORED = "record"
Extra = Sequence[tuple[str, str, bytes | None]]


class Replica:
    """The records that this host holds."""

    def __init__(self, node_id: str, epoch: int, storage: Storage) -> None:
        self.node_id = node_id
        self.epoch = epoch
        self.clock = LamportClock(storage)
        self.outbox = Outbox()
        self.counters: Counter[str] = Counter()
        self.bounded = False
        """Refuse times from too far ahead: set when this boot has synced, a joiner's clock starts at zero."""
        self.narrow = False
        """Push rows with a scope only to who is attached to it: set when the members are many."""
        self.interest_only = False
        """Hold rows with a scope only if this host is attached to it, or wrote them; the others are not taken."""
        self.newcomer = False
        """New here, and not yet in step with who admitted this host: of all others it takes the roster alone."""
        self.newer_epoch = 0
        """A later epoch of ours that a peer knows: our storage is older than what we published."""
        self._storage = storage
        self.failed = False
        """The last write to disk failed: nothing is told to others before one succeeds."""
        self._holdings = Holdings(self.counters)
        self._rings: dict[str, Ring] = {}
        self._roster: dict[str, RosterBody] = {}
        self.roster_changes = 0
        self.live_changes = 0
        self._sequence = 0
        self._tombstones = Tombstones(node_id)
        self._live: dict[str, None] = {node_id: None}
        self._dirty: dict[RecordId, None] = {}
        self._loaded: list[RecordId] = []
        self._doubt = Doubt(storage.doubtful)
        self.view = View(self.visible, self.counters)
        self._load()

    # What is held

    def body(self, id: RecordId) -> Body | None:
        """The body of a record that is held."""
        return self._holdings.get(id)

    @property
    def digests(self) -> Digests:
        """The digests of all that is held."""
        return self._holdings.digests

    def packed(self, id: RecordId) -> bytes | None:
        """The bytes of a record that is held, or of a tombstone that was collected."""
        collected = self._tombstones.collected.get(id)
        return encode_record(Record(id, collected)) if collected is not None else self._holdings.packed(id)

    def has_tombstone(self, id: RecordId) -> bool:
        """Whether a shared row was removed, as far as is remembered."""
        body = self._holdings.get(id)
        return id in self._tombstones.collected or (isinstance(body, SharedBody) and body.value is None)

    def held_tombstones(self) -> list[RecordId]:
        """Removed rows that not every roster member has acknowledged yet, sorted."""
        return sorted(self._tombstones.held)

    # What an old disk brought back

    @property
    def in_doubt(self) -> bool:
        """This host's disk may be older than what it told others, and it has not yet heard all of them."""
        return self._doubt.lasts

    @property
    def corrected(self) -> bool:
        """In doubt, but a host that is not has said what there is."""
        return self._doubt.corrected

    def unproven(self) -> list[RecordId]:
        """Shared rows that only this host's doubtful disk says are there: they may have been removed for good since,
        and their tombstones collected."""
        return self._doubt.unproven()

    def is_unproven(self, id: RecordId) -> bool:
        """Whether only a doubtful disk says that a row, or the space of a ring, is there."""
        return self._doubt.is_unproven(id)

    def doubt(self) -> None:
        """This host's disk is an older one: what came from it is to be proven."""
        bodies = [(id, self._holdings.get(id)) for id in self._loaded]
        self._doubt.begin(id for id, body in bodies if isinstance(body, SharedBody) and body.value is not None)

    def disprove(self, held: Mapping[int, object]) -> None:
        """A host that is not in doubt holds these of the unproven (by the hash of their ids), and no others."""
        for id in self._doubt.correct(held):
            self.counters["disproved"] += 1
            self._drop(id)
            if id.table == SPACES_TABLE:
                self._drop(RecordId(RING, "", id.key, ""))
        self._settle()

    def end_doubt(self) -> None:
        """Every member of the roster has been heard: what nobody disproved is there."""
        self._doubt.end()
        self._storage.settle()

    def records(self) -> list[Record]:
        """Everything, sorted by id."""
        return self._holdings.all()

    def rings(self) -> list[tuple[str, Ring]]:
        """Every number space with this host's view of it, sorted by name."""
        return [(space, self._rings[space]) for space in sorted(self._rings)]

    def roster(self) -> dict[str, RosterBody]:
        """Every id that was ever admitted or removed."""
        return self._roster

    def in_roster(self, node: str) -> bool:
        """Whether a node is admitted and not removed."""
        body = self._roster.get(node)
        return body is not None and body.removal is None

    def admitter(self) -> str:
        """Who admitted this host; "" where that is not known."""
        body = self._roster.get(self.node_id)
        return body.by if body is not None else ""

    def begin_as_newcomer(self, roster: Sequence[bytes]) -> None:
        """Begin with the roster of who admitted this host. Whoever was removed before that is known from the first
        packet on: he may hold rows whose tombstones were collected without him, and not know that he is out."""
        for id in self.merge_packed(roster):
            self.outbox.discard(id)  # who tells a newcomer has told the others
        self.newcomer = self.admitter() != ""

    def is_welcome(self, peer: str, *, doubtful: bool) -> bool:
        """A repair with a peer came to its end (`doubtful`: he is in doubt of his own disk): whether this host is no
        newcomer (any more)."""
        self.newcomer = self.newcomer and (doubtful or peer != self.admitter())
        return not self.newcomer

    def is_removed(self, node: str) -> bool:
        """Whether a node was removed for good."""
        body = self._roster.get(node)
        return body is not None and body.removal is not None

    # What readers see

    def all_rows(self, table: str) -> list[Row]:
        """Hidden rows too: of the dead, and of an earlier boot whose owner has not yet published everything."""
        found: list[Row] = []
        for id in self._holdings.of_table(table):
            row = self._holdings.row(id)
            if row is not None:
                found.append(row)
        return sorted(found, key=lambda row: (row.key, row.owner))

    def is_live(self, node: str) -> bool:
        """Whether a node is believed alive."""
        return node in self._live

    def set_live(self, nodes: Iterable[str], epochs: Mapping[str, int] = MappingProxyType({})) -> None:
        """Who is alive now; hides and shows rows.

        `epochs`: the boots in which the alive say that they are. Who comes back after a boot is alive before the first
        of its new rows is here; without its epoch those of the boot before would be shown for that long.
        """
        for node, epoch in epochs.items():
            known = self._holdings.get(RecordId(EPOCH, "", "", node))
            if isinstance(known, EpochBody) and known.epoch < epoch <= MAX_TIME and node != self.node_id:
                self._enter(RecordId(EPOCH, "", "", node), known.join(EpochBody(epoch)))
        live = dict.fromkeys([self.node_id, *nodes])
        flipped = [node for node in self._live if node not in live] + [node for node in live if node not in self._live]
        self._live = live
        self.live_changes += len(flipped)
        for node in flipped:
            self._touch_owner(node)
        self._settle()

    # Writing

    def put(self, table: str, key: str, value: Value | None, scope: str = "") -> None:
        """Write an own row, or delete it (None: its scope stays)."""
        id = RecordId(OWNED, check_name(table), check_name(key), self.node_id)
        data = None if value is None else encode_value(value)
        current = self._holdings.get(id)
        if data is None and not (isinstance(current, OwnedBody) and current.value is not None):
            return
        if data is None and isinstance(current, OwnedBody):
            scope = current.scope
        self._check_room(id, data)
        self._say(id, self.clock.tick(), data, check_name(scope) if scope else "")
        if data is None and table == ATTACHMENTS_TABLE and self.interest_only:
            self._forget_scope(key)
        self._settle()

    def write(self, table: str, key: str, value: Value) -> Row:
        """Write a shared row; raises RowRemoved for an id with a tombstone."""
        id = RecordId(SHARED, check_name(table), check_name(key), "")
        data = encode_value(value)
        if self.has_tombstone(id):
            raise RowRemoved(f"{table} {key} was removed")
        self._check_room(id, data)
        body = SharedBody(self.clock.tick(), self.node_id, data)
        self.commit_local([Record(id, body)])
        return Row(table, key, "", decode_value(data), body.lamport)

    def remove(self, table: str, key: str) -> None:
        """Give a shared row its final tombstone; also one that is not known here."""
        id = RecordId(SHARED, check_name(table), check_name(key), "")
        if self.has_tombstone(id):
            return
        self.commit_local([Record(id, SharedBody(self.clock.tick(), self.node_id, None))])

    def commit_local(self, records: Sequence[Record], extra: Extra = ()) -> None:
        """Enter records written here. They and `extra` are on disk before anybody hears; if that fails, nothing is."""
        joined: list[Record] = []
        for id, body in records:
            current = self._holdings.get(id)
            joined.append(Record(id, body if current is None else current.join(body)))
        self._storage.commit([*((_STORED, _key(record.id), encode_record(record)) for record in joined), *extra])
        for id, body in joined:
            self._enter(id, body)
        self._settle(urgent=any(id.kind in (SHARED, ROSTER) for id, _ in joined))

    def complete_snapshot(self) -> None:
        """Say that all own rows of this boot have been written: peers may forget those of earlier boots."""
        self._enter_epoch(EpochBody(self.epoch, (self.epoch, 0)))
        self._settle()

    def deleted_own(self) -> tuple[int, int]:
        """How many own rows are deleted but still told, and how many live."""
        owned = self._holdings.owned_by(self.node_id)
        live = sum(1 for _, body in owned if body.value is not None)
        return len(owned) - live, live

    def say_again(self) -> int:
        """Publish every live own row under a new sequence; returns the first of those, a floor for later."""
        floor = self._sequence + 1
        for id, body in self._holdings.owned_by(self.node_id):
            if body.value is not None:
                self._say(id, body.lamport, body.value, body.scope)
        self._settle()
        return floor

    def raise_floor(self, floor: int) -> None:
        """Forget own rows below a sequence, here and everywhere: those deleted before `say_again`."""
        self._enter_epoch(EpochBody(self.epoch, (self.epoch, floor)))
        self._settle()

    def begin_epoch(self, epoch: int) -> None:
        """Publish this boot's epoch; own rows written under an earlier one (a restored store) are raised to it."""
        self.epoch = epoch
        for id, body in self._holdings.owned_by(self.node_id):
            if body.epoch < epoch:
                self._say(id, body.lamport, body.value, body.scope)
        self._enter_epoch(EpochBody(epoch))
        self._settle()

    # Merging

    def merge_packed(
        self, items: Iterable[object], *, peer: str = "", doubtful: bool = False, proven: bool = False,
        unproven: bool = False,
    ) -> list[RecordId]:  # fmt: skip
        """Merge records as bytes; bad ones are counted. Returns the ids that changed. `peer`: with whom this host
        repairs; `doubtful`: who sends them is in doubt of his own disk; `proven`: he is not, and knows that this host
        may be; `unproven`: he took this host for one in doubt, and so what only his old disk says is among them."""
        records: list[Record] = []
        seen: list[RecordId] = []
        for item in items:
            try:
                if not isinstance(item, bytes):
                    raise RecordError("a record is bytes")
                if (held := self._holdings.id_of(item)) is None:
                    records.append(decode_record(item))
                else:
                    seen.append(held)
            except RecordError:
                self.counters["bad_records"] += 1
        if self.newcomer and peer != self.admitter():
            records = [record for record in records if record.id.kind == ROSTER]
        if proven:
            self._doubt.prove([*seen, *(record.id for record in records)])
        elif unproven or (self.in_doubt and (doubtful or self.awaits())):
            admitted = self._doubt.admit(records, doubtful=doubtful and self.in_doubt, known=self._holdings.holds)
            self.counters["not_taken_in_doubt"] += len(records) - len(admitted)
            records = admitted
        return self.merge(records)

    def merge(self, records: Iterable[Record]) -> list[RecordId]:
        """Join records into those held, roster first; one batch of changes. Returns the ids that changed."""
        changed: dict[RecordId, None] = {}
        urgent = False
        for id, body in sorted(records, key=lambda record: record.id.kind != ROSTER):
            collected = id in self._tombstones.collected
            if not self._admissible(id, body):
                continue
            if id.kind == OWNED and isinstance(body, OwnedBody):
                header = RecordId(EPOCH, "", "", id.owner)
                known = self._holdings.get(header)
                if not isinstance(known, EpochBody) or body.epoch > known.epoch:
                    seen = EpochBody(body.epoch)
                    self._enter(header, known.join(seen) if isinstance(known, EpochBody) else seen)
            current = self._holdings.get(id)
            joined = body if current is None else current.join(body)
            if joined == current and not collected:  # what was collected and is held again is acknowledged again
                continue
            self._enter(id, joined)
            changed[id] = None
            urgent = urgent or id.kind in (ROSTER, RING) or (isinstance(joined, SharedBody) and joined.value is None)
        self._settle(urgent=urgent)
        return list(changed)

    def flush(self) -> None:
        """Write what is not yet on disk. A failure is counted, and keeps this host silent until a write succeeds."""
        changes: list[tuple[str, str, bytes | None]] = []
        for id in self._dirty:
            if id.owner != self.node_id:
                changes.append((_STORED, _key(id), self._holdings.packed(id)))
        try:
            if changes:
                self._storage.commit(changes)
        except Exception:
            self.counters["storage_errors"] += 1
            self.failed = True
        else:
            self._dirty.clear()
            self.failed = False

    def _admissible(self, id: RecordId, body: Body) -> bool:
        """Whether a peer's record may be joined at all."""
        if isinstance(body, OwnedBody | EpochBody):
            if id.owner == self.node_id:
                self._note_own(body)
                return False
            header = self._holdings.get(RecordId(EPOCH, "", "", id.owner))
            if self.is_removed(id.owner):
                return False
            if header is None and id.owner not in self._roster and self._strangers() >= STRANGERS:
                self.counters["refused_strangers"] += 1
                return False
            if not isinstance(body, OwnedBody):
                return True
            outdated = isinstance(header, EpochBody) and header.outdates(body)
            if not self._is_wanted(id, body):
                return False
            return not outdated and self._plausible(body.lamport) and self._has_room(id, body.value)
        if isinstance(body, SharedBody):
            if not self._plausible(body.lamport) or self._settled_before(id, body):
                return False
            return body.value is None or self._has_room(id, body.value)  # a tombstone always has
        if isinstance(body, RosterBody):
            return self._plausible(body.lamport)
        if isinstance(body, Ring):
            if self.has_tombstone(RecordId(SHARED, SPACES_TABLE, id.key, "")):
                return False
            return all(self._plausible(birth.lamport) for birth in body.births)
        return not isinstance(body, OpaqueBody) or self._has_room(id, body.fields)

    def _note_own(self, body: OwnedBody | EpochBody) -> None:
        """A peer has a record of ours: is it of a boot that we do not remember?"""
        sequence = body.sequence if isinstance(body, OwnedBody) else body.floor[1] if body.floor[0] == body.epoch else 0
        if (body.epoch, sequence) > (self.epoch, self._sequence):
            self.newer_epoch = max(self.newer_epoch, body.epoch)

    def wanted_scopes(self) -> list[str] | None:
        """The scopes whose rows this host takes, sorted; None for all."""
        if not self.interest_only:
            return None
        own = self._holdings.owned_by(self.node_id)
        wanted = {body.scope: None for _, body in own if body.scope}
        wanted.update({id.key: None for id, body in own if id.table == ATTACHMENTS_TABLE and body.value is not None})
        return sorted(wanted)

    def common_root(self) -> int:
        """A digest that is equal at any two hosts that are in step, whatever each is interested in."""
        return self.digests.root([] if self.interest_only else None)

    def _is_wanted(self, id: RecordId, body: OwnedBody) -> bool:
        if not body.scope or not self.interest_only or self.is_attached(body.scope):
            return True
        self.counters["not_of_interest"] += 1
        held = self._holdings.get(id)
        if isinstance(held, OwnedBody) and body.join(held) == body:
            self._drop(id)  # it moved to a scope that does not concern us
        return False

    def _forget_scope(self, scope: str) -> None:
        """This host detached: it will hear no more of these rows, so it may not go on showing them."""
        for id in self._holdings.of_scope(scope):
            if id.owner != self.node_id:
                self._drop(id)

    def _strangers(self) -> int:
        return self._holdings.owners - len(self._roster)

    def _fits(self, id: RecordId, value: bytes | None, times: int) -> bool:
        held = self._holdings.get(id)
        before = held.value if isinstance(held, OwnedBody | SharedBody) else None
        if isinstance(held, OpaqueBody):
            before = held.fields
        rows, size = self._holdings.load(account_of(id) or "")
        grown = len(value or b"") - len(before or b"")
        return within(rows, size, new=held is None, grown=grown, times=times)

    def _has_room(self, id: RecordId, value: bytes | None) -> bool:
        if self._fits(id, value, LENIENCE):
            return True
        self.counters["refused_too_much"] += 1
        return False

    def _check_room(self, id: RecordId, value: bytes | None) -> None:
        if not self._fits(id, value, 1):
            raise ValueRejected(f"too many rows: at most {OWNER_ROWS} and {OWNER_BYTES} bytes are carried for one node")

    def _settled_before(self, id: RecordId, body: SharedBody) -> bool:
        """Whether a record is about a tombstone that was collected, and there is nothing more to do about it."""
        collected = self._tombstones.collected.get(id)
        if collected is None:
            return False
        if body.value is not None:
            return True
        joined = collected.join(body)
        if self._tombstones.complete(joined):
            if not self._tombstones.complete(body):
                self._tombstones.collected[id] = joined
                self.outbox.add(id)
            return True
        del self._tombstones.collected[id]
        self._hold(id, joined)
        return False

    def _plausible(self, lamport: int) -> bool:
        if self.bounded and not self.clock.plausible(lamport):
            self.counters["refused_future"] += 1
            return False
        self.clock.observe(lamport)
        return True

    # Inside

    def _enter(self, id: RecordId, body: Body) -> None:
        """Hold this body; note all that follows from it."""
        self._hold(id, body)
        # Packets go to those too who would take them for proof; who is in doubt as well has the unproven by repair.
        if not self.is_unproven(id):
            self._tell(id, body)
        self._dirty[id] = None
        if isinstance(body, EpochBody):
            self._touch_owner(id.owner)
        elif isinstance(body, RosterBody):
            self._touch_owner(id.key)
        self._follow(id, body)
        if isinstance(body, RosterBody):
            self._acknowledge_all()
        elif isinstance(body, SharedBody) and body.value is None:
            self._acknowledge(id, body)

    def _tell(self, id: RecordId, body: Body) -> None:
        """Have others hear of a record: all at once, or whom its scope concerns."""
        if not (self.narrow and isinstance(body, OwnedBody) and body.scope):
            self.outbox.add(id)
        elif id.owner == self.node_id or self.is_attached(body.scope):
            self.outbox.add_to_stream(id)

    def _follow(self, id: RecordId, body: Body) -> None:
        """What follows from a record. It is written after it, so a start does it again."""
        if isinstance(body, EpochBody):
            self._forget_owned(id.owner, body)
        elif isinstance(body, RosterBody):
            if body.removal is not None and id.key != self.node_id:
                self._forget_owned(id.key, None)
            for node, gone in list(gone_with(self._roster, id.key)):
                self._enter(RecordId(ROSTER, "", node, ""), gone)
        elif isinstance(body, SharedBody) and body.value is None and id.table == SPACES_TABLE:
            self._drop(RecordId(RING, "", id.key, ""))

    def is_attached(self, scope: str) -> bool:
        """Whether this host is attached to a scope."""
        body = self._holdings.get(RecordId(OWNED, ATTACHMENTS_TABLE, scope, self.node_id))
        return isinstance(body, OwnedBody) and body.value is not None

    def scope_of(self, id: RecordId) -> str:
        """The scope of a record, if only who is attached to it is to hear of it at once; else ""."""
        body = self._holdings.get(id)
        return body.scope if self.narrow and isinstance(body, OwnedBody) else ""

    def _say(self, id: RecordId, lamport: int, value: bytes | None, scope: str) -> None:
        """Enter an own row under the next sequence of this boot."""
        self._sequence += 1
        self._enter(id, OwnedBody(self.epoch, self._sequence, lamport, value, scope))

    def _enter_epoch(self, body: EpochBody) -> None:
        """Enter an own header, joined with the one before."""
        id = RecordId(EPOCH, "", "", self.node_id)
        known = self._holdings.get(id)
        self._enter(id, known.join(body) if isinstance(known, EpochBody) else body)

    def _hold(self, id: RecordId, body: Body) -> None:
        self._holdings.set(id, body)
        self.view.touch([id])
        if isinstance(body, RosterBody):
            self._roster[id.key] = body
            self.roster_changes += 1
            self._tombstones.roster_changed(self._roster)
        elif isinstance(body, Ring):
            self._rings[id.key] = body
        elif isinstance(body, SharedBody) and body.value is None:
            self._tombstones.held[id] = None

    def _drop(self, id: RecordId) -> None:
        if self._holdings.discard(id):
            self.outbox.discard(id)
            self.view.touch([id])
            self._dirty[id] = None
            self._tombstones.held.pop(id, None)
            if id.kind == RING:
                del self._rings[id.key]

    def _forget_owned(self, owner: str, header: EpochBody | None) -> None:
        """Drop those of an owner's rows that his header outdates, or all and the header too (None: he was removed)."""
        for id, body in self._holdings.owned_by(owner):
            if header is None or header.outdates(body):
                self._drop(id)
        if header is None:
            self._drop(RecordId(EPOCH, "", "", owner))

    def _acknowledge_all(self) -> None:
        """The roster changed, so what was acknowledged under the old one is to be acknowledged again."""
        for id in list(self._tombstones.held):
            body = self._holdings.get(id)
            if isinstance(body, SharedBody):
                self._acknowledge(id, body)

    def _acknowledge(self, id: RecordId, body: SharedBody) -> None:
        body = self._tombstones.acknowledged(body)
        if body != self._holdings.get(id):
            self._hold(id, body)
            self.outbox.add(id)
            self._dirty[id] = None
        if self._tombstones.complete(body):
            self._drop(id)
            self._tombstones.collect(id, body)
            self.outbox.add(id)  # others may still lack some of the acknowledgements

    def _touch_owner(self, owner: str) -> None:
        self.view.touch(id for id, _ in self._holdings.owned_by(owner))
        self.view.touch([RecordId(ROSTER, "", owner, "")])

    def visible(self, id: RecordId) -> Row | None:
        """What a reader sees of a record now."""
        body = self._holdings.get(id)
        if isinstance(body, OwnedBody) and id.owner != self.node_id:
            header = self._holdings.get(RecordId(EPOCH, "", "", id.owner))
            current = header.epoch if isinstance(header, EpochBody) else 0
            if body.epoch < current or id.owner not in self._live or not self.in_roster(id.owner):
                return None
        return self._holdings.row(id)

    def _settle(self, *, urgent: bool = False) -> None:
        """End of a batch: disk first if it must be, then what readers see, then who watches."""
        if urgent:
            self.flush()
        if self.outbox.fresh:
            self.outbox.fresh = False
            self.on_news()
        self.view.settle()

    def awaits(self) -> bool:
        """Whether a live member has not been heard since this host doubts its disk; the shell replaces it."""
        return False

    def on_news(self) -> None:
        """There is something new to tell others; the shell replaces it by what sends."""

    def _load(self) -> None:
        for _key, data in self._storage.all(_STORED):
            try:
                id, body = decode_record(data)
            except RecordError:
                self.counters["bad_stored_records"] += 1
                continue
            self._hold(id, body)
            if isinstance(body, OwnedBody | SharedBody | RosterBody):
                self.clock.observe(body.lamport)  # what is written from now on is written after it
            if id.kind == SHARED:
                self._loaded.append(id)
        self._finish()
        if self.in_doubt:
            self.doubt()
        self._settle()

    def _finish(self) -> None:
        """A crash after a record leaves what follows from it to be done at the next start."""
        for id, body in self._holdings.all():
            self._follow(id, body)
        self._acknowledge_all()


def _key(id: RecordId) -> str:
    return "\x1f".join(id)
