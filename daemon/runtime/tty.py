"""The line discipline between a terminal on the other side of the API and a process (termios(3), canonical mode)."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from daemon.runtime.descriptor import Description
from daemon.runtime.pipe import CAPACITY, Pipe

if TYPE_CHECKING:
    from daemon.runtime.container import Guest

INTERRUPT, END, BACKSPACE, KILL_LINE, SUSPEND, QUIT, ERASE_WORD = 3, 4, 8, 21, 26, 28, 23
DELETE, ESCAPE, RETURN, NEWLINE = 127, 27, 13, 10
MAX_LINE = 4096


class Terminal(Description):
    """Echoes and edits what is typed, gives lines to the reader, signals to the foreground group, CR LF to the screen.

    `rows`, `columns` are the window's size (`resize`).
    """

    __slots__ = ("_ends", "_escape", "_guest", "_line", "_output", "_pump", "_source", "columns", "echo", "foreground",
                 "history", "_shown", "lines", "rows")

    def __init__(self, guest: Guest, source: Pipe, output: Pipe) -> None:
        super().__init__()
        self.rows, self.columns = 24, 80
        self.echo = True
        self.foreground = 0
        self.history: list[bytes] = []
        self.lines = Pipe()
        self._guest = guest
        self._source = source
        self._output = output
        self._line = bytearray()
        self._escape = b""
        self._shown = 0
        self._ends = 0
        self._pump: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._read_keys())

    def isatty(self) -> bool:
        return True

    def resize(self, rows: int, columns: int) -> None:
        """A new window size; the foreground gets SIGWINCH."""
        self.rows, self.columns = rows, columns
        self._guest.signal_group(self.foreground, int(signal.SIGWINCH))

    async def read(self, n: int = CAPACITY) -> bytes:
        return (await self.readline(n))

    async def readline(self, limit: int = CAPACITY) -> bytes:
        if self.lines.buffered == 0 and self._ends:
            self._ends -= 1
            return b""
        data = await self.lines.readline(limit)
        if data == b"\0":  # a ^D on an empty line: end of file once, the terminal stays open
            return b""
        return data

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._output.write(bytes(data).replace(b"\n", b"\r\n"))

    def release(self) -> None:
        self._pump.cancel()
        self._source.close_read()
        self._output.close_write()

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
            self.lines.close_write()
            if self.references > 0:
                self._guest.signal_group(self.foreground, int(signal.SIGHUP))

    async def _key(self, key: int) -> None:
        if self._escape or key == ESCAPE:
            await self._escape_sequence(key)
        elif key in (RETURN, NEWLINE):
            await self._show(b"\r\n")
            line, self._line = bytes(self._line), bytearray()
            if line.strip() and (not self.history or self.history[-1] != line):
                self.history = [*self.history[-99:], line]
            self._shown = len(self.history)
            await self.lines.write(line + b"\n")
        elif key in (BACKSPACE, DELETE):
            if self._line:
                while len(self._line) > 1 and self._line[-1] & 0xC0 == 0x80:
                    self._line.pop()
                self._line.pop()
                await self._show(b"\b \b")
        elif key == KILL_LINE:
            await self._replace(b"")
        elif key == ERASE_WORD:
            await self._replace(bytes(self._line.rstrip().rpartition(b" ")[0] + b" " if b" " in self._line.rstrip()
                                      else b""))
        elif key in (INTERRUPT, QUIT, SUSPEND):
            await self._show({INTERRUPT: b"^C", QUIT: b"^\\", SUSPEND: b"^Z"}[key])
            self._line.clear()
            number = {INTERRUPT: signal.SIGINT, QUIT: signal.SIGQUIT, SUSPEND: signal.SIGTSTP}[key]
            self._guest.signal_group(self.foreground, int(number))
        elif key == END:
            if self._line:
                line, self._line = bytes(self._line), bytearray()
                await self.lines.write(line)
            else:
                await self.lines.write(b"\0\n"[:1])
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
