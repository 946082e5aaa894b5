"""A host's disk in a simulation: what SQLite gives with a write-ahead log and synchronous=NORMAL, and what it does not.

A commit outlives the process as soon as it returns. It outlives a loss of power only once a checkpoint has synced it:
what was committed since the last one is a log of which a prefix is left, whole commits only (each frame's checksum goes
on from the one before, so a torn transaction and all behind it are rolled back). A full disk refuses the commit and
changes nothing. A disk can be lost, put back as it was earlier, or copied to another host.

The *witness* is the small file beside the database (see `daemon.store.sqlite`): it stays where it is when only the
database is put back, and so tells that this is not the last one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.store import DiskRefused

Change = tuple[str, str, bytes | None]

CHECKPOINT = 1000
"""Pages in the log at which SQLite checkpoints (PRAGMA wal_autocheckpoint)."""
_PAGE = 4096
_LEAST = 2
"""Pages that the smallest commit writes: a leaf of the table and its parent or a neighbour."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What a disk held at one time."""

    documents: dict[tuple[str, str], bytes]
    generation: int


_EMPTY = Copy({}, 0)


class SimulatedDisk:
    """What outlives a simulated daemon. `on_commit` is called as each commit begins and ends: (number,
    done); `on_changes` with what was committed."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], bytes] = {}
        self._synced = _EMPTY
        self._log: list[Sequence[Change]] = []
        self._pages = 0
        self._generation = 0
        self._witness = 0
        self.doubtful = False
        """Whether this may be older than what its host has told others: put back, or after a loss of power."""
        self.full = False
        self.commits = 0
        self.on_commit: Callable[[int, bool], None] | None = None
        self.on_changes: Callable[[Sequence[Change]], None] | None = None

    def settle(self) -> None:
        """The host has learned from all others what it may have forgotten: from now on this is its last."""
        self.doubtful = False
        self._witness = self._generation

    @property
    def unsynced(self) -> int:
        """Commits that a loss of power may take."""
        return len(self._log)

    def get(self, kind: str, key: str) -> bytes | None:
        return self._documents.get((kind, key))

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return sorted((key, value) for (k, key), value in self._documents.items() if k == kind)

    def commit(self, changes: Sequence[Change]) -> None:
        """All of it or none. Raises DiskRefused when the disk is full."""
        if self.full:
            raise DiskRefused("database or disk is full")
        self._apply(changes)
        self._generation += 1
        self._witness = max(self._witness, self._generation)
        self.commits += 1
        self._log.append(changes)
        self._pages += _LEAST + sum(len(value or b"") // _PAGE for _, _, value in changes)
        if self._pages >= CHECKPOINT:
            self.checkpoint()

    def _apply(self, changes: Sequence[Change]) -> None:
        for kind, key, value in changes:
            if value is None:
                self._documents.pop((kind, key), None)
            else:
                self._documents[kind, key] = bytes(value)

    def checkpoint(self) -> None:
        """Everything is synced, as by a clean close."""
        self._synced = self.copy()
        self._log.clear()
        self._pages = 0

    def sync(self) -> None:
        """What was committed until now outlives a loss of power. Raises DiskRefused when the disk is full."""
        if self.full:
            raise DiskRefused("database or disk is full")
        self.checkpoint()

    def purge(self) -> None:
        """What was replaced is gone from the disk too."""
        self.checkpoint()

    # What can befall it

    def copy(self) -> Copy:
        """As a backup takes it."""
        return Copy(dict(self._documents), self._generation)

    def lose_power(self, chance: random.Random) -> int:
        """Of what was not synced a prefix is left; how many commits are gone."""
        kept = chance.randint(0, len(self._log))
        lost, log = len(self._log) - kept, self._log[:kept]
        self._documents = dict(self._synced.documents)
        self._generation = self._synced.generation
        for changes in log:
            self._apply(changes)
            self._generation += 1
        self.doubtful = bool(self._documents)  # where nothing is, there is nothing to doubt
        self.checkpoint()
        return lost

    def put_back(self, copy: Copy) -> None:
        """The database of another time, or of another host; the witness stays."""
        self._documents, self._generation = dict(copy.documents), copy.generation
        self.doubtful = self.doubtful or self._generation != self._witness
        self.checkpoint()

    def lose(self) -> None:
        """A new, empty disk."""
        self._witness, self.doubtful = 0, False
        self.put_back(_EMPTY)


class Handle:
    """A running daemon's hold on its disk; its death takes the hold away, what was committed stays."""

    def __init__(self, disk: SimulatedDisk, dead: Callable[[], bool]) -> None:
        self._disk = disk
        self._dead = dead

    @property
    def doubtful(self) -> bool:
        return self._disk.doubtful

    def settle(self) -> None:
        if not self._dead():
            self._disk.settle()

    def get(self, kind: str, key: str) -> bytes | None:
        return self._disk.get(kind, key)

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return self._disk.all(kind)

    def commit(self, changes: Sequence[Change]) -> None:
        tell = self._disk.on_commit
        number = self._disk.commits
        if tell is not None and not self._dead():
            tell(number, False)
        if self._dead():
            return
        self._disk.commit(changes)
        if self._disk.on_changes is not None:
            self._disk.on_changes(changes)
        if tell is not None:
            tell(number, True)

    def purge(self) -> None:
        if not self._dead():
            self._disk.purge()

    def sync(self) -> None:
        if not self._dead():
            self._disk.sync()
