"""iperf3 among guests, and against the real program: its TCP connections are relayed between loopback and a stack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator

import pytest

from daemon.runtime.container import Guest
from overlay.sandbox import TcpConnection
from tests.daemon.programs.guests import make_pair, run, shut, start

IPERF3 = shutil.which("iperf3")
needs_iperf3 = pytest.mark.skipif(IPERF3 is None, reason="iperf3 is not installed")


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Guest, Guest]]:
    one, two = make_pair()
    for guest in (one, two):
        start(guest, "sleep", "600")
    yield one, two
    await shut(one, two)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def splice(inner: TcpConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy between a stack's connection and a real one until both are done."""

    async def outward() -> None:
        with contextlib.suppress(OSError):
            while data := await inner.read(65536):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def inward() -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await inner.write(data)
            inner.shutdown_write()

    await asyncio.gather(outward(), inward())
    writer.close()
    inner.close()


async def real(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "iperf3", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode or 0, out.decode()


async def _listen_inside(guest: Guest, port: int, to: int) -> None:
    """Relay the guest's port to a real one."""
    listener = guest.sandbox.tcp_listen("0.0.0.0", port)
    tasks: list[asyncio.Task[None]] = []
    try:
        while True:
            inner = await listener.accept()
            reader, writer = await asyncio.open_connection("127.0.0.1", to)
            tasks.append(asyncio.create_task(splice(inner, reader, writer)))
    finally:
        for task in tasks:
            task.cancel()


@needs_iperf3
@pytest.mark.parametrize("flags", [["-n", "3M"], ["-n", "3M", "-R"], ["-t", "1", "-P", "2"]], ids=" ".join)
async def test_real_client_against_our_server(pair: tuple[Guest, Guest], flags: list[str]) -> None:
    one, two = pair
    served = start(two, "iperf3", "-s", "-1")
    tasks: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await one.sandbox.tcp_connect("10.0.0.3", 5201, timeout=5)
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await splice(inner, reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code, text = await real("-c", "127.0.0.1", "-p", str(port), "-J", *flags)
    document = json.loads(text)
    assert code == 0 and "error" not in document, text
    assert document["end"]["sum_received"]["bytes"] > 0  # what is still in the relay at the end is not counted
    if "-n" in flags and "-R" not in flags:
        assert document["end"]["sum_sent"]["bytes"] >= 3 << 20
    result = await served.finish()
    assert result.code == 0 and "Accepted connection from 10.0.0.2" in result.stdout
    assert ("sender" if "-R" in flags else "receiver") in result.stdout
    server.close()
    await asyncio.gather(*tasks, return_exceptions=True)


@needs_iperf3
@pytest.mark.parametrize("flags", [["-n", "3M"], ["-n", "3M", "-R"], ["-t", "1", "-P", "2"]], ids=" ".join)
async def test_our_client_against_the_real_server(pair: tuple[Guest, Guest], flags: list[str]) -> None:
    one, two = pair
    port = free_port()
    serving = await asyncio.create_subprocess_exec(
        "iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(port), "--forceflush", stdout=asyncio.subprocess.PIPE
    )
    assert serving.stdout is not None
    async with asyncio.timeout(5):
        while b"listening" not in await serving.stdout.readline():
            pass
    relay = asyncio.create_task(_listen_inside(two, 5201, port))
    result = await run(one, "iperf3", "-c", "b", "-J", *flags)
    assert result.code == 0, result
    document = json.loads(result.stdout)
    assert document["end"]["sum_received"]["bytes"] > 500_000
    assert len(document["end"]["streams"]) == (2 if "-P" in flags else 1)
    said = (await asyncio.wait_for(serving.stdout.read(), 10)).decode()
    assert await serving.wait() == 0 and ("sender" if "-R" in flags else "receiver") in said
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)


async def test_between_guests(pair: tuple[Guest, Guest]) -> None:
    one, two = pair
    start(two, "iperf3", "-s")
    await asyncio.sleep(0.01)
    result = await run(one, "iperf3", "-c", "b", "-n", "2M", "-P", "2")
    assert result.code == 0 and "iperf Done." in result.stdout
    assert result.stdout.count("sender") == result.stdout.count("receiver") == 3
    refused = await run(one, "iperf3", "-c", "b", "-p", "99")
    assert refused.stderr == "iperf3: error - unable to connect to server: Connection refused\n"
    assert refused.code == 1


@pytest.mark.parametrize("reverse", [[], ["-R"]])
async def test_a_rate_is_kept(pair: tuple[Guest, Guest], reverse: list[str]) -> None:
    """2 Mbit/s for 2 s is 500 kB; more than that and a block only when nobody holds it back."""
    one, two = pair
    start(two, "iperf3", "-s")
    await asyncio.sleep(0.01)
    result = await run(one, "iperf3", "-c", "b", "-t", "2", "-b", "2M", "-l", "10000", "-J", *reverse)
    moved = json.loads(result.stdout)["end"]["sum_received"]["bytes"]
    assert 0 < moved <= 520_000, result
