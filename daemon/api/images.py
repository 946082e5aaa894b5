"""/images: those of the runtime. Nothing is fetched from registries."""

from __future__ import annotations

import json
import platform

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.api.versions import asked_for
from daemon.engine.images import (
    find_image,
    image_document,
    image_history,
    image_summary,
    pull_image,
    remove_image,
    select_images,
    tag_image,
)
from daemon.engine.reference import check_reference, familiar
from daemon.errors import NotImplementedYet, ServerError

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
    """`docker pull`: of what the runtime has; else the registry's refusal."""
    if request.query.get("fromSrc"):
        raise NotImplementedYet("importing images is not implemented in this version of shoal")
    name, version = request.query.get("fromImage", ""), request.query.get("tag", "")
    separator = "@" if version.startswith("sha256:") else ":"
    reference = familiar(f"{name}{separator}{version}" if version else name)
    check_reference(reference)
    engine = request.app[ENGINE]
    image, brought = pull_image(engine, reference)
    repository = reference.partition("@")[0].rpartition(":")[0]
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    path = repository if "/" in repository else f"library/{repository}"
    for line in (
        {"status": f"Pulling from {path}", "id": reference.rpartition(":")[2]},
        {"status": f"Digest: {image.id}"},
        {"status": f"Status: {'Downloaded newer image' if brought else 'Image is up to date'} for {reference}"},
    ):
        await response.write(json.dumps(line).encode() + b"\r\n")
    engine.events.publish("image", "pull", reference, {"name": repository})
    return response


@routes.post("/images/{name:.+}/tag")
async def tag(request: web.Request) -> web.Response:
    repository, name = request.query.get("repo", ""), request.query.get("tag", "")
    target = f"{repository}:{name}" if name else repository
    tag_image(request.app[ENGINE], request.match_info["name"], target)
    return web.Response(status=201)


@routes.delete("/images/{name:.+}")
async def remove(request: web.Request) -> web.Response:
    return json_answer(remove_image(request.app[ENGINE], request.match_info["name"], force=flag(request, "force")))


@routes.post("/images/prune")
async def prune(request: web.Request) -> web.Response:
    return json_answer({"ImagesDeleted": None, "SpaceReclaimed": 0})


@routes.get("/distribution/{name:.+}/json")
async def distribution(request: web.Request) -> web.Response:
    raise ServerError(f"{familiar(request.match_info['name'])}: no registry can be reached from a simulated host")
