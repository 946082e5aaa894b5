"""Every answer that a real engine (20.10, API 1.41) was recorded to give has its fields here too, of the same types.

recorded_samples.json has the fullest body of each path; lists, and what is under ids, are compared by one element.
"""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp

from tests.daemon.api.test_bodies import missing

_SAMPLES = json.loads(Path(__file__).with_name("recorded_samples.json").read_text())
_IPAM = {"Driver": "default", "Config": [{"Subnet": "10.60.0.0/24", "Gateway": "10.60.0.1"}], "Options": {}}


async def _post(api: aiohttp.ClientSession, path: str, body: object = None) -> object:
    async with api.post(f"/v1.41{path}", json=body) as answer:
        assert answer.status < 300, f"{path}: {answer.status} {await answer.text()}"
        return await answer.json() if answer.status in (200, 201) and answer.content_length else None


async def _container(api: aiohttp.ClientSession, name: str, network: str, **config: object) -> None:
    body = {"Image": "alpine", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": network}, **config}
    await _post(api, f"/containers/create?name={name}", body)
    await _post(api, f"/containers/{name}/start")


async def test_every_recorded_body(api: aiohttp.ClientSession) -> None:
    await _post(api, "/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "192.0.2.1"})
    await _post(api, "/networks/create", {"Name": "an1", "IPAM": _IPAM, "Labels": {"k": "v"}})
    await _post(api, "/networks/create", {"Name": "aov", "Driver": "overlay", "Attachable": True})
    await _post(api, "/volumes/create", {"Name": "v1"})
    asked = {"IPAMConfig": {"IPv4Address": "10.60.0.50"}, "Aliases": ["first"]}
    await _container(api, "ac1", "an1", NetworkingConfig={"EndpointsConfig": {"an1": asked}})
    await _container(api, "ca", "bridge", HostConfig={"NetworkMode": "bridge", "PortBindings": {}})
    await _container(api, "lg", "aov")
    exec_ = await _post(api, "/containers/ca/exec", {"Cmd": ["ip", "route"], "AttachStdout": True})
    assert isinstance(exec_, dict)
    async with api.get("/v1.41/nodes") as answer:
        node = (await answer.json())[0]["ID"]
    where = {"/exec/ID/json": f"/exec/{exec_['Id']}/json", "/nodes/ID": f"/nodes/{node}"}
    wrong = []
    for path, want in _SAMPLES.items():
        if path == "/events":
            query = {"since": "0", "filters": '{"type":["network"],"event":["connect"]}'}
            async with api.get("/v1.41/events", params=query) as answer:
                got: object = [json.loads(await answer.content.readline())]
        else:
            async with api.get(f"/v1.41{where.get(path, path)}") as answer:
                assert answer.status == 200, f"{path}: {await answer.text()}"
                got = await answer.json()
        wrong += [f"{path}{text}" for text in missing(_by_id(want), _by_id(_named(want, got)))]
    assert not wrong, "\n".join(wrong)


def _named(want: object, got: object) -> object:
    """Of a list the element with the recorded one's name, when there is one."""
    if not (isinstance(want, list) and isinstance(got, list)):
        return got
    key = "Names" if "Names" in want[0] else "Name"
    return [item for item in got if item.get(key) == want[0].get(key)] or got


def _by_id(document: object) -> object:
    """Objects keyed by ids as lists of what they hold."""
    if isinstance(document, dict):
        if all(len(key) == 64 for key in document):
            return [_by_id(value) for value in document.values()]
        return {key: _by_id(value) for key, value in document.items()}
    return [_by_id(item) for item in document] if isinstance(document, list) else document
