"""/swarm: init, join, leave, inspect, update, unlock key."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.body import Schema, read_json
from daemon.api.keys import ENGINE
from daemon.api.query import flag
from daemon.cluster.vault import key_text
from daemon.errors import BadParameter

routes = web.RouteTableDef()

_SPEC: Schema = {
    "Name": "string",
    "Labels": "map[string]string",
    "Orchestration": "struct",
    "Raft": "struct",
    "Dispatcher": "struct",
    "CAConfig": "struct",
    "TaskDefaults": "struct",
    "EncryptionConfig": "struct",
}
_INIT: Schema = {
    "ListenAddr": "string",
    "AdvertiseAddr": "string",
    "DataPathAddr": "string",
    "DataPathPort": "uint",
    "ForceNewCluster": "bool",
    "Spec": ("swarm.Spec", _SPEC),
    "AutoLockManagers": "bool",
    "Availability": "string",
    "DefaultAddrPool": "[]string",
    "SubnetSize": "uint",
}
_JOIN: Schema = {
    "ListenAddr": "string",
    "AdvertiseAddr": "string",
    "DataPathAddr": "string",
    "RemoteAddrs": "[]string",
    "JoinToken": "string",
    "Availability": "string",
}


def version_of(request: web.Request) -> int:
    """The `version` parameter of an update. Raises BadParameter with Docker's text."""
    text = request.query.get("version", "")
    if not text.isdigit():
        reason = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise BadParameter(f"invalid swarm object version '{text}': {reason}")
    return int(text)


@routes.post("/swarm/init")
async def init(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "InitRequest", _INIT)
    return json_answer(await engine.tasks.finish(engine.cluster.init(body), "swarm init"))


@routes.post("/swarm/join")
async def join(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "JoinRequest", _JOIN)
    await engine.tasks.finish(engine.cluster.join(body), "swarm join")
    return web.Response(status=200)


@routes.post("/swarm/leave")
async def leave(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    await engine.tasks.finish(engine.cluster.leave(flag(request, "force")), "swarm leave")
    return web.Response(status=200)


@routes.get("/swarm")
async def inspect(request: web.Request) -> web.StreamResponse:
    return json_answer(request.app[ENGINE].cluster.swarm.inspect())


@routes.post("/swarm/update")
async def update(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    engine.cluster.manage()
    body = await read_json(request, "Spec", _SPEC)
    engine.cluster.swarm.update(
        version_of(request),
        body,
        rotate_worker=flag(request, "rotateWorkerToken"),
        rotate_manager=flag(request, "rotateManagerToken"),
        rotate_unlock=flag(request, "rotateManagerUnlockKey"),
    )
    return web.Response(status=200)


@routes.get("/swarm/unlockkey")
async def unlock_key(request: web.Request) -> web.StreamResponse:
    """Empty while managers are not locked."""
    return json_answer({"UnlockKey": key_text(request.app[ENGINE].cluster.swarm.secrets().unlock)})


@routes.post("/swarm/unlock")
async def unlock(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "UnlockRequest", {"UnlockKey": "string"})
    await engine.tasks.finish(engine.cluster.unlock(body.get("UnlockKey") or ""), "swarm unlock")
    return web.Response(status=200)
