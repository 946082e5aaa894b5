"""/containers/…/archive: `docker cp`."""

from __future__ import annotations

import base64
import json

from aiohttp import web

from daemon.api.body import read_archive
from daemon.api.keys import ENGINE
from daemon.api.query import flag
from daemon.engine import archive
from daemon.engine.container import Container
from daemon.errors import BadParameter
from daemon.runtime.filesystem import Filesystem

routes = web.RouteTableDef()


def _where(request: web.Request) -> tuple[Container, Filesystem, str]:
    engine = request.app[ENGINE]
    container = engine.containers.find(request.match_info["name"])
    if not (path := request.query.get("path", "")):
        raise BadParameter("bad parameter: path cannot be empty")
    return container, engine.containers.lifecycle.runs.guest(container).files, path


def _stat_header(files: Filesystem, path: str, ref: str) -> dict[str, str]:
    stat = json.dumps(archive.path_stat(files, path, ref)).encode()
    return {"X-Docker-Container-Path-Stat": base64.b64encode(stat).decode()}


@routes.head("/containers/{name}/archive")
async def stat(request: web.Request) -> web.Response:
    _, files, path = _where(request)
    return web.Response(headers=_stat_header(files, path, request.match_info["name"]), content_type="application/json")


@routes.get("/containers/{name}/archive", allow_head=False)
async def get(request: web.Request) -> web.Response:
    _, files, path = _where(request)
    headers = _stat_header(files, path, request.match_info["name"])
    return web.Response(body=archive.pack(files, path), headers=headers, content_type="application/x-tar")


@routes.put("/containers/{name}/archive")
async def put(request: web.Request) -> web.Response:
    container, files, path = _where(request)
    keep_kinds = flag(request, "noOverwriteDirNonDir")
    archive.unpack(files, path, await read_archive(request), container.name, keep_kinds=keep_kinds)
    request.app[ENGINE].keeper.write_files(container)
    return web.Response(status=200)
