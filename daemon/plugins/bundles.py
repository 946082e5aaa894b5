"""Installed plug-ins (`docker plugin`): made from a local bundle, enabled, disabled, set, removed.

The texts are those of moby's plugin package. Nothing is fetched from a registry.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import structlog

from daemon.engine.documents import JsonObject
from daemon.engine.filters import Filters
from daemon.engine.tasks import TaskOwner
from daemon.errors import BadParameter, Conflict, NotFound, NotImplementedYet, ServerError
from daemon.plugins.bundle import Bundle, new_bundle
from daemon.plugins.bundle_process import BundleProcess
from daemon.plugins.discovery import Address

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

log = structlog.get_logger("plugins")

_KIND = "plugin-bundle"  # in the store
_FOLDER = "bundles"
_FILTERS = ("capability", "enabled")
_START = 5.0  # seconds that one has for its socket when the daemon starts
_LARGEST_CONFIG = 1 << 20


class Bundles:
    """By id, in the store and under STATE_DIR/bundles."""

    def __init__(self, engine: Engine, *, version: str) -> None:
        self._engine = engine
        self._version = version
        self._folder = engine.config.state_dir / _FOLDER
        self._bundles: dict[str, Bundle] = {}
        self._processes: dict[str, BundleProcess] = {}
        self._tasks = TaskOwner("plug-ins")

    async def start(self) -> None:
        """Those that were enabled run again; one that cannot is logged, and stays enabled."""
        for bundle_id, data in self._engine.store.all(_KIND):
            self._bundles[bundle_id] = Bundle.from_stored(data)
        enabled = [bundle for bundle in self._bundles.values() if bundle.enabled]
        reasons = await asyncio.gather(*(self._run(bundle, _START) for bundle in enabled))
        for bundle, reason in zip(enabled, reasons, strict=True):
            if reason is not None:
                log.error("plug-in not started", plugin=bundle.name, error=reason)

    async def stop(self) -> None:
        """End their processes."""
        await self._tasks.stop()
        self._processes.clear()

    # -- look-ups -----------------------------------------------------------------------------------------------

    def listed(self, filters: Filters) -> list[JsonObject]:
        filters.only(_FILTERS)
        wanted = filters.values("capability")
        found = []
        for bundle in sorted(self._bundles.values(), key=lambda bundle: bundle.name):
            if "enabled" in filters and filters.boolean("enabled") != bundle.enabled:
                continue
            if wanted and not all(each in wanted for each in bundle.capabilities):
                continue
            found.append(bundle.to_api())
        return found

    def find(self, ref: str) -> Bundle:
        """By name (":latest" where it has no tag), id, or the beginning of an id. NotFound."""
        name = with_tag(ref)
        matching = [b for b in self._bundles.values() if ref and (b.name == name or b.id.startswith(ref))]
        exact = [b for b in matching if b.name == name or b.id == ref]
        for bundle in exact or (matching if len(matching) == 1 else []):
            return bundle
        raise NotFound(f'plugin "{ref}" not found')

    def address(self, name: str) -> Address | None:
        """Where the driver of that name listens; None when no bundle has it. Conflict: it is disabled."""
        bundle = next((each for each in self._bundles.values() if each.name == with_tag(name)), None)
        if bundle is None:
            return None
        if not bundle.enabled:
            raise Conflict(f"plugin {name} found but disabled")
        return Address("unix", str(self._socket(bundle)))

    def driver_name(self, name: str) -> str:
        """A bundle's driver is called by its full name. Conflict: it is disabled."""
        if name == "default" or self.address(name) is None:
            return name
        return with_tag(name)

    # -- what `docker plugin` does ------------------------------------------------------------------------------

    def create(self, name: str, archive: Path) -> None:
        """From a tar of config.json and rootfs/. Raises BadParameter, ServerError."""
        full = with_tag(name)
        if not name or any(each in full for each in " \t\n") or full.startswith("/"):
            raise BadParameter("invalid reference format")
        if any(each.name == full for each in self._bundles.values()):
            raise ServerError(f"plugin {full} already exists")
        bundle_id = self._engine.world.hex_id()
        folder = self._folder / bundle_id[:12]
        try:
            config = unpack(archive, folder)
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            bundle = new_bundle(bundle_id, full, config, digest=f"sha256:{digest}", version=self._version)
            self._keep(bundle)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._event(bundle, "create")

    async def enable(self, ref: str, timeout: float) -> None:
        """Returns when it listens. Raises Conflict, ServerError, NotImplementedYet."""
        bundle = self.find(ref)
        if bundle.enabled:
            raise Conflict(f"plugin is already enabled: plugin {bundle.name} is enabled")
        if self._engine.config.api_tcp:
            raise NotImplementedYet(
                f"plugin {bundle.name} would run with the rights of this daemon's user, whom all that reach the API on "
                "TCP would then be; start the plug-in yourself and write its address into a .spec file"
            )
        bundle.enabled = True
        reason = await self._run(bundle, timeout or _START)
        if reason is not None:
            bundle.enabled = False
            await self._end(bundle)
            raise ServerError(reason)
        self._keep(bundle)
        self._event(bundle, "enable")

    async def disable(self, ref: str, *, force: bool) -> None:
        """Raises Conflict: not enabled, or in use."""
        bundle = self.find(ref)
        if not bundle.enabled:
            raise Conflict(f"plugin is already disabled: plugin {bundle.name} found but disabled")
        if self._used(bundle) and not force:
            raise Conflict(f"plugin {bundle.name} is in use")
        bundle.enabled = False
        await self._end(bundle)
        self._keep(bundle)
        self._event(bundle, "disable")

    async def remove(self, ref: str, *, force: bool) -> None:
        """Raises Conflict: enabled, or in use."""
        bundle = self.find(ref)
        if not force:
            if self._used(bundle):
                raise Conflict(f"plugin {bundle.name} is in use")
            if bundle.enabled:
                raise Conflict(f"plugin {bundle.name} is enabled")
        await self._end(bundle)
        self._engine.store.commit([(_KIND, bundle.id, None)])
        self._bundles.pop(bundle.id, None)
        shutil.rmtree(self._folder / bundle.id[:12], ignore_errors=True)
        self._event(bundle, "remove")

    def set(self, ref: str, settings: list[str]) -> None:
        """Raises Conflict: enabled; BadParameter, ServerError."""
        bundle = self.find(ref)
        if bundle.enabled:
            raise Conflict("cannot set on an active plugin, disable plugin before setting")
        for each in settings:
            bundle.set(each)
        self._keep(bundle)

    # -- inside -------------------------------------------------------------------------------------------------

    def _keep(self, bundle: Bundle) -> None:
        self._engine.store.commit([(_KIND, bundle.id, bundle.stored())])
        self._bundles[bundle.id] = bundle

    def _used(self, bundle: Bundle) -> bool:
        return any(bundle.name in (n.driver, n.ipam_driver) for n in self._engine.networks.all())

    def _event(self, bundle: Bundle, action: str) -> None:
        self._engine.events.publish("plugin", action, bundle.id, {"name": bundle.name})

    def _socket(self, bundle: Bundle) -> Path:
        return self._folder / bundle.id[:12] / (bundle.socket or "plugin.sock")

    async def _run(self, bundle: Bundle, timeout: float) -> str | None:
        """None, or why it does not listen."""
        root = self._folder / bundle.id[:12] / "rootfs"
        entry = [str(each) for each in bundle.config["Entrypoint"] or []]
        if not entry:
            return f"plugin {bundle.name} has no entrypoint"
        command = _inside(root, entry[0]) if entry[0].startswith("/") else entry[0]
        work = Path(_inside(root, str(bundle.config["WorkDir"]) or "/"))
        process = BundleProcess(
            bundle.name,
            [command, *entry[1:], *bundle.arguments],
            folder=work,
            environment=bundle.environment,
            socket=self._socket(bundle),
            tasks=self._tasks,
        )
        self._processes[bundle.id] = process
        try:
            await process.start()
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            return f"failed to start plugin {bundle.name}: {entry[0]}: {reason}"
        return await process.listening(timeout)

    async def _end(self, bundle: Bundle) -> None:
        await self._engine.remote.plugins.forget(bundle.name)
        process = self._processes.pop(bundle.id, None)
        if process is not None:
            await process.stop()


