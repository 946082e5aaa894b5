"""Folders of the machine inside a container: bind mounts and named volumes, looked at live.

Nothing is cached: each look asks the machine, with the rights of the daemon's user. Symlinks are handed out as such
and followed inside the container, as a kernel does after a bind mount, so none leads out of the folder. Devices,
sockets and FIFOs are shown and cannot be opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from daemon.runtime.context import Program
from daemon.runtime.nodes import Directory, File, Node, Symlink, Tree, generated

_PIECE = 64 * 1024
# Not every system has all of these.
_CAREFUL = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


class _OnMachine:
    """What the machine's kernel knows of a file as of a directory."""

    __slots__ = ()
    _path: str

    @property
    def path(self) -> str:
        return self._path

    @property
    def mode(self) -> int:
        return stat.S_IMODE(os.lstat(self._path).st_mode)

    @mode.setter
    def mode(self, mode: int) -> None:
        os.chmod(self._path, mode & 0o777)

    @property
    def mtime(self) -> float:
        return os.lstat(self._path).st_mtime

    @mtime.setter
    def mtime(self, when: float) -> None:
        os.utime(self._path, (when, when))

    @property
    def identity(self) -> int:
        return os.lstat(self._path).st_ino

    def touched(self, now: float) -> None:
        """The machine's kernel keeps the time."""


class FolderFile(_OnMachine, File):
    """A regular file of the machine."""

    __slots__ = ("_path",)

    def __init__(self, path: str, tree: Tree) -> None:
        self._path = path
        self.owner = tree
        self.program: Program | None = None

    @property
    def data(self) -> bytes | bytearray:  # type: ignore[override]
        return self.read_at(0, self.size)

    @property
    def size(self) -> int:
        return os.lstat(self._path).st_size

    def read_at(self, position: int, n: int) -> bytes:
        with _opened(self._path, os.O_RDONLY) as fd:
            os.lseek(fd, position, os.SEEK_SET)
            return os.read(fd, n)

    def find_line_end(self, position: int) -> int:
        with _opened(self._path, os.O_RDONLY) as fd:
            os.lseek(fd, position, os.SEEK_SET)
            while piece := os.read(fd, _PIECE):
                end = piece.find(b"\n")
                if end >= 0:
                    return position + end + 1
                position += len(piece)
        return position

    def write_at(self, position: int, data: bytes | bytearray | memoryview) -> None:
        with _opened(self._path, os.O_WRONLY) as fd:
            os.lseek(fd, position, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]

    def truncate(self) -> None:
        with _opened(self._path, os.O_WRONLY) as fd:
            os.ftruncate(fd, 0)


class Folder(_OnMachine, Directory):
    """A directory of the machine."""

    __slots__ = ("_path",)

    def __init__(self, path: str, tree: Tree) -> None:
        self._path = path
        self.owner = tree

    @property
    def entries(self) -> MutableMapping[str, Node]:  # type: ignore[override]
        assert self.owner is not None
        return _Entries(self._path, self.owner)


class _Entries(MutableMapping[str, Node]):
    """A directory's entries: looking one up stats it, putting a node makes it, taking one out removes it."""

    __slots__ = ("_path", "_tree")

    def __init__(self, path: str, tree: Tree) -> None:
        self._path = path
        self._tree = tree

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name)

    def __getitem__(self, name: str) -> Node:
        try:
            return node_at(self._at(name), self._tree)
        except FileNotFoundError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, node: Node) -> None:
        path = self._at(name)
        if isinstance(node, FolderFile | Folder):  # of this same tree: rename(2) and link(2) come through here
            if isinstance(node, FolderFile):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                os.link(node.path, path)
            else:
                os.rename(node.path, path)
            return
        if isinstance(node, Symlink):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.symlink(node.target, path)
        elif isinstance(node, File):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _CAREFUL, node.mode & 0o777)
            with open(fd, "wb") as out:
                out.write(node.read_at(0, node.size))
            os.chmod(path, node.mode & 0o777)
        elif isinstance(node, Directory):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, node.mode & 0o777)
            for child, inner in node.entries.items():
                _Entries(path, self._tree)[child] = inner
        else:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)

    def __delitem__(self, name: str) -> None:
        path = self._at(name)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            raise KeyError(name) from None
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path)  # does not follow symlinks
        else:
            os.unlink(path)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(os.listdir(self._path)))

    def __len__(self) -> int:
        return len(os.listdir(self._path))


def node_at(path: str, tree: Tree) -> Node:
    """What is at `path` now, symlinks not followed. FileNotFoundError, OSError."""
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return Folder(path, tree)
    if stat.S_ISREG(found.st_mode):
        return FolderFile(path, tree)
    if stat.S_ISLNK(found.st_mode):
        return Symlink(os.readlink(path), found.st_mtime, tree)
    special = generated(_refuse, stat.S_IMODE(found.st_mode))
    special.character = stat.S_ISCHR(found.st_mode)
    return special


def _refuse() -> bytes:
    raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    """A regular file's descriptor; never through a symlink, never waiting for a FIFO's other end."""
    fd = os.open(path, flags | _CAREFUL)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
        yield fd
    finally:
        os.close(fd)


class MachineFolders:
    """What volumes are kept in (`state_dir`/volumes) and what bind mounts show, on this machine."""

    def __init__(self, state_dir: Path) -> None:
        self._volumes = state_dir / "volumes"

    def volume(self, name: str) -> Node:
        """The contents of a volume, made when it is not there. OSError."""
        path = self._volumes / name / "_data"
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
        return Folder(str(path), Tree(None))

    def mountpoint(self, name: str) -> str:
        return str(self._volumes / name / "_data")

    def remove_volume(self, name: str) -> None:
        shutil.rmtree(self._volumes / name, ignore_errors=True)

    def outside(self, path: str) -> Node:
        """A file or directory of the machine, symlinks followed. FileNotFoundError, OSError."""
        return node_at(os.path.realpath(path, strict=True), Tree(None))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def make_outside(self, path: str) -> None:
        """As `docker run -v` does with a folder that is missing. OSError."""
        os.makedirs(path, exist_ok=True)


class MemoryFolders:
    """The same without a machine below, for hosts in simulated time: volumes in memory, nothing outside."""

    def __init__(self) -> None:
        self._volumes: dict[str, Directory] = {}

    def volume(self, name: str) -> Node:
        if name not in self._volumes:
            self._volumes[name] = Directory(owner=Tree())
        return self._volumes[name]

    def mountpoint(self, name: str) -> str:
        return f"/var/lib/docker/volumes/{name}/_data"

    def remove_volume(self, name: str) -> None:
        self._volumes.pop(name, None)

    def outside(self, path: str) -> Node:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def exists(self, path: str) -> bool:
        return False

    def make_outside(self, path: str) -> None:
        raise PermissionError(errno.EACCES, "this host has no machine below it", path)
