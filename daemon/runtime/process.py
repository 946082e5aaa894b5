"""A simulated process: a coroutine with descriptors, an environment, signals and an exit code.

The coroutine is driven through `_Stoppable`, which can hold it between two of its steps: that is SIGSTOP, and
`docker pause`. Exit is by return value, by `ProcessExit`, by signal, or by `exec` into another program.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog

from daemon.runtime.context import ProcessContext, Program
from daemon.runtime.descriptor import Description
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence

    from daemon.runtime.container import Guest
    from daemon.runtime.context import Closeable
    from daemon.runtime.tty import Terminal

__all__ = [
    "SIGKILL",
    "Interrupted",
    "PermissionDenied",
    "Process",
    "ProcessContext",
    "ProcessExit",
    "Program",
    "ProgramNotFound",
    "Replace",
]

log = structlog.get_logger("runtime")

SIGCHLD, SIGURG, SIGWINCH = int(Signals.SIGCHLD), int(Signals.SIGURG), int(Signals.SIGWINCH)
SIGCONT, SIGSTOP = int(Signals.SIGCONT), int(Signals.SIGSTOP)
SIGTSTP, SIGKILL = int(Signals.SIGTSTP), int(Signals.SIGKILL)
IGNORED_BY_DEFAULT = (SIGCHLD, SIGURG, SIGWINCH, SIGCONT)  # signal(7)


class ProgramNotFound(Exception):
    """No such program in the image; the engine says it in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: not found")
        self.name = name


class PermissionDenied(Exception):
    """The file is there and cannot be executed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: Permission denied")
        self.name = name


class ProcessExit(BaseException):
    """Raised inside a program to end its process with `code` (exit(3))."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code & 0xFF


