"""The records that a host holds, with their bytes, digests, and the ways to find them: by owner, by table, as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gossip.tables.digest import Digests, fingerprint
from gossip.tables.record import (
    EPOCH,
    OWNED,
    RING,
    ROSTER,
    SHARED,
    Body,
    OwnedBody,
    Record,
    RecordId,
    RosterBody,
    SharedBody,
    encode_record,
)
from gossip.tables.row import Row, Value, ValueRejected, decode_value
from gossip.tables.view import ROSTER_TABLE


def account_of(id: RecordId) -> str | None:
    """Who answers for a record's room: its owner, "" for all shared rows, "?" for all of unknown kinds. None: what
    there is one of a node or a space has no account."""
    if id.kind in (OWNED, SHARED):
        return id.owner
    return None if id.kind in (EPOCH, ROSTER, RING) else "?"


class Holdings:
    """A map of ids to bodies, indexed."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._bodies: dict[RecordId, Body] = {}
        self._packed: dict[RecordId, bytes] = {}
        self._ids: dict[bytes, RecordId] = {}
        self._rows: dict[RecordId, Row | None] = {}
        self._by_owner: dict[str, dict[RecordId, None]] = {}
        self._loads: dict[str, tuple[int, int]] = {}
        self.owners = 0
        """Owners of whom a header is held."""
        self._by_table: dict[str, dict[RecordId, None]] = {}
        self.digests = Digests()

    def get(self, id: RecordId) -> Body | None:
        """The body that is held under an id."""
        return self._bodies.get(id)

    def holds(self, id: RecordId) -> bool:
        """Whether there is one."""
        return id in self._bodies

    def packed(self, id: RecordId) -> bytes | None:
        """Its bytes."""
        return self._packed.get(id)

    def id_of(self, packed: bytes) -> RecordId | None:
        """What these bytes are about, if exactly they are held: most of what peers send is."""
        return self._ids.get(packed)

    def all(self) -> list[Record]:
        """Everything, sorted by id."""
        return [Record(id, self._bodies[id]) for id in sorted(self._bodies)]

    def owned_by(self, owner: str) -> list[tuple[RecordId, OwnedBody]]:
        """An owner's rows, deleted ones included, in order of their coming."""
        found = [(id, self._bodies[id]) for id in self._by_owner.get(owner, {})]
        return [(id, body) for id, body in found if isinstance(body, OwnedBody)]

    def of_scope(self, scope: str) -> list[RecordId]:
        """The ids of a scope's rows."""
        return [id for id, body in self._bodies.items() if isinstance(body, OwnedBody) and body.scope == scope]

    def of_table(self, table: str) -> Iterable[RecordId]:
        """The ids of a table's rows, owned and shared."""
        return self._by_table.get(table, {})

    def load(self, account: str) -> tuple[int, int]:
        """Rows and bytes of an account (see `account_of`), deleted ones included."""
        return self._loads.get(account, (0, 0))

    def _weigh(self, id: RecordId, packed: bytes | None) -> None:
        """`packed` comes for what is held under an id now."""
        old = self._packed.get(id)
        if id.kind == EPOCH:
            self.owners += (packed is not None) - (old is not None)
        elif (account := account_of(id)) is not None:
            rows, size = self.load(account)
            rows += (packed is not None) - (old is not None)
            self._loads[account] = (rows, size + len(packed or b"") - len(old or b""))
            if not rows:
                del self._loads[account]

    def set(self, id: RecordId, body: Body) -> None:
        """Hold this body from now on."""
        packed = encode_record(Record(id, body))
        self._weigh(id, packed)
        self._bodies[id] = body
        if (old := self._packed.get(id)) is not None:
            del self._ids[old]
        self._packed[id] = packed
        self._ids[packed] = id
        self._rows.pop(id, None)
        self.digests.set(id, fingerprint(packed), body.scope if isinstance(body, OwnedBody) else "")
        if id.kind in (OWNED, SHARED):
            self._by_table.setdefault(id.table, {})[id] = None
        if id.kind == OWNED:
            self._by_owner.setdefault(id.owner, {})[id] = None

    def discard(self, id: RecordId) -> bool:
        """Hold nothing under this id any more; whether something was."""
        if self._bodies.pop(id, None) is None:
            return False
        self._weigh(id, None)
        del self._ids[self._packed.pop(id)]
        self._rows.pop(id, None)
        self.digests.set(id, None)
        self._by_table.get(id.table, {}).pop(id, None)
        owned = self._by_owner.get(id.owner, {})
        owned.pop(id, None)
        if not owned:
            self._by_owner.pop(id.owner, None)
        return True

    def row(self, id: RecordId) -> Row | None:
        """A record as a row, whether visible or not; None for deleted ones and unreadable values."""
        body = self._bodies.get(id)
        if body is not None and id not in self._rows:
            self._rows[id] = self._decode(id, body)
        return self._rows.get(id)

    def _decode(self, id: RecordId, body: Body) -> Row | None:
        try:
            if isinstance(body, OwnedBody | SharedBody) and body.value is not None:
                return Row(id.table, id.key, id.owner, decode_value(body.value), body.lamport)
        except ValueRejected:
            self._counters["bad_values"] += 1
        if isinstance(body, RosterBody) and body.removal is None:
            value: Value = {"hostname": body.hostname, "role": body.role, "address": body.address}
            return Row(ROSTER_TABLE, id.key, "", value, body.lamport)
        return None
