"""Docker's command lines as scenarios hold them: read by the very verbs of `shoal on`, performed on any client.

So a line means the same in a scenario, in simulated time and in a terminal. Output is kept apart for each line, also
when several run at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import shlex
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TextIO, cast

import typer

from scenarios.cli.on import DEFERRED, Deferred, perform
from scenarios.cli.terminal import SCRIPTED
from scenarios.cli.verbs import on
from scenarios.client import HostClient


class BadLine(ValueError):
    """A command line that docker (or its part that is known here) would not understand; the text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was understood."""

    words: tuple[str, ...]
    deferred: Deferred


@dataclass(frozen=True, slots=True)
class Printed:
    """What came of a line: exit status and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


_command: list[Callable[..., object]] = []


@lru_cache(1024)
def parse(line: str) -> Line:
    """Without the leading word docker. Raises BadLine; does nothing else. A line is checked before a run and read again
    in each."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadLine(f"docker {line}: {error}") from None
    if words[:1] == ["docker"]:
        words = words[1:]
    if not words:
        raise BadLine("a docker command expected")
    if not _command:
        _command.append(typer.main.get_command(on.app).main)
    found: list[Deferred] = []
    token = DEFERRED.set(found)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            _command[0](["-", *words], prog_name="docker", standalone_mode=False)
    except Exception as error:  # click's own classes, wherever typer keeps them
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        raise BadLine(f"docker {line}: {message}") from None
    finally:
        DEFERRED.reset(token)
    if not found:
        raise BadLine(f"docker {line}: not a command that a scenario can do")
    return Line(tuple(words), found[-1])


async def perform_line(line: Line, client: HostClient, *, stdin: bytes = b"") -> Printed:
    """Does it, in a task of its own; needs `kept_apart`."""

    async def work() -> Printed:
        out, err = io.BytesIO(), io.BytesIO()
        _OUTPUT.set((out, err))
        SCRIPTED.set(stdin)
        code = await perform(client, line.deferred.work, line.deferred.failure)
        return Printed(code, *(stream.getvalue().decode(errors="replace") for stream in (out, err)))

    return await asyncio.create_task(work())


_OUTPUT: ContextVar[tuple[io.BytesIO, io.BytesIO] | None] = ContextVar("output", default=None)


class _Apart(io.TextIOBase):
    """A standard stream that gives each task its own."""

    def __init__(self, real: TextIO, index: int) -> None:
        self._real = real
        self._index = index
        self.buffer = _ApartBytes(real, index)

    def write(self, text: str) -> int:
        own = _OUTPUT.get()
        if own is None:
            return self._real.write(text)
        own[self._index].write(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        if _OUTPUT.get() is None:
            self._real.flush()

    def isatty(self) -> bool:
        return _OUTPUT.get() is None and self._real.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._real.encoding

    def fileno(self) -> int:
        return self._real.fileno()


class _ApartBytes:
    def __init__(self, real: TextIO, index: int) -> None:
        self._real = real
        self._index = index

    def write(self, data: bytes) -> int:
        own = _OUTPUT.get()
        return self._real.buffer.write(data) if own is None else own[self._index].write(data)

    def flush(self) -> None:
        if _OUTPUT.get() is None:
            self._real.buffer.flush()


@contextlib.contextmanager
def kept_apart() -> Iterator[None]:
    """While it lasts, what `perform_line` prints is its own; all else goes where it went before."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, _Apart(before[0], 0)), cast(TextIO, _Apart(before[1], 1))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
