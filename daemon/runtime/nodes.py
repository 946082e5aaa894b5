"""What a path can lead to: the nodes of a container's filesystem, and the trees that they belong to.

A tree is what mount(2) mounts: an image with what a container wrote over it, a tmpfs, a volume, a folder of the
machine. Every node carries its tree; a node of another tree than the one being written is the image's and is copied
first.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from daemon.runtime.context import Program
    from daemon.runtime.descriptor import Description

LIMIT = 256 * 1024 * 1024  # bytes a container may hold in files of its own


@dataclass(slots=True, eq=False)
class Tree:
    """One mountable filesystem. `limit` and `used` in bytes; without a limit its store does the counting."""

    limit: int | None = LIMIT
    used: int = 0
    read_only: bool = False
    changes: int = 0  # how often something was changed in it, for whoever keeps copies

    def take(self, grow: int) -> None:
        """OSError(ENOSPC) when there is no room for `grow` more bytes."""
        if self.limit is None:
            return
        if grow > 0 and self.used + grow > self.limit:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.used += grow


@dataclass(slots=True)
class File:
    """A regular file. `program` makes it an executable of the simulated runtime."""

    data: bytes | bytearray = b""
    mode: int = 0o644
    mtime: float = 0.0
    owner: Tree | None = None
    program: Program | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def identity(self) -> int:
        """The same for two names of one file (the inode number)."""
        return id(self)

    def read_at(self, position: int, n: int) -> bytes:
        return bytes(self.data[position : position + n])

    def find_line_end(self, position: int) -> int:
        """Where the line that begins at `position` ends: behind its newline, or the end of the file."""
        return self.data.find(b"\n", position) + 1 or len(self.data)

    def write_at(self, position: int, data: bytes | bytearray | memoryview) -> None:
        """pwrite(2); a gap is filled with zeros."""
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        if position > len(self.data):
            self.data.extend(bytes(position - len(self.data)))
        self.data[position : position + len(data)] = data

    def truncate(self) -> None:
        self.data = bytearray()

    def touched(self, now: float) -> None:
        """It changed just now."""
        self.mtime = now


@dataclass(slots=True)
class Symlink:
    target: str
    mtime: float = 0.0
    owner: Tree | None = None
    mode: int = 0o777


@dataclass(slots=True)
class Directory:
    entries: MutableMapping[str, Node] = field(default_factory=dict)
    mode: int = 0o755
    mtime: float = 0.0
    owner: Tree | None = None

    @property
    def identity(self) -> int:
        return id(self)

    def touched(self, now: float) -> None:
        """An entry came or went just now."""
        self.mtime = now


@dataclass(slots=True)
class Device:
    """A character device, or a generated file when `character` is False: contents come from functions."""

    read: Callable[[int], bytes]
    write: Callable[[bytes], None]
    mode: int = 0o666
    mtime: float = 0.0
    character: bool = True
    open: Callable[[], Description] | None = None


@dataclass(slots=True)
class Generated:
    """A directory whose entries are computed at each look (/proc, /sys)."""

    entries_now: Callable[[], dict[str, Node]]
    mode: int = 0o555
    mtime: float = 0.0


Node = Union[File, Symlink, Directory, Device, Generated]  # noqa: UP007 - recursive alias, must not be evaluated


@dataclass(slots=True)
class Mount:
    """Another tree, or a directory or file in it (`root`), to be seen at some path. `source` and `kind` are what
    /proc/mounts says."""

    tree: Tree
    root: Node
    read_only: bool = False
    source: str = "none"
    kind: str = "ext4"




@dataclass(frozen=True, slots=True)
class Stat:
    """What ls and test need. `kind` is ls's letter: - d l c."""

    kind: str
    mode: int
    size: int
    mtime: float
    identity: int
    program: Program | None


def generated(read: Callable[[], bytes], mode: int = 0o444) -> Device:
    """A read-only file whose content is made at each open, as in /proc and /sys."""

    def refuse(data: bytes) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    return Device(read=lambda n: read(), write=refuse, mode=mode, character=False)
