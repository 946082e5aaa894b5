"""The control API towards readers that do not stay."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp.test_utils import TestServer

from daemon.control.app import make_control_app
from daemon.host import Host


async def test_a_reader_that_is_gone_before_its_answer_begins_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    history = SimpleNamespace(since=lambda number: [])
    host = cast(Host, SimpleNamespace(world=SimpleNamespace(wall=lambda: 0.0), history=history))
    async with TestServer(make_control_app(host)) as server:
        with caplog.at_level(logging.ERROR):
            for _ in range(10):
                with socket.create_connection((server.host, server.port)) as client:
                    client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: h1\r\n\r\n")
            async with asyncio.timeout(30):
                reader, writer = await asyncio.open_connection(server.host, server.port)
                writer.write(b"GET /v1/events HTTP/1.0\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.0 200")
                writer.close()
    assert not caplog.records
