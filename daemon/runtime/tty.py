"""The line discipline between a terminal on the other side of the API and a process (termios(3), canonical mode)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from daemon.runtime.descriptor import Description
from daemon.runtime.pipe import CAPACITY, Pipe
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from daemon.runtime.container import Guest

INTERRUPT, END, BACKSPACE, KILL_LINE, QUIT, ERASE_WORD = 3, 4, 8, 21, 28, 23
DELETE, ESCAPE, RETURN, NEWLINE = 127, 27, 13, 10
MAX_LINE = 4096  # as the kernel's N_TTY_BUF_SIZE
MAX_WAITING = 4096  # lines typed ahead; more are dropped, as a full input queue does


class Terminal(Description):
    """Echoes and edits what is typed, gives lines to the reader, signals to the foreground group, CR LF to the screen.

    `rows`, `columns` are the window's size (`resize`).
    """

    __slots__ = (
        "_ended",
        "_escape",
        "_guest",
        "_line",
        "_output",
        "_pump",
        "_ready",
        "_shown",
        "_source",
        "_waker",
        "columns",
        "echo",
        "foreground",
        "history",
        "rows",
    )

    def __init__(self, guest: Guest, source: Pipe, output: Pipe) -> None:
        super().__init__()
        self.rows, self.columns = 24, 80
        self.echo = True
        self.foreground = 0
        self.history: list[bytes] = []
        self._guest = guest
        self._source = source
        self._output = output
        self._line = bytearray()
        self._escape = b""
        self._shown = 0
        self._ready: deque[bytes] = deque()  # typed lines; b"" is a ^D on an empty one: end of file, once
        self._waker: asyncio.Future[None] | None = None
        self._ended = False
        self._pump: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._read_keys())

    def isatty(self) -> bool:
        return True

    def resize(self, rows: int, columns: int) -> None:
        """A new window size; the foreground gets SIGWINCH."""
        self.rows, self.columns = rows, columns
        self._guest.signal_group(self.foreground, int(Signals.SIGWINCH))

    async def read(self, n: int = CAPACITY) -> bytes:
        return await self.readline(n)

    async def readline(self, limit: int = CAPACITY) -> bytes:
        while not self._ready:
            if self._ended:
                return b""
            self._waker = self._waker or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waker)
        line = self._ready.popleft()
        if len(line) > limit:
            self._ready.appendleft(line[limit:])
            line = line[:limit]
        return line

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._output.write(bytes(data).replace(b"\n", b"\r\n"))

    def release(self) -> None:
        self._pump.cancel()
        self._source.close_read()
        self._output.close_write()

    def _give(self, line: bytes) -> None:
        if len(self._ready) < MAX_WAITING:
            self._ready.append(line)
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None:
            waker, self._waker = self._waker, None
            waker.set_result(None)

    async def _show(self, data: bytes) -> None:
        if self.echo and data:
            await self._output.write(data)

    async def _read_keys(self) -> None:
        try:
            while data := await self._source.read():
                for key in data:
                    await self._key(key)
        except BrokenPipeError:
            pass
        finally:
            self._ended = True
            self._wake()
            if self.references > 0:
                self._guest.signal_group(self.foreground, int(Signals.SIGHUP))

    async def _key(self, key: int) -> None:
        if self._escape or key == ESCAPE:
            await self._escape_sequence(key)
        elif key in (RETURN, NEWLINE):
            await self._show(b"\r\n")
            line, self._line = bytes(self._line), bytearray()
            if line.strip() and (not self.history or self.history[-1] != line):
                self.history = [*self.history[-99:], line]
            self._shown = len(self.history)
            self._give(line + b"\n")
        elif key in (BACKSPACE, DELETE):
            if self._line:
                while len(self._line) > 1 and self._line[-1] & 0xC0 == 0x80:
                    self._line.pop()
                self._line.pop()
                await self._show(b"\b \b")
        elif key == KILL_LINE:
            await self._replace(b"")
        elif key == ERASE_WORD:
            await self._replace(
                bytes(self._line.rstrip().rpartition(b" ")[0] + b" " if b" " in self._line.rstrip() else b"")
            )
        elif key in (INTERRUPT, QUIT):
            await self._show(b"^C" if key == INTERRUPT else b"^\\")
            self._line.clear()
            self._guest.signal_group(self.foreground, int(Signals.SIGINT if key == INTERRUPT else Signals.SIGQUIT))
        elif key == END:
            line, self._line = bytes(self._line), bytearray()
            self._give(line)
        elif (key >= 32 or key == 9) and len(self._line) < MAX_LINE:
            self._line.append(key)
            await self._show(bytes([key]))

    async def _escape_sequence(self, key: int) -> None:
        self._escape += bytes([key])
        if self._escape in (b"\x1b", b"\x1b[", b"\x1bO"):
            return
        if self._escape.startswith(b"\x1b[") and not 64 <= key <= 126:
            return
        sequence, self._escape = self._escape, b""
        if sequence in (b"\x1b[A", b"\x1bOA") and self._shown > 0:
            self._shown -= 1
            await self._replace(self.history[self._shown])
        elif sequence in (b"\x1b[B", b"\x1bOB") and self._shown < len(self.history):
            self._shown += 1
            await self._replace(self.history[self._shown] if self._shown < len(self.history) else b"")

    async def _replace(self, line: bytes) -> None:
        width = len(self._line.decode("utf-8", "replace"))
        await self._show(b"\b \b" * width + line)
        self._line = bytearray(line)
