"""/services, /tasks, /secrets, /configs: a manager has none of them yet; making one is answered with 501 (later.py)."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.keys import ENGINE
from daemon.errors import NotFound

routes = web.RouteTableDef()


@routes.get("/services")
@routes.get("/tasks")
@routes.get("/secrets")
@routes.get("/configs")
async def list_(request: web.Request) -> web.Response:
    request.app[ENGINE].cluster.manage()  # 503 unless this node is a manager
    return json_answer([])


@routes.get("/{kind:services|tasks|secrets|configs}/{id}")
@routes.get("/{kind:services}/{id}/logs")
@routes.delete("/{kind:services|secrets|configs}/{id}")
async def one(request: web.Request) -> web.Response:
    request.app[ENGINE].cluster.manage()
    raise NotFound(f"{request.match_info['kind'][:-1]} {request.match_info['id']} not found")
