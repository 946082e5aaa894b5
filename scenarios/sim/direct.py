"""Requests to a simulated host's APIs without sockets: the daemon's own handlers are called, in the host's context.

An HTTP client and server spend a hundred times what a handler does, and in a simulation nothing else costs time. What
streams (attach, logs, events) still goes over the host's in-memory sockets.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from pathlib import Path
from typing import Any, TypeVar, cast

from aiodocker.exceptions import DockerError
from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from daemon.engine.logs import STDERR, STDOUT
from daemon.errors import ApiError
from daemon.host import Host
from scenarios.client import API_VERSION, Executed, HostClient, Query, error_of, query_of
from scenarios.sim.power import Power

T = TypeVar("T")

_PLAIN = CIMultiDictProxy(CIMultiDict({"Host": "docker"}))
_JSON = CIMultiDictProxy(CIMultiDict({"Host": "docker", "Content-Type": "application/json"}))


class HostGone(ConnectionError):
    """The host died before it answered."""


class _Connection(BaseProtocol):
    """What aiohttp asks a request's connection for."""

    ssl_context = None
    peername = None
    sockname = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.transport = asyncio.Transport()


class _Sink(AbstractStreamWriter):
    """Takes what a streamed answer writes."""

    def __init__(self) -> None:
        self.written = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.written += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.written += chunk

    async def drain(self) -> None:
        pass

    def enable_compression(self, *args: object, **keywords: object) -> None:
        pass

    def enable_chunking(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        pass


class Calls:
    """What is asked of one boot of a host. `end`: it died, and whoever waits for an answer hears so."""

    def __init__(self, host: Host, context: Context, power: Power) -> None:
        self.host = host
        self._context = context
        self._power = power
        self._waiting: dict[asyncio.Future[Any], asyncio.Task[Any]] = {}
        self._what: dict[asyncio.Task[Any], str] = {}

    def unanswered(self) -> dict[asyncio.Task[Any], str]:
        """What is being done for clients, and what they asked for."""
        return {task: self._what[task] for task in self._waiting.values()}

    async def make(self, work: Coroutine[Any, Any, T], what: str) -> T:
        """Does it as the host: while that is stopped it waits. A caller who gives up does not wait for it. `what` it
        is, for messages. Raises HostGone, and what the work raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def done(task: asyncio.Task[T]) -> None:
            self._waiting.pop(answer, None)
            self._what.pop(task, None)
            if answer.done() or self._power.dead:
                return
            if task.cancelled():
                answer.set_exception(HostGone("the daemon went away during the request"))
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        task = loop.create_task(work, context=self._context.copy())
        self._waiting[answer] = task
        self._what[task] = what
        task.add_done_callback(done)
        try:
            return await answer
        except asyncio.CancelledError:
            task.cancel()
            raise

    def end(self) -> None:
        for answer, task in list(self._waiting.items()):
            if not answer.done():
                answer.set_exception(HostGone("the daemon went away during the request"))
            task.cancel()
        self._waiting.clear()

    async def http(self, server: web.Server, method: str, target: str, body: object = None) -> tuple[int, str, bytes]:
        """A request and its whole answer: status, content type, body. Raises HostGone."""
        return await self.make(_answer(server, method, target, body), f"{method} {target}")

    async def execute(self, container: str, argv: Sequence[str], stdin: bytes) -> Executed:
        """A command in a container, as the handlers of exec do it. Raises ApiError, HostGone."""
        return await self.make(self._execute(container, argv, stdin), f"exec {container} {shlex.join(argv)}")

    async def _execute(self, container: str, argv: Sequence[str], stdin: bytes) -> Executed:
        engine = self.host.engine
        body = {"Cmd": list(argv), "AttachStdin": bool(stdin), "AttachStdout": True, "AttachStderr": True, "Tty": False}
        exec_ = engine.execs.create(engine.containers.find(container), container, body)
        engine.execs.check_start(exec_)
        output = exec_.streams.attach()
        written = {STDOUT: bytearray(), STDERR: bytearray()}
        feeding = None
        try:
            pipe = exec_.streams.stdin
            try:
                engine.execs.start(exec_)
            except ApiError as error:  # as in the stream of a real exec
                written[STDOUT] += f"{error.message}\r\n".encode()
            if stdin:
                feeding = asyncio.create_task(_feed(pipe.write, pipe.close_write, stdin))
            while (piece := await output.get()) is not None:
                written[piece[0]] += piece[1]
        finally:
            exec_.streams.detach(output)
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        return Executed(exec_.exit_code or 0, bytes(written[STDOUT]), bytes(written[STDERR]))


async def _feed(write: Callable[[bytes], Coroutine[Any, Any, None]], close: Callable[[], None], data: bytes) -> None:
    try:
        await write(data)
    except BrokenPipeError:
        return
    close()


async def _answer(server: web.Server, method: str, target: str, body: object) -> tuple[int, str, bytes]:
    loop = asyncio.get_running_loop()
    connection = _Connection(loop)
    payload: StreamReader = EMPTY_PAYLOAD
    if body is not None:
        payload = StreamReader(connection, 1 << 16, loop=loop)
        payload.feed_data(json.dumps(body).encode())
        payload.feed_eof()
    message = RawRequestMessage(
        method, target, HttpVersion11, _PLAIN if body is None else _JSON, (), False, None, False, False,
        URL(target, encoded=True),
    )  # fmt: skip
    sink = _Sink()
    task = cast("asyncio.Task[None]", asyncio.current_task())
    request = server.request_factory(message, payload, connection, sink, task)  # type: ignore[arg-type]
    try:
        response = await server.request_handler(request)
    except web.HTTPException as error:
        response = error
    if isinstance(response, web.Response) and not response.prepared:
        whole = response.body
        return response.status, response.content_type, bytes(whole) if isinstance(whole, bytes | bytearray) else b""
    await response.prepare(request)
    await response.write_eof()
    return response.status, response.content_type, bytes(sink.written)


class DirectClient(HostClient):
    """A HostClient of a host in this process. `find`: its calls now, None while it is down."""

    def __init__(self, place: Path, find: Callable[[], Calls | None], *, wall: Callable[[], float]) -> None:
        super().__init__(place, wall=wall)
        self._find = find

    async def call(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        calls = self._find()
        if calls is None:
            return await super().call(method, path, query, body)  # which says that nobody answers
        target = f"/{API_VERSION}/{path}"
        if query and (found := query_of(query)):
            target = str(URL(target, encoded=True).with_query(found))
        try:
            status, kind, data = await calls.http(calls.host.docker_api, method, target, body)
        except HostGone as error:
            raise DockerError(900, str(error)) from error
        if status >= 400:
            raise error_of(status, data)
        if not data:
            return None
        return json.loads(data) if kind == "application/json" else data.decode(errors="replace")

    async def execute(self, container: str, argv: Sequence[str], *, stdin: bytes = b"") -> Executed:
        calls = self._find()
        if calls is None:
            return await super().execute(container, argv, stdin=stdin)
        try:
            return await calls.execute(container, argv, stdin)
        except ApiError as error:
            raise DockerError(error.status, error.message) from None
        except HostGone as error:
            raise DockerError(900, str(error)) from error
