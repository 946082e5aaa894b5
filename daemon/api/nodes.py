"""/nodes: list, inspect, update, remove."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.body import Schema, read_json
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.api.swarm import version_of

routes = web.RouteTableDef()

_SPEC: Schema = {"Name": "string", "Labels": "map[string]string", "Role": "string", "Availability": "string"}


@routes.get("/nodes")
async def listed(request: web.Request) -> web.StreamResponse:
    return json_answer(request.app[ENGINE].cluster.nodes.listed(filters(request)))


@routes.get("/nodes/{id}")
async def inspect(request: web.Request) -> web.StreamResponse:
    return json_answer(request.app[ENGINE].cluster.nodes.inspect(request.match_info["id"]))


@routes.post("/nodes/{id}/update")
async def update(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    engine.cluster.manage()
    body = await read_json(request, "NodeSpec", _SPEC)
    engine.cluster.nodes.update(request.match_info["id"], version_of(request), body)
    return web.Response(status=200)


@routes.delete("/nodes/{id}")
async def remove(request: web.Request) -> web.StreamResponse:
    request.app[ENGINE].cluster.nodes.remove(request.match_info["id"], flag(request, "force"))
    return web.Response(status=200)
