"""The user's end of a hijacked stream: standard input in, output out, terminal size, signals and detach keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar

from scenarios.client import STDERR, Hijacked

Resize = Callable[[int, int], Awaitable[object]]

SCRIPTED: ContextVar[bytes | None] = ContextVar("scripted", default=None)
"""Where it is set, nobody sits at the terminal: this is all of standard input, and signals are not ours to forward."""

_DETACH = b"\x10\x11"  # ctrl-p ctrl-q, Docker's default


class Detached(Exception):
    """The user typed the detach keys; the container runs on."""


@contextlib.contextmanager
def _raw(enabled: bool) -> Iterator[None]:
    if not enabled or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty as tty_modes

    before = termios.tcgetattr(sys.stdin.fileno())
    tty_modes.setraw(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def _read_input(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[bytes]) -> None:
    """Standard input may be a file, which no event loop can wait for: a thread reads it, and waits when we do."""
    with contextlib.suppress(RuntimeError, OSError):  # the loop is gone: so is the reason to read
        while True:
            data = os.read(sys.stdin.fileno(), 65536)
            asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()
            if not data:
                return


async def _feed(stream: Hijacked, *, keys: bool) -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)
    threading.Thread(target=_read_input, args=(asyncio.get_running_loop(), queue), daemon=True).start()
    with contextlib.suppress(ConnectionError):
        pending = b""
        while data := await queue.get():
            if keys:
                before, found, _ = (pending + data).partition(_DETACH)
                if found:
                    await stream.send(before[len(pending) :])
                    raise Detached
                pending = data[-1:] if data.endswith(_DETACH[:1]) else b""
            await stream.send(data)
        stream.end_input()


@contextlib.asynccontextmanager
async def _follow_size(resize: Resize | None) -> AsyncIterator[None]:
    if resize is None or not sys.stdout.isatty() or not hasattr(signal, "SIGWINCH"):
        yield
        return
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    changed.set()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)

    async def tell() -> None:
        from aiodocker.exceptions import DockerError

        while True:
            await changed.wait()
            changed.clear()
            size = shutil.get_terminal_size()
            with contextlib.suppress(DockerError):
                await resize(size.lines, size.columns)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def write_out(kind: int, data: bytes) -> None:
    """To the user's standard output or standard error, at once."""
    target = sys.stderr.buffer if kind == STDERR else sys.stdout.buffer
    target.write(data)
    target.flush()


async def converse(stream: Hijacked, *, tty: bool, stdin: bool, resize: Resize | None = None) -> bool:
    """Carries bytes until the container closes its output. False: the user detached."""

    async def show() -> None:
        async for kind, data in stream.frames(tty=tty):
            write_out(kind, data)

    if (scripted := SCRIPTED.get()) is not None:
        try:
            if stdin and scripted:
                await stream.send(scripted)
            stream.end_input()
            await show()
            return True
        finally:
            stream.close()
    with _raw(tty and stdin):
        async with _follow_size(resize if tty else None):
            output = asyncio.create_task(show())
            feeder = asyncio.create_task(_feed(stream, keys=tty)) if stdin else None
            try:
                if feeder is None:
                    stream.end_input()
                    await output
                    return True
                await asyncio.wait([output, feeder], return_when=asyncio.FIRST_COMPLETED)
                if feeder.done() and isinstance(feeder.exception(), Detached):
                    return False
                await output
                return True
            finally:
                for task in (output, feeder):
                    if task is not None:
                        task.cancel()
                await asyncio.gather(*(t for t in (output, feeder) if t is not None), return_exceptions=True)
                stream.close()


@contextlib.contextmanager
def forwarded_signals(send: Callable[[str], Awaitable[object]]) -> Iterator[None]:
    """SIGINT and SIGTERM go to the container, as `docker run` without a terminal does."""
    if SCRIPTED.get() is not None:
        yield
        return
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[object]] = set()

    async def deliver(name: str) -> object:
        from aiodocker.exceptions import DockerError

        with contextlib.suppress(DockerError):  # it may have ended in the meantime
            return await send(name)
        return None

    def start(name: str) -> None:
        task = asyncio.ensure_future(deliver(name))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    forwarded = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not a Unix: Ctrl-C ends the command there
            loop.add_signal_handler(number, start, number.name.removeprefix("SIG"))
            forwarded.append(number)
    try:
        yield
    finally:
        for number in forwarded:
            loop.remove_signal_handler(number)
