"""Attaching over a websocket: what a process prints comes in messages, what is sent is its input."""

from __future__ import annotations

import aiohttp
import pytest

_CAT = {"Image": "alpine", "Cmd": ["sh", "-c", "read x; echo got $x; echo to err >&2"], "OpenStdin": True}


async def _output(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    """All until the daemon closes."""
    whole = b""
    async for message in socket:
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)
        whole += message.data if isinstance(message.data, bytes) else message.data.encode()
    return whole


@pytest.mark.parametrize(
    ("version", "kind"), [("1.41", aiohttp.WSMsgType.BINARY), ("1.24", aiohttp.WSMsgType.TEXT)], ids=str
)
async def test_input_and_output(api: aiohttp.ClientSession, version: str, kind: aiohttp.WSMsgType) -> None:
    await api.post("/v1.41/containers/create?name=talks", json=_CAT)
    query = "stream=1&stdin=1&stdout=1&stderr=1"
    async with api.ws_connect(f"/v{version}/containers/talks/attach/ws?{query}") as socket:
        await api.post("/v1.41/containers/talks/start")
        await socket.send_str("wo")
        await socket.send_bytes(b"rd\n")
        first = await socket.receive()
        assert first.type is kind
        text = first.data if isinstance(first.data, bytes) else first.data.encode()
        assert text + await _output(socket) == b"got word\nto err\n"
    assert socket.close_code == aiohttp.WSCloseCode.OK


async def test_what_was_printed_before_and_one_stream_alone(api: aiohttp.ClientSession) -> None:
    body = {"Image": "alpine", "Cmd": ["sh", "-c", "echo out; echo err >&2"]}
    await api.post("/v1.41/containers/create?name=done", json=body)
    await api.post("/v1.41/containers/done/start")
    await api.post("/v1.41/containers/done/wait")
    async with api.ws_connect("/v1.41/containers/done/attach/ws?logs=1&stdout=1") as socket:
        assert await _output(socket) == b"out\n"


async def test_a_client_that_goes_leaves_the_process(api: aiohttp.ClientSession) -> None:
    await api.post("/v1.41/containers/create?name=stays", json={"Image": "alpine", "Cmd": ["sleep", "600"]})
    await api.post("/v1.41/containers/stays/start")
    async with api.ws_connect("/v1.41/containers/stays/attach/ws?stream=1&stdin=1&stdout=1"):
        pass
    async with api.get("/v1.41/containers/stays/json") as answer:
        assert (await answer.json())["State"]["Running"]


async def test_what_is_no_websocket_is_refused(api: aiohttp.ClientSession) -> None:
    async with api.get("/v1.41/containers/nosuch/attach/ws") as answer:
        assert answer.status == 404
    await api.post("/v1.41/containers/create?name=cc", json={"Image": "alpine"})
    async with api.get("/v1.41/containers/cc/attach/ws") as answer:
        assert answer.status == 400
