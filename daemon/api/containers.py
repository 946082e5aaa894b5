"""/containers: what the docker CLI calls a container's life, and watching it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

from aiohttp import web

from daemon.api import schema
from daemon.api.answers import json_answer, no_content
from daemon.api.body import read_json
from daemon.api.hijack import Client, content_type, frame, relay, take_over
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag, integer, timestamp
from daemon.api.versions import asked_for
from daemon.api.websocket import accept
from daemon.engine import changes, hostconfig, links, listing, shown, stats, top, validate
from daemon.engine.container import Container
from daemon.engine.detach import parse_keys
from daemon.engine.documents import rfc3339_fixed
from daemon.engine.exec import check_active
from daemon.engine.lifecycle import Lifecycle, not_running
from daemon.engine.logs import STDERR, STDOUT, LogEntry
from daemon.errors import ApiError, BadParameter, Conflict
from daemon.runtime import layers

routes = web.RouteTableDef()

_STATS_INTERVAL = 1.0  # seconds


def _container(request: web.Request) -> Container:
    return request.app[ENGINE].containers.find(request.match_info["name"])


async def _change(request: web.Request, work: Awaitable[None], name: str) -> web.Response:
    """Run a change of state to its end, whatever the client does meanwhile."""

    async def finish() -> None:
        await work

    await request.app[ENGINE].tasks.finish(finish(), name)
    return no_content()


# -- one container --------------------------------------------------------------------------------------------------


@routes.post("/containers/create")
async def create(request: web.Request) -> web.Response:
    body = await read_json(request, "ContainerConfigWrapper", schema.CREATE)
    engine = request.app[ENGINE]
    container, warnings = engine.containers.create(request.query.get("name", ""), body, asked_for(request))
    return json_answer({"Id": container.id, "Warnings": warnings}, 201)


@routes.get("/containers/json")
async def list_(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    chosen = listing.select(engine, filters(request), all=flag(request, "all"), limit=integer(request, "limit") or 0)
    size = flag(request, "size")
    return json_answer([shown.summary(engine, container, size=size) for container in chosen])


@routes.get("/containers/{name}/json")
async def inspect(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    return json_answer(shown.inspect(engine, _container(request), asked_for(request), size=flag(request, "size")))


@routes.post("/containers/{name}/start")
async def start(request: web.Request) -> web.Response:
    container = _container(request)
    return await _change(request, _lifecycle(request).start(container), "start")


@routes.post("/containers/{name}/stop")
async def stop(request: web.Request) -> web.Response:
    container, timeout = _container(request), integer(request, "t")
    signal = request.query.get("signal") or None
    return await _change(request, _lifecycle(request).stop(container, timeout, signal), "stop")


@routes.post("/containers/{name}/restart")
async def restart(request: web.Request) -> web.Response:
    container, timeout = _container(request), integer(request, "t")
    signal = request.query.get("signal") or None
    return await _change(request, _lifecycle(request).restart(container, timeout, signal), "restart")


@routes.post("/containers/{name}/kill")
async def kill(request: web.Request) -> web.Response:
    container, ref = _container(request), request.match_info["name"]
    signal = request.query.get("signal") or None
    return await _change(request, _lifecycle(request).kill(container, ref, signal), "kill")


@routes.post("/containers/{name}/pause")
async def pause(request: web.Request) -> web.Response:
    return await _change(request, _lifecycle(request).pause(_container(request)), "pause")


@routes.post("/containers/{name}/unpause")
async def unpause(request: web.Request) -> web.Response:
    return await _change(request, _lifecycle(request).unpause(_container(request)), "unpause")


@routes.post("/containers/{name}/rename")
async def rename(request: web.Request) -> web.Response:
    container, name = _container(request), request.query.get("name", "")
    return await _change(request, _lifecycle(request).rename(container, name), "rename")


@routes.delete("/containers/{name:.+}")
async def remove(request: web.Request) -> web.Response:
    if flag(request, "link"):  # NAME/ALIAS
        links.remove(request.app[ENGINE], request.match_info["name"])
        return no_content()
    container = _container(request)
    removal = _lifecycle(request).remove(container, force=flag(request, "force"), volumes=flag(request, "v"))
    return await _change(request, removal, "remove")


@routes.post("/containers/{name}/update")
async def update(request: web.Request) -> web.Response:
    """`docker update`: restart policy and resource limits. The latter are shown, not enforced."""
    engine, container = request.app[ENGINE], _container(request)
    body = await read_json(request, "UpdateConfig", schema.UPDATE)
    changed = hostconfig.updated(container.host_config, body)
    validate.check_host_config(changed, container.config)
    container.host_config = changed
    engine.containers.save_config(container)
    engine.containers.publish(container, "update")
    return json_answer({"Warnings": None})


@routes.post("/containers/prune")
async def prune(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    wanted = filters(request).only(("until", "label", "label!"))
    until = wanted.until(engine.world.wall())
    removed: list[str] = []
    reclaimed = 0
    for container in engine.containers.all():
        labels = container.config["Labels"]
        if container.state.running or not wanted.match_labels("label", labels):
            continue
        if until is not None and container.created > until:
            continue
        if "label!" in wanted and wanted.match_labels("label!", labels):
            continue
        reclaimed += shown.sizes(engine, container)["SizeRw"]
        try:
            await engine.tasks.finish(engine.containers.lifecycle.remove(container), "prune")
        except ApiError:
            continue  # started meanwhile
        removed.append(container.id)
    engine.events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
    return json_answer({"ContainersDeleted": removed or None, "SpaceReclaimed": reclaimed})


def _lifecycle(request: web.Request) -> Lifecycle:
    return request.app[ENGINE].containers.lifecycle


# -- waiting and watching -------------------------------------------------------------------------------------------


@routes.post("/containers/{name}/wait")
async def wait(request: web.Request) -> web.StreamResponse:
    """The headers at once, the body when it is so: the CLI starts the container only after the headers."""
    container, lifecycle = _container(request), _lifecycle(request)
    condition = request.query.get("condition") or "not-running"
    if asked_for(request) < (1, 30):
        condition = "not-running"
    if condition == "removed":
        ended = lifecycle.removal_of(container)
    elif condition == "next-exit" or (condition == "not-running" and container.state.running):
        ended = lifecycle.exit_of(container)
    elif condition == "not-running":
        ended = asyncio.get_running_loop().create_future()
        ended.set_result(container.state.exit_code)
    else:
        raise BadParameter(f'invalid condition: "{condition}"')
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        await response.prepare(request)
        code = await ended
    finally:
        ended.cancel()
    await response.write(json.dumps({"Error": None, "StatusCode": code}).encode() + b"\n")
    return response


@routes.get("/containers/{name}/logs")
async def logs(request: web.Request) -> web.StreamResponse:
    container = _container(request)
    streams = _wanted_streams(request)
    if not streams:
        raise BadParameter("Bad parameters: you must choose at least one stream")
    if not container.log_readable:
        raise ApiError("configured logging driver does not support reading", 501)
    tail = request.query.get("tail", "all")
    since, until = timestamp(request, "since"), timestamp(request, "until")
    tty = bool(container.config["Tty"])
    response = web.StreamResponse(headers={"Content-Type": content_type(request, tty)})
    await response.prepare(request)
    entries = container.log.read(
        streams=(STDOUT, STDERR) if tty else streams,
        tail=int(tail) if tail.isdigit() else None,
        since=since or None,
        until=until or None,
        follow=flag(request, "follow") and container.state.running,
    )
    timestamps, details = flag(request, "timestamps"), flag(request, "details")
    async with aclosing(entries):
        async for entry in entries:
            line = _line(entry, timestamps=timestamps, details=details)
            await response.write(line if tty else frame(entry.stream, line))
    return response


def _line(entry: LogEntry, *, timestamps: bool, details: bool) -> bytes:
    """With Docker's prefixes; no log driver here adds details, so theirs is empty."""
    prefix = f"{rfc3339_fixed(entry.when)} " if timestamps else ""
    return f"{prefix}{' ' if details else ''}".encode() + entry.data


