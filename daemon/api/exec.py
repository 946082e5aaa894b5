"""/exec and /containers/…/exec."""

from __future__ import annotations

from aiohttp import web

from daemon.api import schema
from daemon.api.answers import json_answer
from daemon.api.body import read_json
from daemon.api.hijack import relay, take_over
from daemon.api.keys import ENGINE
from daemon.api.query import integer
from daemon.engine.detach import parse_keys
from daemon.engine.logs import STDERR, STDOUT
from daemon.errors import ApiError

routes = web.RouteTableDef()

_DETACHED = b"exec attach failed: error on attach stdin: read escape sequence\r\n"
"""What Docker writes to who leaves an exec by the detach keys; who leaves a container so reads nothing."""


@routes.post("/containers/{name}/exec")
async def create(request: web.Request) -> web.Response:
    engine, ref = request.app[ENGINE], request.match_info["name"]
    body = await read_json(request, "ExecConfig", schema.EXEC_CREATE)
    made = engine.execs.create(engine.containers.find(ref), ref, body)
    return json_answer({"Id": made.id}, 201)


@routes.post("/exec/{id}/start")
async def start(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "ExecStartCheck", schema.EXEC_START)
    exec_ = engine.execs.find(request.match_info["id"])
    engine.execs.check_start(exec_)
    if (size := body.get("ConsoleSize")) and len(size) == 2:
        exec_.size = (size[0], size[1])
    if body.get("Detach"):
        exec_.streams.stdin.close_write()
        engine.execs.start(exec_)
        return web.Response(status=200)
    streams = tuple(
        number for number, on in ((STDOUT, exec_.open_stdout or exec_.tty), (STDERR, exec_.open_stderr)) if on
    )
    output = exec_.streams.attach(streams)
    stdin = exec_.streams.stdin
    keys = parse_keys(exec_.detach_keys) if exec_.tty else b""
    client = await take_over(request, tty=bool(body.get("Tty")))  # framed or not: as the start says, not the create
    try:
        engine.execs.start(exec_)
    except ApiError as error:  # too late for a status: Docker writes it into the stream
        await client.send(STDOUT, f"{error.message}\r\n".encode())
    try:
        await relay(client, output, stdin, close_stdin=exec_.open_stdin, keys=keys, farewell=_DETACHED)
    finally:
        exec_.streams.detach(output)
    return client.response


@routes.get("/exec/{id}/json")
async def inspect(request: web.Request) -> web.Response:
    return json_answer(request.app[ENGINE].execs.find(request.match_info["id"]).to_api())


@routes.post("/exec/{id}/resize")
async def resize(request: web.Request) -> web.Response:
    exec_ = request.app[ENGINE].execs.find(request.match_info["id"])
    rows, columns = integer(request, "h") or 0, integer(request, "w") or 0
    if exec_.process is None or not exec_.running:
        raise ApiError(f"Container {exec_.container.id} is not running" if exec_.started else "exec not started", 409)
    if exec_.process.terminal is not None:
        exec_.process.terminal.resize(rows, columns)
    return web.Response(status=200)
