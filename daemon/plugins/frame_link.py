"""The connection to a plug-in's frame socket: frames of one endpoint, both ways (docs/plugins.md).

A connection that breaks is made again, after 1, 2, 4 … 30 s, as long as the endpoint is there: meanwhile its frames are
dropped and counted, as on a cable that is out.
"""

from __future__ import annotations

import asyncio

import structlog

from daemon.engine.tasks import TaskOwner
from daemon.plugins.discovery import Address
from overlay.drivers.driver import MAX_FRAME
from overlay.frames import FrameReader, NotFrames, framed
from overlay.port import Port, cable

log = structlog.get_logger("plugins")

CONNECT = 5.0  # seconds
_WAITING = 1 << 20  # bytes that may wait for a slow plug-in
_LONGEST_PAUSE = 30.0  # seconds


class FrameLink:
    """To a unix or tcp address. `port` is the sandbox's end. `connect` first; `close` ends it, also the attempts."""

    def __init__(self, address: Address, endpoint: str, tasks: TaskOwner, *, super_frames: bool = False) -> None:
        self._address = address
        self._endpoint = endpoint
        self._tasks = tasks
        self.port, self._ours = cable(MAX_FRAME if super_frames else 0)
        self._ours.on_receive(self._send)
        self._transport: asyncio.Transport | None = None
        self._again: asyncio.Task[None] | None = None
        self._closed = False
        self._batch = bytearray()
        self.dropped = 0

    async def connect(self) -> None:
        """Raises OSError, TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT):
            if self._address.scheme == "unix":
                transport, _ = await loop.create_unix_connection(self._protocol, self._address.socket)
            else:
                host, _, port = self._address.socket.rpartition(":")
                transport, _ = await loop.create_connection(self._protocol, host, int(port))
        if self._closed:
            transport.abort()
            return
        self._transport = transport

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        self._ours.unplug()
        if self._again is not None:
            self._again.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _protocol(self) -> _Frames:
        return _Frames(self, self._ours)

    def _send(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() + len(self._batch) > _WAITING:
            self.dropped += 1
            return
        if not self._batch:  # what comes in one turn of the loop goes in one write
            asyncio.get_running_loop().call_soon(self._flush)
        self._batch += framed(frame)

    def _flush(self) -> None:
        batch, self._batch = self._batch, bytearray()
        if self._transport is not None:
            self._transport.write(batch)

    def lost(self, error: Exception | None) -> None:
        """The connection ended."""
        self._transport = None
        if not self._closed:
            where = self._address.socket
            log.warning("frame socket lost", endpoint=self._endpoint, socket=where, error=str(error or "closed"))
            self._again = self._tasks.spawn(self._reconnect(), "frame socket")

    async def _reconnect(self) -> None:
        pause = 1.0
        while not self._closed:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            try:
                await self.connect()
            except OSError:  # a TimeoutError is one
                continue
            log.info("frame socket is back", endpoint=self._endpoint)
            return


class _Frames(asyncio.Protocol):
    def __init__(self, link: FrameLink, port: Port) -> None:
        self._link = link
        self._port = port
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except NotFrames as error:
            log.warning("not a frame socket", error=str(error))
            if self._transport is not None:
                self._transport.abort()
            return
        for frame in frames:
            self._port.transmit(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.lost(exc)