def _wanted_streams(request: web.Request) -> tuple[int, ...]:
    return tuple(n for n, name in ((STDOUT, "stdout"), (STDERR, "stderr")) if flag(request, name))


@routes.post("/containers/{name}/attach")
async def attach(request: web.Request) -> web.StreamResponse:
    container = _container(request)
    return await _attach(request, container, partial(take_over, tty=bool(container.config["Tty"])))


@routes.get("/containers/{name}/attach/ws")
async def attach_websocket(request: web.Request) -> web.StreamResponse:
    return await _attach(request, _container(request), accept)


async def _attach(
    request: web.Request, container: Container, connect: Callable[[web.Request], Awaitable[Client]]
) -> web.StreamResponse:
    if container.state.paused:
        raise Conflict(f"Container {container.id} is paused, unpause the container before attach")
    if container.state.restarting:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    streams = _wanted_streams(request)
    tty = bool(container.config["Tty"])
    if tty and streams:
        streams = (STDOUT, STDERR)
    live = flag(request, "stream")
    keys = parse_keys(request.query.get("detachKeys", "")) if tty else b""
    output = container.streams.attach(streams)
    try:
        stdin = container.streams.stdin if flag(request, "stdin") and container.config["OpenStdin"] else None
        client = await connect(request)
        request.app[ENGINE].containers.publish(container, "attach")
        if flag(request, "logs"):
            async for entry in container.log.read(streams=streams):
                await client.send(entry.stream, entry.data)
        if not live:
            output.end()
        once = bool(container.config["StdinOnce"]) and not tty
        if await relay(client, output, stdin, close_stdin=once, keys=keys):
            request.app[ENGINE].containers.publish(container, "detach")
    finally:
        container.streams.detach(output)
    return client.response


