"""`docker cp`: parts of a container's files as tar archives, in and out."""

from __future__ import annotations

import io
import posixpath
import tarfile

from daemon.engine.documents import JsonObject, rfc3339
from daemon.errors import BadParameter, NotFound
from daemon.runtime.filesystem import Filesystem

# Bits of Go's os.FileMode
_GO_DIRECTORY = 1 << 31
_GO_SYMLINK = 1 << 27
_GO_DEVICE = 1 << 26 | 1 << 21


def path_stat(files: Filesystem, path: str, container: str) -> JsonObject:
    """Docker's ContainerPathStat; a symlink is described, not followed. NotFound."""
    path = _absolute(path)
    try:
        stat = files.stat(path, follow=False)
        target = files.realpath(path) if stat.kind == "l" else ""
    except OSError:
        raise NotFound(f"Could not find the file {path} in container {container}") from None
    kind = {"d": _GO_DIRECTORY, "l": _GO_SYMLINK, "c": _GO_DEVICE}.get(stat.kind, 0)
    return {
        "name": posixpath.basename(path.rstrip("/")) or "/",
        "size": stat.size,
        "mode": kind | (stat.mode & 0o777),
        "mtime": rfc3339(stat.mtime),
        "linkTarget": target,
    }


def pack(files: Filesystem, path: str) -> bytes:
    """A tar of `path`; its names begin with the last part of the path, as Docker's."""
    path = _absolute(path)
    root = path.rstrip("/") or "/"
    if path.endswith(("/", "/.")):
        root = files.realpath(root)
    name = posixpath.basename(posixpath.normpath(path)) or "."
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _pack(files, archive, posixpath.normpath(root), name)
    return buffer.getvalue()


def _pack(files: Filesystem, archive: tarfile.TarFile, path: str, name: str) -> None:
    stat = files.stat(path, follow=False)
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = stat.mode & 0o7777, int(stat.mtime)
    if stat.kind == "d":
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        for child in files.listdir(path):
            _pack(files, archive, posixpath.join(path, child), f"{name}/{child}")
    elif stat.kind == "l":
        entry.type, entry.linkname = tarfile.SYMTYPE, files.readlink(path)
        archive.addfile(entry)
    elif stat.kind == "-":
        data = files.read(path)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


def unpack(files: Filesystem, path: str, data: bytes, container: str, *, keep_kinds: bool = False) -> None:
    """Extract a tar (plain or compressed) into the directory `path`. `keep_kinds`: a directory may not become a file,
    nor a file a directory. NotFound, BadParameter."""
    path = _absolute(path)
    if not files.exists(path):
        raise NotFound(f"Could not find the file {path} in container {container}")
    if not files.is_dir(path):
        raise BadParameter("extraction point is not a directory")
    directory = files.realpath(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for entry in archive:
                _unpack(files, archive, entry, directory, keep_kinds)
    except (tarfile.TarError, EOFError) as error:
        raise BadParameter(f"Error processing tar file: {error}") from error
    except OSError as error:
        raise BadParameter(f"{error.strerror or error}: {error.filename or path}") from error


def _unpack(
    files: Filesystem, archive: tarfile.TarFile, entry: tarfile.TarInfo, directory: str, keep_kinds: bool
) -> None:
    # normpath of an absolute path swallows every "..": nothing gets out of `directory`
    inside = posixpath.normpath("/" + entry.name).lstrip("/")
    target = posixpath.join(directory, inside) if inside else directory
    if files.exists(target):
        is_directory = files.is_dir(target)
        if keep_kinds and is_directory != entry.isdir():
            raise BadParameter(
                "cannot overwrite directory with non-directory"
                if is_directory
                else "cannot overwrite non-directory with directory"
            )
        if is_directory and not entry.isdir():
            files.remove_tree(target)
    if entry.isdir():
        if not files.is_dir(target):
            files.mkdir(target, parents=True)
        files.chmod(target, entry.mode & 0o7777)
        return
    files.mkdir(posixpath.dirname(target), parents=True)
    if entry.issym():
        if files.exists(target):
            files.remove(target)
        files.symlink(entry.linkname, target)
    elif entry.islnk():
        files.link(posixpath.join(directory, posixpath.normpath("/" + entry.linkname).lstrip("/")), target)
    elif entry.isfile():
        content = archive.extractfile(entry)
        files.write(target, content.read() if content is not None else b"", mode=entry.mode & 0o7777)
        files.chmod(target, entry.mode & 0o7777)
        files.touch(target, mtime=float(entry.mtime))


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
