"""/volumes: there are none yet."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.errors import NotFound

routes = web.RouteTableDef()


@routes.get("/volumes")
async def list_(request: web.Request) -> web.Response:
    return json_answer({"Volumes": [], "Warnings": None})


@routes.get("/volumes/{name}")
async def inspect(request: web.Request) -> web.Response:
    raise NotFound(f"get {request.match_info['name']}: no such volume")


@routes.post("/volumes/prune")
async def prune(request: web.Request) -> web.Response:
    return json_answer({"VolumesDeleted": [], "SpaceReclaimed": 0})
