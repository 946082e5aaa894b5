"""A disk that a crash takes back to what was committed: the object itself, as each commit is atomic."""

from __future__ import annotations

from collections.abc import Sequence


class Disk:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.commits = 0
        self.full = False
        self.doubtful = False

    def settle(self) -> None:
        self.doubtful = False

    def get(self, kind: str, key: str) -> bytes | None:
        return self.kept.get((kind, key))

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return sorted((key, value) for (k, key), value in self.kept.items() if k == kind)

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        if self.full:
            raise OSError("no space left on device")
        self.commits += 1
        for kind, key, value in changes:
            if value is None:
                self.kept.pop((kind, key), None)
            else:
                self.kept[kind, key] = value
