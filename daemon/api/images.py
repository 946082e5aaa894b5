"""/images: those of the runtime. Nothing is fetched from registries."""

from __future__ import annotations

import json
import platform

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.keys import ENGINE
from daemon.api.query import filters
from daemon.api.versions import asked_for
from daemon.engine.create import familiar
from daemon.engine.images import find_image, image_document, image_history, image_summary, select_images
from daemon.errors import BadParameter, NotFound, NotImplementedYet, ServerError

routes = web.RouteTableDef()


@routes.get("/images/json")
async def list_(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    wanted = filters(request)
    return json_answer([image_summary(engine, image, asked_for(request)) for image in select_images(engine, wanted)])


@routes.get("/images/{name:.+}/json")
async def inspect(request: web.Request) -> web.Response:
    image = find_image(request.app[ENGINE], request.match_info["name"])
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return json_answer(image_document(image, asked_for(request), architecture))


@routes.get("/images/{name:.+}/history")
async def history(request: web.Request) -> web.Response:
    return json_answer(image_history(find_image(request.app[ENGINE], request.match_info["name"])))


@routes.post("/images/create")
async def pull(request: web.Request) -> web.StreamResponse:
    """`docker pull`: of an image that is there, Docker's words for "up to date"; else the registry's refusal."""
    if request.query.get("fromSrc"):
        raise NotImplementedYet("importing images is not implemented in this version of shoal")
    name, tag = request.query.get("fromImage", ""), request.query.get("tag", "")
    if not name:
        raise BadParameter("invalid reference format")
    separator = "@" if tag.startswith("sha256:") else ":"
    reference = familiar(f"{name}{separator}{tag}" if tag else name)
    engine = request.app[ENGINE]
    image = engine.images.resolve(reference)
    repository = reference.partition("@")[0].rpartition(":")[0]
    if image is None:
        if engine.images.resolve(repository) is not None:
            raise NotFound(f"manifest for {reference} not found: manifest unknown: manifest unknown")
        raise NotFound(
            f"pull access denied for {repository}, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied"
        )
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    path = repository if "/" in repository else f"library/{repository}"
    for line in (
        {"status": f"Pulling from {path}", "id": reference.rpartition(":")[2]},
        {"status": f"Digest: {image.id}"},
        {"status": f"Status: Image is up to date for {reference}"},
    ):
        await response.write(json.dumps(line).encode() + b"\r\n")
    engine.events.publish("image", "pull", reference, {"name": repository})
    return response


@routes.post("/images/prune")
async def prune(request: web.Request) -> web.Response:
    return json_answer({"ImagesDeleted": None, "SpaceReclaimed": 0})


@routes.get("/distribution/{name:.+}/json")
async def distribution(request: web.Request) -> web.Response:
    raise ServerError(f"{familiar(request.match_info['name'])}: no registry can be reached from a simulated host")
