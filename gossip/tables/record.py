"""The unit of replication: a record, and how two versions of it join.

Everything that is replicated is a record: an id and a body. A body belongs to a join semilattice: `join` is
commutative, associative and idempotent, so records may come in any order, any number of times, by any way, and
all hosts that saw the same ones hold the same. Only the lattices are here; what a host may write is elsewhere.

Wire form of a record: a msgpack array [kind, table, key, owner, …fields of the body]. A newer version of this library
may know more fields and more kinds: what this one does not know it keeps, joins and passes on (`OpaqueBody`,
`take_extra`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self, cast

import msgpack

from gossip.tables.row import MAX_VALUE, Plain, ValueRejected, check_name

MAX_TIME = (1 << 63) - 1
MAX_KIND = 8
MAX_EXTRA = 4096
"""Bytes of fields of a body that only a newer version knows."""
OWNED, EPOCH, SHARED, ROSTER, RING = "o", "e", "s", "r", "n"
SPACES_TABLE = "spaces"
"""Shared table with one row for each number space; its tombstone ends the space's ring."""
ATTACHMENTS_TABLE = "attachments"
"""Owned table; a row says that its owner is attached to the scope that is its key."""
DEPARTURES_TABLE = "departures"
"""Owned table; a row with the owner's id as its key says that the owner has left for good."""


class RecordError(ValueError):
    """Bytes that are no record."""


class RecordId(NamedTuple):
    """What a record is about; fields that a kind does not use are empty."""

    kind: str
    table: str
    key: str
    owner: str


class Body(Protocol):
    """One version of a record: an element of a join semilattice."""

    def join(self, other: Self) -> Self:
        """The least version that holds both."""
        ...

    def encode(self) -> list[Plain]:
        """The fields for the wire; equal bodies give equal fields."""
        ...


class Record(NamedTuple):
    """An id with one version of its body."""

    id: RecordId
    body: Body


@dataclass(frozen=True, slots=True)
class OwnedBody:
    """A row that its owner alone writes; (boot epoch, sequence) orders its versions. None: deleted.

    The Lamport time of its writing orders rows of two owners. It stays when the owner says the same row again under a
    later sequence. `scope`: whom it concerns (see `interests`); "" is everybody.
    """

    epoch: int
    sequence: int
    lamport: int
    value: bytes | None
    scope: str = ""
    extra: bytes = b""

    def _order(self) -> tuple[int, int, int, bytes, str, bytes]:
        value = b"\x00" if self.value is None else b"\x01" + self.value
        return (self.epoch, self.sequence, self.lamport, value, self.scope, self.extra)

    def join(self, other: OwnedBody) -> OwnedBody:
        return self if self._order() >= other._order() else other

    def encode(self) -> list[Plain]:
        scope: list[Plain] = [self.scope] if self.scope or self.extra else []
        return [self.epoch, self.sequence, self.lamport, self.value, *scope, *unpacked(self.extra)]

    @staticmethod
    def decode(fields: Sequence[object]) -> OwnedBody:
        scope = take_str(fields, 4) if len(fields) > 4 else ""
        epoch, sequence, lamport = (take_int(fields, index) for index in range(3))
        return OwnedBody(epoch, sequence, lamport, take_value(fields, 3), scope, take_extra(fields, 5))


@dataclass(frozen=True, slots=True)
class EpochBody:
    """The boot that an owner is in, and the (epoch, sequence) below which its rows are to be forgotten.

    When all rows of a boot have been published the floor is (epoch, 0): those of earlier boots go. Later it rises
    within the boot to have deleted rows forgotten; what lives was said again above it.
    """

    epoch: int
    floor: tuple[int, int] = (0, 0)
    extra: bytes = b""

    def join(self, other: EpochBody) -> EpochBody:
        return EpochBody(max(self.epoch, other.epoch), max(self.floor, other.floor), max(self.extra, other.extra))

    def outdates(self, row: OwnedBody) -> bool:
        """Whether a row is to be forgotten."""
        return (row.epoch, row.sequence) < self.floor

    def encode(self) -> list[Plain]:
        return [self.epoch, *self.floor, *unpacked(self.extra)]

    @staticmethod
    def decode(fields: Sequence[object]) -> EpochBody:
        body = EpochBody(take_int(fields, 0), (take_int(fields, 1), take_int(fields, 2)), take_extra(fields, 3))
        if body.floor[0] > body.epoch:
            raise RecordError("a floor in a boot that is yet to come")
        return body


class RosterMark(NamedTuple):
    """Which roster an acknowledgement was given under. admitted: how many ids ever were, and the boots in which a disk
    was doubted, a sum that only grows; digest: of all that."""

    admitted: int
    digest: int


