"""The runs of a container: from a start to the clean-up after its end, and the next one if its restart policy wants it.

`_watch` owns a run from its start to its clean-up; whoever stops or kills it only signals and waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from daemon.engine import health, links, mounting, validate
from daemon.engine.container import Container
from daemon.engine.log_drivers import check_log_driver
from daemon.engine.mounting import mount_all
from daemon.engine.reference import familiar
from daemon.engine.restart import LONGEST_RETRY, RestartBackoff, wants_restart
from daemon.engine.spawning import CannotStart, Running, host_pid, spawn
from daemon.errors import ApiError, NotFound, ServerError
from daemon.runtime.container import Guest
from overlay.spec import NetworkError

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.filesystem import Filesystem

_RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "


class Runs:
    """Runs of this host's containers. `remove`: for a container that goes with its run, with its lock held."""

    def __init__(self, engine: Engine, remove: Callable[[Container], Awaitable[None]]) -> None:
        self._engine = engine
        self._remove = remove
        self._backoffs: dict[str, RestartBackoff] = {}

    def forget_failures(self, container: Container) -> None:
        """Its next restart comes as soon as the first."""
        self._backoffs.pop(container.id, None)

    async def begin(self, container: Container) -> None:
        """With the lock held. On failure the container is as before, with the error in its state."""
        engine, state = self._engine, container.state
        state.error, state.oom_killed, state.exit_code = "", False, 0
        try:
            self._open_sandbox(container)
            await engine.networks.join_all(container)
            validate.check_devices(container.host_config)
            check_log_driver(container.host_config)
            running = self._spawn(container)
        except BaseException as error:
            await self._release(container)
            state.status = "created" if state.started_at is None else "exited"
            message = "the daemon is stopping" if isinstance(error, asyncio.CancelledError) else str(error)
            state.error = message
            state.exit_code = error.exit_code if isinstance(error, CannotStart) else 128
            container.streams.end()
            engine.containers.note(container)
            if isinstance(error, NetworkError):
                raise ServerError(message) from error
            raise
        container.stopped_by_daemon = False
        state.status, state.pid = "running", host_pid(container, running.process.pid)
        state.started_at = engine.world.wall()
        container.process = running.process
        engine.containers.note(container)
        mounting.published(engine, container, "mount")
        engine.containers.publish(container, "start")
        engine.tasks.spawn(self._watch(container, running), f"watch {container.name}")

    def _open_sandbox(self, container: Container) -> None:
        """A network namespace: its own, the host's, or another container's (`join_all` refuses one that has none)."""
        engine = self._engine
        if (ref := container.shares_sandbox_of) is not None:
            container.sandbox = engine.containers.find(ref).sandbox  # NotFound is Docker's answer to start
            return
        container.sandbox_id = engine.world.hex_id()
        if container.network_mode == "host":
            container.sandbox = engine.host_network.host
        else:
            container.sandbox = engine.host_network.new_sandbox(container.id)

    def _spawn(self, container: Container) -> Running:
        """Start the container's own process, with its output on the way to the log and the attached clients."""
        engine, config = self._engine, container.config
        assert container.sandbox is not None
        guest = self.guest(container)
        guest.sandbox = container.sandbox
        guest.hostname = self.hostname(container)
        guest.set_environment([*(config["Env"] or []), *links.environment(engine, container)])
        guest.groups = list(container.host_config["GroupAdd"] or [])
        mount_all(engine, container, guest.files)
        with guest.files.writable():
            make_directory(guest.files, config["WorkingDir"])
        engine.containers.write_etc(container)

        async def take(stream: int, data: bytes) -> None:
            if container.log_readable:
                container.log.append(stream, data)
            await container.streams.deliver(stream, data)

        try:
            return spawn(
                engine.tasks,
                guest,
                [container.path, *container.args],
                cwd=config["WorkingDir"],
                user=config["User"],
                tty=bool(config["Tty"]),
                size=tuple(container.host_config["ConsoleSize"]),
                streams=container.streams,
                take=take,
            )
        except CannotStart as error:
            raise CannotStart(_RUNC + error.message, error.exit_code) from error

    def guest(self, container: Container) -> Guest:
        """The container's files and processes; made when first needed, kept until it is removed."""
        if container.guest is None:
            engine, config = self._engine, container.config
            image = engine.images.resolve(container.image_id) or engine.images.resolve(container.image)
            image = image or engine.offered(container.image_id)
            if image is None:
                raise NotFound(f"No such image: {familiar(container.image)}")
            container.guest = Guest(
                hostname=self.hostname(container),
                image=image,
                env=config["Env"] or [],
                sandbox=container.sandbox or engine.host_network.host,  # nothing runs in it before `start` sets its own
                world=engine.world,
                domainname=config["Domainname"],
            )
            engine.keeper.bring_back(container)
            mount_all(engine, container, container.guest.files)
        return container.guest

    def hostname(self, container: Container) -> str:
        """What the container calls itself; that of another when it shares its sandbox."""
        other = self._engine.containers.find_or_none(container.shares_sandbox_of or "")
        return container.hostname if other is None or other is container else self.hostname(other)

    # -- its end --------------------------------------------------------------------------------------------------

    async def _watch(self, container: Container, running: Running) -> None:
        """Wait for the end of a run, clean up, and start the next one if the restart policy wants it."""
        engine, state = self._engine, container.state
        check = health.command_of(container)
        checking = engine.tasks.spawn(health.watch(engine, container, check), "health check") if check else None
        code = await running.ended()
        if checking is not None:
            checking.cancel()
            container.health = None
        async with container.lock:
            engine.containers.publish(container, "die", {"exitCode": str(code)})
            await self._release(container)
            mounting.published(engine, container, "unmount")
            container.execs.clear()
            state.pid, state.exit_code = 0, code
            state.finished_at = engine.world.wall()
            policy = container.host_config["RestartPolicy"]
            again = wants_restart(
                policy, exit_code=code, restarts=container.restart_count, manually_stopped=container.manually_stopped
            )
            state.status = "restarting" if again else "exited"
            for point in container.mounts:
                engine.volumes.released(point.name)
            if again:
                container.restart_count += 1
            engine.containers.note(container)
            container.log.end_run()
            if not container.host_config["AutoRemove"]:
                engine.keeper.run_ended(container)
            container.streams.end()
            resolve(container.exit_waiters, code)
            if not again:
                if container.host_config["AutoRemove"] and not container.restarting_by_user:
                    await self._remove(container)
                return
            backoff = self._backoffs.setdefault(container.id, RestartBackoff())
            delay = backoff.next_delay(state.finished_at - (state.started_at or state.finished_at))
        await self.restart_later(container, delay)

    async def restart_later(self, container: Container, delay: float) -> None:
        """After `delay` seconds, unless somebody stopped or removed it meanwhile; again while it cannot be started."""
        while True:
            await asyncio.sleep(delay)
            async with container.lock:
                if not container.state.restarting:
                    return
                if container.manually_stopped:
                    self.end_restarting(container)
                    return
                try:
                    await self.begin(container)
                    return
                except ApiError as error:
                    again = self.try_again(container, error)
                if again is None:
                    resolve(container.exit_waiters, container.state.exit_code)
                    return
                delay = again

    def try_again(self, container: Container, error: ApiError) -> float | None:
        """With the lock held, after a start that failed: seconds until the next try, None if there is to be none.

        What keeps it from starting (no address to be had inside a cut) may pass, so the restart policy goes for it as
        for an exit; a command that cannot be run stays one.
        """
        state = container.state
        wanted = wants_restart(
            container.host_config["RestartPolicy"], exit_code=state.exit_code, restarts=container.restart_count,
            manually_stopped=container.manually_stopped,
        )  # fmt: skip
        if isinstance(error, CannotStart) or not wanted:
            return None
        container.restart_count += 1
        state.status = "restarting"
        self._engine.containers.note(container)
        return min(self._backoffs.setdefault(container.id, RestartBackoff()).next_delay(0.0), LONGEST_RETRY)

    def end_restarting(self, container: Container) -> None:
        """With the lock held: no next run after all."""
        container.state.status = "exited"
        container.stopped_by_daemon = False
        self._engine.containers.note(container)
        resolve(container.exit_waiters, container.state.exit_code)

    async def _release(self, container: Container) -> None:
        """Give back what a run held: processes, endpoints, published ports, the sandbox."""
        container.process = None
        if container.guest is not None:
            await container.guest.stop()
        await self._engine.networks.leave_all(container)
        sandbox, container.sandbox, container.sandbox_id = container.sandbox, None, ""
        if sandbox is not None and container.shares_sandbox_of is None and container.network_mode != "host":
            await self._engine.host_network.remove_sandbox(sandbox)


def make_directory(files: Filesystem, path: str) -> None:
    """Make a directory that the container was promised, unless something is there already."""
    if path and not files.exists(path):
        with contextlib.suppress(OSError):  # a file in the way; the start will say so
            files.mkdir(path, parents=True)


def resolve(waiters: list[asyncio.Future[int]], code: int) -> None:
    """Tell all who wait."""
    for future in list(waiters):
        if not future.done():
            future.set_result(code)
    waiters.clear()
