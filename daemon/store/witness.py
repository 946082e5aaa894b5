"""Evidence that a store is the last one that its host wrote, kept where the store is not.

A host that comes back on an older store has forgotten what it told others: numbers that it gave away, removals that it
acknowledged. Three things tell: a small file beside the database, which has the number of the last commit and the
store's identity and stays when only the database is put back; the boot of the machine that wrote last, for a loss of
power takes commits that the operating system had not written yet; and the file itself, for the kernel notes which file
it is and when it was last changed, and no copy and no archive can give that to another. So a whole directory that is
put back with its witness is known too. What is not: an older state of a whole file system or of a whole machine with
its memory, whose kernel says the same as before. Peers may notice (see `gossip.gates`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_boot() -> str:
    """Which boot of the machine this is; "" where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


_LATE = 20_000_000
"""Nanoseconds between a look at the clock and what the kernel notes of the write after it, whose own clock may be 10 ms
behind. Nothing else compares the two, so it does not matter whether the clock is right."""
_TRIES = 3


class Testimony(NamedTuple):
    """Of the last commit: identity and number of the store; ("", 0) when there is nothing to be read. own: nobody but
    the store has written the file since, nor copied it."""

    identity: str
    number: int
    own: bool


class Witness:
    """The file beside a store: "IDENTITY NUMBER INODE TIME"; a time of 0 says that the file system notes none."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._inode = os.fstat(self._file).st_ino

    def read(self) -> Testimony:
        os.lseek(self._file, 0, os.SEEK_SET)
        identity, *numbers = os.read(self._file, 128).decode("ascii", "replace").split() or [""]
        if not numbers or not all(text.isascii() and text.isdigit() for text in numbers):
            return Testimony("", 0, True)
        number, inode, written = (*map(int, numbers), 0, 0)[:3]
        same = inode == self._inode and os.fstat(self._file).st_ctime_ns - written < _LATE
        return Testimony(identity, number, same or not written)

    def write(self, identity: str, number: int) -> None:
        """After the commit of that number, never before."""
        for _ in range(_TRIES):
            now = time.time_ns()
            self._put(f"{identity} {number:020} {self._inode:020} {now:020}\n")
            if abs(os.fstat(self._file).st_ctime_ns - now) < _LATE:
                return
        self._put(f"{identity} {number:020} {0:020} {0:020}\n")

    def _put(self, text: str) -> None:
        # Not pwrite(2), which only a Unix has.
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, text.encode())

    def close(self) -> None:
        os.close(self._file)
