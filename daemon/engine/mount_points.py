"""What a container has mounted: from a create request to mount points, in Docker's order and with its refusals.

-v, --mount, --volumes-from and the image's volumes (moby's daemon/volumes.go and volume/mounts). Volumes come to be
here; what a mount point shows is looked up when the container is made (`mounting.py`).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.engine.documents import JsonObject
from daemon.errors import ApiError, BadParameter

if TYPE_CHECKING:
    from daemon.engine.container import Container
    from daemon.engine.engine import Engine

BIND, VOLUME, TMPFS = "bind", "volume", "tmpfs"
ENGINES_OWN = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")  # written by the engine unless something is there
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES = ("consistent", "cached", "delegated")
_SIZE = re.compile(r"(\d+)([kmg]?)b?|(\d+)%", re.I)


@dataclass(slots=True)
class MountPoint:
    """One mount. `source` is the folder of the machine or the volume's mountpoint; `mode` as the user wrote it."""

    type: str
    destination: str
    source: str = ""
    name: str = ""  # of the volume
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    anonymous: bool = False  # a volume that nobody named: it goes with the container (rm -v)
    copy: bool = True  # an empty volume gets what the image has there
    must_exist: bool = False  # --mount of a folder; -v makes one
    subpath: str = ""  # only this directory of the volume
    tmpfs: dict[str, Any] = field(default_factory=dict)  # size in bytes, mode

    def to_api(self) -> JsonObject:
        """As inspect and `docker ps` show it."""
        document: JsonObject = {"Type": self.type}
        if self.type == VOLUME:
            document["Name"] = self.name
        document |= {"Source": self.source, "Destination": self.destination}
        if self.type == VOLUME:
            document["Driver"] = "local"
        return document | {"Mode": self.mode, "RW": self.rw, "Propagation": self.propagation}

    def stored(self) -> JsonObject:
        return asdict(self)


def shown(container: Container) -> list[JsonObject]:
    """--tmpfs mounts are not among them, as in Docker."""
    return [point.to_api() for point in container.mounts]


def resolve(engine: Engine, host_config: JsonObject, config: JsonObject) -> list[MountPoint]:
    """All mount points of a container to be, later ones replacing earlier ones of the same destination.

    Volumes that are missing are created. Raises BadParameter, NotFound, Conflict with Docker's texts.
    """
    points: dict[str, MountPoint] = {}
    for text in host_config["VolumesFrom"] or []:
        for point in _from_container(engine, text):
            points[point.destination] = point
    asked: dict[str, MountPoint] = {}
    for text in host_config["Binds"] or []:
        _add(asked, parse_bind(text))
    for spec in host_config.get("Mounts") or []:
        _add(asked, parse_mount(engine, spec))
    tmpfs = {clean(path): options for path, options in (host_config.get("Tmpfs") or {}).items()}
    for path, options in tmpfs.items():
        if not path.startswith("/"):
            raise BadParameter(f"invalid mount path: '{path}' mount path must be absolute")
        if path in asked:
            raise BadParameter(f"Duplicate mount point: {path}")
        parse_tmpfs(options)
    points |= asked
    for path in config["Volumes"] or {}:
        destination = clean(path)
        if destination not in points and destination not in tmpfs:
            points[destination] = MountPoint(VOLUME, destination, anonymous=True)
    for point in points.values():
        if point.type == VOLUME:
            volume = engine.volumes.ensure(point.name, host_config["VolumeDriver"] or "local")
            point.anonymous = point.anonymous or not point.name
            point.name, point.source = volume.name, volume.mountpoint
    return list(points.values())


def clean(path: str) -> str:
    return posixpath.normpath(path) if path else path


def _add(asked: dict[str, MountPoint], point: MountPoint) -> None:
    if point.destination in asked:
        raise BadParameter(f"Duplicate mount point: {point.destination}")
    asked[point.destination] = point


