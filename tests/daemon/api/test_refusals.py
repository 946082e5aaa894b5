"""What is refused is refused with Docker's status and Docker's text, whatever is sent."""

from __future__ import annotations

import asyncio
import json
import random

import aiohttp
import pytest

from tests.daemon.api.conftest import Machine

_JSON = {"Content-Type": "application/json"}
_UP = '{"Image":"alpine","Cmd":["sleep","9"]}'

# method, path, body, status, message
REFUSALS = [
    ("GET", "/v1.41/containers/nosuch/json", None, 404, "No such container: nosuch"),
    ("DELETE", "/v1.41/containers/nosuch", None, 404, "No such container: nosuch"),
    ("POST", "/v1.41/containers/nosuch/exec", '{"Cmd":["true"]}', 404, "No such container: nosuch"),
    ("POST", "/v1.41/exec/nosuch/start", "{}", 404, "No such exec instance: nosuch"),
    ("POST", "/v1.41/containers/create", "{}", 400, "Config cannot be empty in order to create a container"),
    ("POST", "/v1.41/containers/create", "{", 400, "unexpected EOF"),
    ("POST", "/v1.41/containers/create", "", 400, "Config cannot be empty in order to create a container"),
    ("POST", "/v1.41/containers/create", "nonsense", 400, "invalid character 'o' in literal null (expecting 'u')"),
    ("POST", "/v1.41/containers/create", "[]", 400,
     "json: cannot unmarshal array into Go value of type ContainerConfigWrapper"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","Cmd":5}', 400,
     "json: cannot unmarshal number into Go struct field ContainerConfigWrapper.Cmd of type strslice.StrSlice"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","HostConfig":{"Memory":"x"}}', 400,
     "json: cannot unmarshal string into Go struct field ContainerConfigWrapper.HostConfig.Memory of type int64"),
    ("POST", "/v1.41/containers/create", '{"Image":"nosuchimage"}', 404, "No such image: nosuchimage:latest"),
    ("POST", "/v1.41/containers/create?name=bad+name", _UP, 400,
     "Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","Env":["=x"]}', 400, "invalid environment variable: =x"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","WorkingDir":"x"}', 400,
     "the working directory 'x' is invalid, it needs to be an absolute path"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","HostConfig":{"RestartPolicy":{"Name":"maybe"}}}', 400,
     "invalid restart policy 'maybe'"),
    ("POST", "/v1.41/containers/create",
     '{"Image":"alpine","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}', 400,
     "can't create 'AutoRemove' container with restart policy"),
    ("POST", "/v1.41/containers/create",
     '{"Image":"alpine","NetworkingConfig":{"EndpointsConfig":{"n1":{},"n2":{}}}}', 400,
     "Container cannot be connected to network endpoints: n1, n2"),
    ("POST", "/v1.41/containers/create",
     '{"Image":"alpine","NetworkingConfig":{"EndpointsConfig":{"n":{"IPAMConfig":{"IPv4Address":"nonsense"}}}}}', 400,
     "invalid IPv4 address: nonsense"),
    ("POST", "/v1.41/containers/create", '{"Image":"alpine","HostConfig":{"PortBindings":{"80":[{"HostPort":"x"}]}}}',
     400, 'invalid port specification: "x"'),
    ("POST", "/v1.41/containers/up/start", None, 304, None),
    ("POST", "/v1.41/containers/new/stop", None, 304, None),
    ("POST", "/v1.41/containers/up/kill?signal=NOPE", None, 400, "Invalid signal: NOPE"),
    ("POST", "/v1.41/containers/new/kill", None, 409, "Cannot kill container: new: Container ID is not running"),
    ("POST", "/v1.41/containers/new/exec", '{"Cmd":["true"]}', 409, "Container ID is not running"),
    ("POST", "/v1.41/containers/new/pause", None, 409, "Container ID is not running"),
    ("POST", "/v1.41/containers/up/exec", "{}", 400, "No exec command specified"),
    ("POST", "/v1.41/containers/up/rename?name=new", None, 409,
     'Error when allocating new name: Conflict. The container name "/new" is already in use by container "ID". '
     "You have to remove (or rename) that container to be able to reuse that name."),
    ("POST", "/v1.41/containers/up/rename?name=", None, 400, "Neither old nor new names may be empty"),
    ("DELETE", "/v1.41/containers/up", None, 409,
     "You cannot remove a running container ID. Stop the container before attempting removal or force remove"),
    ("POST", "/v1.41/containers/up/wait?condition=never", None, 400, 'invalid condition: "never"'),
    ("GET", "/v1.41/containers/up/logs", None, 400, "Bad parameters: you must choose at least one stream"),
    ("GET", '/v1.41/containers/json?filters={"bogus":["x"]}', None, 400, "Invalid filter 'bogus'"),
    ("GET", "/v1.41/containers/json?filters=notjson", None, 500,
     "invalid character 'o' in literal null (expecting 'u')"),
    ("GET", '/v1.41/containers/json?filters={"status":["odd"]}', None, 400, "Invalid filter 'status=odd'"),
    ("GET", "/v1.41/images/nosuch/json", None, 404, "no such image: nosuch: No such image: nosuch:latest"),
    ("POST", "/v1.41/images/create?fromImage=nosuch&tag=latest", None, 404,
     "pull access denied for nosuch, repository does not exist or may require 'docker login': "
     "denied: requested access to the resource is denied"),
    ("GET", "/v1.41/volumes/nosuch", None, 404, "get nosuch: no such volume"),
    ("GET", "/v1.41/plugins/nosuch/json", None, 404, 'plugin "nosuch" not found'),
    ("GET", "/v1.41/nosuch", None, 404, "page not found"),
    ("PUT", "/v1.41/containers/json", None, 404, "page not found"),
    ("POST", "/v1.41/build", None, 501, "building images is not implemented in this version of shoal"),
    ("GET", "/v9.99/networks", None, 400, "client version 9.99 is too new. Maximum supported API version is 1.47"),
]  # fmt: skip


