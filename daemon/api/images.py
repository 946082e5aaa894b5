"""/images: those of the runtime. Nothing is fetched from registries."""

from __future__ import annotations

import json

from aiohttp import web

from daemon.api import schema
from daemon.api.answers import json_answer
from daemon.api.body import read_archive, read_json
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.api.versions import asked_for
from daemon.engine import image_archives
from daemon.engine.documents import JsonObject
from daemon.engine.images import (
    find_image,
    image_document,
    image_history,
    image_summary,
    prune_images,
    pull_image,
    remove_image,
    select_images,
    tag_image,
)
from daemon.engine.reference import check_reference, familiar, repository_of
from daemon.errors import ApiError, ServerError

routes = web.RouteTableDef()

_FILTERS_ALONE = (1, 41)  # clients before say `filter=NAME` too


@routes.get("/images/json")
async def list_(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    wanted = filters(request)
    if (name := request.query.get("filter")) and asked_for(request) < _FILTERS_ALONE:
        wanted = wanted.with_value("reference", name)
    return json_answer([image_summary(engine, image, asked_for(request)) for image in select_images(engine, wanted)])


@routes.get("/images/{name:.+}/json")
async def inspect(request: web.Request) -> web.Response:
    image = find_image(request.app[ENGINE], request.match_info["name"])
    return json_answer(image_document(image, asked_for(request), image_archives.architecture()))


@routes.get("/images/{name:.+}/history")
async def history(request: web.Request) -> web.Response:
    return json_answer(image_history(find_image(request.app[ENGINE], request.match_info["name"])))


@routes.post("/images/create")
async def pull(request: web.Request) -> web.StreamResponse:
    """`docker pull`: of what the runtime has; else the registry's refusal."""
    if request.query.get("fromSrc"):
        return await _import(request)
    name, version = request.query.get("fromImage", ""), request.query.get("tag", "")
    separator = "@" if version.startswith("sha256:") else ":"
    reference = familiar(f"{name}{separator}{version}" if version else name)
    check_reference(reference)
    engine = request.app[ENGINE]
    image, brought = pull_image(engine, reference)
    repository = repository_of(reference)
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


async def _import(request: web.Request) -> web.Response:
    """`docker import -`; a URL would need a network that is not there."""
    if (source := request.query["fromSrc"]) != "-":
        raise ServerError(f"{source}: nothing can be downloaded to a simulated host; give the archive itself")
    repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
    image = image_archives.import_rootfs(
        request.app[ENGINE],
        await read_archive(request),
        familiar(f"{repository}:{tag}" if tag else repository) if repository else "",
        request.query.getall("changes", []),
        request.query.get("message", ""),
    )
    return web.Response(body=json.dumps({"status": image.id}).encode() + b"\r\n", content_type="application/json")


@routes.post("/images/load")
async def load(request: web.Request) -> web.Response:
    """What is wrong with the archive is said in the stream, as Docker does: some of its images may be there already."""
    answer: list[JsonObject] = []
    try:
        for line in image_archives.load(request.app[ENGINE], await read_archive(request)):
            answer.append({"stream": line})
    except ApiError as error:
        answer.append({"errorDetail": {"message": error.message}, "error": error.message})
    body = b"".join(json.dumps(line).encode() + b"\r\n" for line in answer)
    return web.Response(body=body, content_type="application/json")


@routes.get("/images/get")
async def save_many(request: web.Request) -> web.Response:
    names = [name for text in request.query.getall("names", []) for name in text.split(",")]
    return web.Response(body=image_archives.save(request.app[ENGINE], names), content_type="application/x-tar")


@routes.get("/images/{name:.+}/get")
async def save(request: web.Request) -> web.Response:
    archive = image_archives.save(request.app[ENGINE], [request.match_info["name"]])
    return web.Response(body=archive, content_type="application/x-tar")


@routes.post("/commit")
async def commit(request: web.Request) -> web.Response:
    engine, query = request.app[ENGINE], request.query
    body = await read_json(request, "Config", schema.CONFIG)
    repository, tag = query.get("repo", ""), query.get("tag", "")
    reference = familiar(f"{repository}:{tag}" if tag else repository) if repository else ""
    changes = [line for text in query.getall("changes", []) for line in text.splitlines() if line.strip()]
    note = {"comment": query.get("comment", ""), "author": query.get("author", "")}
    container = engine.containers.find(query.get("container", ""))
    return json_answer({"Id": image_archives.commit(engine, container, reference, body, changes, note).id}, 201)


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
    removed, freed = prune_images(request.app[ENGINE], filters(request))
    return json_answer({"ImagesDeleted": removed or None, "SpaceReclaimed": freed})


@routes.post("/build/prune")
async def prune_builds(request: web.Request) -> web.Response:
    """Nothing is built here, so there is no cache: `docker system prune` asks."""
    return json_answer({"CachesDeleted": None, "SpaceReclaimed": 0})


@routes.get("/distribution/{name:.+}/json")
async def distribution(request: web.Request) -> web.Response:
    raise ServerError(f"{familiar(request.match_info['name'])}: no registry can be reached from a simulated host")
