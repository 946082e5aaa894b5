"""The HTTP servers: busybox httpd, nginx's default site, traefik/whoami."""

from __future__ import annotations

import asyncio
import json
import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from daemon.programs.http_message import CHUNK, BadMessage, Head, Reader
from daemon.programs.options import Failure, parse, program
from daemon.programs.shell.state import normalise
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import TcpConnection

    Handler = Callable[[TcpConnection], Awaitable[None]]

IDLE = 60.0  # seconds that a connection may say nothing
MAX_CONNECTIONS = 1024
TYPES = {
    "html": "text/html",
    "htm": "text/html",
    "txt": "text/plain",
    "h": "text/plain",
    "c": "text/plain",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "xml": "text/xml",
    "wav": "audio/wav",
    "pdf": "application/pdf",
}
REASONS = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Not Allowed",
    500: "Internal Server Error",
    501: "Not Implemented",
}


def http_date(seconds: float) -> str:
    return calendar.strftime("%a, %d %b %Y %H:%M:%S GMT", calendar.gmtime(seconds))


def _safe_path(root: str, target: str) -> str | None:
    """The file a request's path means below `root`, None when it leaves it."""
    path = unquote(urlsplit(target).path)
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 1 if part not in ("", ".") else 0
        if depth < 0:
            return None
    return normalise("/", root.rstrip("/") + "/" + path)


async def serve(p: ProcessContext, address: str, port: int, handle: Handler) -> None:
    """Accept for ever; each connection is a task of the process."""
    listener = p.keep(p.sandbox.tcp_listen(address, port))
    live = 0

    async def one(connection: TcpConnection) -> None:
        nonlocal live
        live += 1
        p.keep(connection)
        try:
            await handle(connection)
        except (OSError, BadMessage, TimeoutError):
            pass  # the peer's problem; the server goes on
        finally:
            live -= 1
            p.drop(connection)

    while True:
        connection = await listener.accept()
        if live >= MAX_CONNECTIONS:
            connection.abort()
            continue
        p.start(one(connection))


@program("httpd [-ifv[v]] [-c CONFFILE] [-p [IP:]PORT] [-u USER[:GRP]] [-r REALM] [-h HOME]\nor httpd -d/-e/-m STRING")
async def httpd(p: ProcessContext) -> int:
    """httpd [-f] [-v] [-p [IP:]PORT] [-h HOME]"""
    options = parse(p.argv[1:], "ifvc:p:u:r:h:d:e:m:")
    address, _, port_text = options.value("p", "80").rpartition(":")
    if not port_text.isdigit() or int(port_text) > 65535:
        raise Failure(f"bad port '{port_text}'")
    root = p.path(options.value("h", "."))
    if not p.files.is_dir(root):
        raise Failure(f"can't change directory to '{options.value('h')}': No such file or directory")
    verbose = "v" in options

    async def handle(connection: TcpConnection) -> None:
        await _httpd_request(p, connection, root, verbose)

    async def run(q: ProcessContext) -> int:
        try:
            await serve(q, address.strip("[]") or "::", int(port_text), handle)
        except OSError as error:
            await q.error(f"httpd: bind: {error.strerror}")
            return 1
        return 0

    if "f" not in options:
        p.process.fork(run, p.argv, env=p.env)
        return 0
    return await run(p)


async def _httpd_request(p: ProcessContext, connection: TcpConnection, root: str, verbose: bool) -> None:
    async with asyncio.timeout(IDLE):
        head = await Reader(connection).head()
    if head is None:
        return
    words = head.line.split()
    if len(words) < 2 or not words[1].startswith("/"):
        await _httpd_error(p, connection, 400, "Unsupported method")
        return
    method, target = words[0], words[1]
    path = _safe_path(root, target)
    if path is None:
        await _httpd_error(p, connection, 400, "Unsupported method")
        return
    if method not in ("GET", "HEAD"):
        await _httpd_error(p, connection, 501, "The requested method is not recognized")
        return
    if p.files.is_dir(path):
        if not urlsplit(target).path.endswith("/"):
            await connection.write(_httpd_head(p, 302, "text/html", [f"Location: {urlsplit(target).path}/"]))
            return
        path += "/index.html"
    if verbose:
        await p.error(f"{connection.peer[0]}: url:{target}")
    if not p.files.is_file(path):
        await _httpd_error(p, connection, 404, "The requested URL was not found")
        return
    stat = p.files.stat(path)
    data = p.files.read(path)
    extra = [
        "Accept-Ranges: bytes",
        f"Last-Modified: {http_date(stat.mtime)}",
        f'ETag: "{int(stat.mtime):x}-{stat.size:x}"',
    ]
    status, part = _range(head, data)
    if status == 206:
        start = int(head.get("Range")[6:].split("-")[0])
        extra.insert(0, f"Content-Range: bytes {start}-{start + len(part) - 1}/{len(data)}")
    extra.append(f"Content-Length: {len(part)}")
    kind = TYPES.get(path.rsplit(".", 1)[-1].lower(), "application/octet-stream")
    await connection.write(_httpd_head(p, status, kind, extra))
    if method == "GET":
        await _send(connection, part)