@pytest.mark.usefixtures("machine")
async def test_refusals(api: aiohttp.ClientSession) -> None:
    ids = {}
    for name in ("up", "new"):
        async with api.post(f"/v1.41/containers/create?name={name}", data=_UP, headers=_JSON) as answer:
            ids[name] = (await answer.json())["Id"]
    async with api.post("/v1.41/containers/up/start") as answer:
        assert answer.status == 204
    wrong = []
    for method, path, body, status, message in REFUSALS:
        async with api.request(method, path, data=body, headers=_JSON if body is not None else None) as answer:
            text = await answer.text()
            if message is not None:
                assert answer.headers["Content-Type"] == "application/json", path
                text = json.loads(text)["message"]
                for identity in ids.values():
                    text = text.replace(identity, "ID")
            if (answer.status, text) != (status, message or ""):
                wrong.append(f"{method} {path} {body}\n  want {status} {message}\n  got  {answer.status} {text}")
    assert not wrong, "\n".join(wrong)
    async with api.get("/v1.41/containers/up/json") as answer:
        assert (await answer.json())["State"]["Running"], "nothing that was there is lost"


async def test_old_versions_get_plain_text(api: aiohttp.ClientSession) -> None:
    async with api.get("/v1.11/networks") as answer:
        assert answer.status == 400 and answer.content_type == "text/plain"
        assert (await answer.text()).startswith("client version 1.11 is too old. Minimum supported API version is 1.24")


async def test_wrong_content_type_and_too_large(api: aiohttp.ClientSession) -> None:
    async with api.post("/v1.41/containers/create", data=_UP, headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 400
        message = (await answer.json())["message"]
        assert message == "Content-Type specified (text/plain) must be 'application/json'"
    async with api.post("/v1.41/containers/create", data=b'"' + b"x" * (5 << 20), headers=_JSON) as answer:
        assert answer.status == 413
    async with api.get("/_ping") as answer:
        assert await answer.text() == "OK"
        assert answer.headers["Api-Version"] == "1.47" and answer.headers["Ostype"] == "linux"


async def test_garbage_and_clients_that_vanish(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
    nested = b"[" * 100_000
    chance = random.Random(3)
    pieces = [
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        chance.randbytes(3000),
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        head + b'Content-Length: 100\r\n\r\n{"Image":',
        head + b"Content-Length: %d\r\n\r\n%b" % (len(nested), nested),
        b"GET /v1.41/events?since=nan HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n",
    ]
    for piece in pieces:
        for part in (piece, piece[: chance.randrange(1, len(piece))]):
            _, writer = await asyncio.open_unix_connection(str(machine.config.socket))
            writer.write(part)
            await asyncio.sleep(0.01)
            writer.transport.abort()
    async with machine.session() as session, session.get("/_ping") as answer:
        assert answer.status == 200
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_old_and_new_clients_see_their_version(api: aiohttp.ClientSession) -> None:
    for version, virtual in (("1.24", True), ("1.43", True), ("1.44", False), ("1.47", False)):
        async with api.get(f"/v{version}/images/json") as answer:
            assert ("VirtualSize" in (await answer.json())[0]) is virtual
