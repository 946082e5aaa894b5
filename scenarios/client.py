"""The project's client of Docker's API: aiodocker's session and errors, and the hijacked streams that it lacks.

aiodocker cannot half-close the standard input of an attach or exec, which `echo x | docker exec -i …` lives from, so
those connections are dialled here. Everything else goes through aiodocker's session on the host's socket.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError

from scenarios.launch.localhttp import Place

API_VERSION = "v1.47"

Document = dict[str, Any]
"""A JSON object of Docker's API; its shape is the API's and is not checked here."""

Query = Mapping[str, str | int | bool | None]

STDOUT, STDERR = 1, 2
_FRAME = struct.Struct(">BxxxL")


@dataclass(slots=True)
class Hijacked:
    """A connection that was an HTTP request and is a byte stream now."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frames(self, *, tty: bool = False) -> AsyncIterator[tuple[int, bytes]]:
        """What the container writes: (STDOUT or STDERR, data); on a terminal everything is STDOUT."""
        async for frame in demultiplex(self.reader, raw=tty):
            yield frame

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def end_input(self) -> None:
        """Closes standard input; output goes on."""
        if self.writer.can_write_eof():
            self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class Executed:
    """The end of a command inside a container."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What `docker run` is asked for most of the time. `publish` holds texts such as 8080:80 or 53:53/udp."""

    image: str
    command: Sequence[str] = ()
    name: str | None = None
    network: str | None = None
    aliases: Sequence[str] = ()
    publish: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    restart: str = "no"