async def _send(connection: TcpConnection, data: bytes) -> None:
    view = memoryview(data)
    for at in range(0, len(view), CHUNK):
        await connection.write(view[at : at + CHUNK])


def _range(head: Head, data: bytes) -> tuple[int, bytes]:
    unit, _, span = head.get("Range").partition("=")
    first, dash, last = span.partition("-")
    if unit != "bytes" or not dash or not first.isdigit() or int(first) >= len(data):
        return 200, data
    end = int(last) + 1 if last.isdigit() else len(data)
    return 206, data[int(first) : end]


def _httpd_head(p: ProcessContext, status: int, kind: str, extra: list[str]) -> bytes:
    rows = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        f"Date: {http_date(p.wall())}",
        "Connection: close",
        f"Content-type: {kind}",
        *extra,
        "",
        "",
    ]
    return "\r\n".join(rows).encode()


async def _httpd_error(p: ProcessContext, connection: TcpConnection, status: int, text: str) -> None:
    title = f"{status} {REASONS[status]}"
    body = f"<HTML><HEAD><TITLE>{title}</TITLE></HEAD>\n<BODY><H1>{title}</H1>\n{text}\n</BODY></HTML>\n"
    await connection.write(_httpd_head(p, status, "text/html", []) + body.encode())


def _response(status: int, headers: list[tuple[str, str]], body: bytes, *, keep: bool) -> bytes:
    rows = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        "",
        "",
    ]
    return "\r\n".join(rows).encode() + body


async def _keep_alive(
    connection: TcpConnection, answer: Callable[[Head, bytes], Awaitable[tuple[int, list[tuple[str, str]], bytes]]]
) -> None:
    """Requests of one connection, one after the other (RFC 9112, 9.3)."""
    reader = Reader(connection)
    while True:
        async with asyncio.timeout(IDLE):
            head = await reader.head()
            if head is None:
                return
            words = head.line.split()
            body = b""
            async for part in reader.body(head, response=False):
                body += part
                if len(body) > 1 << 20:
                    raise BadMessage("body too large")
        asked = head.get("Connection").lower()
        keep = asked != "close" and (words[-1] == "HTTP/1.1" or asked == "keep-alive")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            await connection.write(_response(400, [], b"", keep=False))
            return
        status, headers, content = await answer(head, body)
        packet = _response(status, headers, content, keep=keep)
        if words[0] == "HEAD":
            packet = packet[: len(packet) - len(content)]
        await _send(connection, packet)
        if not keep:
            return


NGINX_ROOT = "/usr/share/nginx/html"
NGINX = "nginx/1.27.0"


async def nginx_server(p: ProcessContext) -> int:
    """nginx [-g DIRECTIVES]: serves /usr/share/nginx/html on port 80, logs to standard output."""
    options = parse(p.argv[1:], "?hvVtTqs:p:e:c:g:")
    if "v" in options:
        await p.error(f"nginx version: {NGINX}")
        return 0
    if "t" in options:
        await p.error(
            "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n"
            "nginx: configuration file /etc/nginx/nginx.conf test is successful"
        )
        return 0

    def page(status: int) -> bytes:
        title = f"{status} {REASONS[status]}"
        return (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            f"<hr><center>{NGINX}</center>\r\n</body>\r\n</html>\r\n"
        ).encode()

    async def handle(connection: TcpConnection) -> None:
        async def answer(head: Head, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            method, target, _ = head.line.split()
            headers = [("Server", NGINX), ("Date", http_date(p.wall()))]
            path = _safe_path(NGINX_ROOT, target)
            status, content, kind = 200, b"", "text/html"
            if path is None:
                status = 400
            elif method not in ("GET", "HEAD"):
                status = 405
            else:
                if p.files.is_dir(path):
                    path += "/index.html"
                if p.files.is_file(path):
                    content = p.files.read(path)
                    kind = TYPES.get(path.rsplit(".", 1)[-1], "application/octet-stream")
                    stat = p.files.stat(path)
                    headers += [
                        ("Last-Modified", http_date(stat.mtime)),
                        ("ETag", f'"{int(stat.mtime):x}-{stat.size:x}"'),
                        ("Accept-Ranges", "bytes"),
                    ]
                else:
                    status = 404
            content = content if status == 200 else page(status)
            when = calendar.strftime("%d/%b/%Y:%H:%M:%S +0000", calendar.gmtime(p.wall()))
            await p.print(
                f'{connection.peer[0]} - - [{when}] "{head.line}" {status} {len(content)}'
                f' "{head.get("Referer", "-")}" "{head.get("User-Agent", "-")}" "-"'
            )
            return status, [headers[0], headers[1], ("Content-Type", kind), *headers[2:]], content

        await _keep_alive(connection, answer)

    return await _until_signal(
        p,
        "::",
        80,
        handle,
        {int(Signals.SIGTERM): 0, int(Signals.SIGQUIT): 0, int(Signals.SIGINT): 0},
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address in use)",
    )


