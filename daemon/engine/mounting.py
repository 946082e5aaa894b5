"""Mount points become mounts in a container's filesystem, before each of its runs."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from daemon.engine.mount_points import BIND, ENGINES_OWN, TMPFS, VOLUME, MountPoint, clean, parse_tmpfs
from daemon.engine.volumes import fill
from daemon.errors import BadParameter, ServerError
from daemon.runtime.nodes import LIMIT, Directory, Mount, Node, Symlink, Tree

if TYPE_CHECKING:
    from daemon.engine.container import Container
    from daemon.engine.engine import Engine
    from daemon.runtime.filesystem import Filesystem


def mount_all(engine: Engine, container: Container, files: Filesystem) -> None:
    """Mount everything anew, shallow paths first; a tmpfs is empty at each run. BadParameter, ServerError."""
    files.mounts.clear()
    mounts = {point.destination: _mount(engine, point, files) for point in container.mounts}
    for path, text in (container.host_config.get("Tmpfs") or {}).items():
        options = parse_tmpfs(text)
        mounts[clean(path)] = _memory(options["size"], options["mode"], read_only=options["ro"])
    for path in sorted(mounts, key=lambda path: path.count("/")):
        mount = mounts[path]
        try:
            if files.exists(path) and files.is_dir(path) is not isinstance(mount.root, Directory):
                raise ServerError(
                    f'failed to create shim task: OCI runtime create failed: error mounting "{mount.source}" to rootfs '
                    f'at "{path}": not a directory: unknown: Are you trying to mount a directory onto a file '
                    "(or vice-versa)? Check if the specified host path exists and is the expected type"
                )
            files.mount(path, mount)
        except OSError as error:
            raise ServerError(f'error mounting "{mount.source}" to rootfs at "{path}": {error.strerror}') from error
    files.tree.read_only = bool(container.host_config["ReadonlyRootfs"])


def _mount(engine: Engine, point: MountPoint, files: Filesystem) -> Mount:
    if point.type == TMPFS:
        return _memory(point.tmpfs["size"], point.tmpfs["mode"], read_only=not point.rw)
    if point.type == VOLUME:
        try:
            content = engine.volumes.content(engine.volumes.find(point.name))
            for name in [part for part in point.subpath.split("/") if part not in ("", ".")]:
                inside = content.entries.get(name) if isinstance(content, Directory) else None
                if inside is None or isinstance(inside, Symlink):  # a symlink could lead out of the volume
                    where = posixpath.join(point.source, point.subpath)
                    raise ServerError(f"cannot access path {where}: lstat {where}: no such file or directory")
                content = inside
            if point.copy and not point.subpath:
                fill(files, point.destination, content)
        except OSError as error:
            raise ServerError(f"error while mounting volume '{point.source}': {error.strerror}") from error
        return _of(content, point)
    assert point.type == BIND
    try:
        if not engine.folders.exists(point.source):
            if point.must_exist:
                raise BadParameter(
                    f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
                )
            engine.folders.make_outside(point.source)
        return _of(engine.folders.outside(point.source), point)
    except OSError as error:
        raise ServerError(
            f"error while creating mount source path '{point.source}': mkdir {point.source}: "
            f"{(error.strerror or str(error)).lower()}"
        ) from error


def _of(content: Node, point: MountPoint) -> Mount:
    owner = getattr(content, "owner", None)
    return Mount(owner or Tree(None), content, read_only=not point.rw, source=point.source)


def _memory(size: int, mode: int, *, read_only: bool) -> Mount:
    tree = Tree(size or LIMIT)
    return Mount(tree, Directory(owner=tree, mode=mode), read_only, "tmpfs", "tmpfs")


def published(engine: Engine, container: Container, action: str) -> None:
    """The events of a run's beginning and end: volume mount, volume unmount."""
    for point in container.mounts:
        if point.type == VOLUME:
            attributes = {"container": container.id, "driver": "local"}
            if action == "mount":
                attributes |= {
                    "destination": point.destination,
                    "propagation": point.propagation,
                    "read/write": str(point.rw).lower(),
                }
            engine.events.publish("volume", action, point.name, attributes)


def engine_writes(files: Filesystem, path: str, text: str) -> None:
    """One of the engine's own files in /etc; not over what the user mounted there."""
    assert path in ENGINES_OWN
    if path not in files.mounts and posixpath.dirname(path) not in files.mounts:
        with files.writable():
            files.mkdir(posixpath.dirname(path), parents=True)  # a bare image may have none
            files.write(path, text)
