"""Taking a connection over from HTTP, for attach and exec: raw bytes both ways, each direction ending by itself.

aiohttp has no such thing, so the transport's protocol is swapped before the 101 is sent: the docker CLI half-closes at
once, and aiohttp's own protocol would drop the connection then.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import sys
from types import ModuleType
from typing import Protocol

from aiohttp import web

from daemon.api.versions import asked_for
from daemon.engine.detach import Escape
from daemon.engine.logs import STDOUT
from daemon.engine.streams import Attachment
from daemon.runtime.pipe import Pipe

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

_LINGER = 0.2  # seconds in which unread input is swallowed before the close, so that no RST overtakes the output
_HEAD_WAIT = 0.25  # seconds after which a client that does not read the head of an answer gets the rest all the same
_HEAD_PAUSE = 0.005  # where the system does not tell whether it has
_HEAD_POLL = 0.0002
_GONE_POLL = 1.0
_SIOCOUTQ = 0x5411  # linux/sockios.h
_CHUNK = 64 << 10


def frame(stream: int, data: bytes) -> bytes:
    """Docker's multiplexing of stdout (1) and stderr (2): type, three zeros, length (big-endian), data."""
    return struct.pack(">BxxxI", stream, len(data)) + data


def content_type(request: web.Request, tty: bool) -> str:
    """From API 1.42 on the framed form has a type of its own."""
    return RAW if tty or asked_for(request) < (1, 42) else MULTIPLEXED


class _Raw(asyncio.StreamReaderProtocol):
    """A stream protocol that survives a half-close, and tells aiohttp when the connection is really gone."""

    def __init__(
        self, old: asyncio.BaseProtocol, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(reader, loop=loop)
        self._old = old

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._old.connection_lost(exc)


class Client(Protocol):
    """Who is attached. `response` is what the handler must return."""

    @property
    def response(self) -> web.StreamResponse: ...
    async def send(self, stream: int, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def hung_up(self) -> None: ...
    async def close(self) -> None: ...


class Hijacked:
    """A client's connection as two byte streams. `response` is what the handler must return."""

    def __init__(
        self,
        response: web.StreamResponse,
        reader: asyncio.StreamReader | None,
        writer: asyncio.StreamWriter | None,
        *,
        tty: bool,
    ) -> None:
        self.response = response
        self._reader = reader
        self._writer = writer
        self._tty = tty

    async def send(self, stream: int, data: bytes) -> None:
        """A piece of output, waiting while the client is slow. ConnectionError when it is gone."""
        payload = data if self._tty else frame(stream, data)
        if self._writer is None:
            await self.response.write(payload)
            return
        self._writer.write(payload)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """A piece of input, b"" when the client will send no more."""
        if self._reader is None:
            return b""
        try:
            return await self._reader.read(_CHUNK)
        except ConnectionError:
            return b""

    async def hung_up(self) -> None:
        """Until the client is gone altogether: a half-close is how the CLI begins, so end of input does not say so."""
        if self._writer is not None and (gone := self._writer.get_extra_info("peer_gone")) is not None:
            await gone.wait()  # a connection in memory
            return
        connection = None if self._writer is None else self._writer.get_extra_info("socket")
        if connection is None or not hasattr(select, "poll"):
            await asyncio.get_running_loop().create_future()
            return
        poll = select.poll()
        poll.register(connection.fileno(), 0)  # POLLHUP comes unasked
        while not poll.poll(0):  # noqa: ASYNC110 - the loop watches for input only
            await asyncio.sleep(_GONE_POLL)

    async def close(self) -> None:
        """End the output, then the connection."""
        if self._writer is None or self._reader is None:
            await self.response.write_eof()
            return
        try:
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_CHUNK):
                    pass
        except (TimeoutError, OSError):
            pass
        finally:
            self._writer.close()


async def take_over(request: web.Request, *, tty: bool) -> Hijacked:
    """Answer the request and make its connection a raw stream.

    With `Upgrade: tcp` that is 101 and both directions; without it (curl) a plain chunked answer, output only.
    """
    await request.read()  # exec start has a body: let the parser finish it
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    if request.headers.get("Upgrade", "").lower() != "tcp":
        response = web.StreamResponse(headers={"Content-Type": content_type(request, tty)})
        await response.prepare(request)
        return Hijacked(response, None, None, tty=tty)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _Raw(request.protocol, reader, loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    response = web.StreamResponse(
        status=101,
        reason="UPGRADED",
        headers={"Content-Type": content_type(request, tty), "Connection": "Upgrade", "Upgrade": "tcp"},
    )
    response.force_close()
    await response.prepare(request)
    await _head_taken(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    return Hijacked(response, reader, writer, tty=tty)


async def _head_taken(transport: asyncio.Transport) -> None:
    """Until the client has read the answer's head, or a moment has passed.

    docker-py reads the head through a buffer and the rest past it, so output that arrives together with the head is
    lost to it. Docker's own processes take longer to start than that; ours do not.
    """
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _HEAD_WAIT
    if _unread(connection) is None:
        await asyncio.sleep(_HEAD_PAUSE)
    # The kernel has no event for "has been read", so this polls.
    while _unread(connection) and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_HEAD_POLL)


def _unread(connection: socket.socket) -> int | None:
    """Bytes of a unix socket that its peer has not read yet (SIOCOUTQ); None where the system does not tell."""
    if fcntl is None or connection.family != getattr(socket, "AF_UNIX", None):
        return None
    buffer = bytearray(4)
    try:
        fcntl.ioctl(connection.fileno(), _SIOCOUTQ, buffer)
    except OSError:
        return None
    return int.from_bytes(buffer, sys.byteorder)


async def relay(
    client: Client,
    output: Attachment,
    stdin: Pipe | None,
    *,
    close_stdin: bool,
    keys: bytes = b"",
    farewell: bytes = b"",
) -> bool:
    """Carry bytes until the output ends, the client is gone, or it typed the detach `keys`: then the answer is True.

    `close_stdin`: the client's end of input is the process's. `farewell` is the last that one who detaches reads.
    Never raises for a client that went away.
    """
    escape = Escape(keys) if keys else None
    pump = asyncio.get_running_loop().create_task(_pump_in(client, output, stdin, close_stdin, escape))
    detached = False
    try:
        while (piece := await output.get()) is not None:
            await client.send(*piece)
    except OSError:
        pass
    finally:
        detached = pump.done() and not pump.cancelled() and pump.exception() is None and pump.result()
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        with contextlib.suppress(OSError):
            if detached and farewell:
                await client.send(STDOUT, farewell)
            await client.close()
    return detached


async def _pump_in(
    client: Client, output: Attachment, stdin: Pipe | None, close_stdin: bool, escape: Escape | None
) -> bool:
    """True when the detach keys were typed."""
    while data := await client.receive():
        detached = False
        if escape is not None:
            data, detached = escape.feed(data)
        if stdin is not None:
            try:
                await stdin.write(data)
            except BrokenPipeError:
                stdin = None  # the process reads no more; go on swallowing
        if detached:
            output.close()
            return True
    if stdin is not None and close_stdin:
        stdin.close_write()
    await client.hung_up()
    output.close()
    return False
