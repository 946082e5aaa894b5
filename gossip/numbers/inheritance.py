"""What becomes of a removed node's ranges: one heir takes them, when nobody can contradict any more.

The removal names the heir (of two removals the earlier counts, so all come to the same one). The heir asks every other
roster member in person. Who agrees has the removal on disk, takes nothing from the removed any more, and answers
with his view of all rings, so that the heir knows of every range that the removed had given away. Who could name
another heir is a member too, and agrees only if his own removal lost. A member that is dead is waited for: remove it
too, or bring it back.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, cast

import msgpack

from gossip.numbers.allocator import Allocator
from gossip.tables.record import RING, ROSTER, RecordId, Removal
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.vouching import unheard

INHERIT = "inherit"
"""Kind of the stream's request."""
ASK_TIMEOUT = 2.0


class Ask(Protocol):
    """One question to one node; raises OSError when there is no answer."""

    def __call__(self, node_id: str, kind: str, payload: bytes, *, deadline: float) -> Awaitable[bytes]: ...


class Inheritance:
    """Both sides of taking over a removed node's ranges."""

    def __init__(self, allocator: Allocator, replica: Replica, roster: Roster) -> None:
        self._allocator = allocator
        self._replica = replica
        self._roster = roster
        self._agreed: dict[str, dict[str, None]] = {}
        self._removals: list[tuple[str, Removal]] = []

    def due(self) -> list[str]:
        """Removed nodes whose heir this host is and whose ranges it has not yet taken."""
        owners = {owner: None for _, ring in self._replica.rings() for owner in ring.owners()}
        return [
            node
            for node in sorted(owners)
            if self._roster.removed(node) and self._roster.heir(node) == self._replica.node_id
        ]

    def missing(self, removed: str) -> list[str]:
        """Roster members that have not yet agreed, knowing every removal that we know. Those who left for good can
        contradict no more."""
        removals = [(node, body.removal) for node, body in self._replica.roster().items() if body.removal is not None]
        if removals != self._removals:
            self._removals = removals
            self._agreed.clear()
        agreed = self._agreed.setdefault(removed, {})
        members = [entry.node_id for entry in self._roster.members() if entry.node_id != self._replica.node_id]
        return [node for node in members if node not in agreed and not self._roster.departed(node)]

    async def run(self, ask: Ask) -> None:
        """Ask whoever is missing, and take what all agree to."""
        for removed in self.due():
            for node in self.missing(removed):
                if self._replica.is_live(node):
                    try:
                        answer = await ask(node, INHERIT, self.question(removed), deadline=ASK_TIMEOUT)
                    except OSError:
                        continue
                    self.receive(removed, node, answer)
            self.take(removed)

    def question(self, removed: str) -> bytes:
        """What the heir asks a member."""
        return cast(bytes, msgpack.packb({"removed": removed, "records": self._packed(ROSTER)}, use_bin_type=True))

    def answer(self, peer: str, payload: bytes) -> bytes:
        """A member's answer; raises ValueError for a question that makes no sense."""
        question = msgpack.unpackb(payload, raw=False)
        if not isinstance(question, dict) or not isinstance(question.get("records"), list):
            raise ValueError("a question of an heir is a map with the roster's records")
        self._replica.merge_packed(question["records"])
        removed = question.get("removed")
        agrees = (
            isinstance(removed, str)
            and self._roster.removed(removed)
            and self._roster.heir(removed) == peer
            and self._roster.contains(peer)
        )
        records = [*self._packed(ROSTER), *self._packed(RING)]
        return cast(bytes, msgpack.packb({"agrees": agrees, "records": records}, use_bin_type=True))

    def receive(self, removed: str, node: str, answer: bytes) -> None:
        """Note a member's answer; one that makes no sense is no agreement."""
        try:
            found = msgpack.unpackb(answer, raw=False)
        except (ValueError, msgpack.exceptions.UnpackException, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("records"), list):
            self._replica.counters["bad_answers"] += 1
            return
        self._replica.merge_packed(found["records"])
        self.missing(removed)  # what came may have brought another removal, which makes all ask again
        if found.get("agrees") is True:
            self._agreed.setdefault(removed, {})[node] = None

    def take(self, removed: str) -> bool:
        """Take the ranges if all agree and this host still is the heir; whether it did."""
        if self.missing(removed) or removed not in self.due() or unheard(self._replica.roster()):
            return False
        self._allocator.inherit([removed])
        return True

    def _packed(self, kind: str) -> list[bytes]:
        if kind == ROSTER:
            ids = [RecordId(ROSTER, "", node, "") for node in sorted(self._replica.roster())]
        else:
            ids = [RecordId(RING, "", space, "") for space, _ in self._replica.rings()]
        return [packed for id in ids if (packed := self._replica.packed(id)) is not None]
