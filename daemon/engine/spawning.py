"""Starting a process in a container, its own or an exec's: runc's words when it cannot be, its output on the way
to whoever wants it, and its exit code once all of that has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from daemon.engine.container import Container
from daemon.engine.logs import STDERR, STDOUT
from daemon.engine.streams import Streams
from daemon.engine.tasks import TaskOwner
from daemon.errors import BadParameter, ServerError
from daemon.runtime.container import Guest, NoSuchAccount, NotADirectory
from daemon.runtime.pipe import Pipe
from daemon.runtime.process import PermissionDenied, Process, ProgramNotFound

_DRAIN = 2.0  # seconds for output to arrive after the process ended, as Docker's StreamConfig.Wait

Take = Callable[[int, bytes], Awaitable[None]]  # gets (STDOUT or STDERR, what was written)


class CannotStart(BadParameter):
    """The program cannot be executed; `exit_code` is what a shell would make of it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Running:
    """A started process, and the tasks that carry its output."""

    process: Process
    pumps: list[asyncio.Task[None]]

    async def ended(self) -> int:
        """The exit code, when the output has been passed on too (or could not be within _DRAIN seconds)."""
        code = await self.process.wait()
        try:
            async with asyncio.timeout(_DRAIN):
                await asyncio.gather(*self.pumps, return_exceptions=True)
        except TimeoutError:
            for pump in self.pumps:
                pump.cancel()
        return code


def spawn(
    tasks: TaskOwner,
    guest: Guest,
    argv: Sequence[str],
    *,
    env: Sequence[str] = (),
    cwd: str,
    user: str,
    tty: bool,
    size: tuple[int, int] | None,
    streams: Streams,
    take: Take,
) -> Running:
    """Start it. `size`: rows and columns of its terminal. Raises CannotStart."""
    stdout = Pipe()
    stderr = stdout if tty else Pipe()
    try:
        process = guest.spawn(
            argv, env=env, cwd=cwd or "/", stdin=streams.stdin, stdout=stdout, stderr=stderr, user=user, tty=tty
        )
    except ProgramNotFound as error:
        reason = f"stat {error.name}: no such file or directory"
        if "/" not in error.name:
            reason = "executable file not found in $PATH"
        raise CannotStart(f'exec: "{error.name}": {reason}: unknown', 127) from error
    except PermissionDenied as error:
        raise CannotStart(f'exec: "{error.name}": permission denied: unknown', 126) from error
    except NoSuchAccount as error:
        raise ServerError(str(error)) from error
    except NotADirectory as error:
        text = f'chdir to cwd ("{error.path}") set in config.json failed: no such file or directory: unknown'
        raise CannotStart(text, 126) from error
    if size is not None and all(size) and process.terminal is not None:
        process.terminal.resize(*size)
    pumps = [tasks.spawn(_pump(stdout, STDOUT, take), "stdout")]
    if not tty:
        pumps.append(tasks.spawn(_pump(stderr, STDERR, take), "stderr"))
    return Running(process, pumps)


async def _pump(pipe: Pipe, stream: int, take: Take) -> None:
    while data := await pipe.read():
        await take(stream, data)


def host_pid(container: Container, pid: int) -> int:
    """A number for a container's process as the host would see it: steady, and different in every container."""
    return 1000 + int(container.id[:5], 16) % 30000 + pid - 1
