"""A simulated process: a coroutine with descriptors, an environment, signals and an exit code.

The coroutine is driven through `_Stoppable`, which can hold it between two of its steps: that is SIGSTOP, and
`docker pause`. Exit is by return value, by `ProcessExit`, by signal, or by `exec` into another program.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import structlog

from daemon.runtime.descriptor import Description

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Mapping, Sequence
    from random import Random

    from daemon.runtime.container import Guest
    from daemon.runtime.filesystem import Filesystem
    from daemon.runtime.tty import Terminal
    from overlay.sandbox import Sandbox

log = structlog.get_logger("runtime")

#: A program: a coroutine function that gets its context and returns its exit code.
Program: TypeAlias = Callable[["ProcessContext"], Coroutine[Any, Any, int]]

SIGCHLD, SIGURG, SIGWINCH = int(signal.SIGCHLD), int(signal.SIGURG), int(signal.SIGWINCH)
SIGCONT, SIGSTOP, SIGTSTP, SIGKILL = int(signal.SIGCONT), int(signal.SIGSTOP), int(signal.SIGTSTP), int(signal.SIGKILL)
IGNORED_BY_DEFAULT = (SIGCHLD, SIGURG, SIGWINCH, SIGCONT)  # signal(7)

Kept = TypeVar("Kept", bound="Closeable")


class Closeable(Protocol):
    def close(self) -> object: ...


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


class ProcessContext:
    """What a program sees. Streams have `read`, `readline`, `write` as pipes do.

    `env` is a dict, `cwd` an absolute path; `files`, `sandbox` (the container's network stack), `hostname`, `random`
    and `wall()` (seconds since 1970) come from the container. Time for waiting is asyncio's.
    """

    __slots__ = ("argv", "env", "process")

    def __init__(self, process: Process, argv: list[str], env: dict[str, str]) -> None:
        self.process = process
        self.argv = argv
        self.env = env

    @property
    def stdin(self) -> Description:
        return self.process.descriptor(0)

    @property
    def stdout(self) -> Description:
        return self.process.descriptor(1)

    @property
    def stderr(self) -> Description:
        return self.process.descriptor(2)

    @property
    def cwd(self) -> str:
        return self.process.cwd

    @property
    def guest(self) -> Guest:
        return self.process.guest

    @property
    def files(self) -> Filesystem:
        return self.process.guest.files

    @property
    def sandbox(self) -> Sandbox:
        return self.process.guest.sandbox

    @property
    def hostname(self) -> str:
        return self.process.guest.hostname

    @property
    def random(self) -> Random:
        return self.process.guest.world.random

    @property
    def terminal(self) -> Terminal | None:
        """The controlling terminal, when the process has one."""
        return self.process.terminal

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.process.guest.world.wall()

    def clock(self) -> float:
        """Monotonic seconds (the event loop's)."""
        return asyncio.get_running_loop().time()

    def path(self, name: str) -> str:
        """`name` made absolute from the working directory."""
        path = name if name.startswith("/") else f"{self.process.cwd}/{name}"
        if path.startswith("/proc/self"):
            path = f"/proc/{self.process.pid}{path[10:]}"
        return path

    def open(
        self,
        name: str,
        *,
        read: bool = False,
        write: bool = False,
        append: bool = False,
        create: bool = False,
        truncate: bool = False,
    ) -> Description:
        """Open a file as open(2) does; /dev/stdin, /dev/fd/N and /dev/tty are this process's own."""
        path = self.path(name)
        numbers = {"/dev/stdin": "0", "/dev/stdout": "1", "/dev/stderr": "2"}
        number = numbers.get(path, path.removeprefix("/dev/fd/") if path.startswith("/dev/fd/") else "")
        if number.isdigit():
            stream = self.process.descriptors.get(int(number))
            if stream is None:
                raise FileNotFoundError(2, "No such file or directory", name)
            return stream.duplicate()
        if path == "/dev/tty":
            if self.process.terminal is None:
                raise OSError(6, "No such device or address", name)
            return self.process.terminal.duplicate()
        return self.files.open(
            path,
            read=read,
            write=write,
            append=append,
            create=create,
            truncate=truncate,
            mode=0o666 & ~self.process.umask,
        )

    async def print(self, text: str, end: str = "\n") -> None:
        """Write text and a newline to standard output."""
        await self.stdout.write((text + end).encode("utf-8", "surrogateescape"))

    async def error(self, text: str, end: str = "\n") -> None:
        """Write text and a newline to standard error."""
        await self.stderr.write((text + end).encode("utf-8", "surrogateescape"))

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        streams: Mapping[int, Description] | None = None,
    ) -> Process:
        """Start a program as a child. Descriptors are inherited (`streams` replaces some; the caller keeps its own).

        Raises ProgramNotFound, PermissionDenied.
        """
        program, arguments = self.guest.find_program(argv, env or self.env, self.cwd)
        return self.process.fork(program, arguments, env=env or self.env, cwd=cwd, streams=streams)

    def keep(self, resource: Kept) -> Kept:
        """`resource` (a socket, a listener) is closed when the process ends, however it ends."""
        self.process.kept.append(resource)
        return resource

    def drop(self, resource: Closeable) -> None:
        """Close it now and forget it."""
        if resource in self.process.kept:
            self.process.kept.remove(resource)
        resource.close()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that belongs to this process (a thread of it): it ends when the process ends."""
        return self.process.start_task(coroutine)

    def on_signal(self, number: int, handler: Callable[[], None] | None) -> None:
        """Call `handler` on that signal; None ignores it."""
        self.process.handlers[number] = handler

    def interrupt(self, awaitable: Awaitable[Any], numbers: Sequence[int]) -> Awaitable[Any]:
        """`awaitable`, cancelled when one of these signals comes (see `interrupted`)."""
        return self.process.interruptible(awaitable, numbers)


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
        if number in (SIGSTOP, SIGTSTP, int(signal.SIGTTIN), int(signal.SIGTTOU)):
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
            return 128 + int(signal.SIGPIPE)
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