class Replace(BaseException):
    """Raised inside a program to become another one in the same process (execve(2))."""

    def __init__(self, program: Program, argv: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(argv)
        self.program = program
        self.argv = list(argv)
        self.env = dict(env)


class _Stoppable:
    """Awaits a coroutine step by step, and waits before a step while the process or its guest is stopped."""

    __slots__ = ("coroutine", "process")

    def __init__(self, coroutine: Coroutine[Any, Any, int], process: Process) -> None:
        self.coroutine = coroutine
        self.process = process

    def __await__(self) -> Generator[Any, Any, int]:
        coroutine, process = self.coroutine, self.process
        error: BaseException | None = None
        try:
            while True:
                gate = process.gate or process.guest.gate
                while gate is not None and error is None:
                    try:
                        yield from asyncio.shield(gate).__await__()
                    except BaseException as caught:
                        error = caught
                    gate = process.gate or process.guest.gate
                try:
                    step = coroutine.send(None) if error is None else coroutine.throw(error)
                except StopIteration as done:
                    return int(done.value or 0)
                error = None
                try:
                    yield step
                except BaseException as caught:
                    error = caught
        finally:
            coroutine.close()


class Interrupted(Exception):
    """A signal that the program listens for came while it waited."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Process:
    """One process of a container.

    `pid`, `ppid`, `argv`, `started` (seconds since 1970), `exit_code` (None while it runs; 128+n after signal n).
    """

    __slots__ = (
        "_ended",
        "_exiting",
        "_signal",
        "_task",
        "_tasks",
        "argv",
        "children",
        "context",
        "cwd",
        "descriptors",
        "exit_code",
        "gate",
        "group",
        "guest",
        "handlers",
        "kept",
        "parent",
        "pid",
        "started",
        "terminal",
        "umask",
        "user",
    )

    def __init__(
        self,
        guest: Guest,
        pid: int,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: str,
        descriptors: dict[int, Description],
        parent: Process | None,
        group: int,
        user: str,
        terminal: Terminal | None,
    ) -> None:
        self.guest = guest
        self.pid = pid
        self.argv = argv
        self.cwd = cwd
        self.descriptors = descriptors
        self.parent = parent
        self.children: list[Process] = []
        self.group = group
        self.user = user
        self.umask = 0o022
        self.terminal = terminal
        self.started = guest.world.wall()
        self.exit_code: int | None = None
        self.handlers: dict[int, Callable[[], None] | None] = {}
        self.kept: list[Closeable] = []
        self.gate: asyncio.Future[None] | None = None
        self.context = ProcessContext(self, argv, env)
        self._task: asyncio.Task[int] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._signal: int | None = None
        self._exiting = False

    @property
    def task(self) -> asyncio.Task[int] | None:
        """What it runs in, once it was started."""
        return self._task

    @property
    def ppid(self) -> int:
        return self.parent.pid if self.parent is not None else 0

    @property
    def name(self) -> str:
        """What ps calls comm."""
        return self.argv[0].rsplit("/", 1)[-1].lstrip("-") if self.argv else ""

    @property
    def ended_by(self) -> int:
        """The signal that ended it, 0 when it exited by itself or still runs."""
        return self._signal or 0 if self.exit_code is not None else 0

    @property
    def state(self) -> str:
        """ps's letter: R, S, T."""
        return "T" if self.gate is not None or self.guest.gate is not None else "S"

    async def wait(self) -> int:
        """The exit code, once it has ended. Any number may wait."""
        return await asyncio.shield(self._ended)

    def kill(self, number: int) -> None:
        """Deliver a signal. PID 1 ignores what it has no handler for, except SIGKILL (pid_namespaces(7))."""
        if self.exit_code is not None or number == 0:
            return
        if number == SIGKILL:
            self._terminate(number)
            return
        if number == SIGCONT and self.gate is not None:
            gate, self.gate = self.gate, None
            gate.set_result(None)
        if number in self.handlers:
            handler = self.handlers[number]
            if handler is not None:
                handler()
            return
        if number in IGNORED_BY_DEFAULT:
            return
        if number in (SIGSTOP, SIGTSTP, int(Signals.SIGTTIN), int(Signals.SIGTTOU)):
            if self.gate is None and self.pid != 1:
                self.gate = asyncio.get_running_loop().create_future()
            return
        if self.pid != 1:
            self._terminate(number)

    def fork(
        self,
        program: Program,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None = None,
        streams: Mapping[int, Description] | None = None,
        group: int | None = None,
    ) -> Process:
        """A child that runs `program`; it inherits descriptors, directory, group and terminal."""
        descriptors = {
            number: stream.duplicate()
            for number, stream in self.descriptors.items()
            if streams is None or number not in streams
        }
        for number, stream in (streams or {}).items():
            descriptors[number] = stream.duplicate()
        child = self.guest.new_process(
            list(argv),
            env=dict(env),
            cwd=cwd or self.cwd,
            descriptors=descriptors,
            parent=self,
            group=self.group if group is None else group,
            user=self.user,
            terminal=self.terminal,
        )
        child.handlers = {number: None for number, handler in self.handlers.items() if handler is None}
        child.umask = self.umask
        child.run(program)
        return child

    def run(self, program: Program) -> None:
        """Start it. Called once, by whoever made the process."""
        self._task = asyncio.get_running_loop().create_task(self._main(program), name=f"{self.name}[{self.pid}]")
        self._task.add_done_callback(self._done)

    def descriptor(self, number: int) -> Description:
        """What `number` points at; a description that answers EBADF when it is closed."""
        return self.descriptors.get(number) or Description()

    def start_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.append(task)
        task.add_done_callback(self._task_done)
        return task

    async def interruptible(self, awaitable: Awaitable[Any], numbers: Sequence[int]) -> Any:
        """Await it; raises Interrupted(number) when one of these signals comes meanwhile."""
        task = asyncio.ensure_future(awaitable)
        came: list[int] = []
        before = {number: self.handlers[number] for number in numbers if number in self.handlers}

        def handler(number: int) -> Callable[[], None]:
            def interrupt() -> None:
                came.append(number)
                task.cancel()

            return interrupt

        for number in numbers:
            self.handlers[number] = handler(number)
        try:
            return await task
        except asyncio.CancelledError:
            if came:
                raise Interrupted(came[0]) from None
            task.cancel()
            raise
        finally:
            for number in numbers:
                self.handlers.pop(number, None)
            self.handlers.update(before)

    # -- inside ------------------------------------------------------------------------------------------------

    async def _main(self, program: Program) -> int:
        try:
            while True:
                try:
                    return await _Stoppable(program(self.context), self)
                except Replace as other:
                    self.argv = other.argv
                    self.handlers = {number: None for number, handler in self.handlers.items() if handler is None}
                    self.context = ProcessContext(self, other.argv, other.env)
                    program = other.program
        except ProcessExit as ended:
            return ended.code
        except BrokenPipeError:
            return 128 + int(Signals.SIGPIPE)
        except OSError as error:
            return await self._complain(f"{self.name}: {error.strerror or error}")
        except asyncio.CancelledError:
            return 128 + (self._signal or SIGKILL)
        except Exception:
            log.exception("program failed", program=self.name, container=self.guest.hostname)
            return await self._complain("Segmentation fault", code=139)

    async def _complain(self, text: str, code: int = 1) -> int:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self.descriptor(2).write(text.encode("utf-8", "surrogateescape") + b"\n")
        return code

    def _terminate(self, number: int) -> None:
        if self._exiting:
            return
        self._exiting = True
        self._signal = number
        if self._task is not None:
            self._task.cancel()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, OSError):
            log.error(
                "a thread of a program failed", program=self.name, container=self.guest.hostname, error=repr(error)
            )

    def _done(self, task: asyncio.Task[int]) -> None:
        self.exit_code = 128 + (self._signal or SIGKILL) if task.cancelled() else task.result() & 0xFF
        for thread in list(self._tasks):
            thread.cancel()
        for resource in self.kept:
            resource.close()
        self.kept.clear()
        for stream in self.descriptors.values():
            stream.close()
        self.descriptors.clear()
        self.guest.process_ended(self)
        if not self._ended.done():
            self._ended.set_result(self.exit_code)

    async def join(self) -> None:
        """Until its task and threads are gone (at stop)."""
        await asyncio.gather(*([self._task] if self._task else []), *self._tasks, return_exceptions=True)
