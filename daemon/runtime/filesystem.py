"""A container's files: in memory, copy-on-write over the image's shared tree, bounded.

Every node carries its owner. A filesystem changes only nodes that it owns; on the way to a change it copies the
directories along the path (path copying), so a thousand containers of one image share all that none of them wrote.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.runtime.descriptor import Description, DeviceFile, OpenFile
from daemon.runtime.nodes import LIMIT, Device, Directory, File, Generated, Mount, Node, Stat, Symlink, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.runtime.context import Program

MAX_LINKS = 40  # symlinks followed in one lookup, as Linux's MAXSYMLINKS


def _error(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)


class _Once:
    """Reads a generated file once, then end of file."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __call__(self, n: int) -> bytes:
        part, self.data = self.data[:n], self.data[n:]
        return part


class Filesystem:
    """Paths are absolute POSIX paths; errors are OSError with errno and Linux's text. Synchronous: it is memory."""

    def __init__(self, base: Directory, *, wall: Callable[[], float], limit: int = LIMIT) -> None:
        self._wall = wall
        self.limit = limit
        self._used = 0
        self._root = Directory(dict(base.entries), base.mode, base.mtime, self)

    # -- looking -----------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        """The whole content."""
        node = self._node(path)
        if isinstance(node, File):
            return bytes(node.data)
        if isinstance(node, Device):
            if node.character:
                raise _error(errno.EINVAL, path)
            return node.read(1 << 30)
        raise _error(errno.EISDIR, path)

    def text(self, path: str) -> str:
        """`read`, decoded as UTF-8 (surrogateescape)."""
        return self.read(path).decode("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        """Follows symlinks, as test -e."""
        try:
            self._node(path)
        except OSError:
            return False
        return True

    def is_dir(self, path: str) -> bool:
        try:
            return isinstance(self._node(path), Directory | Generated)
        except OSError:
            return False

    def is_file(self, path: str) -> bool:
        try:
            return isinstance(self._node(path), File)
        except OSError:
            return False

    def stat(self, path: str, *, follow: bool = True) -> Stat:
        node = self._node(path, follow=follow)
        if isinstance(node, File):
            return Stat("-", node.mode, len(node.data), node.mtime, id(node), node.program)
        if isinstance(node, Symlink):
            return Stat("l", node.mode, len(node.target), node.mtime, id(node), None)
        if isinstance(node, Device):
            return Stat("c" if node.character else "-", node.mode, 0, node.mtime, id(node), None)
        return Stat("d", node.mode, 4096 if isinstance(node, Directory) else 0, node.mtime, id(node), None)

    def listdir(self, path: str) -> list[str]:
        """Names, sorted."""
        return sorted(self._entries(self._node(path), path))

    def readlink(self, path: str) -> str:
        node = self._node(path, follow=False)
        if not isinstance(node, Symlink):
            raise _error(errno.EINVAL, path)
        return node.target

    def realpath(self, path: str) -> str:
        """The path without symlinks; its last part need not exist."""
        parent, name, _ = self._walk(path, follow=True)
        return "/" + "/".join([*parent, name] if name else parent)

    def open(
        self,
        path: str,
        *,
        read: bool = False,
        write: bool = False,
        append: bool = False,
        create: bool = False,
        truncate: bool = False,
        exclusive: bool = False,
        mode: int = 0o644,
    ) -> Description:
        """An open file description with one reference (open(2))."""
        parts, name, node = self._walk(path, follow=True)
        if node is None:
            if not create:
                raise _error(errno.ENOENT, path)
            node = File(bytearray(), mode, self._wall(), self)
            self._own(parts, path).entries[name] = node
        elif exclusive:
            raise _error(errno.EEXIST, path)
        if isinstance(node, Device):
            if node.open is not None:
                return node.open()
            if not node.character:
                return DeviceFile(_Once(node.read(1 << 30) if read else b""), node.write)
            return DeviceFile(node.read, node.write)
        if not isinstance(node, File):
            if write or append:
                raise _error(errno.EISDIR, path)
            return DeviceFile(_directory, _discard)
        if write or append:
            node = self._own_file(parts, name, path)
            if truncate:
                self._used -= len(node.data)
                node.data = bytearray()
                node.mtime = self._wall()
        return OpenFile(self, node, readable=read, writable=write or append, append=append)

    # -- changing ----------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes | str, *, append: bool = False, mode: int = 0o644) -> None:
        """Replace (or append to) a file's content, creating it. The directory must exist."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        opened = self.open(path, write=True, create=True, truncate=not append, mode=mode)
        if isinstance(opened, OpenFile):
            self.write_at(opened.file, len(opened.file.data), raw)

    def write_at(self, file: File, position: int, data: bytes | bytearray | memoryview) -> None:
        """pwrite(2) on an owned file. OSError(ENOSPC) when the container's bound is reached."""
        if not isinstance(file.data, bytearray):
            file.data = bytearray(file.data)
            self._used += len(file.data)
        grow = max(0, position + len(data) - len(file.data))
        if self._used + grow > self.limit:
            raise OSError(errno.ENOSPC, "No space left on device")
        if position > len(file.data):
            file.data.extend(bytes(position - len(file.data)))
        file.data[position : position + len(data)] = data
        self._used += grow
        file.mtime = self._wall()

    def place(self, path: str, node: Node) -> None:
        """Put a node of any kind at `path`, over what was there; parents are created (for the engine and images)."""
        names = [part for part in path.split("/") if part]
        for depth in range(1, len(names)):
            if not self.exists("/" + "/".join(names[:depth])):
                self.mkdir("/" + "/".join(names[:depth]))
        self._own(names[:-1], path).entries[names[-1]] = node

    def mkdir(self, path: str, *, parents: bool = False, mode: int = 0o755) -> None:
        if parents:
            names = [part for part in path.split("/") if part]
            for depth in range(1, len(names) + 1):
                step = "/" + "/".join(names[:depth])
                if not self.is_dir(step):
                    self.mkdir(step, mode=mode)
            return
        where, name, node = self._walk(path, follow=False)
        if node is not None or not name:
            raise _error(errno.EEXIST, path)
        self._own(where, path).entries[name] = Directory({}, mode, self._wall(), self)

    def remove(self, path: str) -> None:
        """unlink(2)."""
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise _error(errno.ENOENT, path)
        if isinstance(node, Directory | Generated):
            raise _error(errno.EISDIR, path)
        self._own(where, path).entries.pop(name)
        self._forget(node)

    def rmdir(self, path: str) -> None:
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise _error(errno.ENOENT, path)
        if isinstance(node, Generated) or not name:
            raise _error(errno.EBUSY, path)
        if not isinstance(node, Directory):
            raise _error(errno.ENOTDIR, path)
        if node.entries:
            raise _error(errno.ENOTEMPTY, path)
        self._own(where, path).entries.pop(name)

    def remove_tree(self, path: str) -> None:
        """rm -r."""
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise _error(errno.ENOENT, path)
        if isinstance(node, Generated) or not name:
            raise _error(errno.EBUSY, path)
        self._own(where, path).entries.pop(name)
        self._forget(node)

    def rename(self, source: str, target: str) -> None:
        where, name, node = self._walk(source, follow=False)
        if node is None:
            raise _error(errno.ENOENT, source)
        into, as_name, existing = self._walk(target, follow=False)
        if into[: len(where) + 1] == [*where, name]:
            raise _error(errno.EINVAL, source)
        if isinstance(existing, Directory) and existing.entries:
            raise _error(errno.ENOTEMPTY, target)
        self._own(into, target).entries[as_name] = node
        if (where, name) != (into, as_name):
            self._own(where, source).entries.pop(name)

    def symlink(self, target: str, path: str) -> None:
        where, name, node = self._walk(path, follow=False)
        if node is not None:
            raise _error(errno.EEXIST, path)
        self._own(where, path).entries[name] = Symlink(target, self._wall(), self)

    def link(self, source: str, path: str) -> None:
        """A second name for the same file (copied when the file is the image's)."""
        where, name, node = self._walk(source, follow=True)
        if node is None:
            raise _error(errno.ENOENT, source)
        into, as_name, existing = self._walk(path, follow=False)
        if existing is not None:
            raise _error(errno.EEXIST, path)
        if not isinstance(node, File):
            raise _error(errno.EPERM, source)
        self._own(into, path).entries[as_name] = self._own_file(where, name, source)

    def copy(self, source: str, target: str) -> None:
        """One regular file, its mode and its program (cp)."""
        node = self._node(source)
        data = self.read(source)
        self.write(target, data, mode=node.mode & 0o777)
        if isinstance(node, File) and node.program is not None:
            parts, name, _ = self._walk(target, follow=True)
            self._own_file(parts, name, target).program = node.program

    def chmod(self, path: str, mode: int) -> None:
        self._owned(path).mode = mode

    def touch(self, path: str, *, mtime: float | None = None) -> None:
        """Create it empty, or set its time (seconds since 1970)."""
        if not self.exists(path):
            self.write(path, b"")
        self._owned(path).mtime = self._wall() if mtime is None else mtime

    @property
    def used(self) -> int:
        """Bytes that this container holds in files of its own."""
        return self._used

    # -- inside ------------------------------------------------------------------------------------------------

    def _entries(self, node: Node | None, path: str) -> dict[str, Node]:
        if isinstance(node, Directory):
            return node.entries
        if isinstance(node, Generated):
            return node.entries_now()
        raise _error(errno.ENOENT if node is None else errno.ENOTDIR, path)

    def _node(self, path: str, *, follow: bool = True) -> Node:
        _, _, node = self._walk(path, follow=follow)
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def _walk(self, path: str, *, follow: bool) -> tuple[list[str], str, Node | None]:
        """(names of the real parent directory, last name, node or None). Follows symlinks on the way."""
        todo = [part for part in reversed(path.split("/")) if part and part != "."]
        names: list[str] = []
        nodes: list[Node] = [self._root]
        links = 0
        while todo:
            name = todo.pop()
            if name == "..":
                if names:
                    names.pop()
                    nodes.pop()
                continue
            node = self._entries(nodes[-1], path).get(name)
            if isinstance(node, Symlink) and (todo or follow):
                links += 1
                if links > MAX_LINKS:
                    raise _error(errno.ELOOP, path)
                if node.target.startswith("/"):
                    names, nodes = [], [self._root]
                todo.extend(part for part in reversed(node.target.split("/")) if part and part != ".")
                continue
            if node is None:
                if todo:
                    raise _error(errno.ENOENT, path)
                return names, name, None
            names.append(name)
            nodes.append(node)
        if path.endswith("/") and not isinstance(nodes[-1], Directory | Generated):
            raise _error(errno.ENOTDIR, path)
        return names[:-1], names[-1] if names else "", nodes[-1]

    def _own(self, names: Iterable[str], path: str) -> Directory:
        """The directory at `names` (no symlinks), copied where it is the image's, with its time set."""
        directory = self._root
        for name in names:
            child = directory.entries.get(name)
            if not isinstance(child, Directory):
                raise _error(errno.EROFS if isinstance(child, Generated) else errno.ENOTDIR, path)
            if child.owner is not self:
                child = Directory(dict(child.entries), child.mode, child.mtime, self)
                directory.entries[name] = child
            directory = child
        directory.mtime = self._wall()
        return directory

    def _own_file(self, names: list[str], name: str, path: str) -> File:
        directory = self._own(names, path)
        node = directory.entries[name]
        if not isinstance(node, File):
            raise _error(errno.EINVAL, path)
        if node.owner is not self:
            node = File(bytearray(node.data), node.mode, node.mtime, self, node.program)
            self._used += len(node.data)
            directory.entries[name] = node
        return node

    def _owned(self, path: str) -> File | Directory:
        parts, name, node = self._walk(path, follow=True)
        if isinstance(node, File):
            return self._own_file(parts, name, path)
        if isinstance(node, Directory):
            return self._own([*parts, name] if name else parts, path)
        raise _error(errno.ENOENT if node is None else errno.EROFS, path)

    def _forget(self, node: Node) -> None:
        if isinstance(node, File) and node.owner is self:
            self._used -= len(node.data)
        elif isinstance(node, Directory):
            for child in node.entries.values():
                self._forget(child)


def _directory(n: int) -> bytes:
    raise OSError(errno.EISDIR, "Is a directory")


def _discard(data: bytes) -> None:
    return
