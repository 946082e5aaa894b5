"""Attaching over a websocket (RFC 6455), as browsers can: output in messages, without Docker's multiplexing."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from daemon.api.versions import asked_for

_BINARY = (1, 28)  # older clients get text messages
_CLOSE = 1.0  # seconds for the client to answer a close


class WebSocketClient:
    """A browser's connection as two byte streams, as `hijack.Hijacked` is a raw one."""

    def __init__(self, socket: web.WebSocketResponse, *, binary: bool) -> None:
        self._socket = socket
        self._binary = binary

    @property
    def response(self) -> web.StreamResponse:
        return self._socket

    async def send(self, stream: int, data: bytes) -> None:
        """A piece of output, of whichever stream. ConnectionError when the client is gone."""
        if self._binary:
            await self._socket.send_bytes(data)
        else:
            await self._socket.send_str(data.decode(errors="replace"))

    async def receive(self) -> bytes:
        """A piece of input, b"" when the client has closed."""
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT and message.data:
                return str(message.data).encode()
            if message.type is aiohttp.WSMsgType.BINARY and message.data:
                return bytes(message.data)
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return b""

    async def hung_up(self) -> None:
        """A websocket does not half-close: the end of input is the end."""

    async def close(self) -> None:
        await self._socket.close()


async def accept(request: web.Request) -> WebSocketClient:
    """Make the request's connection a websocket. HTTP 400 for a request that asks for none."""
    socket = web.WebSocketResponse(timeout=_CLOSE)
    await socket.prepare(request)
    return WebSocketClient(socket, binary=asked_for(request) >= _BINARY)
