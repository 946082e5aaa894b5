"""/plugins: installed plug-ins. Those that are found in directories are not listed, as in Docker."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from aiohttp import web

from daemon.api.answers import json_answer, no_content
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.errors import ApiError, BadParameter
from daemon.plugins.bundles import Bundles, no_registry

routes = web.RouteTableDef()

_LARGEST = 1 << 30  # bytes of a bundle


def _bundles(request: web.Request) -> Bundles:
    return request.app[ENGINE].remote.bundles


@routes.get("/plugins")
async def listed(request: web.Request) -> web.Response:
    return json_answer(_bundles(request).listed(filters(request)))


@routes.get("/plugins/privileges")
async def privileges(request: web.Request) -> web.Response:
    raise no_registry(request.query.get("remote", ""))


@routes.post("/plugins/pull")
async def pull(request: web.Request) -> web.Response:
    raise no_registry(request.query.get("remote", ""))


@routes.post("/plugins/create")
async def create(request: web.Request) -> web.Response:
    """The body is a tar, perhaps compressed."""
    engine = request.app[ENGINE]
    with tempfile.TemporaryDirectory(dir=engine.config.state_dir, prefix="bundle-") as folder:
        archive = Path(folder) / "bundle.tar"
        size = 0
        with archive.open("wb") as out:
            async for chunk in request.content.iter_chunked(1 << 20):
                size += len(chunk)
                if size > _LARGEST:
                    raise ApiError("http: request body too large", 413)
                out.write(chunk)
        engine.remote.bundles.create(request.query.get("name", ""), archive)
    return no_content()


@routes.get("/plugins/{name:.+}/json")
async def inspect(request: web.Request) -> web.Response:
    return json_answer(_bundles(request).find(request.match_info["name"]).to_api())


@routes.post("/plugins/{name:.+}/enable")
async def enable(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    timeout = request.query.get("timeout") or "0"
    if not timeout.isdigit():
        raise BadParameter(f'strconv.Atoi: parsing "{timeout}": invalid syntax')
    work = engine.remote.bundles.enable(request.match_info["name"], float(timeout))
    await engine.tasks.finish(work, "plugin enable")
    return web.Response(status=200)


@routes.post("/plugins/{name:.+}/disable")
async def disable(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    work = engine.remote.bundles.disable(request.match_info["name"], force=flag(request, "force"))
    await engine.tasks.finish(work, "plugin disable")
    return web.Response(status=200)


@routes.post("/plugins/{name:.+}/set")
async def set_(request: web.Request) -> web.Response:
    """The body is a list of NAME=VALUE."""
    try:
        settings = json.loads(await request.text() or "[]")
    except ValueError as error:
        raise BadParameter(str(error)) from None
    if not isinstance(settings, list) or not all(isinstance(each, str) for each in settings):
        raise BadParameter("json: cannot unmarshal into Go value of type []string")
    _bundles(request).set(request.match_info["name"], settings)
    return no_content()


@routes.post("/plugins/{name:.+}/upgrade")
@routes.post("/plugins/{name:.+}/push")
async def registry(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    _bundles(request).find(name)
    raise no_registry(name)


@routes.delete("/plugins/{name:.+}")
async def remove(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    bundle = engine.remote.bundles.find(request.match_info["name"])
    work = engine.remote.bundles.remove(bundle.id, force=flag(request, "force"))
    await engine.tasks.finish(work, "plugin rm")
    return json_answer(bundle.to_api())
