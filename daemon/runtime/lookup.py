"""Finding things in a container's files: paths to nodes, through symlinks and mounts. Nothing here changes anything."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from daemon.runtime.nodes import Device, Directory, File, Generated, Mount, Node, Stat, Symlink, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINKS = 40  # symlinks followed in one lookup, as Linux's MAXSYMLINKS


def joined(names: list[str], name: str) -> str:
    return "/" + "/".join([*names, name])


def failure(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)


class Lookup:
    """Paths are absolute POSIX paths; errors are OSError with errno and Linux's text. Synchronous: it is memory."""

    def __init__(self, root: Directory, tree: Tree) -> None:
        self.tree = tree
        self.mounts: dict[str, Mount] = {}  # by path, in the order of mounting
        self._root = root

    def read(self, path: str) -> bytes:
        """The whole content."""
        node = self._node(path)
        if isinstance(node, File):
            return node.read_at(0, node.size)
        if isinstance(node, Device):
            if node.character:
                raise failure(errno.EINVAL, path)
            return node.read(1 << 30)
        raise failure(errno.EISDIR, path)

    def head(self, path: str, n: int) -> bytes:
        """The first `n` bytes."""
        node = self._node(path)
        return node.read_at(0, n) if isinstance(node, File) else self.read(path)[:n]

    @property
    def root(self) -> Directory:
        """The root directory of the container's own tree, without what is mounted in it."""
        return self._root

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
            return Stat("-", node.mode, node.size, node.mtime, node.identity, node.program)
        if isinstance(node, Symlink):
            return Stat("l", node.mode, len(node.target), node.mtime, id(node), None)
        if isinstance(node, Device):
            return Stat("c" if node.character else "-", node.mode, 0, node.mtime, id(node), None)
        if isinstance(node, Directory):
            return Stat("d", node.mode, 4096, node.mtime, node.identity, None)
        return Stat("d", node.mode, 0, node.mtime, id(node), None)

    def listdir(self, path: str) -> list[str]:
        """Names, sorted."""
        return sorted(self._entries(self._node(path), path))

    def children(self, path: str) -> Mapping[str, Node]:
        """A directory's entries as they are, for whoever copies them."""
        return self._entries(self._node(path), path)

    def readlink(self, path: str) -> str:
        node = self._node(path, follow=False)
        if not isinstance(node, Symlink):
            raise failure(errno.EINVAL, path)
        return node.target

    def realpath(self, path: str) -> str:
        """The path without symlinks; its last part need not exist."""
        parent, name, _ = self._walk(path, follow=True)
        return "/" + "/".join([*parent, name] if name else parent)

    def _entries(self, node: Node | None, path: str) -> Mapping[str, Node]:
        if isinstance(node, Directory):
            return node.entries
        if isinstance(node, Generated):
            return node.entries_now()
        raise failure(errno.ENOENT if node is None else errno.ENOTDIR, path)

    def _node(self, path: str, *, follow: bool = True) -> Node:
        node = self._plainly(path)
        if node is not None:
            return node
        _, _, node = self._walk(path, follow=follow)
        if node is None:
            raise failure(errno.ENOENT, path)
        return node

    def _plainly(self, path: str) -> Node | None:
        """What is there by directories alone; None for all that needs a `_walk`. Programs are looked for along PATH at
        every start, and nearly all of that ends here."""
        node: Node = self._root
        if self.mounts or path.endswith("/"):
            return None
        for part in path.split("/"):
            if part:
                if type(node) is not Directory:
                    return None
                found = node.entries.get(part)
                if found is None:
                    if part in (".", ".."):
                        return None
                    raise failure(errno.ENOENT, path)
                node = found
        return None if isinstance(node, Symlink) else node

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
            mount = self.mounts.get(joined(names, name)) if self.mounts else None
            node = mount.root if mount is not None else self._entries(nodes[-1], path).get(name)
            if isinstance(node, Symlink) and (todo or follow):
                links += 1
                if links > MAX_LINKS:
                    raise failure(errno.ELOOP, path)
                if node.target.startswith("/"):
                    names, nodes = [], [self._root]
                todo.extend(part for part in reversed(node.target.split("/")) if part and part != ".")
                continue
            if node is None:
                if todo:
                    raise failure(errno.ENOENT, path)
                return names, name, None
            names.append(name)
            nodes.append(node)
        if path.endswith("/") and not isinstance(nodes[-1], Directory | Generated):
            raise failure(errno.ENOTDIR, path)
        return names[:-1], names[-1] if names else "", nodes[-1]
