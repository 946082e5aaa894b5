"""What a plug-in answers may be anything; the client's errors are Docker's, and it never waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from daemon.plugins.client import PluginClient, PluginError, UnknownCall
from daemon.plugins.discovery import Address
from daemon.plugins.drivers import Given, IpamDriver, NetworkDriver


@asynccontextmanager
async def answering(socket: Path, answers: dict[str, tuple[int, str]]) -> AsyncIterator[list[str]]:
    """A plug-in that answers just this, and 404 to everything else; the calls that it heard."""
    heard: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        name = request.path.lstrip("/")
        heard.append(name)
        status, text = answers.get(name, (404, "page not found"))
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_post("/{call}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        yield heard
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, '{"Err": "no luck"}', "remote: no luck"),
        (200, '{"Error": "no luck"}', "remote: no luck"),
        (500, '{"Err": "no luck"}', "NetworkDriver.X: no luck"),
        (500, "no luck", "NetworkDriver.X: no luck"),
        (404, "page not found", "NetworkDriver.X: page not found"),
        (200, "[1]", "NetworkDriver.X: the plug-in's answer is no JSON object: '[1]'"),
        (200, "{", "NetworkDriver.X: the plug-in's answer is no JSON object: '{'"),
        (200, "x" * (2 << 20), "NetworkDriver.X: an answer of more than 1048576 bytes"),
    ],
)
async def test_refusals_and_nonsense(tmp_path: Path, status: int, text: str, said: str) -> None:
    socket = tmp_path / "p.sock"
    client = PluginClient(Address("unix", str(socket)))
    async with answering(socket, {"NetworkDriver.X": (status, text)}):
        with pytest.raises(PluginError) as failure:
            await client.call("NetworkDriver.X", {})
        assert failure.value.message == said
        assert isinstance(failure.value, UnknownCall) == (status == 404)
        await client.close()


async def test_one_that_never_answers(tmp_path: Path) -> None:
    socket = tmp_path / "p.sock"
    server = await asyncio.start_unix_server(lambda reader, writer: asyncio.sleep(60), socket)
    client = PluginClient(Address("unix", str(socket)), timeout=0.2)
    with pytest.raises(PluginError, match=r"NetworkDriver.X\": context deadline exceeded"):
        await client.call("NetworkDriver.X", {})
    await client.close()
    server.close()


async def test_one_that_comes_a_second_late_is_found(tmp_path: Path) -> None:
    socket = tmp_path / "p.sock"
    client = PluginClient(Address("unix", str(socket)))
    call = asyncio.create_task(client.call("NetworkDriver.X", {}))
    await asyncio.sleep(0.2)
    async with answering(socket, {"NetworkDriver.X": (200, "{}")}):
        assert await call == {}
        await client.close()
    with pytest.raises(PluginError, match=r"dial unix .*p.sock: connect: connection refused"):
        await client.call("NetworkDriver.X", {}, ending=True)
    await client.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"Gateway": "x"}', 'unable to parse Gateway "x"; rolled back'),
        ('{"StaticRoutes": [{"Destination": "x"}]}', "invalid CIDR address: x; rolled back"),
        ('{"StaticRoutes": ["x"]}', "invalid CIDR address: ; rolled back"),
        ('{"InterfaceName": {"DstPrefix": "../x"}}', "failed to set interface name: '../x'; rolled back"),
        ('{"Frames": {"Address": "ftp://x"}}', "Frames: unsupported plug-in address 'ftp://x'"),
    ],
)
async def test_a_join_that_cannot_be_is_taken_back(tmp_path: Path, answer: str, said: str) -> None:
    socket = tmp_path / "p.sock"
    client = PluginClient(Address("unix", str(socket)))
    async with answering(socket, {"NetworkDriver.Join": (200, answer), "NetworkDriver.Leave": (200, "")}) as heard:
        with pytest.raises(PluginError) as failure:
            await NetworkDriver("p", client).join("n", "e", "/s", {})
        assert failure.value.message.startswith(said)
        assert heard == ["NetworkDriver.Join", "NetworkDriver.Leave"]
        await client.close()


async def test_what_may_be_missing(tmp_path: Path) -> None:
    """Calls that older plug-ins do not have; a MAC address that the engine had given already."""
    socket = tmp_path / "p.sock"
    client = PluginClient(Address("unix", str(socket)))
    answers = {
        "IpamDriver.GetDefaultAddressSpaces": (200, '{"LocalDefaultAddressSpace": "here"}'),
        "IpamDriver.RequestAddress": (200, "{}"),
        "NetworkDriver.CreateEndpoint": (200, '{"Interface": {"MacAddress": "02:00:00:00:00:01"}}'),
        "NetworkDriver.DeleteEndpoint": (200, "{}"),
    }
    async with answering(socket, answers) as heard:
        ipam, network = IpamDriver("p", client), NetworkDriver("p", client)
        await ipam.register()
        assert (ipam.space, ipam.requires_mac) == ("here", False)
        with pytest.raises(PluginError, match=r"^No address returned$"):
            await ipam.request_address("p", "")
        await network.program_external_connectivity("n", "e", {})
        await network.revoke_external_connectivity("n", "e")
        given = await network.create_endpoint("n", "e", Given("10.0.0.2/24"), {})
        assert given == Given(mac="02:00:00:00:00:01")
        with pytest.raises(PluginError, match=r"driver modified interface MAC address: .*; rolled back"):
            await network.create_endpoint("n", "e", Given("10.0.0.2/24", mac="02:00:00:00:00:02"), {})
        assert heard[-1] == "NetworkDriver.DeleteEndpoint"
        await client.close()
