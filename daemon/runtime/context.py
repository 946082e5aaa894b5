"""What a program sees of its process and container: the face that every program is written against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from random import Random

    from daemon.runtime.container import Guest
    from daemon.runtime.descriptor import Description
    from daemon.runtime.filesystem import Filesystem
    from daemon.runtime.process import Process
    from daemon.runtime.tty import Terminal
    from overlay.sandbox import Sandbox

#: A program: a coroutine function that gets its context and returns its exit code.
Program: TypeAlias = Callable[["ProcessContext"], Coroutine[Any, Any, int]]

Kept = TypeVar("Kept", bound="Closeable")


class Closeable(Protocol):
    def close(self) -> object: ...


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
