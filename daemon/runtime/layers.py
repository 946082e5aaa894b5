"""Trees of files as tar archives: what images are imported from, loaded from and saved to, and how a container's own
changes outlive its daemon.

A layer is a tar as Docker has them: files over those below, `.wh.NAME` for one that is taken away, `.wh..wh..opq` for a
directory that hides all below it.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from daemon.runtime.nodes import Directory, File, Generated, Node, Symlink, Tree

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_GENERATED = ("dev", "proc", "sys")  # of the root: not part of an image


class BadLayer(ValueError):
    """Not a tar archive, or one that is broken."""


def apply(archive: BinaryIO, root: Directory, tree: Tree) -> None:
    """Extract a layer (plain or compressed) over `root`. New nodes are `tree`'s, and what they take is counted there.

    BadLayer; OSError(ENOSPC).
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            for entry in tar:
                _apply(tar, entry, root, tree)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BadLayer(str(error)) from error


def _apply(tar: tarfile.TarFile, entry: tarfile.TarInfo, root: Directory, tree: Tree) -> None:
    # normpath of an absolute path swallows every "..": nothing gets out of `root`
    path = posixpath.normpath("/" + entry.name)
    parent, name = posixpath.split(path)
    if not name:
        return
    directory = _directory(root, [part for part in parent.split("/") if part], tree)
    if name == OPAQUE:
        directory.entries.clear()
    elif name.startswith(WHITEOUT):
        directory.entries.pop(name.removeprefix(WHITEOUT), None)
    elif entry.isdir():
        before = directory.entries.get(name)
        entries = dict(before.entries) if isinstance(before, Directory) else {}
        directory.entries[name] = Directory(entries, entry.mode & 0o7777, float(entry.mtime), tree)
    elif entry.issym():
        directory.entries[name] = Symlink(entry.linkname, float(entry.mtime), tree)
    elif entry.islnk():
        other = _find(root, posixpath.normpath("/" + entry.linkname))
        if other is not None:
            directory.entries[name] = other
    elif entry.isfile():
        tree.take(entry.size)
        content = tar.extractfile(entry)
        data = content.read() if content is not None else b""
        directory.entries[name] = File(data, entry.mode & 0o7777, float(entry.mtime), tree)


def _directory(root: Directory, names: Sequence[str], tree: Tree) -> Directory:
    """The directory at `names`, made or copied from below where it is not the tree's."""
    for name in names:
        child = root.entries.get(name)
        if not isinstance(child, Directory):
            child = Directory({}, 0o755, 0.0, tree)
        elif child.owner is not tree:
            child = Directory(dict(child.entries), child.mode, child.mtime, tree)
        root.entries[name] = child
        root = child
    return root


def _find(root: Directory, path: str) -> Node | None:
    node: Node | None = root
    for name in [part for part in path.split("/") if part]:
        node = node.entries.get(name) if isinstance(node, Directory) else None
    return node


def flattened(root: Directory, leave_out: Sequence[str] = ()) -> Directory:
    """A copy of a container's tree that is nobody's, fit to be an image: what programs see, without /dev, /proc, /sys
    and the absolute paths `leave_out`. Files that no container owns are shared, not copied."""
    copy = _frozen(root)
    assert isinstance(copy, Directory)
    for name in _GENERATED:
        copy.entries[name] = Directory({}, 0o755)
    for path in leave_out:
        parent, name = posixpath.split(path)
        where = _find(copy, parent)
        if isinstance(where, Directory):
            where.entries.pop(name, None)
    return copy


def _frozen(node: Node) -> Node:
    if isinstance(node, File) and node.owner is not None:
        return File(node.read_at(0, node.size), node.mode, node.mtime, None, node.program)
    if isinstance(node, Directory):
        entries = {name: _frozen(child) for name, child in node.entries.items() if not isinstance(child, Generated)}
        return Directory(entries, node.mode, node.mtime)
    return node


def pack(root: Directory) -> bytes:
    """The whole tree as one layer."""
    return _packed(root, None, None, ())


def pack_changes(root: Directory, base: Directory, tree: Tree, leave_out: Sequence[str] = ()) -> bytes:
    """What `tree` changed over `base`, as a layer; b"" when that is nothing."""
    return _packed(root, base, tree, leave_out)


def _packed(root: Directory, base: Directory | None, tree: Tree | None, leave_out: Sequence[str]) -> bytes:
    hidden = [*leave_out, *(f"/{name}" for name in _GENERATED)] if tree is not None else []
    entries = list(_entries(root, base, tree, "", hidden))
    if not entries and tree is not None:
        return b""
    buffer = io.BytesIO()
    seen: dict[int, str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, node in entries:
            _add(tar, path, node, seen)
    return buffer.getvalue()


def _entries(
    directory: Directory, base: Node | None, tree: Tree | None, path: str, hidden: Sequence[str]
) -> Iterator[tuple[str, Node | None]]:
    """Paths and nodes, None for what is gone. `tree` None: everything; else its own nodes and what it took away."""
    below = base.entries if isinstance(base, Directory) else {}
    for name, node in sorted(directory.entries.items()):
        where = f"{path}/{name}"
        if where in hidden or isinstance(node, Generated):
            continue
        if tree is not None and getattr(node, "owner", None) is not tree:
            continue
        old = below.get(name)
        if isinstance(node, Directory):
            inner = list(_entries(node, old, tree, where, hidden))
            same = isinstance(old, Directory) and old.mode == node.mode
            if tree is None or inner or not same:  # else it was only on the way to a change that was undone
                yield where, node
                yield from inner
        else:
            yield where, node
    if tree is not None:
        for name in sorted(below):
            if name not in directory.entries and f"{path}/{name}" not in hidden:
                yield f"{path}/{WHITEOUT}{name}", None


def _add(tar: tarfile.TarFile, path: str, node: Node | None, seen: dict[int, str]) -> None:
    entry = tarfile.TarInfo(path[1:])
    if node is None:
        tar.addfile(entry)
        return
    entry.mode, entry.mtime = node.mode & 0o7777, int(node.mtime)
    if isinstance(node, Directory):
        entry.type = tarfile.DIRTYPE
    elif isinstance(node, Symlink):
        entry.type, entry.linkname = tarfile.SYMTYPE, node.target
    elif isinstance(node, File):
        if node.identity not in seen:
            seen[node.identity] = entry.name
            data = node.read_at(0, node.size)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            return
        entry.type, entry.linkname = tarfile.LNKTYPE, seen[node.identity]
    else:
        return
    tar.addfile(entry)