def _from_container(engine: Engine, text: str) -> list[MountPoint]:
    """--volumes-from CONTAINER[:ro|rw]."""
    if not text:
        raise BadParameter("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    if mode and mode not in ("ro", "rw", "z", "Z"):
        raise BadParameter(f"invalid mode: {mode}")
    other = engine.containers.find(name)
    copies = []
    for point in other.mounts:
        copy = MountPoint(**point.stored())
        copy.rw = point.rw and mode != "ro"
        copies.append(copy)
    return copies


def parse_bind(text: str) -> MountPoint:
    """-v SOURCE:DESTINATION[:MODE], -v DESTINATION. BadParameter."""
    parts = text.split(":")
    if not text or len(parts) > 3 or not all(parts[:2]):
        raise BadParameter(f"invalid volume specification: '{text}'")
    source, destination, mode = "", parts[0], ""
    if len(parts) >= 2:
        source, destination, mode = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
        if len(parts) == 2 and not destination.startswith("/") and _mode_fits(destination):
            raise BadParameter(f"invalid volume specification: '{text}'")
    kind = BIND if source.startswith("/") else VOLUME
    flags = mode.split(",") if mode else []
    if len(parts) == 3 and not _mode_fits(mode):
        raise BadParameter(f"invalid mode: {mode}")
    problem = _destination_problem(destination)
    if problem:
        what = f'invalid mount config for type "{kind}": {problem}'
        raise BadParameter(f"invalid volume specification: '{text}': {what}")
    point = MountPoint(kind, clean(destination), mode=mode, rw="ro" not in flags, copy="nocopy" not in flags)
    if kind == BIND:
        point.source = clean(source)
        point.propagation = next((flag for flag in flags if flag in _PROPAGATIONS), "rprivate")
    else:
        point.name = source
        point.mode = mode or "z"
        point.anonymous = not source
    return point


def _mode_fits(mode: str) -> bool:
    known = ("ro", "rw", "z", "Z", "nocopy", *_PROPAGATIONS, *_CONSISTENCIES)
    flags = mode.split(",")
    return all(flag in known for flag in flags) and not {"ro", "rw"} <= set(flags)


def _destination_problem(destination: str) -> str:
    if not destination.startswith("/"):
        return f"invalid mount path: '{destination}' mount path must be absolute"
    return "invalid specification: destination can't be '/'" if clean(destination) == "/" else ""


def parse_mount(engine: Engine, spec: JsonObject) -> MountPoint:
    """--mount, HostConfig.Mounts. BadParameter."""
    kind, target, source = spec.get("Type") or "", spec.get("Target") or "", spec.get("Source") or ""

    def refuse(text: str) -> BadParameter:
        return BadParameter(f'invalid mount config for type "{kind}": {text}')

    if not target:
        raise refuse("field Target must not be empty")
    if problem := _destination_problem(target):
        raise refuse(problem)
    for field_, belongs in (("BindOptions", BIND), ("VolumeOptions", VOLUME), ("TmpfsOptions", TMPFS)):
        if spec.get(field_) is not None and kind != belongs and kind in (BIND, VOLUME, TMPFS):
            raise refuse(f"field {field_} must not be specified")
    point = MountPoint(kind, clean(target), rw=not spec.get("ReadOnly"))
    if kind == BIND:
        if not source:
            raise refuse("field Source must not be empty")
        if not source.startswith("/"):
            raise refuse(f"invalid mount path: '{source}' mount path must be absolute")
        options = spec.get("BindOptions") or {}
        point.source, point.propagation = clean(source), options.get("Propagation") or "rprivate"
        point.must_exist = not options.get("CreateMountpoint")
        if point.must_exist and not engine.folders.exists(point.source):
            raise refuse(f"bind source path does not exist: {source}")
    elif kind == VOLUME:
        if not source and not point.rw:
            raise refuse("must not set ReadOnly mode when using anonymous volumes")
        options = spec.get("VolumeOptions") or {}
        point.copy, point.anonymous, point.mode = not options.get("NoCopy"), not source, "z"
        point.subpath = options.get("Subpath") or ""
        if point.subpath.startswith("/") or ".." in point.subpath.split("/"):
            raise refuse("subpath must be a relative path within the volume")
        driver = options.get("DriverConfig") or {}
        volume = engine.volumes.ensure(
            source, driver.get("Name") or "local", driver.get("Options") or {}, options.get("Labels")
        )
        point.name = volume.name
    elif kind == TMPFS:
        if source:
            raise refuse("field Source must not be specified")
        options = spec.get("TmpfsOptions") or {}
        point.tmpfs = {"size": options.get("SizeBytes") or 0, "mode": options.get("Mode") or 0o1777}
    else:
        raise refuse("mount type unknown")
    return point


def parse_tmpfs(text: str) -> dict[str, Any]:
    """--tmpfs PATH:OPTIONS: size in bytes (0: no bound of its own), mode, and whether it is read-only."""
    result: dict[str, Any] = {"size": 0, "mode": 0o1777, "ro": False}
    for option in text.split(","):
        name, _, value = option.partition("=")
        if name == "size":
            match = _SIZE.fullmatch(value)
            if match is None:
                raise BadParameter(f'invalid tmpfs option ["{option}"]')
            unit = {"": 0, "k": 10, "m": 20, "g": 30}[(match[2] or "").lower()]
            result["size"] = 0 if match[3] else int(match[1]) << unit
        elif name == "mode":
            try:
                result["mode"] = int(value, 8)
            except ValueError:
                raise BadParameter(f'invalid tmpfs option ["{option}"]') from None
        elif name in ("ro", "rw"):
            result["ro"] = name == "ro"
    return result


def users_of(engine: Engine, volume: str) -> list[Container]:
    """The containers that a volume is mounted in, running or not."""
    return [c for c in engine.containers.all() if any(point.name == volume for point in c.mounts)]


def remove_anonymous(engine: Engine, container: Container) -> None:
    """The volumes that came with a container go with it, unless another one uses them."""
    for point in container.mounts:
        if point.type == VOLUME and point.anonymous:
            try:
                engine.volumes.remove(point.name)
            except ApiError:
                continue
