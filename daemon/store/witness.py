"""Evidence that a store is the last one that its host wrote, kept where the store is not.

A host that comes back on an older store has forgotten what it told others: numbers that it gave away, removals that it
acknowledged. Two things tell: a small file beside the database, which has the number of the last commit and the
store's identity and stays when only the database is put back; and the boot of the machine that wrote last, for a loss
of power takes commits that the operating system had not written yet. A whole directory that is put back with its
witness is not noticed here; peers may notice (see `gossip.gates`).
"""

from __future__ import annotations

import os
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_boot() -> str:
    """Which boot of the machine this is; "" where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Witness:
    """The file beside a store: "IDENTITY NUMBER"."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> tuple[str, int]:
        """Identity and number; ("", 0) when there is nothing to be read."""
        os.lseek(self._file, 0, os.SEEK_SET)
        identity, _, number = os.read(self._file, 128).decode("ascii", "replace").strip().partition(" ")
        return (identity, int(number)) if number.isascii() and number.isdigit() else ("", 0)

    def write(self, identity: str, number: int) -> None:
        """After the commit of that number, never before."""
        # Not pwrite(2), which only a Unix has.
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, f"{identity} {number:020}\n".encode())

    def close(self) -> None:
        os.close(self._file)
