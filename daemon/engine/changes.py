"""`docker diff`: what a container's files differ in from its image's."""

from __future__ import annotations

from daemon.engine.documents import JsonObject
from daemon.engine.mount_points import ENGINES_OWN
from daemon.runtime.filesystem import Filesystem
from daemon.runtime.nodes import Directory, File, Node, Symlink

CHANGED, ADDED, DELETED = 0, 1, 2
_GENERATED = ("/dev", "/proc", "/sys")


def changes(files: Filesystem, image: Directory) -> list[JsonObject]:
    """Docker's list of paths and kinds, parents before what is in them."""
    found: list[JsonObject] = []
    _compare(files, image, "", found)
    return found


def _compare(files: Filesystem, image: Directory, path: str, found: list[JsonObject]) -> None:
    present = files.listdir(path or "/")
    for name in sorted({**dict.fromkeys(image.entries), **dict.fromkeys(present)}):
        where = f"{path}/{name}"
        if where in _GENERATED or where in ENGINES_OWN or where in files.mounts:
            continue
        before = image.entries.get(name)
        if before is None:
            _added(files, where, found)
        elif name not in present:
            found.append({"Path": where, "Kind": DELETED})
        elif isinstance(before, Directory) and files.stat(where, follow=False).kind == "d":
            inside: list[JsonObject] = []
            _compare(files, before, where, inside)
            if any(change["Path"].count("/") == where.count("/") + 1 for change in inside):
                found.append({"Path": where, "Kind": CHANGED})
            found += inside
        elif _differs(files, where, before):
            found.append({"Path": where, "Kind": CHANGED})


def _added(files: Filesystem, path: str, found: list[JsonObject]) -> None:
    found.append({"Path": path, "Kind": ADDED})
    if files.stat(path, follow=False).kind == "d":
        for name in files.listdir(path):
            _added(files, f"{path}/{name}", found)


def _differs(files: Filesystem, path: str, before: Node) -> bool:
    stat = files.stat(path, follow=False)
    if isinstance(before, File):
        return stat.kind != "-" or stat.mode & 0o7777 != before.mode & 0o7777 or files.read(path) != bytes(before.data)
    if isinstance(before, Symlink):
        return stat.kind != "l" or files.readlink(path) != before.target
    return isinstance(before, Directory)
