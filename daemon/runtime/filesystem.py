"""A container's files: in memory, copy-on-write over the image's shared tree, bounded; with other trees mounted in it.

Every node carries its tree. A change is made only to nodes of the tree that it falls into; on the way there the
directories along the path are copied (path copying), so a thousand containers of one image share all that none of
them wrote. A node of the tree is therefore one that this container wrote.
"""

from __future__ import annotations

import errno
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.runtime.descriptor import Description, DeviceFile, OpenFile
from daemon.runtime.lookup import Lookup, failure, joined
from daemon.runtime.nodes import LIMIT, Device, Directory, File, Generated, Mount, Node, Symlink, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class _Once:
    """Reads a generated file once, then end of file."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __call__(self, n: int) -> bytes:
        part, self.data = self.data[:n], self.data[n:]
        return part


class Filesystem(Lookup):
    """Paths are absolute POSIX paths; errors are OSError with errno and Linux's text. Synchronous: it is memory."""

    def __init__(self, base: Directory, *, wall: Callable[[], float], limit: int = LIMIT) -> None:
        tree = Tree(limit)
        super().__init__(Directory(dict(base.entries), base.mode, base.mtime, tree), tree)
        self._wall = wall

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
                raise failure(errno.ENOENT, path)
            directory, tree = self._own(parts, path)
            directory.entries[name] = File(bytearray(), mode, self._wall(), tree)
            node = self._node(path)
        elif exclusive:
            raise failure(errno.EEXIST, path)
        if isinstance(node, Device):
            if node.open is not None:
                return node.open()
            if not node.character:
                return DeviceFile(_Once(node.read(1 << 30) if read else b""), node.write)
            return DeviceFile(node.read, node.write)
        if not isinstance(node, File):
            if write or append:
                raise failure(errno.EISDIR, path)
            return DeviceFile(_directory, _discard)
        if write or append:
            node = self._own_file(parts, name, path)
            if truncate:
                _take(node, -node.size)
                node.truncate()
                node.touched(self._wall())
        return OpenFile(self, node, readable=read, writable=write or append, append=append)

    # -- changing ----------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes | str, *, append: bool = False, mode: int = 0o644) -> None:
        """Replace (or append to) a file's content, creating it. The directory must exist."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        opened = self.open(path, write=True, create=True, truncate=not append, mode=mode)
        if isinstance(opened, OpenFile):
            self.write_at(opened.file, opened.file.size, raw)

    def write_at(self, file: File, position: int, data: bytes | bytearray | memoryview) -> None:
        """pwrite(2) on an owned file. OSError(ENOSPC) when the container's bound is reached."""
        _take(file, max(0, position + len(data) - file.size))
        if file.owner is not None:
            file.owner.changes += 1
        file.write_at(position, data)
        file.touched(self._wall())

    def place(self, path: str, node: Node) -> None:
        """Put a node of any kind at `path`, over what was there; parents are created (for the engine and images)."""
        names = [part for part in path.split("/") if part]
        with self.writable():
            self.mkdir(posixpath.dirname(path), parents=True)
            self._own(names[:-1], path)[0].entries[names[-1]] = node

    def mount(self, path: str, mount: Mount) -> None:
        """Mount a tree at `path`, symlinks followed; a mount point that is missing is made."""
        with self.writable():
            if not self.exists(path):
                self.mkdir(posixpath.dirname(path), parents=True)
                if isinstance(mount.root, Directory):
                    self.mkdir(path)
                else:
                    self.write(path, b"")
            self.mounts[self.realpath(path)] = mount

    @contextmanager
    def writable(self) -> Iterator[None]:
        """For the engine's own changes: a read-only root is none within this block."""
        before, self.tree.read_only = self.tree.read_only, False
        try:
            yield
        finally:
            self.tree.read_only = before

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
            raise failure(errno.EEXIST, path)
        directory, tree = self._own(where, path)
        directory.entries[name] = Directory({}, mode, self._wall(), tree)

    def remove(self, path: str) -> None:
        """unlink(2)."""
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise failure(errno.ENOENT, path)
        if isinstance(node, Directory | Generated):
            raise failure(errno.EISDIR, path)
        self._detach(where, name, path)

    def rmdir(self, path: str) -> None:
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise failure(errno.ENOENT, path)
        if isinstance(node, Generated) or not name:
            raise failure(errno.EBUSY, path)
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR, path)
        if node.entries:
            raise failure(errno.ENOTEMPTY, path)
        self._detach(where, name, path)

    def remove_tree(self, path: str) -> None:
        """rm -r."""
        where, name, node = self._walk(path, follow=False)
        if node is None:
            raise failure(errno.ENOENT, path)
        if isinstance(node, Generated) or not name:
            raise failure(errno.EBUSY, path)
        self._detach(where, name, path)

    def rename(self, source: str, target: str) -> None:
        where, name, node = self._walk(source, follow=False)
        if node is None:
            raise failure(errno.ENOENT, source)
        into, as_name, existing = self._walk(target, follow=False)
        if into[: len(where) + 1] == [*where, name]:
            raise failure(errno.EINVAL, source)
        if isinstance(existing, Directory) and existing.entries:
            raise failure(errno.ENOTEMPTY, target)
        if (where, name) == (into, as_name):
            return
        origin, tree = self._own(where, source)
        directory, other = self._own(into, target)
        self._check_busy(where, name, source)
        self._check_busy(into, as_name, target)
        if isinstance(existing, File | Symlink):
            _forget(existing, other)
        if other is tree:
            directory.entries[as_name] = node
            origin.entries.pop(name, None)
        else:  # a kernel says EXDEV and mv copies; the result is the same
            directory.entries[as_name] = copied(node, other)
            self._detach(where, name, source)

    def symlink(self, target: str, path: str) -> None:
        where, name, node = self._walk(path, follow=False)
        if node is not None:
            raise failure(errno.EEXIST, path)
        directory, tree = self._own(where, path)
        directory.entries[name] = Symlink(target, self._wall(), tree)

    def link(self, source: str, path: str) -> None:
        """A second name for the same file (copied when the file is the image's)."""
        where, name, node = self._walk(source, follow=True)
        if node is None:
            raise failure(errno.ENOENT, source)
        into, as_name, existing = self._walk(path, follow=False)
        if existing is not None:
            raise failure(errno.EEXIST, path)
        if not isinstance(node, File):
            raise failure(errno.EPERM, source)
        directory, tree = self._own(into, path)
        file = self._own_file(where, name, source)
        if file.owner is not tree:
            raise failure(errno.EXDEV, path)
        directory.entries[as_name] = file

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
        return self.tree.used

    # -- inside ------------------------------------------------------------------------------------------------

    def _own(self, names: Iterable[str], path: str) -> tuple[Directory, Tree]:
        """The directory at `names` (no symlinks) and its tree; copied where it is the image's, with its time set."""
        tree, read_only = self.tree, self.tree.read_only
        directory, at = self._root, ""
        for name in names:
            at = f"{at}/{name}"
            child: Node | None
            if (mount := self.mounts.get(at)) is not None:
                tree, read_only, child = mount.tree, mount.read_only, mount.root
            else:
                child = directory.entries.get(name)
            if not isinstance(child, Directory):
                raise failure(errno.EROFS if isinstance(child, Generated) else errno.ENOTDIR, path)
            if child.owner is not tree and not read_only:
                child = Directory(dict(child.entries), child.mode, child.mtime, tree)
                directory.entries[name] = child
            directory = child
        if read_only:
            raise failure(errno.EROFS, path)
        tree.changes += 1
        directory.touched(self._wall())
        return directory, tree

    def _own_file(self, names: list[str], name: str, path: str) -> File:
        mount = self.mounts.get(joined(names, name))
        if mount is not None and isinstance(mount.root, File):  # a file bound alone
            if mount.read_only:
                raise failure(errno.EROFS, path)
            return mount.root
        directory, tree = self._own(names, path)
        node = directory.entries[name]
        if not isinstance(node, File):
            raise failure(errno.EINVAL, path)
        if node.owner is not tree:
            tree.take(node.size)
            node = File(bytearray(node.data), node.mode, node.mtime, tree, node.program)
            directory.entries[name] = node
        return node

    def _check_busy(self, names: list[str], name: str, path: str) -> None:
        place = joined(names, name)
        if any(mounted == place or mounted.startswith(place + "/") for mounted in self.mounts):
            raise failure(errno.EBUSY, path)

    def _detach(self, names: list[str], name: str, path: str) -> None:
        """Take an entry out of its directory; a mount point stays (EBUSY), also deeper down."""
        self._check_busy(names, name, path)
        directory, tree = self._own(names, path)
        _forget(directory.entries.pop(name), tree)

    def _owned(self, path: str) -> File | Directory:
        parts, name, node = self._walk(path, follow=True)
        if isinstance(node, File):
            return self._own_file(parts, name, path)
        if isinstance(node, Directory):
            return self._own([*parts, name] if name else parts, path)[0]
        raise failure(errno.ENOENT if node is None else errno.EROFS, path)


def copied(node: Node, tree: Tree) -> Node:
    """A copy of it and all below for another tree."""
    if isinstance(node, File):
        data = bytearray(node.read_at(0, node.size))
        tree.take(len(data))
        return File(data, node.mode, node.mtime, tree, node.program)
    if isinstance(node, Directory):
        entries = {name: copied(child, tree) for name, child in node.entries.items()}
        return Directory(entries, node.mode, node.mtime, tree)
    return Symlink(node.target, node.mtime, tree) if isinstance(node, Symlink) else node


def _take(file: File, grow: int) -> None:
    if file.owner is not None:
        file.owner.take(grow)


def _forget(node: Node, tree: Tree) -> None:
    """It is gone from the tree: what it took is free again."""
    if tree.limit is None:
        return
    if isinstance(node, File):
        if node.owner is tree:
            tree.take(-node.size)
    elif isinstance(node, Directory):
        for child in node.entries.values():
            _forget(child, tree)


def _directory(n: int) -> bytes:
    raise OSError(errno.EISDIR, "Is a directory")


def _discard(data: bytes) -> None:
    return
