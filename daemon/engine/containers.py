"""All containers of this host: by id, by name, by the beginning of an id; and what of them survives the daemon."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import structlog

from daemon.engine import create
from daemon.engine.container import Container, EndpointSettings, State
from daemon.engine.documents import JsonObject
from daemon.engine.hostconfig import log_limit
from daemon.engine.lifecycle import Lifecycle
from daemon.engine.logs import ContainerLog
from daemon.engine.mount_points import MountPoint
from daemon.engine.mounting import engine_writes
from daemon.engine.names import random_name
from daemon.engine.restart import wants_start_at_boot
from daemon.engine.streams import Streams
from daemon.errors import ApiError, BadParameter, Conflict, NotFound
from daemon.store import DiskRefused

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

KIND = "containers"  # in the store: what a container is; written once
UNWRITTEN_DELAY = 1.0  # seconds between attempts to write down what the disk refused
STATE = "container-state"  # what changes in its life; small, for it is written at every change
SHUTDOWN_GRACE = 0.3  # seconds between the stop signal and SIGKILL when the daemon itself stops
LOST = 255  # exit code of a container that ended while nobody looked, as Docker's

log = structlog.get_logger("containers")

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class Containers:
    """The host's containers. `lifecycle` is what happens to them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_id: dict[str, Container] = {}
        self._unwritten: dict[str, None] = {}
        self._by_name: dict[str, Container] = {}
        self.lifecycle = Lifecycle(engine)

    # -- find ------------------------------------------------------------------------------------------------------

    def all(self) -> list[Container]:
        """Newest first, as `docker ps` lists them."""
        return list(reversed(self._by_id.values()))

    def find(self, ref: str) -> Container:
        """By id, by name (with or without the slash), by a prefix of the id that only one has.

        NotFound("No such container: …"); BadParameter for an ambiguous prefix.
        """
        if not ref:
            raise BadParameter('invalid name or ID supplied: ""')
        if (found := self._by_id.get(ref)) is not None:
            return found
        if (found := self._by_name.get(ref.removeprefix("/"))) is not None:
            return found
        begun = [c for c in self._by_id.values() if c.id.startswith(ref)]
        if len(begun) > 1:
            raise BadParameter(f"Multiple IDs found with provided prefix: {ref}")
        if not begun:
            raise NotFound(f"No such container: {ref}")
        return begun[0]

    def find_or_none(self, ref: str) -> Container | None:
        try:
            return self.find(ref)
        except ApiError:
            return None

    # -- make and forget -------------------------------------------------------------------------------------------

    def create(self, name: str, body: JsonObject, version: tuple[int, int]) -> tuple[Container, list[str]]:
        """Make a container (not started) and return it with Docker's warnings. Raises Docker's errors."""
        name = name.removeprefix("/")
        if name:
            self._check_name(name)
        container, warnings = create.build(self._engine, name, body, version)
        if not name:
            container.name = random_name(self._engine.world.random, self._by_name.__contains__)
        elif name in self._by_name:
            raise self._taken(name)
        self._engine.store.commit(
            [(KIND, container.id, _packed(stored(container))), (STATE, container.id, _packed(stored_state(container)))]
        )
        self._add(container)
        self.publish(container, "create")
        return container, warnings

    def _add(self, container: Container) -> None:
        container.log = ContainerLog(self._engine.world.wall, log_limit(container.host_config))
        self._engine.keeper.watch(container)
        container.streams = Streams(open_stdin=bool(container.config["OpenStdin"]), tty=bool(container.config["Tty"]))
        self._by_id[container.id] = container
        self._by_name[container.name] = container

    def _check_name(self, name: str, shown: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise BadParameter(f"Invalid container name ({shown or name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")

    def _taken(self, name: str) -> Conflict:
        return Conflict(
            f'Conflict. The container name "/{name}" is already in use by container "{self._by_name[name].id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )

    def rename(self, container: Container, name: str) -> None:
        """Raises BadParameter, Conflict."""
        self._check_name(name, f"/{name}")
        if name in self._by_name:
            raise self._taken(name)
        old, container.name = container.name, name
        try:
            self.save(container)
        except OSError:
            container.name = old
            raise
        del self._by_name[old]
        self._by_name[name] = container

    def forget(self, container: Container) -> None:
        """Remove it from the store and from the tables; OSError, and it stays, when the disk refuses."""
        self._engine.store.commit([(KIND, container.id, None), (STATE, container.id, None)])
        self._by_id.pop(container.id, None)
        if self._by_name.get(container.name) is container:
            del self._by_name[container.name]
        self._engine.keeper.forget(container)

    # -- the store -------------------------------------------------------------------------------------------------

    def save(self, container: Container) -> None:
        """Commit a container's state; Networks calls it after connect and disconnect."""
        if container.id in self._by_id:
            self._engine.store.commit([(STATE, container.id, _packed(stored_state(container)))])

    def note(self, container: Container) -> None:
        """Commit what has become of a container, which no disk can refuse to have happened: tried again until it is
        written."""
        try:
            self.save(container)
        except DiskRefused as error:
            log.error("a container's state could not be written down", container=container.name, error=str(error))
            if not self._unwritten:
                self._engine.tasks.spawn(self._write_down(), "states of containers")
            self._unwritten[container.id] = None

    async def _write_down(self) -> None:
        while self._unwritten:
            await asyncio.sleep(UNWRITTEN_DELAY)
            try:
                for identity in list(self._unwritten):
                    if identity in self._by_id:
                        self.save(self._by_id[identity])
                    del self._unwritten[identity]
            except DiskRefused:
                continue

    def save_config(self, container: Container) -> None:
        """Commit what of it is not written by `save`, after `docker update`."""
        self._engine.store.commit([(KIND, container.id, _packed(stored(container)))])

    async def restore(self) -> None:
        """Load what the store has; what ran is exited now; start again what its restart policy says."""
        states = dict(self._engine.store.all(STATE))
        loaded = [
            from_stored(json.loads(value), json.loads(states[identity]))
            for identity, value in self._engine.store.all(KIND)
            if identity in states
        ]
        again: list[Container] = []
        for container in sorted(loaded, key=lambda c: c.created):
            was_running = container.state.running or container.stopped_by_daemon
            if container.state.running:
                container.state.status, container.state.pid = "exited", 0
                container.state.exit_code, container.state.finished_at = LOST, self._engine.world.wall()
            container.stopped_by_daemon = False
            if container.state.status == "removing" or (was_running and container.host_config["AutoRemove"]):
                self.forget(container)
                continue
            policy = container.host_config["RestartPolicy"]
            exit_code, stopped = container.state.exit_code, container.manually_stopped
            if wants_start_at_boot(policy, was_running=was_running, exit_code=exit_code, manually_stopped=stopped):
                container.stopped_by_daemon = was_running  # until it runs: this boot may end before that
                again.append(container)
            self._add(container)
            self.save(container)
        self._engine.tasks.spawn(self._start_again(again), "start what ran")

    async def _start_again(self, containers: list[Container]) -> None:
        """All at once, but those that chose an address first, before another is given it, and those that share
        another's network last; then this boot is complete for the cluster."""
        sharing = [c for c in containers if c.shares_sandbox_of is not None]
        choosy = [c for c in containers if c not in sharing and any(s.ipam_config for s in c.endpoints.values())]
        for batch in (choosy, [c for c in containers if c not in sharing and c not in choosy], sharing):
            results = await asyncio.gather(*(self.lifecycle.start_at_boot(c) for c in batch), return_exceptions=True)
            for container, result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    again = container.state.restarting
                    log.warning(
                        "a container was not started again", container=container.name, error=str(result), retried=again
                    )
        self._engine.cluster.boot_complete()

    async def stop(self) -> None:
        """Stop all at the daemon's end; they are known to have run."""
        running = [c for c in self._by_id.values() if c.state.running]
        for container in running:
            container.stopped_by_daemon = True
        await asyncio.gather(
            *(self.lifecycle.stop_at_shutdown(c, SHUTDOWN_GRACE) for c in running), return_exceptions=True
        )

    # -- for the parts of the engine -------------------------------------------------------------------------------

    def publish(self, container: Container, action: str, attributes: dict[str, str] | None = None) -> None:
        """An event about a container."""
        self._engine.events.publish(
            "container", action, container.id, {**container.event_attributes(), **(attributes or {})}
        )

    def write_etc(self, container: Container) -> None:
        """/etc/hosts, /etc/resolv.conf and /etc/hostname as they should be now; Networks calls it after it changed
        a running container's endpoints."""
        if container.guest is None:
            return
        for path, text in self._engine.networks.etc_files(container).items():
            engine_writes(container.guest.files, path, text)


def _packed(document: JsonObject) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def stored(container: Container) -> JsonObject:
    """What a container is, for the store."""
    return {
        "id": container.id,
        "created": container.created,
        "image": container.image,
        "image_id": container.image_id,
        "path": container.path,
        "args": container.args,
        "config": container.config,
        "host_config": container.host_config,
        "mounts": [point.stored() for point in container.mounts],
    }


def stored_state(container: Container) -> JsonObject:
    """How it is doing and where it is attached, for the store."""
    state = container.state
    return {
        "name": container.name,
        "endpoints": {name: settings.stored() for name, settings in container.endpoints.items()},
        "restart_count": container.restart_count,
        "manually_stopped": container.manually_stopped,
        "stopped_by_daemon": container.stopped_by_daemon,
        "state": {
            "status": state.status,
            "pid": state.pid,
            "exit_code": state.exit_code,
            "error": state.error,
            "oom_killed": state.oom_killed,
            "started_at": state.started_at,
            "finished_at": state.finished_at,
        },
    }


def from_stored(what: JsonObject, how: JsonObject) -> Container:
    """The reverse of `stored` and `stored_state`."""
    given = what | how
    given["state"] = State(**given["state"])
    given["mounts"] = [MountPoint(**point) for point in given.get("mounts", [])]
    given["endpoints"] = {name: EndpointSettings.from_api(body) for name, body in given["endpoints"].items()}
    return Container(**given)
