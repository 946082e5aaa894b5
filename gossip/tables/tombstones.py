"""Tombstones of shared rows: held until every roster member has acknowledged them, never dropped by a timer.

An acknowledgement says "I have it on disk" and names the roster that its giver knew. A tombstone is complete when all
members have acknowledged under the very roster that we know. Then nobody is left who could bring the row back: who
admitted a node after his acknowledgement handed it a state without the row; who did so before acknowledged under a
larger roster, so the set is not complete. Whom the removed admitted either counts as well, or is out (see `vouching`).
Whose disk is an older one may have forgotten what it acknowledged: its doubt is in the roster, so all acknowledge anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from gossip.tables.digest import fingerprint
from gossip.tables.record import RecordId, RosterBody, RosterMark, SharedBody
from gossip.tables.vouching import unheard

COLLECTED_KEPT = 1024
"""Collected tombstones that are remembered, so that a datagram still on its way brings nothing back."""


class Tombstones:
    """Which tombstones are held, and which were collected lately."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._roster: Mapping[str, RosterBody] = {}
        self._mark = RosterMark(0, 0)
        self._unheard = False
        self.held: dict[RecordId, None] = {}
        self.collected: dict[RecordId, SharedBody] = {}

    def roster_changed(self, roster: Mapping[str, RosterBody]) -> None:
        """Acknowledgements under an older roster do not count any more."""
        self._roster = roster
        self._unheard = unheard(roster)
        doubted = {node: body.doubted for node, body in roster.items() if body.doubted}
        grown = len(roster) + sum(doubted.values())
        if grown != self._mark.admitted:
            known = [f"{node}\x1e{doubted[node]}" if node in doubted else node for node in sorted(roster)]
            self._mark = RosterMark(grown, fingerprint("\x1f".join(known).encode()))

    def acknowledged(self, body: SharedBody) -> SharedBody:
        """A tombstone with our acknowledgement, if we are in the roster."""
        me = self._roster.get(self._node_id)
        return body if me is None or me.removal is not None else body.acknowledged(self._node_id, self._mark)

    def complete(self, body: SharedBody) -> bool:
        """Whether every roster member has acknowledged under the roster that we know."""
        acks = dict(body.acks)
        members = [node for node, entry in self._roster.items() if entry.removal is None]
        return bool(members) and not self._unheard and all(acks.get(node) == self._mark for node in members)

    def collect(self, id: RecordId, body: SharedBody) -> None:
        """Remember a complete tombstone that is not held any more."""
        self.held.pop(id, None)
        self.collected[id] = body
        if len(self.collected) > COLLECTED_KEPT:
            del self.collected[next(iter(self.collected))]
