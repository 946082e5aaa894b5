"""What gossip needs of a disk: a few kinds of keyed bytes, changed in atomic, durable commits.

Gossip is handed an object of this shape, so that a simulation can lose, tear and restore what was written.
Nothing in gossip opens a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Storage(Protocol):
    """A durable, synchronous map of (kind, key) to bytes."""

    @property
    def doubtful(self) -> bool:
        """Whether this may be older than what its host has told others: put back, or after a loss of power."""
        ...

    def settle(self) -> None:
        """The host has learned from all others what this may have forgotten."""
        ...

    def get(self, kind: str, key: str) -> bytes | None:
        """The value stored under (kind, key), or None."""
        ...

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        """Every (key, value) of a kind, sorted by key."""
        ...

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        """Apply (kind, key, value or None to delete) all or none; durable before it returns."""
        ...
