"""How much one node may bring into everybody's memory.

Who writes is told (ValueRejected). From the wire twice as much is taken, so that what an honest node wrote is refused
nowhere, also while rows that it has deleted are still remembered; what goes beyond is counted and dropped.
"""

from __future__ import annotations

OWNER_ROWS = 50_000
"""Rows of one owner, deleted ones that are not yet forgotten included; and all shared rows together."""
OWNER_BYTES = 32 * 1024 * 1024
"""Bytes of them."""
LENIENCE = 2
"""Times as much from the wire."""
STRANGERS = 256
"""Owners that are not in the roster (yet) of whom something is kept."""
MAX_DELTA = 2 * 1024 * 1024
"""Bytes of one delta from the wire; honest ones have a chunk of 512 KiB and one record more."""


def within(rows: int, size: int, *, new: bool, grown: int, times: int = 1) -> bool:
    """Whether an owner of so many rows and bytes may have one more row (`new`), or one that has `grown` by bytes."""
    if new and rows >= OWNER_ROWS * times:
        return False
    return grown <= 0 or size + grown <= OWNER_BYTES * times
