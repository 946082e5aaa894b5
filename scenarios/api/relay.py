"""Connections into and out of a container network, as asyncio streams, for software that is in no container.

A helper container on the network runs `shoal-relay` (daemon/programs/relay.py), one exec a connection; its standard
input and output are carried by Docker's own API. So there is no privilege and no second way into a host: names are
asked, addresses drawn and packets sent by that container, as by any other.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiodocker.exceptions import DockerError

from daemon.programs import relay as program
from scenarios.client import API_VERSION, STDOUT, HostClient
from scenarios.launch.localhttp import Place

LABEL = "shoal.relay"
"""On every helper container; its value is the network."""

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]
Address = tuple[str, int]

_FRAME = struct.Struct(">BxxxL")
_LIMIT = 1 << 18
_LOOPBACK = "127.0.0.1"
_LINGER = 30.0
"""Seconds that a closed connection waits for its peer's end."""


class RelayWriter(asyncio.StreamWriter):
    """A StreamWriter whose `sockname` and `peername` are the addresses inside the network."""

    inside: dict[str, Address]
    ended = False
    left = False

    def close(self) -> None:
        """As a socket's: what was written still goes out, what comes is not wanted. The API's connection itself ends
        when the peer has ended its side, or after a while: were it cut now, the daemon would let go of the rest."""
        if self.left:
            return
        self.left = True
        if self.ended or not self.can_write_eof():
            super().close()
            return
        if not self.transport.is_closing():
            self.write_eof()
            asyncio.get_running_loop().call_later(_LINGER, super().close)

    def is_closing(self) -> bool:
        return self.left or super().is_closing()

    async def wait_closed(self) -> None:
        """What is left to do is not the caller's."""

    def peer_ended(self) -> None:
        self.ended = True
        if self.left:
            super().close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.inside.get(name) or super().get_extra_info(name, default)


