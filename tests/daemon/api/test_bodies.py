"""Bodies have every field that a real engine's have, of the same type: that is what clients read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp

_RECORDED = json.loads(Path(__file__).with_name("recorded_bodies.json").read_text())
_CREATE = {
    "Image": "alpine",
    "Cmd": ["sleep", "600"],
    "HostConfig": {"NetworkMode": "an1"},
    "NetworkingConfig": {
        "EndpointsConfig": {"an1": {"IPAMConfig": {"IPv4Address": "10.60.0.50"}, "Aliases": ["first"]}}
    },
}
_IPAM = {"Config": [{"Subnet": "10.60.0.0/24", "Gateway": "10.60.0.1"}]}


def missing(want: object, got: object, at: str = "") -> Iterator[str]:
    """Where `got` lacks what `want` has."""
    if isinstance(want, dict):
        if not isinstance(got, dict):
            yield f"{at}: {type(got).__name__}, not an object"
            return
        for key, value in want.items():
            if key not in got:
                yield f"{at}.{key} is missing"
            else:
                yield from missing(value, got[key], f"{at}.{key}")
    elif isinstance(want, list) and want and isinstance(want[0], dict):
        if not isinstance(got, list) or not got:
            yield f"{at}: nothing in it"
        else:
            yield from missing(want[0], got[0], f"{at}[]")
    elif want is not None and got is not None and type(want) is not type(got):
        yield f"{at}: {type(got).__name__}, not {type(want).__name__}"


async def _body(api: aiohttp.ClientSession, path: str) -> object:
    async with api.get(f"/v1.41{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        return await answer.json()


async def test_bodies(api: aiohttp.ClientSession) -> None:
    await api.post("/v1.41/networks/create", json={"Name": "an1", "IPAM": _IPAM})
    async with api.post("/v1.41/containers/create?name=ac1", json=_CREATE) as answer:
        created = await answer.json()
        assert answer.status == 201 and created["Warnings"] == []
    async with api.post("/v1.41/containers/ac1/start") as answer:
        assert answer.status == 204
    wrong = []
    for path in ("/containers/ac1/json", "/containers/json?all=1", "/info", "/version", "/images/json", "/volumes"):
        got = await _body(api, path)
        wrong += [f"{path}{text}" for text in missing(_RECORDED[path], got)]
    async with api.post("/v1.41/containers/ac1/exec", json={"Cmd": ["true"]}) as answer:
        exec_id = (await answer.json())["Id"]
    wrong += list(missing(_RECORDED["exec"], await _body(api, f"/exec/{exec_id}/json"), "exec"))
    async with api.get("/v1.41/events", params={"since": "0", "until": str(9e8), "filters": "{}"}) as answer:
        assert answer.status == 200 and await answer.text() == ""
    assert not wrong, "\n".join(wrong)


async def test_values_that_clients_print(api: aiohttp.ClientSession) -> None:
    await api.post("/v1.41/networks/create", json={"Name": "an1", "IPAM": _IPAM})
    await api.post("/v1.41/containers/create?name=ac1", json=_CREATE)
    await api.post("/v1.41/containers/ac1/start")
    inspected = await _body(api, "/containers/ac1/json")
    assert isinstance(inspected, dict)
    want = _RECORDED["/containers/ac1/json"]
    for key in ("Path", "Args", "Name", "Driver", "Platform", "RestartCount"):
        assert inspected[key] == want[key]
    assert {**inspected["Config"], "Env": None, "Hostname": ""} == {**want["Config"], "Hostname": ""}
    assert inspected["HostConfig"] == want["HostConfig"]
    endpoint = inspected["NetworkSettings"]["Networks"]["an1"]
    assert endpoint["Aliases"] == ["first", inspected["Id"][:12]]
    for key in ("IPAMConfig", "IPAddress", "IPPrefixLen", "Gateway", "MacAddress"):
        assert endpoint[key] == want["NetworkSettings"]["Networks"]["an1"][key]
