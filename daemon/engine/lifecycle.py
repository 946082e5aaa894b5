"""What is done to a container: start, stop, kill, restart, pause, remove, rename (moby's daemon/*.go).

One change at a time under the container's lock. Its runs are `runs.py`'s: stop and kill only signal and wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.engine import mount_points
from daemon.engine.container import Container
from daemon.engine.runs import Runs, resolve
from daemon.engine.signals import parse_signal
from daemon.errors import ApiError, BadParameter, Conflict, NotModified, ServerError
from daemon.runtime.process import SIGKILL

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

STOP_TIMEOUT = 10.0  # seconds between the stop signal and SIGKILL, unless the container says otherwise
_KILL_WAIT = 10.0


def not_running(container: Container) -> Conflict:
    return Conflict(f"Container {container.id} is not running")


class Lifecycle:
    """Changes of state of this host's containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.runs = Runs(engine, self._remove)

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
            self.runs.forget_failures(container)
            try:
                await self.runs.begin(container)
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
                delay = self.runs.try_again(container, error) if container.state.status == "exited" else None
            if delay is not None:
                self._engine.tasks.spawn(self.runs.restart_later(container, delay), f"start {container.name}")
            raise

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
                    self.runs.end_restarting(container)
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
                    self.runs.end_restarting(container)
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
        self.runs.forget_failures(container)
        container.log.end_run()
        container.streams.end()
        if container.guest is not None:
            await container.guest.stop()
            container.guest = None
        resolve(container.exit_waiters, container.state.exit_code)
        resolve(container.removal_waiters, container.state.exit_code)
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


def _add(waiters: list[asyncio.Future[int]], future: asyncio.Future[int]) -> None:
    waiters.append(future)
    future.add_done_callback(lambda f: waiters.remove(f) if f in waiters else None)
