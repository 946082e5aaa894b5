"""What can befall the disk of a host that is a process: its power goes, it is put back as it was, it is lost.

The host must not run, but for a copy. A loss of power is played on SQLite's own log: of the frames that no checkpoint
has synced any number may be gone, and the store must take the machine for started anew.
"""

from __future__ import annotations

import random
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

_NAME = "state.db"
_COPY = "state.copy"
_HEADER, _FRAME_HEADER, _PAGE = 32, 24, 4096
_BACKFILLED = 96
"""Offset in the log's index (walformat.html, WalCkptInfo) of how many frames have been checkpointed."""


def copy(directory: Path) -> None:
    """As a backup of a daemon that runs: one moment's state, beside the store."""
    target = directory / _COPY
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(directory / _NAME, timeout=5.0)) as source,
        closing(sqlite3.connect(target)) as aside,
    ):
        source.backup(aside)


def put_back(directory: Path) -> None:
    """The copy is the store again; the witness beside it is the last one's. Raises FileNotFoundError without one."""
    copied = directory / _COPY
    if not copied.exists():
        raise FileNotFoundError(copied)
    _remove_log(directory)
    copied.replace(directory / _NAME)


def lose(directory: Path) -> None:
    """Nothing is left of the store."""
    _remove_log(directory)
    for name in (_NAME, "state.witness"):
        (directory / name).unlink(missing_ok=True)


def lose_power(directory: Path, chance: random.Random) -> None:
    """Of what was not synced a part is left, torn where it ends."""
    log, index = directory / f"{_NAME}-wal", directory / f"{_NAME}-shm"
    if log.exists() and index.exists():
        (synced,) = struct.unpack_from("=I", index.read_bytes(), _BACKFILLED)
        least = _HEADER + synced * (_FRAME_HEADER + _PAGE)
        size = log.stat().st_size
        if size > least:
            with log.open("r+b") as file:
                file.truncate(chance.randint(least, size))
        index.unlink()
    with closing(sqlite3.connect(directory / _NAME, isolation_level=None)) as db:
        db.execute("UPDATE documents SET value=? WHERE kind='store' AND key='boot'", (b"before the power went",))


def _remove_log(directory: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (directory / f"{_NAME}{suffix}").unlink(missing_ok=True)
