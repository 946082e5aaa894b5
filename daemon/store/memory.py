"""The store in memory, for simulated hosts: what was committed outlives the daemon object, as a disk would."""

from __future__ import annotations

from collections.abc import Sequence


class MemoryStore:
    """Hand the same object to a restarted daemon to give it its old disk."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self._documents.get((kind, key))

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return sorted((key, value) for (k, key), value in self._documents.items() if k == kind)

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        for kind, key, value in changes:
            if value is None:
                self._documents.pop((kind, key), None)
            else:
                self._documents[kind, key] = bytes(value)

    def purge(self) -> None:
        """Nothing stays behind."""

    def close(self) -> None:
        """Nothing is open."""
