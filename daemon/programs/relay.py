"""shoal-relay: a network's connections for software outside of all containers, over one exec's standard streams.

`shoal-relay connect HOST PORT` opens a connection: standard input goes to the peer as it is, what comes is a row of
records on standard output, so that success, the reason of a failure and the peer's end of file (while our side goes on)
can be told from data. `shoal-relay listen PORT` accepts connections and offers each on a port of 127.0.0.1, for a
`connect` of its own: every connection has its own flow control, and none waits for another.

A record: one byte of kind, the length as four bytes, big-endian, then the payload.
"""

from __future__ import annotations

import asyncio
import errno
import struct
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import UsageError, program

if TYPE_CHECKING:
    from daemon.runtime.process import ProcessContext
    from overlay.sandbox import TcpConnection, TcpListener

HEAD = struct.Struct(">cI")
OPENED, FAILED, DATA, ENDED, RESET = b"O", b"F", b"D", b"E", b"R"
"""OPENED: "LOCAL PORT PEER PORT". FAILED: an errno's name (or EAI_NONAME) and the text. ENDED: the peer will send no
more. RESET: the connection broke."""
LISTENING, ACCEPTED = b"L", b"A"
"""LISTENING: the port. ACCEPTED: "PEER PORT OFFERED", the last a port of 127.0.0.1."""
CHUNK = 65536
TAKEN_WITHIN = 10.0
"""Seconds in which an accepted connection must be taken, or it is reset."""


@program("shoal-relay connect HOST PORT [SECONDS] | shoal-relay listen PORT", busybox=False)
async def relay(p: ProcessContext) -> int:
    """shoal-relay connect HOST PORT [SECONDS] | shoal-relay listen PORT"""
    match p.argv[1:]:
        case ["connect", host, port, *rest] if port.isdigit() and len(rest) < 2:
            return await _connect(p, host, int(port), float(rest[0]) if rest else None)
        case ["listen", port] if port.isdigit():
            return await _listen(p, int(port))
    raise UsageError("")


async def _record(p: ProcessContext, kind: bytes, payload: bytes = b"") -> None:
    await p.stdout.write(HEAD.pack(kind, len(payload)) + payload)


async def _connect(p: ProcessContext, host: str, port: int, timeout: float | None) -> int:
    address = await resolver.first(p, host)
    if address is None:
        await _record(p, FAILED, f"EAI_NONAME {host}: Name or service not known".encode())
        return 1
    try:
        connection = p.keep(await p.sandbox.tcp_connect(address, port, timeout=timeout))
    except OSError as error:
        number = error.errno or (errno.ETIMEDOUT if isinstance(error, TimeoutError) else errno.EIO)
        text = f"{errno.errorcode.get(number, 'EIO')} {address}:{port}: {error.strerror or 'timed out'}"
        await _record(p, FAILED, text.encode())
        return 1
    ends = f"{connection.local[0]} {connection.local[1]} {connection.peer[0]} {connection.peer[1]}"
    await _record(p, OPENED, ends.encode())
    sending = p.start(_send_input(p, connection))
    try:
        while data := await connection.read(CHUNK):
            await _record(p, DATA, data)
        await _record(p, ENDED)
    except OSError:
        await _record(p, RESET)
        return 1
    await sending
    return 0


async def _send_input(p: ProcessContext, connection: TcpConnection) -> None:
    try:
        while data := await p.stdin.read(CHUNK):
            await connection.write(data)
        connection.shutdown_write()
    except OSError:
        connection.abort()


async def _listen(p: ProcessContext, port: int) -> int:
    try:
        listener = p.keep(p.sandbox.tcp_listen("0.0.0.0", port))
    except OSError as error:
        await _record(p, FAILED, f"{errno.errorcode.get(error.errno or errno.EIO, 'EIO')} {error.strerror}".encode())
        return 1
    p.start(_until_input_ends(p, listener))
    await _record(p, LISTENING, str(listener.local[1]).encode())
    while True:
        try:
            connection = await listener.accept()
        except OSError:
            return 0
        offered = p.keep(p.sandbox.tcp_listen("127.0.0.1", 0))
        p.start(_offer(p, p.keep(connection), offered))
        await _record(p, ACCEPTED, f"{connection.peer[0]} {connection.peer[1]} {offered.local[1]}".encode())


async def _until_input_ends(p: ProcessContext, listener: TcpListener) -> None:
    """Whoever asked to listen holds standard input open as long as it listens."""
    while await p.stdin.read(CHUNK):
        pass
    listener.close()


async def _offer(p: ProcessContext, connection: TcpConnection, offered: TcpListener) -> None:
    try:
        async with asyncio.timeout(TAKEN_WITHIN):
            taken = p.keep(await offered.accept())
    except (TimeoutError, OSError):
        connection.abort()
        return
    finally:
        p.drop(offered)
    await asyncio.gather(_copy(connection, taken), _copy(taken, connection))
    p.drop(connection)
    p.drop(taken)


async def _copy(source: TcpConnection, target: TcpConnection) -> None:
    """One direction, its end of file as its end of file, a break as a break."""
    try:
        while data := await source.read(CHUNK):
            await target.write(data)
        target.shutdown_write()
    except OSError:
        source.abort()
        target.abort()
