"""What happens to a container: start, exit, stop, kill, pause, restart, rename, remove (moby's daemon/*.go).

One change at a time under the container's lock. `_watch` owns a run from its start to its clean-up; stop and kill only
signal and wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from daemon.engine import health, links, mount_points, mounting, validate
from daemon.engine.container import Container
from daemon.engine.log_drivers import check_log_driver
from daemon.engine.mounting import mount_all
from daemon.engine.reference import familiar
from daemon.engine.restart import LONGEST_RETRY, RestartBackoff, wants_restart
from daemon.engine.signals import parse_signal
from daemon.engine.spawning import CannotStart, Running, host_pid, spawn
from daemon.errors import ApiError, BadParameter, Conflict, NotFound, NotModified, ServerError
from daemon.runtime.container import Guest
from daemon.runtime.process import SIGKILL
from overlay.spec import NetworkError

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.filesystem import Filesystem

STOP_TIMEOUT = 10.0  # seconds between the stop signal and SIGKILL, unless the container says otherwise
_KILL_WAIT = 10.0


def not_running(container: Container) -> Conflict:
    return Conflict(f"Container {container.id} is not running")


class Lifecycle:
    """Changes of state of this host's containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._backoffs: dict[str, RestartBackoff] = {}

    # -- start ---------------------------------------------------------------------------------------------------

    async def start(self, container: Container) -> None:
        """Run it. Raises NotModified when it runs already, Conflict, or why it could not be started."""
        async with container.lock:
            if container.state.paused:
                raise Conflict("cannot start a paused container, try unpause instead")
            if container.state.running:
                raise NotModified("container already started")
            if container.state.status in ("removing", "dead"):
                raise Conflict("container is marked for removal and cannot be started")
            container.manually_stopped = False
            container.restart_count = 0
            self._backoffs.pop(container.id, None)
            try:
                await self._start(container)
            except BaseException:
                if container.host_config["AutoRemove"]:
                    await self._remove(container)  # whoever waits for its removal must not wait for ever
                raise

    async def start_at_boot(self, container: Container) -> None:
        """As `start`; what cannot be started yet is tried again as its restart policy says."""
        try:
            await self.start(container)
        except ApiError as error:
            async with container.lock:
                delay = self._try_again(container, error) if container.state.status == "exited" else None
            if delay is not None:
                self._engine.tasks.spawn(self._restart_later(container, delay), f"start {container.name}")
            raise

    async def _start(self, container: Container) -> None:
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

    # -- a run's end -----------------------------------------------------------------------------------------------

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
            _resolve(container.exit_waiters, code)
            if not again:
                if container.host_config["AutoRemove"] and not container.restarting_by_user:
                    await self._remove(container)
                return
            backoff = self._backoffs.setdefault(container.id, RestartBackoff())
            delay = backoff.next_delay(state.finished_at - (state.started_at or state.finished_at))
        await self._restart_later(container, delay)

    async def _restart_later(self, container: Container, delay: float) -> None:
        """After `delay` seconds, unless somebody stopped or removed it meanwhile; again while it cannot be started."""
        while True:
            await asyncio.sleep(delay)
            async with container.lock:
                if not container.state.restarting:
                    return
                if container.manually_stopped:
                    self._end_restarting(container)
                    return
                try:
                    await self._start(container)
                    return
                except ApiError as error:
                    again = self._try_again(container, error)
                if again is None:
                    _resolve(container.exit_waiters, container.state.exit_code)
                    return
                delay = again

    def _try_again(self, container: Container, error: ApiError) -> float | None:
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

    def _end_restarting(self, container: Container) -> None:
        container.state.status = "exited"
        container.stopped_by_daemon = False
        self._engine.containers.note(container)
        _resolve(container.exit_waiters, container.state.exit_code)

    async def _release(self, container: Container) -> None:
        """Give back what a run held: processes, endpoints, published ports, the sandbox."""
        container.process = None
        if container.guest is not None:
            await container.guest.stop()
        await self._engine.networks.leave_all(container)
        sandbox, container.sandbox, container.sandbox_id = container.sandbox, None, ""
        if sandbox is not None and container.shares_sandbox_of is None and container.network_mode != "host":
            await self._engine.host_network.remove_sandbox(sandbox)

    # -- stop, kill, restart ---------------------------------------------------------------------------------------

    async def stop(self, container: Container, timeout: float | None = None, signal: str | None = None) -> None:
        """The stop signal, then SIGKILL after `timeout` seconds (negative: never). NotModified when it is stopped."""
        number = parse_signal(signal or container.config.get("StopSignal") or "SIGTERM")
        if not container.state.running:
            raise NotModified("container already stopped")
        await self._stop(container, self._timeout(container, timeout), number)
        self._engine.containers.publish(container, "stop")

    def _timeout(self, container: Container, timeout: float | None) -> float:
        if timeout is not None:
            return timeout
        configured = container.config.get("StopTimeout")
        return STOP_TIMEOUT if configured is None else float(configured)

    async def _stop(self, container: Container, timeout: float, number: int) -> None:
        container.manually_stopped = True
        self._engine.containers.save(container)
        if container.state.restarting:
            async with container.lock:
                if container.state.restarting:
                    self._end_restarting(container)
            return
        ended = self.exit_of(container)
        self._signal(container, number)
        if container.state.paused and container.guest is not None:
            container.guest.unpause()  # as Docker: the signal is served when it goes on
        try:
            async with asyncio.timeout(None if timeout < 0 else timeout):
                await asyncio.shield(ended)
                return
        except TimeoutError:
            self._signal(container, SIGKILL)
        async with asyncio.timeout(_KILL_WAIT):
            await ended

    async def kill(self, container: Container, ref: str, signal: str | None = None) -> None:
        """Send a signal; SIGKILL waits for the end. `ref` is what the client called it, for the error."""
        number = parse_signal(signal or "SIGKILL")
        if not container.state.running:
            raise Conflict(f"Cannot kill container: {ref}: {not_running(container).message}")
        stop_signal = container.config.get("StopSignal")
        if number == SIGKILL or not stop_signal or parse_signal(stop_signal) == number:
            container.manually_stopped = True
        if container.state.restarting:
            async with container.lock:
                if container.state.restarting:
                    self._end_restarting(container)
            return
        ended = self.exit_of(container)
        self._signal(container, number)
        if number != SIGKILL:
            ended.cancel()
            return
        async with asyncio.timeout(_KILL_WAIT):
            await ended

    def _signal(self, container: Container, number: int) -> None:
        """Signal the container's own process, and say so. Nothing when it is gone already."""
        if container.process is None:
            return
        self._engine.containers.publish(container, "kill", {"signal": str(number)})
        if number == SIGKILL and container.guest is not None:
            container.guest.unpause()
        container.process.kill(number)

    async def restart(self, container: Container, timeout: float | None = None, signal: str | None = None) -> None:
        """Stop if it runs, then start."""
        number = parse_signal(signal or container.config.get("StopSignal") or "SIGTERM")
        container.restarting_by_user = True
        try:
            if container.state.running:
                await self._stop(container, self._timeout(container, timeout), number)
                self._engine.containers.publish(container, "stop")
        finally:
            container.restarting_by_user = False
        await self.start(container)
        self._engine.containers.publish(container, "restart")

    # -- pause -----------------------------------------------------------------------------------------------------

    async def pause(self, container: Container) -> None:
        """No process of it takes another step."""
        async with container.lock:
            if not container.state.running or container.guest is None:
                raise not_running(container)
            if container.state.paused:
                raise Conflict(f"Container {container.id} is already paused")
            if container.state.restarting:
                raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
            container.guest.pause()
            container.state.status = "paused"
            self._engine.containers.save(container)
            self._engine.containers.publish(container, "pause")

    async def unpause(self, container: Container) -> None:
        async with container.lock:
            if not container.state.paused or container.guest is None:
                raise ServerError(f"Container {container.id} is not paused")
            container.guest.unpause()
            container.state.status = "running"
            self._engine.containers.save(container)
            self._engine.containers.publish(container, "unpause")

    # -- remove ----------------------------------------------------------------------------------------------------

    async def remove(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """Forget it, with the anonymous volumes that came with it if so asked. Conflict while it runs, unless `force`
        kills it first."""
        while True:
            if container.state.status == "removing":
                raise Conflict(f"removal of container {container.name} is already in progress")
            if container.state.running:
                if not force:
                    raise _still_running(container)
                removed = self.removal_of(container)
                await self.kill(container, container.name)
                if container.host_config["AutoRemove"]:
                    await removed  # the run's end removes it
                    return
                removed.cancel()
            async with container.lock:
                if not container.state.running:  # a start may have been under way
                    await self._remove(container, volumes=volumes)
                    return

    async def _remove(self, container: Container, *, volumes: bool = False) -> None:
        """With the lock held, of a container that does not run."""
        if container.state.status == "removing":
            return
        before, container.state.status = container.state.status, "removing"
        try:
            self._engine.containers.forget(container)
        except OSError:
            container.state.status = before
            raise
        self._backoffs.pop(container.id, None)
        container.log.end_run()
        container.streams.end()
        if container.guest is not None:
            await container.guest.stop()
            container.guest = None
        _resolve(container.exit_waiters, container.state.exit_code)
        _resolve(container.removal_waiters, container.state.exit_code)
        if volumes or container.host_config["AutoRemove"]:
            mount_points.remove_anonymous(self._engine, container)
        self._engine.containers.publish(container, "destroy")

    async def rename(self, container: Container, name: str) -> None:
        """Another name, in DNS too."""
        async with container.lock:
            if not name:
                raise BadParameter("Neither old nor new names may be empty")
            name = name.removeprefix("/")
            if name == container.name:
                raise BadParameter("Renaming a container with the same name as its current name")
            old = container.name
            try:
                self._engine.containers.rename(container, name)
            except (BadParameter, Conflict) as error:
                raise type(error)(f"Error when allocating new name: {error.message}") from None
            await self._engine.networks.renamed(container)
            self._engine.containers.publish(container, "rename", {"oldName": f"/{old}"})

    # -- waiting ---------------------------------------------------------------------------------------------------

    @staticmethod
    def exit_of(container: Container) -> asyncio.Future[int]:
        """The exit code of the present or next run."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        _add(container.exit_waiters, future)
        return future

    @staticmethod
    def removal_of(container: Container) -> asyncio.Future[int]:
        """Done when the container has been removed; with its last exit code."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        _add(container.removal_waiters, future)
        return future

    async def stop_at_shutdown(self, container: Container, grace: float) -> None:
        """The daemon stops: the signal, a moment, SIGKILL. Not a manual stop, so restart policies apply at boot."""
        if container.state.restarting:
            return
        ended = self.exit_of(container)
        number = parse_signal(container.config.get("StopSignal") or "SIGTERM")
        container.manually_stopped, manually = True, container.manually_stopped
        self._signal(container, number)
        try:
            async with asyncio.timeout(grace):
                await asyncio.shield(ended)
        except TimeoutError:
            self._signal(container, SIGKILL)
            await ended
        container.manually_stopped = manually
        self._engine.containers.note(container)


def _still_running(container: Container) -> Conflict:
    if container.state.paused:
        return Conflict(
            f"You cannot remove a paused container {container.id}. "
            "Unpause and then stop the container before attempting removal or force remove"
        )
    return Conflict(
        f"You cannot remove a running container {container.id}. "
        "Stop the container before attempting removal or force remove"
    )


_RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "


def make_directory(files: Filesystem, path: str) -> None:
    """Make a directory that the container was promised, unless something is there already."""
    if path and not files.exists(path):
        with contextlib.suppress(OSError):  # a file in the way; the start will say so
            files.mkdir(path, parents=True)


def _add(waiters: list[asyncio.Future[int]], future: asyncio.Future[int]) -> None:
    waiters.append(future)
    future.add_done_callback(lambda f: waiters.remove(f) if f in waiters else None)


def _resolve(waiters: list[asyncio.Future[int]], code: int) -> None:
    for future in list(waiters):
        if not future.done():
            future.set_result(code)
    waiters.clear()
