"""/volumes: `docker volume`."""

from __future__ import annotations

from aiohttp import web

from daemon.api import schema
from daemon.api.answers import json_answer, no_content
from daemon.api.body import read_json
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.api.versions import asked_for
from daemon.errors import NotFound

routes = web.RouteTableDef()

_NAMED_ARE_KEPT = (1, 42)  # since then a prune takes the anonymous ones only, unless asked for all


@routes.get("/volumes")
async def list_(request: web.Request) -> web.Response:
    chosen = request.app[ENGINE].volumes.select(filters(request))
    return json_answer({"Volumes": [volume.to_api() for volume in chosen], "Warnings": None})


@routes.get("/volumes/{name}")
async def inspect(request: web.Request) -> web.Response:
    return json_answer(request.app[ENGINE].volumes.find(request.match_info["name"]).to_api())


@routes.post("/volumes/create")
async def create(request: web.Request) -> web.Response:
    body = await read_json(request, "VolumeCreateBody", schema.VOLUME_CREATE)
    volume = request.app[ENGINE].volumes.ensure(
        body.get("Name") or "", body.get("Driver") or "local", body.get("DriverOpts"), body.get("Labels")
    )
    return json_answer(volume.to_api(), 201)


@routes.delete("/volumes/{name}")
async def remove(request: web.Request) -> web.Response:
    try:
        request.app[ENGINE].volumes.remove(request.match_info["name"])
    except NotFound:
        if not flag(request, "force"):
            raise
    return no_content()


@routes.post("/volumes/prune")
async def prune(request: web.Request) -> web.Response:
    wanted = filters(request)
    anonymous_only = asked_for(request) >= _NAMED_ARE_KEPT and not wanted.boolean("all")
    removed, freed = request.app[ENGINE].volumes.prune(wanted, anonymous_only=anonymous_only)
    return json_answer({"VolumesDeleted": removed or None, "SpaceReclaimed": freed})