@routes.post("/containers/{name}/resize")
async def resize(request: web.Request) -> web.Response:
    container = _container(request)
    rows, columns = integer(request, "h") or 0, integer(request, "w") or 0
    if not container.state.running or container.process is None:
        raise not_running(container)
    if container.process.terminal is not None:
        container.process.terminal.resize(rows, columns)
    request.app[ENGINE].containers.publish(container, "resize", {"height": str(rows), "width": str(columns)})
    return web.Response(status=200)


@routes.get("/containers/{name}/top")
async def top_(request: web.Request) -> web.Response:
    container = _container(request)
    if not container.state.paused:  # a paused one's processes can be listed
        check_active(container, container.name)
    now = request.app[ENGINE].world.wall()
    return json_answer(top.top(container, request.query.get("ps_args") or "-ef", now))


@routes.get("/containers/{name}/stats")
async def stats_(request: web.Request) -> web.StreamResponse:
    engine, container = request.app[ENGINE], _container(request)
    if not flag(request, "stream", default=True):
        previous = None if flag(request, "one-shot") else engine.world.wall() - _STATS_INTERVAL
        return json_answer(stats.stats(engine, container, previous))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    before: float | None = None
    while container.state.status != "removing":
        reading = stats.stats(engine, container, before)
        before = engine.world.wall()
        await response.write(json.dumps(reading).encode() + b"\n")
        await asyncio.sleep(_STATS_INTERVAL)
    return response


@routes.get("/containers/{name}/export")
async def export(request: web.Request) -> web.Response:
    engine, container = request.app[ENGINE], _container(request)
    files = engine.containers.lifecycle.runs.guest(container).files
    engine.containers.publish(container, "export")
    return web.Response(body=layers.pack(layers.flattened(files.root)), content_type="application/x-tar")


@routes.get("/containers/{name}/changes")
async def changes_(request: web.Request) -> web.Response:
    guest = request.app[ENGINE].containers.lifecycle.runs.guest(_container(request))
    return json_answer(changes.changes(guest.files, guest.image.tree) or None)