async def dial(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream to one of a daemon's APIs. Raises OSError."""
    if isinstance(place, Path):
        return await asyncio.open_unix_connection(str(place), limit=1 << 20)
    return await asyncio.open_connection(*place, limit=1 << 20)


async def demultiplex(reader: asyncio.StreamReader, *, raw: bool) -> AsyncIterator[tuple[int, bytes]]:
    """Docker's stream format: 8 bytes (stream, three zeros, length), then data; no frames on a terminal (`raw`)."""
    while True:
        if raw:
            data = await reader.read(65536)
            if not data:
                return
            yield STDOUT, data
            continue
        try:
            stream, length = _FRAME.unpack(await reader.readexactly(_FRAME.size))
            yield stream, await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            return


def query_of(query: Query) -> dict[str, str]:
    """As the API wants it in an URL."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None
    }


def error_of(status: int, body: bytes) -> DockerError:
    """What an answer with an error's status says."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace").strip()
    return DockerError(status, message)


class HostClient:
    """One host's Docker API. All calls raise DockerError with the API's status and text (900: nobody answers). `wall`
    is the clock on the client's wall, for what is asked of the last ten minutes."""

    def __init__(self, place: Place, *, wall: Callable[[], float] = time.time) -> None:
        self._place = place
        self.wall = wall
        self._url = f"unix://{place}" if isinstance(place, Path) else f"tcp://{place[0]}:{place[1]}"
        self._base = "http://docker" if isinstance(place, Path) else f"http://{place[0]}:{place[1]}"
        self.docker = Docker(url=self._url, api_version=API_VERSION)

    async def __aenter__(self) -> HostClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.docker.close()

    @asynccontextmanager
    async def response(
        self, method: str, path: str, query: Query | None = None, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request whose answer the caller reads, for streams."""
        try:
            async with self.docker.session.request(
                method, f"{self._base}/{API_VERSION}/{path}", params=query_of(query or {}), json=body
            ) as answer:
                if answer.status >= 400:
                    raise error_of(answer.status, await answer.read())
                yield answer
        except aiohttp.ClientConnectorError as error:
            raise DockerError(
                900, f"Cannot connect to the Docker daemon at {self._url}. Is the docker daemon running?"
            ) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise DockerError(900, f"the daemon at {self._url} went away during the request") from error
        except RuntimeError as error:
            if not self.docker.session.closed:
                raise
            raise DockerError(900, f"the daemon at {self._url} went away: its client was closed") from error

    async def call(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        """A request and its JSON answer; text where it is not JSON, None where there is none."""
        async with self.response(method, path, query, body) as answer:
            data = await answer.read()
            if not data:
                return None
            return json.loads(data) if answer.content_type == "application/json" else data.decode(errors="replace")

    async def get(self, path: str, **query: str | int | bool | None) -> Any:
        return await self.call("GET", path, query)

    async def post(self, path: str, body: object = None, **query: str | int | bool | None) -> Any:
        return await self.call("POST", path, query, body)

    async def delete(self, path: str, **query: str | int | bool | None) -> Any:
        return await self.call("DELETE", path, query)

    async def json_lines(self, path: str, **query: str | int | bool | None) -> AsyncIterator[Document]:
        """A stream of JSON objects, one a line, such as `events`."""
        async with self.response("GET", path, query) as answer:
            async for line in answer.content:
                if line.strip():
                    yield json.loads(line)

    async def hijack(self, path: str, body: object = None, **query: str | int | bool | None) -> Hijacked:
        """POSTs and takes the connection over (101 UPGRADED), as attach and exec start want it."""
        data = b"" if body is None else json.dumps(body).encode()
        target = f"/{API_VERSION}/{path}" + ("?" + urlencode(query_of(query)) if query else "")
        head = (
            f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            reader, writer = await dial(self._place)
        except OSError as error:
            raise DockerError(
                900, f"Cannot connect to the Docker daemon at {self._url}. Is the docker daemon running?"
            ) from error
        try:
            writer.write(head.encode() + data)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(answer[0].split()[1])
            if status not in (101, 200):
                raise error_of(status, await _rest_of_body(reader, answer[1:]))
        except (OSError, asyncio.IncompleteReadError) as error:
            writer.close()
            raise DockerError(900, f"the daemon at {self._url} went away during the request") from error
        except BaseException:
            writer.close()
            raise
        return Hijacked(reader, writer)

    async def run(self, spec: RunSpec) -> str:
        """`docker run -d`: creates and starts a container, returns its id."""
        ports, bindings = published(spec.publish)
        body: Document = {
            "Image": spec.image,
            "Labels": dict(spec.labels),
            "ExposedPorts": ports,
            "HostConfig": {
                "PortBindings": bindings,
                "NetworkMode": spec.network or "default",
                "RestartPolicy": {"Name": spec.restart},
            },
        }
        if spec.command:
            body["Cmd"] = list(spec.command)
        if spec.network and spec.aliases:
            body["NetworkingConfig"] = {"EndpointsConfig": {spec.network: {"Aliases": list(spec.aliases)}}}
        created = await self.post("containers/create", body, name=spec.name)
        await self.post(f"containers/{created['Id']}/start")
        return str(created["Id"])

    async def execute(self, container: str, argv: Sequence[str], *, stdin: bytes = b"") -> Executed:
        """`docker exec`: runs a command to its end."""
        created = await self.post(
            f"containers/{container}/exec",
            {"Cmd": list(argv), "AttachStdin": bool(stdin), "AttachStdout": True, "AttachStderr": True, "Tty": False},
        )
        stream = await self.hijack(f"exec/{created['Id']}/start", {"Detach": False, "Tty": False})
        try:
            if stdin:
                await stream.send(stdin)
            stream.end_input()
            output = {STDOUT: bytearray(), STDERR: bytearray()}
            async for kind, data in stream.frames():
                output.setdefault(kind, bytearray()).extend(data)
        finally:
            stream.close()
        state = await self.get(f"exec/{created['Id']}/json")
        return Executed(int(state["ExitCode"]), bytes(output[STDOUT]), bytes(output[STDERR]))


async def _rest_of_body(reader: asyncio.StreamReader, headers: Sequence[str]) -> bytes:
    length = next((int(h.split(":")[1]) for h in headers if h.lower().startswith("content-length:")), None)
    return await (reader.read() if length is None else reader.readexactly(length))


def published(texts: Sequence[str]) -> tuple[Document, Document]:
    """`-p` texts as (ExposedPorts, PortBindings): [[ip:][hostPort[-end]]:]containerPort[-end][/protocol].

    Raises ValueError with Docker's wording.
    """
    exposed: Document = {}
    bindings: Document = {}
    for text in texts:
        rest, _, protocol = text.partition("/")
        protocol = protocol.lower() or "tcp"
        if protocol not in ("tcp", "udp", "sctp"):
            raise ValueError(f"invalid proto: {protocol}")
        if rest.startswith("["):
            ip, _, rest = rest[1:].partition("]:")
            host, _, container = rest.rpartition(":")
        else:
            *before, container = rest.split(":")
            if len(before) > 2:
                raise ValueError(f"invalid publish opts format (should be name=value but got '{text}')")
            host = before[-1] if before else ""
            ip = before[0] if len(before) == 2 else ""
        inner = _port_range(container, f"invalid containerPort: {container}" if container else "no port specified")
        outer = _port_range(host, f"invalid hostPort: {host}") if host else []
        if outer and len(outer) != len(inner) and len(inner) != 1:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
        for i, port in enumerate(inner):
            key = f"{port}/{protocol}"
            exposed[key] = {}
            shown = host if len(inner) == 1 else str(outer[i]) if outer else ""
            bindings.setdefault(key, []).append({"HostIp": ip, "HostPort": shown})
    return exposed, bindings


def _port_range(text: str, wrong: str) -> list[int]:
    first, dash, last = text.partition("-")
    try:
        start = int(first)
        end = int(last) if dash else start
    except ValueError:
        raise ValueError(wrong) from None
    if not 0 <= start <= end <= 65535:
        raise ValueError(wrong)
    return list(range(start, end + 1))
