"""Who wants to hear at once of the rows of a scope (an overlay network, say): who is attached to it, by an owned row.

In a cluster of many a row with a scope is pushed to those alone, and passed on by those alone; the others have it
by repair. An attachment itself has no scope: all know who is interested in what.
"""

from __future__ import annotations

from gossip.tables.record import ATTACHMENTS_TABLE
from gossip.tables.replica import Replica
from gossip.tables.row import Change, Row

EVERYBODY = 100
"""Members up to which all rows are pushed to all."""


class Interests:
    """The visible attachments by scope: those of members that are alive."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._nodes: dict[str, dict[str, None]] = {}
        for row in replica.view.rows(ATTACHMENTS_TABLE):
            self._attached(row)
        replica.view.watch(self._changed)

    def others(self, scope: str) -> list[str]:
        """Live nodes attached to a scope, without this one, sorted."""
        return [node for node in sorted(self._nodes.get(scope, {})) if node != self._replica.node_id]

    def _changed(self, change: Change) -> None:
        if change.table != ATTACHMENTS_TABLE:
            return
        if change.after is not None:
            self._attached(change.after)
        elif change.before is not None:
            nodes = self._nodes.get(change.key, {})
            nodes.pop(change.owner, None)
            if not nodes:
                self._nodes.pop(change.key, None)

    def _attached(self, row: Row) -> None:
        if row.owner:
            self._nodes.setdefault(row.key, {})[row.owner] = None
