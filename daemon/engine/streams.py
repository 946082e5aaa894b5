"""Standard streams between a process in a container and the clients attached to it.

Any number of clients may watch; each has its own bounded buffer, and a client that does not read holds the process back
(as Docker's BytesPipe does), so nothing is lost to those that are there.
"""

from __future__ import annotations

from collections import deque

from daemon.engine.logs import STDERR, STDOUT
from daemon.runtime.changes import Changes
from daemon.runtime.pipe import Pipe

BUFFER = 1 << 20  # bytes a client may lag behind before the process waits: Docker's blockThreshold (pkg/ioutils)


class Attachment:
    """One client's view of a process's output."""

    __slots__ = ("_changes", "_chunks", "_closed", "_ended", "_size", "streams")

    def __init__(self, streams: tuple[int, ...]) -> None:
        self.streams = streams
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._changes = Changes()

    async def put(self, stream: int, data: bytes) -> None:
        """Wait while the client lags too far behind."""
        if stream not in self.streams:
            return
        while self._size >= BUFFER and not self._closed:
            await self._changes.wait()
        if not self._closed and not self._ended:
            self._chunks.append((stream, data))
            self._size += len(data)
            self._changes.tell()

    async def get(self) -> tuple[int, bytes] | None:
        """The next piece of output, None at the end."""
        while not self._chunks:
            if self._ended or self._closed:
                return None
            await self._changes.wait()
        stream, data = self._chunks.popleft()
        self._size -= len(data)
        self._changes.tell()
        return stream, data

    def end(self) -> None:
        """No more output; what is buffered can still be read."""
        self._ended = True
        self._changes.tell()

    def close(self) -> None:
        """The client is gone."""
        self._closed = True
        self._chunks.clear()
        self._changes.tell()


class Streams:
    """The streams of one container (over all its runs) or one exec."""

    __slots__ = ("_attachments", "_open_stdin", "_stdin")

    def __init__(self, *, open_stdin: bool, tty: bool) -> None:
        self._open_stdin = open_stdin or tty  # a terminal is there even when nobody types
        self._stdin: Pipe | None = None
        self._attachments: list[Attachment] = []

    @property
    def stdin(self) -> Pipe:
        """The standard input of the present or the next run; at end of file at once unless it was asked for."""
        if self._stdin is None:
            self._stdin = Pipe()
            if not self._open_stdin:
                self._stdin.close_write()
        return self._stdin

    def attach(self, streams: tuple[int, ...] = (STDOUT, STDERR)) -> Attachment:
        """Watch from now on, until `end` or `detach`."""
        attachment = Attachment(streams)
        self._attachments.append(attachment)
        return attachment

    def detach(self, attachment: Attachment) -> None:
        attachment.close()
        if attachment in self._attachments:
            self._attachments.remove(attachment)

    async def deliver(self, stream: int, data: bytes) -> None:
        """Hand output to all clients, waiting for the slowest."""
        for attachment in list(self._attachments):
            await attachment.put(stream, data)

    def end(self) -> None:
        """The run is over (or will never be): clients see the end of their streams."""
        for attachment in self._attachments:
            attachment.end()
        self._attachments.clear()
        if self._stdin is not None:
            self._stdin.close_read()
            self._stdin = None
