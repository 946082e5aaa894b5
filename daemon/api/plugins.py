"""/plugins: there are none yet."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.errors import NotFound

routes = web.RouteTableDef()


@routes.get("/plugins")
async def list_(request: web.Request) -> web.Response:
    return json_answer([])


@routes.get("/plugins/{name:.+}/json")
@routes.post("/plugins/{name:.+}/enable")
@routes.post("/plugins/{name:.+}/disable")
@routes.delete("/plugins/{name:.+}")
async def one(request: web.Request) -> web.Response:
    raise NotFound(f'plugin "{request.match_info["name"]}" not found')
