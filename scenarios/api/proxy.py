"""A SOCKS5 and HTTP proxy on this machine's loopback that leads into a container network.

Both on one port, told apart by the first byte: RFC 1928 (CONNECT, no authentication; names are resolved inside the
network), HTTP CONNECT and plain `GET http://…` (RFC 9110, 9112), one request a connection. Every user of this machine
can connect to it, as to any port of loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiodocker.exceptions import DockerError

Dial = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_VERSION, _CONNECT = 5, 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_NO_AUTHENTICATION, _NOTHING_ACCEPTABLE = 0, 0xFF
_SUCCEEDED, _FAILURE, _UNREACHABLE, _NO_HOST, _REFUSED, _NO_COMMAND, _NO_ADDRESS_TYPE = 0, 1, 3, 4, 5, 7, 8
_PATIENCE = 30.0
"""Seconds in which a client must have said where it wants to."""
_CHUNK = 65536
_HOP_BY_HOP = (b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive")


class Proxy:
    """Listens on 127.0.0.1 while it is open; connections are made by `dial`, which raises OSError."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def environment(self) -> dict[str, str]:
        """What makes most programs use it: curl, wget, git, pip, Python's urllib and requests, Go's net/http, …"""
        http, socks = f"http://127.0.0.1:{self.port}", f"socks5h://127.0.0.1:{self.port}"
        found = {"HTTP_PROXY": http, "HTTPS_PROXY": http, "ALL_PROXY": socks, "NO_PROXY": ""}
        return found | {name.lower(): value for name, value in found.items()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        try:
            async with asyncio.timeout(_PATIENCE):
                first = await reader.readexactly(1)
            if first[0] == _VERSION:
                await self._socks(reader, writer)
            else:
                await self._http(first, reader, writer)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # the client's own end or nonsense: its connection closes
        finally:
            self._tasks.pop(task, None)
            writer.close()

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_PATIENCE):
            methods = await reader.readexactly((await reader.readexactly(1))[0])
            if _NO_AUTHENTICATION not in methods:
                writer.write(bytes([_VERSION, _NOTHING_ACCEPTABLE]))
                return
            writer.write(bytes([_VERSION, _NO_AUTHENTICATION]))
            _, command, _, kind = await reader.readexactly(4)
            if kind == _IPV4:
                host = str(ipaddress.IPv4Address(await reader.readexactly(4)))
            elif kind == _IPV6:
                host = str(ipaddress.IPv6Address(await reader.readexactly(16)))
            elif kind == _NAME:
                host = (await reader.readexactly((await reader.readexactly(1))[0])).decode("ascii")
            else:
                writer.write(_socks_answer(_NO_ADDRESS_TYPE))
                return
            (port,) = struct.unpack("!H", await reader.readexactly(2))
        if command != _CONNECT:
            writer.write(_socks_answer(_NO_COMMAND))
            return
        try:
            far = await self._dial(host, port)
        except (OSError, DockerError) as error:
            writer.write(_socks_answer(_socks_code(error)))
            await writer.drain()
            return
        writer.write(_socks_answer(_SUCCEEDED, *far[1].get_extra_info("sockname", ("0.0.0.0", 0))[:2]))
        await _both_ways((reader, writer), far)

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_PATIENCE):
            head = first + await reader.readuntil(b"\r\n\r\n")
        line, *fields = head[:-4].split(b"\r\n")
        words = line.decode("latin-1").split()
        if len(words) != 3:
            await _http_error(writer, "400 Bad Request", "not a request")
            return
        method, target, version = words
        tunnel = method == "CONNECT"
        url = urlsplit(f"//{target}" if tunnel else target)
        if not url.hostname or (not tunnel and url.scheme != "http") or (tunnel and url.port is None):
            await _http_error(writer, "400 Bad Request", "a proxy wants CONNECT HOST:PORT or http://HOST/…")
            return
        try:
            far = await self._dial(url.hostname, url.port or 80)
        except (OSError, DockerError) as error:
            timeout = isinstance(error, OSError) and error.errno == errno.ETIMEDOUT
            await _http_error(writer, "504 Gateway Timeout" if timeout else "502 Bad Gateway", str(error))
            return
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            kept = [f for f in fields if f.split(b":")[0].strip().lower() not in _HOP_BY_HOP]
            request = f"{method} {path} {version}".encode("latin-1")
            far[1].write(b"\r\n".join([request, *kept, b"Connection: close", b"", b""]))
        await _both_ways((reader, writer), far, until_answered=not tunnel)


def _socks_code(error: OSError | DockerError) -> int:
    if isinstance(error, socket.gaierror):
        return _NO_HOST
    number = error.errno if isinstance(error, OSError) else None
    return {errno.ECONNREFUSED: _REFUSED, errno.ENETUNREACH: _UNREACHABLE, errno.EHOSTUNREACH: _NO_HOST,
            errno.ETIMEDOUT: _NO_HOST}.get(number or 0, _FAILURE)  # fmt: skip


def _socks_answer(code: int, address: str = "0.0.0.0", port: int = 0) -> bytes:
    ip = ipaddress.ip_address(address)
    kind = _IPV4 if ip.version == 4 else _IPV6
    return bytes([_VERSION, code, 0, kind]) + ip.packed + struct.pack("!H", port)


async def _http_error(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = f"shoal: {text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    with contextlib.suppress(OSError):
        await writer.drain()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both_ways(near: Ends, far: Ends, *, until_answered: bool = False) -> None:
    """Until both directions have ended, or with `until_answered` the one from `far`."""
    outward = asyncio.ensure_future(_copy(near[0], far[1]))
    try:
        await _copy(far[0], near[1])
        if not until_answered:
            await outward
    finally:
        outward.cancel()
        await asyncio.gather(outward, return_exceptions=True)
        far[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
