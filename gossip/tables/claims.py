"""Claims: names that can be taken twice across a cut, and who keeps them after it heals.

A claim is a shared row (kind, name, id) that keeps the Lamport time of its first writing; the lowest (Lamport, id) of
those that were not given up holds the name. Every host comes to the same answer from the same rows.
"""

from __future__ import annotations

from gossip.tables.replica import Replica
from gossip.tables.row import Change, Row, RowRemoved, Value

CLAIMS_TABLE = "claims"


class Claims:
    """An index of the claims table by (kind, name)."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._index: dict[tuple[str, str], dict[str, int]] = {}
        for row in replica.view.rows(CLAIMS_TABLE):
            self._note(row, present=True)
        replica.view.watch(self._changed)

    def claim(self, kind: str, name: str, id: str) -> bool:
        """Claim a name for an id; whether the id holds it now (a cut may hide an earlier claim until it heals)."""
        if id not in self._index.get((kind, name), {}):
            since = self._replica.clock.tick()
            value: Value = {"kind": kind, "name": name, "id": id, "since": since}
            try:
                self._replica.write(CLAIMS_TABLE, _key(kind, name, id), value)
            except RowRemoved:
                return False
        return self.holder(kind, name) == id

    def give_up(self, kind: str, name: str, id: str) -> None:
        """End a claim for good: this id can not claim this name again."""
        self._replica.remove(CLAIMS_TABLE, _key(kind, name, id))

    def holder(self, kind: str, name: str) -> str | None:
        """The id that keeps a name."""
        claims = self._index.get((kind, name))
        return min(claims.items(), key=lambda item: (item[1], item[0]))[0] if claims else None

    def _changed(self, change: Change) -> None:
        if change.table == CLAIMS_TABLE:
            if change.before is not None:
                self._note(change.before, present=False)
            if change.after is not None:
                self._note(change.after, present=True)

    def _note(self, row: Row, *, present: bool) -> None:
        kind, name, id, since = (row.value.get(field) for field in ("kind", "name", "id", "since"))
        if not (isinstance(kind, str) and isinstance(name, str) and isinstance(id, str) and isinstance(since, int)):
            return
        if present:
            self._index.setdefault((kind, name), {})[id] = since
        else:
            self._index.get((kind, name), {}).pop(id, None)


def _key(kind: str, name: str, id: str) -> str:
    return f"{kind}/{id}/{name}"