class _Exec(asyncio.StreamReaderProtocol):
    """The API connection of one exec: HTTP's answer, Docker's frames, the program's records, one inside the other."""

    def __init__(self, exec_id: str, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._reader = reader
        self._raw = bytearray()
        self._records = bytearray()
        self._upgraded = False
        self._exec_id = exec_id
        self.writer: RelayWriter | None = None
        self.first: asyncio.Future[tuple[bytes, str]] = loop.create_future()
        self.later: Callable[[bytes, str], None] = lambda kind, text: None
        self._loop_here = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self.writer = RelayWriter(transport, self, self._reader, self._loop_here)
        self.writer.inside = {}
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        transport.write(
            f"POST /{API_VERSION}/exec/{self._exec_id}/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n"
            f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    def data_received(self, data: bytes) -> None:
        self._raw += data
        if not self._upgraded:
            head, end, rest = bytes(self._raw).partition(b"\r\n\r\n")
            if not end:
                return
            status = int(head.split()[1])
            if status != 101:
                self._fail(DockerError(status, rest.decode(errors="replace")))
                return
            self._upgraded, self._raw = True, bytearray(rest)
        at = 0
        while len(self._raw) - at >= _FRAME.size:
            stream, length = _FRAME.unpack_from(self._raw, at)
            if len(self._raw) - at - _FRAME.size < length:
                break
            at += _FRAME.size
            if stream == STDOUT:
                self._records += self._raw[at : at + length]
            at += length
        del self._raw[:at]
        self._read_records()

    def _read_records(self) -> None:
        at, head = 0, program.HEAD
        while len(self._records) - at >= head.size:
            kind, length = head.unpack_from(self._records, at)
            if len(self._records) - at - head.size < length:
                break
            at += head.size
            self._record(kind, bytes(self._records[at : at + length]))
            at += length
        del self._records[:at]

    def _record(self, kind: bytes, payload: bytes) -> None:
        assert self.writer is not None
        if kind == program.DATA:
            if not self.writer.left:
                self._reader.feed_data(payload)
        elif kind == program.ENDED:
            self._reader.feed_eof()
            self.writer.peer_ended()
        elif kind == program.RESET:
            self.writer.peer_ended()
            self._reader.set_exception(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        elif not self.first.done():
            self.first.set_result((kind, payload.decode(errors="replace")))
        else:
            self.later(kind, payload.decode(errors="replace"))

    def _fail(self, error: Exception) -> None:
        if not self.first.done():
            self.first.set_exception(error)

    def eof_received(self) -> bool | None:
        self._fail(ConnectionResetError(errno.ECONNRESET, "the host ended the connection"))
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError(errno.ECONNRESET, "the host went away"))
        super().connection_lost(exc)


async def _execute(place: Place, container: str, *argv: str) -> tuple[_Exec, asyncio.StreamReader, str]:
    """The program's protocol, and the text of its first record. Raises OSError as a socket would, DockerError."""
    loop = asyncio.get_running_loop()
    async with HostClient(place) as client:
        made = await client.post(
            f"containers/{container}/exec",
            {"Cmd": ["shoal-relay", *argv], "AttachStdin": True, "AttachStdout": True, "AttachStderr": False},
        )
    reader = asyncio.StreamReader(limit=_LIMIT, loop=loop)
    protocol = _Exec(str(made["Id"]), reader, loop)
    if isinstance(place, Path):
        await loop.create_unix_connection(lambda: protocol, str(place))
    else:
        await loop.create_connection(lambda: protocol, *place)
    assert protocol.writer is not None
    try:
        kind, text = await protocol.first
        if kind == program.FAILED:
            raise _os_error(text)
    except BaseException:
        protocol.writer.close()
        raise
    return protocol, reader, text


def _os_error(text: str) -> OSError:
    """What the same call on a socket of this process would have raised."""
    name, _, message = text.partition(" ")
    if name == "EAI_NONAME":
        return socket.gaierror(socket.EAI_NONAME, message)
    return OSError(getattr(errno, name, errno.EIO), message)


async def connect(
    place: Place, container: str, host: str, port: int, *, timeout: float | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection made by a helper container to `host` (a name there, or an address). `timeout` in seconds.

    Raises OSError: ConnectionRefusedError, TimeoutError, socket.gaierror (no such name), …; DockerError of the API.
    """
    words = [host, str(port), *([] if timeout is None else [str(timeout)])]
    protocol, reader, text = await _execute(place, container, "connect", *words)
    assert protocol.writer is not None
    local, local_port, peer, peer_port = text.split()
    protocol.writer.inside = {"sockname": (local, int(local_port)), "peername": (peer, int(peer_port))}
    return reader, protocol.writer


class Listening:
    """A port of a network that leads here. `address` is what the network's containers connect to."""

    def __init__(self, place: Place, container: str, address: Address, accept: Accept, control: _Exec) -> None:
        self.container = container
        self.address = address
        self._place = place
        self._accept = accept
        self._control = control
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: list[Callable[[], Awaitable[None]]] = []
        control.later = self._later

    def on_close(self, action: Callable[[], Awaitable[None]]) -> None:
        self._closed.append(action)

    def _later(self, kind: bytes, text: str) -> None:
        if kind == program.ACCEPTED:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks.append(asyncio.get_running_loop().create_task(self._take(*text.split())))

    async def _take(self, peer: str, peer_port: str, offered: str) -> None:
        try:
            reader, writer = await connect(self._place, self.container, _LOOPBACK, int(offered))
        except (OSError, DockerError):
            return  # the peer sees a reset, as from any server that died
        assert isinstance(writer, RelayWriter)
        writer.inside = {"sockname": self.address, "peername": (peer, int(peer_port))}
        try:
            if (answer := self._accept(reader, writer)) is not None:
                await answer
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the callback of listen() failed", "exception": error, "transport": writer.transport}
            )
            writer.close()

    async def close(self) -> None:
        """Ends the listener and what it accepted; the helper container goes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._control.writer is not None:
            self._control.writer.close()
        for action in self._closed:
            await action()
        self._closed.clear()

    async def __aenter__(self) -> Listening:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


async def listen(place: Place, container: str, network: str, port: int, accept: Accept) -> Listening:
    """Accepts connections in a helper container; each is handed to `accept` as streams. Raises OSError, DockerError."""
    control, _, text = await _execute(place, container, "listen", str(port))
    async with HostClient(place) as client:
        networks = (await client.get(f"containers/{container}/json"))["NetworkSettings"]["Networks"]
    address = next((n["IPAddress"] for name, n in networks.items() if name == network), "") or next(
        (n["IPAddress"] for n in networks.values()), ""
    )
    return Listening(place, container, (address, int(text)), accept, control)


async def place_helper(client: HostClient, network: str, name: str, *, alias: str | None = None) -> str:
    """Starts a helper container on a network of a host; its id. Raises DockerError."""
    body: dict[str, Any] = {
        "Image": "alpine",
        "Cmd": ["sleep", "infinity"],
        "Labels": {LABEL: network},
        "HostConfig": {"NetworkMode": network, "AutoRemove": True},
    }
    if alias is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {network: {"Aliases": [alias]}}}
    made = await client.post("containers/create", body, name=name)
    try:
        await client.post(f"containers/{made['Id']}/start")
    except DockerError:
        await client.delete(f"containers/{made['Id']}", force=True)
        raise
    return str(made["Id"])


async def remove_helper(client: HostClient, container: str) -> None:
    """Removes one; that it is gone already is no error."""
    try:
        await client.delete(f"containers/{container}", force=True)
    except DockerError as error:
        if error.status not in (404, 409, 900):
            raise
