"""The virtual clock: jumps, order, deadlock, and that stock asyncio and aiohttp run on it unchanged."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest
from aiohttp import web

from scenarios.sim.loop import SimulatedDeadlock, SimulatedLoop
from scenarios.sim.network import LinkQuality, Network


def run(coroutine):
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(coroutine), loop.time()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_an_hour_passes_at_once_and_in_order() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def note(delay: float, n: int) -> None:
            await asyncio.sleep(delay)
            order.append(n)

        await asyncio.gather(note(3600, 3), note(1, 2), note(0.5, 1), note(3600, 4))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        return order

    assert run(main()) == ([1, 2, 3, 4], 3610.0)


def test_waiting_for_nothing_is_a_deadlock_that_names_who_waits() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    loop = SimulatedLoop()
    with pytest.raises(SimulatedDeadlock, match="stuck"):
        loop.run_until_complete(stuck())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_aiohttp_serves_on_a_simulated_unix_socket() -> None:
    async def main() -> list[str]:
        async def slowly(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            for n in range(3):
                await asyncio.sleep(100)
                await answer.write(f"{n}\n".encode() * 50_000)
            return answer

        app = web.Application()
        app.router.add_get("/", slowly)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, "/sim/h1.sock").start()
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector("/sim/h1.sock")) as session,
            session.get("http://h1/", timeout=aiohttp.ClientTimeout(total=1000)) as response,
        ):
            lines = (await response.text()).split()
        await runner.cleanup()
        return [lines[0], lines[-1], str(len(lines))]

    answer, took = run(main())
    assert answer == ["0", "2", "150000"]
    assert took >= 300


def digest(seed: int, loss: float) -> tuple[str, list[str]]:
    async def main() -> tuple[str, list[str]]:
        network = Network(seed, LinkQuality(loss=loss))
        a, b = network.host("192.0.2.1"), network.host("192.0.2.2")
        heard: list[str] = []
        port = await b.datagrams(7, lambda data, source: heard.append(f"{data.decode()} {source[0]}"))

        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: object) -> None:
            writer.write((await reader.read()).upper())

        listener = await b.listen(9, shout)
        out = await a.datagrams(8, lambda data, source: None)
        for n in range(20):
            out.send(str(n).encode(), ("192.0.2.2", 7))
        reader, writer = await a.connect(("192.0.2.2", 9), deadline=5)
        writer.write(b"over a stream")
        writer.write_eof()
        heard.append((await reader.read()).decode())
        writer.close()
        await listener.close()
        port.close()
        with pytest.raises(ConnectionRefusedError):
            await a.connect(("192.0.2.2", 9), deadline=5)
        with pytest.raises(TimeoutError):
            await a.connect(("192.0.2.77", 9), deadline=5)
        return network.digest(), heard

    return run(main())[0]


def test_a_seed_is_a_run() -> None:
    seed = random.randrange(1 << 30)
    assert digest(seed, 0.3) == digest(seed, 0.3)
    assert digest(seed, 0.3) != digest(seed + 1, 0.3)
    _, heard = digest(seed, 0.0)
    assert len(heard) == 21 and heard[-1] == "OVER A STREAM"
    assert sorted(heard[:20]) == sorted(f"{n} 192.0.2.1" for n in range(20))
