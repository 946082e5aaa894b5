"""The store on SQLite.

Write-ahead log with synchronous=NORMAL: a commit survives the daemon's death (kill -9) at once; the loss of power
may cost the commits since the last checkpoint, never the file's integrity. docs/guarantees.md says what that means to
clients.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

_SCHEMA_VERSION = 1
_CACHE = 256  # KiB of pages; SQLite's own 2 MB would be a thirtieth of the daemon, and all is read once, at the start


class StoreUnusable(Exception):
    """The file is not a store of ours, or of a later version; it is left as it was."""


class SqliteStore:
    """Synchronous on purpose: a commit takes about 10 µs, a thread's hop two hundred times that."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
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
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreUnusable(f"{path}: {error}") from error

    def get(self, kind: str, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM documents WHERE kind=? AND key=?", (kind, key)).fetchone()
        return None if row is None else bytes(row[0])

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        """Sorted by key."""
        rows = self._db.execute("SELECT key, value FROM documents WHERE kind=? ORDER BY key", (kind,))
        return [(str(key), bytes(value)) for key, value in rows]

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        """All of it or none; on disk before it returns. Raises OSError when the disk refuses."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for kind, key, value in changes:
                if value is None:
                    self._db.execute("DELETE FROM documents WHERE kind=? AND key=?", (kind, key))
                else:
                    self._db.execute("INSERT OR REPLACE INTO documents VALUES (?,?,?)", (kind, key, value))
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise OSError(f"the store cannot be written: {error}") from error

    def purge(self) -> None:
        """What was replaced until now is gone from the disk too: the log is written back and cut."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._db.close()