@dataclass(frozen=True, slots=True)
class SharedBody:
    """A row that any manager writes: the newest (Lamport time, writer) wins; a tombstone (None) beats every write.

    `acks` of a tombstone: who holds it on disk, and under which roster he said so.
    """

    lamport: int
    writer: str
    value: bytes | None
    acks: tuple[tuple[str, RosterMark], ...] = ()
    extra: bytes = b""

    def join(self, other: SharedBody) -> SharedBody:
        if self.value is None or other.value is None:
            if self.value is not None:
                return other
            if other.value is not None:
                return self
            acks = dict(self.acks)
            for node, mark in other.acks:
                acks[node] = max(mark, acks.get(node, mark))
            first = min(self, other, key=lambda body: (body.lamport, body.writer))
            return replace(first, acks=tuple(sorted(acks.items())), extra=max(self.extra, other.extra))
        return self if self._order() >= other._order() else other

    def _order(self) -> tuple[int, str, bytes, bytes]:
        return (self.lamport, self.writer, self.value or b"", self.extra)

    def acknowledged(self, node: str, mark: RosterMark) -> SharedBody:
        """This tombstone with one more acknowledgement."""
        return self.join(replace(self, acks=((node, mark),)))

    def encode(self) -> list[Plain]:
        acks: list[Plain] = [[node, mark.admitted, mark.digest] for node, mark in self.acks]
        return [self.lamport, self.writer, self.value, acks, *unpacked(self.extra)]

    @staticmethod
    def decode(fields: Sequence[object]) -> SharedBody:
        acks: dict[str, RosterMark] = {}
        for item in take_list(fields, 3):
            if not isinstance(item, list):
                raise RecordError("an acknowledgement is an array")
            acks[take_str(item, 0)] = RosterMark(take_int(item, 1), take_int(item, 2, 1 << 64))
        value = take_value(fields, 2)
        if value is not None and acks:
            raise RecordError("only a tombstone is acknowledged")
        known = tuple(sorted(acks.items()))
        return SharedBody(take_int(fields, 0), take_str(fields, 1), value, known, take_extra(fields, 4))


class Removal(NamedTuple):
    """When an id was removed for good, and who inherits its ranges of numbers."""

    lamport: int
    heir: str


@dataclass(frozen=True, slots=True)
class RosterBody:
    """One node's admission and, final, its removal. Of two removals the earlier names the heir.

    `by`: who admitted it; a swarm's first node is the one that admitted itself. `vouched`: of a removal, whom the node
    had admitted as far as all its removers knew (see `vouching`); None: they do not say. `doubted`: the last boot in
    which the node doubted its disk: it may have forgotten what it acknowledged before.
    """

    lamport: int
    hostname: str
    role: str
    address: str
    by: str
    removal: Removal | None = None
    vouched: tuple[int, ...] | None = None
    doubted: int = 0
    extra: bytes = b""

    def _order(self) -> tuple[int, str, str, str, str, bytes]:
        return (self.lamport, self.hostname, self.role, self.address, self.by, self.extra)

    def join(self, other: RosterBody) -> RosterBody:
        newest = max(self, other, key=RosterBody._order)
        removals = [body.removal for body in (self, other) if body.removal is not None]
        said = [body.vouched for body in (self, other) if body.vouched is not None]
        vouched = tuple(node for node in said[0] if node in said[-1]) if said else None
        doubted = max(self.doubted, other.doubted)
        return replace(newest, removal=min(removals, default=None), vouched=vouched, doubted=doubted)

    def encode(self) -> list[Plain]:
        removal: list[Plain] | None = None if self.removal is None else [self.removal.lamport, self.removal.heir]
        vouched: list[Plain] | None = None if self.vouched is None else list(self.vouched)
        said: list[Plain] = [] if vouched is None else [vouched]
        if self.doubted or self.extra:
            said = [vouched, self.doubted]
        return [*self._order()[:5], removal, *said, *unpacked(self.extra)]

    @staticmethod
    def decode(fields: Sequence[object]) -> RosterBody:
        removal = None
        if len(fields) > 5 and fields[5] is not None:
            pair = take_list(fields, 5)
            removal = Removal(take_int(pair, 0), take_str(pair, 1))
        vouched = None
        if len(fields) > 6 and fields[6] is not None:
            said = take_list(fields, 6)
            vouched = tuple(sorted(take_int(said, index, (1 << 64) - 1) for index in range(len(said))))
        doubted = take_int(fields, 7) if len(fields) > 7 else 0
        hostname, role, address, by = (take_str(fields, index) for index in range(1, 5))
        return RosterBody(
            take_int(fields, 0), hostname, role, address, by, removal, vouched, doubted, take_extra(fields, 8)
        )


