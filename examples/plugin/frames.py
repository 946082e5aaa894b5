"""A network of frame sockets: each endpoint is a unix stream on which frames go both ways, each behind four bytes of
its length (big-endian), as in QEMU's `-netdev stream`. In between is a switch that learns MAC addresses, and a gateway
that answers ARP and ping."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from pathlib import Path

MAX_FRAME = 65535
BUFFER = 1 << 20
"""Bytes that may wait for one slow endpoint; what does not fit is dropped, as on a wire."""


class FrameNetwork:
    """Sockets lie in `folder`, named after their endpoints."""

    def __init__(self, folder: Path, gateways: list[str]) -> None:
        self._folder = folder
        self._gateways = [Gateway(each) for each in gateways]
        self._servers: dict[str, asyncio.Server] = {}
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._table: dict[bytes, str] = {}

    async def plug(self, endpoint_id: str) -> str:
        """The path of the socket to which the engine connects."""
        path = self._folder / f"{endpoint_id[:12]}.frames"
        path.unlink(missing_ok=True)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers[endpoint_id] = writer
            try:
                while True:
                    (length,) = struct.unpack("!I", await reader.readexactly(4))
                    if length > MAX_FRAME:
                        return
                    self._switch(endpoint_id, await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()
                if self._writers.get(endpoint_id) is writer:
                    del self._writers[endpoint_id]

        self._servers[endpoint_id] = await asyncio.start_unix_server(serve, path)
        return str(path)

    def unplug(self, endpoint_id: str) -> None:
        """Nothing for an endpoint that is not there."""
        server = self._servers.pop(endpoint_id, None)
        if server is not None:
            server.close()
            (self._folder / f"{endpoint_id[:12]}.frames").unlink(missing_ok=True)
        writer = self._writers.pop(endpoint_id, None)
        if writer is not None:
            writer.close()

    def close(self) -> None:
        for endpoint_id in list(self._servers):
            self.unplug(endpoint_id)

    def _switch(self, source: str, frame: bytes) -> None:
        if len(frame) < 14:
            return
        self._table[frame[6:12]] = source
        for gateway in self._gateways:
            if (answer := gateway.answer(frame)) is not None:
                self._send(source, answer)
        known = self._table.get(frame[:6])
        for target in [known] if known is not None else list(self._writers):
            if target != source:
                self._send(target, frame)

    def _send(self, target: str, frame: bytes) -> None:
        writer = self._writers.get(target)
        if writer is not None and writer.transport.get_write_buffer_size() < BUFFER:
            writer.writelines((struct.pack("!I", len(frame)), frame))


class Gateway:
    """Answers ARP for its address, and echo requests to it; it leads nowhere."""

    def __init__(self, gateway: str) -> None:
        self._address = ipaddress.IPv4Interface(gateway).ip.packed
        self._mac = b"\x02\x99" + self._address

    def answer(self, frame: bytes) -> bytes | None:
        ethertype, sender = frame[12:14], frame[6:12]
        if ethertype == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == self._address:
            arp = frame[14:20] + b"\0\2" + self._mac + self._address + frame[22:32]
            return sender + self._mac + ethertype + arp
        if ethertype == b"\x08\0" and frame[:6] == self._mac and frame[14] == 0x45 and frame[23] == 1:
            header, icmp = bytearray(frame[14:34]), bytearray(frame[34:])
            if bytes(header[16:20]) == self._address and icmp[0] == 8:
                header[12:16], header[16:20] = header[16:20], header[12:16]
                icmp[0], icmp[2:4] = 0, b"\0\0"
                icmp[2:4] = _checksum(bytes(icmp))
                return sender + self._mac + ethertype + bytes(header) + bytes(icmp)
        return None


def _checksum(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)