async def _until_signal(
    p: ProcessContext, address: str, port: int, handle: Handler, codes: dict[int, int], taken: str
) -> int:
    """Serve until one of the signals comes; its exit code."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def handler(code: int) -> Callable[[], None]:
        def stop() -> None:
            if not ended.done():
                ended.set_result(code)

        return stop

    for number, code in codes.items():
        p.on_signal(number, handler(code))

    async def run() -> None:
        try:
            await serve(p, address, port, handle)
        except OSError:
            await p.error(taken)
            handler(1)()

    p.start(run())
    return await ended


async def whoami_server(p: ProcessContext) -> int:
    """whoami [--port PORT] [--name NAME] [--verbose]: says who answers and what was asked."""
    words = p.argv[1:]
    port = p.env.get("WHOAMI_PORT_NUMBER", "80")
    name = p.env.get("WHOAMI_NAME", "")
    while words:
        flag, equals, value = words.pop(0).lstrip("-").partition("=")
        if flag in ("port", "name") and not equals and words:
            value = words.pop(0)
        if flag == "port":
            port = value
        elif flag == "name":
            name = value
    if not port.isdigit():
        await p.error(f"invalid port {port}")
        return 1

    async def handle(connection: TcpConnection) -> None:
        async def answer(head: Head, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            url = urlsplit(head.line.split()[1])
            plain = [("Date", http_date(p.wall())), ("Content-Type", "text/plain; charset=utf-8")]
            addresses = [text.split("/")[0] for interface in p.sandbox.interfaces() for text in interface.addresses]
            host = head.get("Host")
            if url.path == "/health":
                return 200, plain[:1], b""
            if url.path == "/bench":
                return 200, plain, b"1"
            if url.path == "/data":
                size = parse_qs(url.query).get("size", ["1"])[0]
                count = min(int(size), 64 << 20) if size.isdigit() else 1
                alphabet = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                return 200, plain, (b"|" + alphabet * (count // len(alphabet) + 1))[:count]
            if url.path == "/api":
                document = {
                    "hostname": p.hostname,
                    "ip": addresses,
                    "headers": {key: [value] for key, value in head.headers if key.lower() != "host"},
                    "url": head.line.split()[1],
                    "host": host,
                    "method": head.line.split()[0],
                    "remoteAddr": f"{connection.peer[0]}:{connection.peer[1]}",
                }
                if name:
                    document["name"] = name
                return 200, [plain[0], ("Content-Type", "application/json")], json.dumps(document).encode() + b"\n"
            rows = [
                *([f"Name: {name}"] if name else []),
                f"Hostname: {p.hostname}",
                *(f"IP: {address}" for address in addresses),
                f"RemoteAddr: {connection.peer[0]}:{connection.peer[1]}",
                head.line + "\r",
                f"Host: {host}\r",
                *(f"{key}: {value}\r" for key, value in sorted(head.headers) if key.lower() != "host"),
                "\r",
                "",
            ]
            return 200, plain, "\n".join(rows).encode() + body

        await _keep_alive(connection, answer)

    await p.error(f"Starting up on port {port}")
    # A Go program as PID 1 dies of SIGTERM with status 2: its runtime has a handler.
    return await _until_signal(
        p,
        "::",
        int(port),
        handle,
        {int(Signals.SIGTERM): 2, int(Signals.SIGINT): 2},
        f"listen tcp :{port}: bind: address already in use",
    )