def with_tag(ref: str) -> str:
    """ "a/b" is "a/b:latest"."""
    return ref if ":" in ref.rpartition("/")[2] else f"{ref}:latest"


def _inside(root: Path, path: str) -> str:
    """A path of the bundle's; one that its own rootfs does not have is the machine's."""
    mine = root / path.lstrip("/")
    return str(mine if mine.exists() else path)


def unpack(archive: Path, folder: Path) -> bytes:
    """config.json's text; rootfs/ is put into the folder, without devices and without what leads out of it."""
    config = b""
    folder.mkdir(parents=True, mode=0o700)
    root = folder / "rootfs"
    root.mkdir()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                parts = parts[1:] if parts[:1] == (".",) else parts
                if parts == ("config.json",) and member.isfile() and member.size <= _LARGEST_CONFIG:
                    found = tar.extractfile(member)
                    config = found.read() if found is not None else b""
                elif parts[:1] == ("rootfs",) and ".." not in parts and len(parts) > 1:
                    _extract(tar, member, root, parts[1:])
    except (tarfile.TarError, EOFError, KeyError, zlib.error) as error:
        raise BadParameter(f"the plug-in's archive cannot be read: {error}") from error
    if not config:
        raise BadParameter("the plug-in's archive has no config.json")
    return config


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, parts: tuple[str, ...]) -> None:
    target = root.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        return  # through a link that leads out
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or (target.exists() and not member.isdir()):
        return
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.isfile() or member.islnk():
        source = tar.extractfile(member)
        if source is not None:
            with target.open("wb") as out:
                shutil.copyfileobj(source, out)
            target.chmod((member.mode & 0o755) | 0o600)


def no_registry(ref: str) -> NotImplementedYet:
    """Docker would ask Docker Hub."""
    return NotImplementedYet(
        f"error resolving plugin reference: {ref}: shoal fetches no plug-ins from a registry; make one of a local "
        'bundle (a folder with config.json and rootfs/) with "docker plugin create NAME FOLDER"'
    )


