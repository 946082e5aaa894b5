"""What an old disk brought back: shared rows that may have been removed for good since, their tombstones collected.

Whose disk may be older than what it told others is in doubt until it has heard all of them (`gossip.gates`). What its
disk says is there is *unproven* meanwhile, and so is what another in doubt says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gossip.tables.digest import id_hash
from gossip.tables.record import RING, SHARED, SPACES_TABLE, Record, RecordId, SharedBody


class Doubt:
    """Of one host in its own disk."""

    def __init__(self, doubtful: bool) -> None:
        self.lasts = doubtful
        """This host's disk may be older than what it told others, and it has not yet heard all of them."""
        self.corrected = False
        """A host that is not in doubt has said which of the unproven rows are there."""
        self._unproven: dict[RecordId, None] = {}

    def begin(self, rows: Iterable[RecordId]) -> None:
        """These shared rows are here by word of the disk alone."""
        self.lasts, self.corrected = True, False
        self._unproven.update(dict.fromkeys(rows))

    def end(self) -> None:
        """Every member of the roster has been heard: what nobody disproved is there."""
        self.lasts = False
        self._unproven.clear()

    def unproven(self) -> list[RecordId]:
        """Shared rows that nobody who knows has spoken of."""
        return list(self._unproven)

    def is_unproven(self, id: RecordId) -> bool:
        """Whether only a doubtful disk says that a row, or the space of a ring, is there."""
        return _vouched_by(id) in self._unproven

    def prove(self, ids: Iterable[RecordId]) -> None:
        """Who is not in doubt holds these."""
        for id in ids:
            self._unproven.pop(id, None)

    def correct(self, held: Mapping[int, object]) -> list[RecordId]:
        """A host that is not in doubt holds these of the unproven (by the hash of their ids), and no others: which
        these others are. Nothing is unproven any more."""
        self.corrected = True
        wrong = [id for id in self._unproven if id_hash(id) not in held]
        self._unproven.clear()
        return wrong

    def admit(self, records: list[Record], *, doubtful: bool, known: Callable[[RecordId], bool]) -> list[Record]:
        """Which records may be taken: from one in doubt, or by packet while this host is and somebody is unheard.

        Who sends a packet may not know yet that what this host acknowledged counts no more; a repair tells him. From
        one in doubt, if this host is too (`doubtful`), the new rows are unproven; they are not taken if it is not (any
        more), or if a host that is not in doubt has said already what there is.
        """
        new = {
            record.id
            for record in records
            if isinstance(record.body, SharedBody) and record.body.value is not None and not known(record.id)
        }
        if doubtful and not self.corrected:
            self._unproven.update((record.id, None) for record in records if record.id in new)
            return records
        return [record for record in records if _vouched_by(record.id) not in new]


def _vouched_by(id: RecordId) -> RecordId:
    """The row without which a record is of no use: of a ring its space, else itself."""
    return RecordId(SHARED, SPACES_TABLE, id.key, "") if id.kind == RING else id
