"""Volumes of this host: `docker volume`. One driver, local, whose options may ask for a tmpfs or a folder.

What a volume is lies in the store; what it holds, in the folders that the engine is given (a directory of the state
directory, or memory in a simulation).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from daemon.engine import mount_points
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.filters import Filters
from daemon.errors import BadParameter, Conflict, NotFound, ServerError
from daemon.runtime.filesystem import Filesystem, copied
from daemon.runtime.nodes import Directory, File, Node, Tree

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

KIND = "volumes"  # in the store
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = ("type", "o", "device", "size")
_TMPFS_SIZE = 64 << 20  # bytes of a tmpfs that names none


class Folders(Protocol):
    """Where volumes' contents are, and the folders outside of the hosts (see daemon/runtime/folders.py)."""

    def volume(self, name: str) -> Node: ...
    def mountpoint(self, name: str) -> str: ...
    def remove_volume(self, name: str) -> None: ...
    def outside(self, path: str) -> Node: ...
    def exists(self, path: str) -> bool: ...
    def make_outside(self, path: str) -> None: ...


@dataclass(slots=True)
class Volume:
    name: str
    created: float
    mountpoint: str
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    anonymous: bool = False
    memory: Directory | None = field(default=None, compare=False)  # of a tmpfs, while it is in use

    def to_api(self) -> JsonObject:
        return {
            "CreatedAt": rfc3339(int(self.created)),
            "Driver": "local",
            "Labels": self.labels,
            "Mountpoint": self.mountpoint,
            "Name": self.name,
            "Options": self.options,
            "Scope": "local",
        }

    def stored(self) -> bytes:
        document = {"name": self.name, "created": self.created, "options": self.options, "labels": self.labels,
                    "anonymous": self.anonymous}  # fmt: skip
        return json.dumps(document).encode()


class Volumes:
    """All volumes of one host, by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_name: dict[str, Volume] = {}

    def restore(self) -> None:
        """At start: those of the store."""
        for name, value in self._engine.store.all(KIND):
            self._by_name[name] = Volume(mountpoint=self._engine.folders.mountpoint(name), **json.loads(value))

    def all(self) -> list[Volume]:
        """Sorted by name, as `docker volume ls` does."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def find(self, name: str) -> Volume:
        """NotFound("get …: no such volume")."""
        found = self._by_name.get(name)
        if found is None:
            raise NotFound(f"get {name}: no such volume")
        return found

    def ensure(
        self,
        name: str,
        driver: str = "local",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
    ) -> Volume:
        """The volume of that name, created when there is none; a new one when `name` is empty.

        BadParameter, Conflict, NotFound (driver).
        """
        if name and (found := self._by_name.get(name)) is not None:
            if driver not in ("", "local"):
                raise Conflict(f"a volume named {name} already exists: conflict: volume name must be unique")
            return found
        wanted = name or self._engine.world.hex_id()
        if driver not in ("", "local"):
            raise NotFound(f'create {wanted}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        if len(wanted) == 1:
            raise BadParameter(
                f"create {wanted}: volume name is too short, names should be at least two alphanumeric characters"
            )
        if not _NAME.fullmatch(wanted):
            raise BadParameter(
                f'create {wanted}: "{wanted}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        _check_options(wanted, options or {})
        volume = Volume(
            wanted, self._engine.world.wall(), self._engine.folders.mountpoint(wanted), options, labels, not name
        )
        if not options:
            try:
                self._engine.folders.volume(wanted)
            except OSError as error:
                raise ServerError(f"create {wanted}: {error.strerror}") from error
        self._by_name[wanted] = volume
        self._engine.store.commit([(KIND, wanted, volume.stored())])
        self._engine.events.publish("volume", "create", wanted, {"driver": "local"})
        return volume

    def remove(self, name: str) -> None:
        """NotFound; Conflict while a container has it, running or not."""
        volume = self.find(name)
        users = mount_points.users_of(self._engine, volume.name)
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(c.id for c in users)}]")
        del self._by_name[volume.name]
        self._engine.store.commit([(KIND, volume.name, None)])
        self._engine.folders.remove_volume(volume.name)
        self._engine.events.publish("volume", "destroy", volume.name, {"driver": "local"})

    def content(self, volume: Volume) -> Node:
        """What is mounted. OSError; ServerError for a device that a simulated host has not."""
        options = volume.options or {}
        if options.get("type") == "tmpfs":
            if volume.memory is None:
                size = mount_points.parse_tmpfs(options.get("o", "")) if options.get("o") else {"size": 0}
                volume.memory = Directory(owner=Tree(size["size"] or _TMPFS_SIZE), mode=0o1777)
            return volume.memory
        if device := options.get("device"):
            if "bind" not in options.get("o", "").split(","):
                raise ServerError(
                    f"error while mounting volume '{volume.mountpoint}': failed to mount local volume: "
                    f"mount {device}:{volume.mountpoint}: no such device"
                )
            return self._engine.folders.outside(device)
        return self._engine.folders.volume(volume.name)

    def released(self, name: str) -> None:
        """A container that had it mounted ended: a tmpfs that nobody uses any more is empty again."""
        volume = self._by_name.get(name)
        if volume is not None and not any(c.state.running for c in mount_points.users_of(self._engine, name)):
            volume.memory = None

    def size(self, volume: Volume) -> int:
        """Bytes of its files; -1 when that cannot be seen."""
        try:
            return _size(self.content(volume))
        except (OSError, ServerError):
            return -1

    def select(self, filters: Filters) -> list[Volume]:
        """`docker volume ls`. BadParameter for an unknown filter."""
        filters.only(("dangling", "driver", "label", "name"))
        dangling = filters.boolean("dangling") if "dangling" in filters else None
        return [
            volume
            for volume in self.all()
            if filters.match_pattern("name", volume.name)
            and filters.match_exact("driver", "local")
            and filters.match_labels("label", volume.labels or {})
            and (dangling is None or dangling == (not mount_points.users_of(self._engine, volume.name)))
        ]

    def prune(self, filters: Filters, *, anonymous_only: bool) -> tuple[list[str], int]:
        """Remove what no container has; names, and bytes that were freed."""
        filters.only(("label", "label!", "all"))
        removed, freed = [], 0
        for volume in self.all():
            labels = volume.labels or {}
            if (anonymous_only and not volume.anonymous) or not filters.match_labels("label", labels):
                continue
            if "label!" in filters and filters.match_labels("label!", labels):
                continue
            if mount_points.users_of(self._engine, volume.name):
                continue
            freed += max(0, self.size(volume))
            self.remove(volume.name)
            removed.append(volume.name)
        self._engine.events.publish("volume", "prune", "", {"reclaimed": str(freed)})
        return removed, freed


def _check_options(name: str, options: dict[str, str]) -> None:
    for key in options:
        if key not in _OPTIONS:
            raise BadParameter(f'create {name}: invalid option: "{key}"')
    if options and not options.get("device"):
        raise BadParameter(f"create {name}: missing device in volume options")
    if options and not options.get("type"):
        raise BadParameter(f'create {name}: missing required option: "type"')


def _size(node: Node) -> int:
    if isinstance(node, File):
        return node.size
    return sum(_size(child) for child in node.entries.values()) if isinstance(node, Directory) else 0


def fill(files: Filesystem, path: str, content: Node) -> None:
    """What the image has at `path` goes into an empty volume before it hides that."""
    if not isinstance(content, Directory) or content.entries or not files.is_dir(path):
        return
    tree = content.owner
    if tree is not None:
        for name, child in files.children(path).items():
            content.entries[name] = child if tree.limit is None else copied(child, tree)
