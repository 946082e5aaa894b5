"""One gossip stream on asyncio: the stream codec between a reader and a writer."""

from __future__ import annotations

import asyncio
from collections import deque

from gossip.wire.seal import Keyring
from gossip.wire.streams import STATE_MAX, StreamDecoder, StreamEncoder, StreamMessage

_CHUNK = 65536
_CLOSE_TIMEOUT = 0.5


class Connection:
    """``dialler``: this side opened it. ``most``: as in ``StreamDecoder``."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        label: bytes,
        keyring: Keyring,
        dialler: bool,
        compressed: bool,
        most: int = STATE_MAX,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = StreamEncoder(label, keyring, dialler=dialler, compressed=compressed)
        self._decoder = StreamDecoder(label, keyring, dialler=dialler, most=most)
        self._received: deque[StreamMessage] = deque()

    async def send(self, message: StreamMessage) -> None:
        """Raises OSError, and ValueError for a message over the limit."""
        self._writer.write(self._encoder.encode(message))
        await self._writer.drain()

    async def receive(self) -> StreamMessage | None:
        """The next message, None at the end of the stream. Raises WireError, OSError."""
        while not self._received:
            data = await self._reader.read(_CHUNK)
            if not data:
                return None
            self._received.extend(self._decoder.feed(data))
        return self._received.popleft()

    async def close(self) -> None:
        """What was written goes out if it can within a moment: in a partition it cannot."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._writer.wait_closed()
        except OSError:
            self._writer.transport.abort()