@dataclass(frozen=True, slots=True)
class OpaqueBody:
    """A body of a kind that only a newer version knows: kept, joined and passed on, seen by no reader here.

    What such a kind must keep to: its first field is a number that a later version raises; of equal ones the greater
    bytes win.
    """

    version: int
    fields: bytes

    def join(self, other: OpaqueBody) -> OpaqueBody:
        return max(self, other, key=lambda body: (body.version, body.fields))

    def encode(self) -> list[Plain]:
        return unpacked(self.fields)

    @staticmethod
    def decode(fields: Sequence[object]) -> OpaqueBody:
        packed = cast(bytes, msgpack.packb(list(fields), use_bin_type=True))
        if len(packed) > MAX_VALUE + MAX_EXTRA:
            raise RecordError("too large for a record")
        return OpaqueBody(take_int(fields, 0), packed)


def take_int(fields: Sequence[object], index: int, limit: int = MAX_TIME) -> int:
    """The non-negative number at an index of a body from the wire; raises RecordError."""
    value = fields[index] if index < len(fields) else None
    if type(value) is not int or not 0 <= value <= limit:
        raise RecordError("a number is missing or out of range")
    return value


def take_str(fields: Sequence[object], index: int) -> str:
    """The short text at an index; raises RecordError."""
    value = fields[index] if index < len(fields) else None
    if type(value) is not str or len(value) > 256:
        raise RecordError("a text is missing or too long")
    return value


def take_list(fields: Sequence[object], index: int) -> list[object]:
    """The array at an index; raises RecordError."""
    value = fields[index] if index < len(fields) else None
    if not isinstance(value, list):
        raise RecordError("an array is missing")
    return value


def take_value(fields: Sequence[object], index: int) -> bytes | None:
    """The bytes or None at an index; raises RecordError."""
    if index >= len(fields):
        raise RecordError("a value is missing")
    value = fields[index]
    if value is None:
        return None
    if type(value) is not bytes or len(value) > MAX_VALUE:
        raise RecordError("a value is no bytes or too long")
    return value


def take_extra(fields: Sequence[object], known: int) -> bytes:
    """The fields after those that are known, as they are to be passed on; raises RecordError."""
    if len(fields) <= known:
        return b""
    extra = cast(bytes, msgpack.packb(list(fields[known:]), use_bin_type=True))
    if len(extra) > MAX_EXTRA:
        raise RecordError("too much that is not known")
    return extra


def unpacked(extra: bytes) -> list[Plain]:
    """The fields that ``take_extra`` packed."""
    return cast("list[Plain]", msgpack.unpackb(extra, raw=False, strict_map_key=False)) if extra else []


Decoder = Callable[[Sequence[object]], Body]
DECODERS: dict[str, Decoder] = {
    OWNED: OwnedBody.decode,
    EPOCH: EpochBody.decode,
    SHARED: SharedBody.decode,
    ROSTER: RosterBody.decode,
}
"""Decoder of each kind's body; the number spaces add theirs."""


def encode_record(record: Record) -> bytes:
    """A record's bytes, the same for equal records."""
    return cast(bytes, msgpack.packb([*record.id, *record.body.encode()], use_bin_type=True))


def decode_record(data: bytes) -> Record:
    """A record from its bytes; raises RecordError."""
    try:
        return record_of(msgpack.unpackb(data, raw=False))
    except (ValueError, OverflowError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise RecordError(str(error)) from None


def record_of(item: object) -> Record:
    """A record from its decoded array; raises RecordError."""
    if not isinstance(item, list) or len(item) < 5:
        raise RecordError("a record is an array")
    kind, table, key, owner = (take_str(item, index) for index in range(4))
    if len(kind) > MAX_KIND:
        raise RecordError("no kind has so long a name")
    decoder = DECODERS.get(kind)
    if decoder is None:
        return Record(RecordId(kind, table, key, owner), OpaqueBody.decode(item[4:]))
    try:
        for name in (table, key) if kind in (OWNED, SHARED) else (owner,) if kind == EPOCH else (key,):
            check_name(name)
        if kind == OWNED:
            check_name(owner)
        elif (table and kind != SHARED) or (key if kind == EPOCH else owner):
            raise RecordError("a field that this kind does not use")
    except ValueRejected as error:
        raise RecordError(str(error)) from None
    return Record(RecordId(kind, table, key, owner), decoder(item[4:]))
