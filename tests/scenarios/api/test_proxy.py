"""What the proxy says when it cannot connect: in SOCKS5's numbers (RFC 1928, 6) and HTTP's."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from aiodocker.exceptions import DockerError

from scenarios.api.proxy import Proxy

HELLO = b"\x05\x01\x00"
TO_WEB = b"\x05\x01\x00\x03\x03web\x00\x50"


async def _said(dial_error: Exception | None, *parts: bytes) -> bytes:
    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert dial_error is not None, "nobody should be asked"
        raise dial_error

    async with Proxy(dial) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for part in parts:
            writer.write(part)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 5),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), 4),
        (OSError(errno.ENETUNREACH, "no way"), 3),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), 4),
        (DockerError(404, "no such network"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_socks(error: Exception, code: int) -> None:
    assert await _said(error, HELLO, TO_WEB) == b"\x05\x00" + bytes([5, code, 0, 1]) + bytes(6)


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ((b"\x05\x01\x02",), b"\x05\xff"),  # with a password only
        ((HELLO, b"\x05\x02\x00\x03\x03web\x00\x50"), b"\x05\x00\x05\x07\x00\x01" + bytes(6)),  # BIND
        ((HELLO, b"\x05\x01\x00\x09"), b"\x05\x00\x05\x08\x00\x01" + bytes(6)),  # no such kind of address
    ],
    ids=["password", "bind", "address"],
)
async def test_socks_that_asks_for_what_is_not_there(parts: tuple[bytes, ...], answer: bytes) -> None:
    assert await _said(None, *parts) == answer


@pytest.mark.parametrize(
    ("request_", "error", "status", "text"),
    [
        (b"CONNECT web:80 HTTP/1.1", ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 502, b"refused"),
        (b"GET http://web/ HTTP/1.1", TimeoutError(errno.ETIMEDOUT, "timed out"), 504, b"timed out"),
        (b"GET http://nobody/ HTTP/1.1", socket.gaierror(socket.EAI_NONAME, "no such name"), 502, b"no such name"),
        (b"GET /here HTTP/1.1", None, 400, b"http://HOST/"),
        (b"CONNECT web HTTP/1.1", None, 400, b"HOST:PORT"),
        (b"nonsense", None, 400, b"not a request"),
    ],
    ids=["refused", "timeout", "name", "no proxy request", "no port", "nonsense"],
)
async def test_http(request_: bytes, error: Exception | None, status: int, text: bytes) -> None:
    head, _, body = (await _said(error, request_ + b"\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and text in body, (head, body)
