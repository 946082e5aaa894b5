"""The store on SQLite.

Write-ahead log with synchronous=NORMAL: a commit survives the daemon's death (kill -9) at once; the loss of power
may cost the commits since the last checkpoint, never the file's integrity. docs/guarantees.md says what that means to
clients.

Each commit has a number, which the witness beside the file has too: so a store that is not the last one is known as
`doubtful` when it is opened, and stays so until its host has learned from the others what it may have forgotten.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from daemon.store import DiskRefused
from daemon.store.witness import Witness, machine_boot

_SCHEMA_VERSION = 1
_CACHE = 256  # KiB of pages; SQLite's own 2 MB would be a thirtieth of the daemon, and all is read once, at the start
_SELF = "store"  # kind of the store's own documents
_IDENTITY, _NUMBER, _BOOT, _DOUBT = "identity", "number", "boot", "doubt"


class StoreUnusable(Exception):
    """The file is not a store of ours, or of a later version; it is left as it was."""


class SqliteStore:
    """Synchronous on purpose: a commit takes about 20 µs, a thread's hop a hundred times that."""

    def __init__(self, path: Path, *, boot: Callable[[], str] = machine_boot) -> None:
        """`boot`: which boot of the machine this is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        if new:
            path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=2.0)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(f"PRAGMA cache_size=-{_CACHE}")
            # What is replaced must not stay behind in free pages: it may have been a secret in the clear.
            self._db.execute("PRAGMA secure_delete=ON")
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, _SCHEMA_VERSION):
                raise StoreUnusable(f"{path} has schema version {version}; this daemon knows {_SCHEMA_VERSION}")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS documents"
                " (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID"
            )
            self._db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
            self._witness = Witness(path.with_suffix(".witness"))
            self._boot = boot()
            self._open(new)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreUnusable(f"{path}: {error}") from error

    def _open(self, new: bool) -> None:
        """Compare with the witness; note what is found before anything else is committed."""
        identity, number = self._text(_IDENTITY), int(self._text(_NUMBER) or 0)
        if new or not identity:
            self.doubtful = not new and self._db.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is not None
            identity, number = os.urandom(8).hex(), 0
        else:
            witnessed = self._witness.read()
            last = witnessed.own and witnessed.identity == identity and witnessed.number <= number
            last = last and self._text(_BOOT) == self._boot
            self.doubtful = bool(self._text(_DOUBT)) or not last
        self._identity, self._number = identity, number
        self._state([(_IDENTITY, identity), (_DOUBT, "1" if self.doubtful else "")])

    def _text(self, key: str) -> str:
        return (self.get(_SELF, key) or b"").decode()

    def _state(self, values: Sequence[tuple[str, str]]) -> None:
        boot = [] if self.doubtful else [(_SELF, _BOOT, self._boot.encode())]
        self.commit([*((_SELF, key, value.encode()) for key, value in values), *boot])

    def settle(self) -> None:
        """The host knows all that its store may have forgotten: from now on this is the last one."""
        if self.doubtful:
            self.doubtful = False
            self._state([(_DOUBT, "")])

    def get(self, kind: str, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM documents WHERE kind=? AND key=?", (kind, key)).fetchone()
        return None if row is None else bytes(row[0])

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        """Sorted by key."""
        rows = self._db.execute("SELECT key, value FROM documents WHERE kind=? ORDER BY key", (kind,))
        return [(str(key), bytes(value)) for key, value in rows]

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        """All of it or none; on disk before it returns. Raises DiskRefused."""
        number = self._number + 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for kind, key, value in (*changes, (_SELF, _NUMBER, b"%d" % number)):
                if value is None:
                    self._db.execute("DELETE FROM documents WHERE kind=? AND key=?", (kind, key))
                else:
                    self._db.execute("INSERT OR REPLACE INTO documents VALUES (?,?,?)", (kind, key, value))
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise DiskRefused(error) from error
        self._number = number
        with suppress(OSError):  # a witness that lags behind accuses nobody
            self._witness.write(self._identity, number)

    def sync(self) -> None:
        """What was committed until now outlives a loss of power too. Raises DiskRefused."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(FULL)")
        except sqlite3.OperationalError as error:
            raise DiskRefused(error) from error

    def purge(self) -> None:
        """What was replaced until now is gone from the disk too: the log is written back and cut."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._db.close()
        self._witness.close()
