"""What readers see of the records, and the changes of it: a function of the records' present state.

Whoever changes records says which ids are touched; at the end of a batch the visible row of each touched id is
computed anew and compared with the one shown. So the order in which things came, or hid, does not matter, and each
watcher hears every difference once, in one order, also those that a watcher's own writes cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from gossip.tables.record import OWNED, ROSTER, SHARED, RecordId
from gossip.tables.row import Change, Row

ROSTER_TABLE = "roster"
"""Table under which readers see the roster."""


class View:
    """Shown rows by table, and who watches them."""

    def __init__(self, visible: Callable[[RecordId], Row | None], counters: Counter[str]) -> None:
        """`visible`: the row that a reader should see of an id now."""
        self._visible = visible
        self._counters = counters
        self._shown: dict[str, dict[tuple[str, str], Row]] = {}
        self._touched: dict[RecordId, None] = {}
        self._watchers: dict[int, tuple[int, Callable[[Change], None]]] = {}
        self._noticing: dict[str, list[Callable[[], None]]] = {}
        self._begun = 0
        self._changes: list[Change] = []
        self._delivering = False

    def rows(self, table: str) -> list[Row]:
        """Shown rows of a table, sorted by (key, owner)."""
        shown = self._shown.get(table, {})
        return [shown[key] for key in sorted(shown)]

    def row(self, table: str, key: str, owner: str) -> Row | None:
        """One shown row."""
        return self._shown.get(table, {}).get((key, owner))

    def watch(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back for every change from now on; returns what ends it."""
        # What is still being told is already in what `rows` shows: a watcher that begins now must not hear it.
        self._begun += 1
        number = self._begun
        self._watchers[number] = (len(self._changes), callback)

        def end() -> None:
            self._watchers.pop(number, None)

        return end

    def notice(self, table: str, callback: Callable[[], None]) -> None:
        """Call back whenever an owned row of a table may have changed, a hidden one too: the last word of the dead."""
        self._noticing.setdefault(table, []).append(callback)

    def touch(self, ids: Iterable[RecordId]) -> None:
        """What is visible of these ids may have changed."""
        for id in ids:
            self._touched[id] = None

    def settle(self) -> None:
        """The batch is over: show what is visible now, and tell the differences."""
        touched, self._touched = self._touched, {}
        noticed = {id.table: None for id in touched if id.table in self._noticing} if self._noticing else {}
        for id in touched:
            if id.kind not in (OWNED, SHARED, ROSTER):
                continue
            table = ROSTER_TABLE if id.kind == ROSTER else id.table
            key = (id.key, id.owner)
            shown = self._shown.setdefault(table, {})
            before, after = shown.get(key), self._visible(id)
            if before == after:
                continue
            if after is None:
                del shown[key]
            else:
                shown[key] = after
            self._changes.append(Change(table, id.key, id.owner, before, after))
        self._deliver()
        for table in noticed:
            for callback in self._noticing[table]:
                self._call(callback)

    def _call(self, watcher: Callable[[], None]) -> None:
        try:
            watcher()
        except Exception as error:
            self._counters["watcher_errors"] += 1
            self.on_watcher_error(error)

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            for index, change in enumerate(self._changes):  # watchers may append to it
                for number, (since, watcher) in list(self._watchers.items()):
                    if index < since or number not in self._watchers:
                        continue  # it began later, or has just been ended
                    self._call(partial(watcher, change))
        finally:
            self._changes.clear()
            self._watchers = {number: (0, watcher) for number, (_, watcher) in self._watchers.items()}
            self._delivering = False

    def on_watcher_error(self, error: Exception) -> None:
        """A watcher raised: the others are told all the same. The shell replaces this by its log."""
