"""What containers write outlives the daemon: their logs and their own files, in the store.

Written a moment after the change, so that many changes are one commit: logs after LOG_DELAY, files after FILES_DELAY
and at the end of each run. A daemon that is killed loses what is younger (docs/guarantees.md).
"""

from __future__ import annotations

import asyncio
import io
import struct
from typing import TYPE_CHECKING

import structlog

from daemon.engine.container import Container
from daemon.engine.logs import LogEntry
from daemon.engine.mount_points import ENGINES_OWN
from daemon.runtime import layers

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

LOG_DELAY = 0.25  # seconds
FILES_DELAY = 5.0
FILES_LIMIT = 8 << 20  # bytes of a container's own files above which they are written only when a run ends
FILES = "container-files"  # in the store, by container id: a layer over the image

_ENTRY = struct.Struct(">QBI")  # when, stream, length

log = structlog.get_logger("keeping")


def log_kind(container: Container) -> str:
    """The store's kind for one container's log: pieces of it by the number of their first entry."""
    return f"container-log {container.id}"


class Keeper:
    """Writes changed logs and files of all containers of one host."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._logs: dict[str, Container] = {}  # changed since they were written
        self._pieces: dict[str, dict[int, int]] = {}  # container -> first entry of each piece -> the one behind it
        self._files: dict[str, int] = {}  # container -> its tree's count of changes when its files were written
        self._stored: dict[str, None] = {}  # containers that have files in the store
        self._awake: asyncio.Event = asyncio.Event()

    def start(self) -> None:
        self._engine.tasks.spawn(self._write_logs(), "keep logs")
        self._engine.tasks.spawn(self._write_files(), "keep files")

    def watch(self, container: Container) -> None:
        """A container came to be: bring back what is kept of it, and keep what it writes."""
        entries: list[LogEntry] = []
        first: int | None = None
        for key, value in self._engine.store.all(log_kind(container)):
            piece = _unpacked(value)
            number = int(key)
            first = number if first is None else first
            entries += piece
            self._pieces.setdefault(container.id, {})[number] = number + len(piece)
        if first is not None:
            container.log.restore(first, entries)
        container.log.changed = lambda: self._changed(container)

    def _changed(self, container: Container) -> None:
        if container.id not in self._logs and container.state.status != "removing":
            self._logs[container.id] = container
            self._awake.set()

    def bring_back(self, container: Container) -> None:
        """Its files were just made from the image: put over them what it had written."""
        assert container.guest is not None
        files = container.guest.files
        layer = self._engine.store.get(FILES, container.id)
        if layer is not None:
            layers.apply(io.BytesIO(layer), files.root, files.tree)
            self._stored[container.id] = None
        self._files[container.id] = files.tree.changes

    def forget(self, container: Container) -> None:
        """It was removed."""
        self._pieces.pop(container.id, None)
        self._logs.pop(container.id, None)
        self._files.pop(container.id, None)
        self._stored.pop(container.id, None)
        kind = log_kind(container)
        gone: list[tuple[str, str, bytes | None]] = [(kind, key, None) for key, _ in self._engine.store.all(kind)]
        self._engine.store.commit([*gone, (FILES, container.id, None)])

    def run_ended(self, container: Container) -> None:
        """Now is the time to write all of it."""
        self._commit(self._log_pieces(container))
        self.write_files(container)

    def write_files(self, container: Container, limit: int | None = None) -> None:
        """Its own files, when they changed. `limit`: not when they are more than that many bytes."""
        guest = container.guest
        if guest is None or container.state.status == "removing":
            return
        tree = guest.files.tree
        if self._files.get(container.id) == tree.changes or (limit is not None and tree.used > limit):
            return
        self._files[container.id] = tree.changes
        layer = layers.pack_changes(guest.files.root, guest.image.tree, tree, ENGINES_OWN)
        if layer:
            self._commit([(FILES, container.id, layer)])
            self._stored[container.id] = None
        elif container.id in self._stored:
            del self._stored[container.id]
            self._commit([(FILES, container.id, None)])

    def _log_pieces(self, container: Container) -> list[tuple[str, str, bytes | None]]:
        """What brings the stored log of one container up to date."""
        self._logs.pop(container.id, None)
        pieces = self._pieces.setdefault(container.id, {})
        oldest, end = container.log.span
        written = max(pieces.values(), default=0)
        changes: list[tuple[str, str, bytes | None]] = []
        for first, behind in list(pieces.items()):
            if behind <= oldest:
                del pieces[first]
                changes.append((log_kind(container), f"{first:016}", None))
        start = max(written, oldest)
        if start < end:
            pieces[start] = end
            changes.append((log_kind(container), f"{start:016}", _packed(container.log.since(start))))
        return changes

    def _commit(self, changes: list[tuple[str, str, bytes | None]]) -> None:
        if not changes:
            return
        try:
            self._engine.store.commit(changes)
        except OSError as error:
            log.error("what containers wrote could not be kept", error=str(error))

    async def _write_logs(self) -> None:
        while True:
            await self._awake.wait()
            await asyncio.sleep(LOG_DELAY)
            self._awake.clear()
            changed = list(self._logs.values())
            self._commit([change for container in changed for change in self._log_pieces(container)])

    async def _write_files(self) -> None:
        while True:
            await asyncio.sleep(FILES_DELAY)
            for container in self._engine.containers.all():
                self.write_files(container, FILES_LIMIT)


def _packed(entries: list[LogEntry]) -> bytes:
    return b"".join(_ENTRY.pack(entry.when, entry.stream, len(entry.data)) + entry.data for entry in entries)


def _unpacked(data: bytes) -> list[LogEntry]:
    entries, at = [], 0
    while at + _ENTRY.size <= len(data):
        when, stream, length = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        entries.append(LogEntry(when, stream, data[at : at + length]))
        at += length
    return entries
