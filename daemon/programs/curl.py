"""curl: HTTP, the flags that scripts use."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from daemon.programs import resolver
from daemon.programs.http_message import BadMessage, Head, Reader
from daemon.programs.options import Failure, parse, program

if TYPE_CHECKING:
    from daemon.programs.options import Options
    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description
    from overlay.sandbox import TcpConnection

VERSION = "7.88.1"
LONG = {
    "silent": "s",
    "show-error": "S",
    "output": "o:",
    "write-out": "w:",
    "include": "i",
    "head": "I",
    "fail": "f",
    "data": "d:",
    "data-raw": "raw:",
    "data-binary": "raw:",
    "data-urlencode": "urlencode:",
    "header": "H:",
    "request": "X:",
    "max-time": "m:",
    "connect-timeout": "ct:",
    "verbose": "v",
    "location": "L",
    "user-agent": "A:",
    "user": "u:",
    "remote-name": "O",
    "resolve": "resolve:",
    "get": "G",
    "insecure": "k",
    "version": "V",
    "max-redirs": "redirs:",
    "retry": "retry:",
    "retry-delay": "rdelay:",
    "compressed": "zip",
    "no-progress-meter": "s",
    "interface": "if:",
    "noproxy": "np:",
    "http1.1": "h1",
    "ipv4": "4",
    "cookie": "b:",
    "referer": "e:",
    "upload-file": "T:",
    "retry-connrefused": "rcr",
    "no-buffer": "N",
    "json": "json:",
    "fail-with-body": "fwb",
}
DEFAULT_CONNECT = 300.0
MAX_REDIRECTS = 50


class _Problem(Failure):
    """curl: (code) text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"({code}) {text}", code)


@program("curl [options...] <url>", busybox=False, code=2)
async def curl(p: ProcessContext) -> int:
    """curl [-sSfLiIvGO] [-o FILE] [-w FORMAT] [-d DATA] [-H HEADER] [-X METHOD] [-m SEC] URL..."""
    options = parse(p.argv[1:], "sSo:w:iIfd:H:X:m:vLA:u:OGkV46b:e:T:N0#:", LONG)
    if "V" in options:
        await p.print(f"curl {VERSION} (x86_64-pc-linux-gnu) shoal\nProtocols: http")
        return 0
    if not options.rest:
        await p.error("curl: try 'curl --help' or 'curl --manual' for more information")
        return 2
    status = 0
    outputs = options.values("o")
    for number, url in enumerate(options.rest):
        attempts = 1 + int(options.value("retry", "0") or 0)
        job = _Transfer(p, options, url, outputs[number] if number < len(outputs) else "")
        for attempt in range(attempts):
            try:
                async with asyncio.timeout(options.number("m", 0, whole=False) or None):
                    status = await job.run()
                break
            except TimeoutError:
                limit = int(options.number("m", 0, whole=False) * 1000)
                problem = _Problem(
                    28,
                    f"Operation timed out after {limit} milliseconds with {job.received} bytes received"
                    if job.connected
                    else f"Connection timed out after {limit} milliseconds",
                )
            except _Problem as failure:
                problem = failure
            finally:
                job.close()
            status = problem.code
            again = problem.code == 28 or (problem.code == 7 and "rcr" in options)
            if attempt + 1 < attempts and again:
                await asyncio.sleep(float(options.value("rdelay", "1") or 1))
                continue
            if "s" not in options or "S" in options:
                await p.error(f"curl: {problem}")
            break
        if "w" in options:
            await p.print(job.written(options.value("w"), status), end="")
    return status


class _Transfer:
    """One URL."""

    def __init__(self, p: ProcessContext, options: Options, url: str, output: str) -> None:
        self.p = p
        self.options = options
        self.url = url if "://" in url else f"http://{url}"
        self.output = output
        self.connection: TcpConnection | None = None
        self.connected = False
        self.received = 0
        self.sent = 0
        self.status = 0
        self.redirects = 0
        self.content_type = ""
        self.peer = ("", 0)
        self.local = ("", 0)
        self.begin = p.clock()
        self.times = {"namelookup": 0.0, "connect": 0.0, "starttransfer": 0.0, "total": 0.0}

    def close(self) -> None:
        if self.connection is not None:
            self.p.drop(self.connection)
            self.connection = None
        self.times["total"] = self.p.clock() - self.begin

    def _body(self) -> bytes | None:
        options = self.options
        pieces: list[bytes] = []
        for key in ("d", "raw", "urlencode", "json"):
            for value in options.values(key):
                if value.startswith("@") and key != "urlencode":
                    data = self.p.files.read(self.p.path(value[1:]))
                    pieces.append(data.replace(b"\r", b"").replace(b"\n", b"") if key == "d" else data)
                elif key == "urlencode":
                    name, equals, text = value.partition("=")
                    encoded = quote(text if equals else name, safe="")
                    pieces.append((f"{name}={encoded}" if equals and name else encoded).encode())
                else:
                    pieces.append(value.encode("utf-8", "surrogateescape"))
        return b"&".join(pieces) if pieces else None

    async def run(self) -> int:
        options = self.options
        body = self._body()
        if "T" in options:
            body = self.p.files.read(self.p.path(options.value("T")))
        method = options.value("X") or (
            "HEAD"
            if "I" in options
            else "PUT"
            if "T" in options
            else "POST"
            if body is not None and "G" not in options
            else "GET"
        )
        if "G" in options and body is not None:
            self.url += ("&" if urlsplit(self.url).query else "?") + body.decode("utf-8", "surrogateescape")
            body = None
        out: Description | None = None
        try:
            while True:
                head, reader = await self._request(method, body)
                location = head.get("Location")
                follow = "L" in options and self.status in (301, 302, 303, 307, 308) and location
                if "i" in options or "I" in options:
                    out = out or self._open()
                    await out.write(
                        ("\r\n".join([head.line, *(f"{k}: {v}" for k, v in head.headers), "", ""])).encode("latin-1")
                    )
                if follow:
                    self.redirects += 1
                    if self.redirects > int(options.value("redirs", str(MAX_REDIRECTS))):
                        raise _Problem(47, f"Maximum ({self.redirects - 1}) redirects followed")
                    self.url = urljoin(self.url, location)
                    self.close()
                    if self.status in (301, 302, 303) and "X" not in options and method == "POST":
                        method, body = "GET", None
                    continue
                break
            if "f" in options and self.status >= 400:
                raise _Problem(22, f"The requested URL returned error: {self.status}")
            if method != "HEAD" and self.status not in (204, 304):
                out = out or self._open()
                try:
                    async for part in reader.body(head, response=True):
                        self.received += len(part)
                        await out.write(part)
                except BadMessage:
                    raise _Problem(18, "transfer closed with outstanding read data remaining") from None
                except BrokenPipeError:
                    raise _Problem(23, "Failure writing output to destination") from None
            if "fwb" in options and self.status >= 400:
                raise _Problem(22, f"The requested URL returned error: {self.status}")
            await self._meter()
            if "v" in options:
                await self.p.error(
                    "* Connection #0 left intact"
                    if head.get("Connection").lower() != "close"
                    else "* Closing connection 0"
                )
            return 0
        except OSError as error:
            raise _Problem(56, f"Recv failure: {error.strerror}") from None
        finally:
            if out is not None:
                out.close()

    async def _meter(self) -> None:
        """The progress meter's first and last line, when curl would show it: the body goes to a file."""
        if "s" in self.options or not (self.output or "O" in self.options):
            return
        size = str(self.received)
        took = max(self.p.clock() - self.begin, 1e-6)
        speed = int(self.received / took)
        await self.p.error(
            "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
            "                                 Dload  Upload   Total   Spent    Left  Speed\n"
            f"100 {size:>5}  100 {size:>5}    0     0 {speed:>6}      0 --:--:-- --:--:-- --:--:-- {speed:>5}"
        )

    def _open(self) -> Description:
        if "O" in self.options:
            self.output = urlsplit(self.url).path.rsplit("/", 1)[-1]
            if not self.output:
                raise _Problem(23, "Remote file name has no length!")
        if not self.output or self.output == "-":
            return self.p.stdout.duplicate()
        try:
            return self.p.open(self.output, write=True, create=True, truncate=True)
        except OSError:
            raise _Problem(23, "Failure writing output to destination") from None

    async def _say(self, mark: str, text: str) -> None:
        if "v" in self.options:
            for line in text.split("\r\n"):
                await self.p.error(f"{mark} {line}")

    async def _request(self, method: str, body: bytes | None) -> tuple[Head, Reader]:
        options, p = self.options, self.p
        parts = urlsplit(self.url)
        if parts.scheme != "http":
            raise _Problem(1, f'Protocol "{parts.scheme}" not supported or disabled in libcurl')
        try:
            port = parts.port or 80
        except ValueError:
            raise _Problem(3, "URL using bad/illegal format or missing URL") from None
        host = parts.hostname or ""
        if not host:
            raise _Problem(3, "URL using bad/illegal format or missing URL")
        address = next(
            (value.split(":")[2] for value in options.values("resolve") if value.split(":")[:2] == [host, str(port)]),
            None,
        ) or await resolver.first(p, host, 6 if "6" in options else 4 if "4" in options else 0)
        if address is None:
            raise _Problem(6, f"Could not resolve host: {host}")
        self.times["namelookup"] = p.clock() - self.begin
        await self._say("*", f"  Trying {address}:{port}...")
        try:
            self.connection = p.keep(
                await p.sandbox.tcp_connect(address, port, timeout=options.number("ct", DEFAULT_CONNECT, whole=False))
            )
        except TimeoutError:
            raise _Problem(
                28,
                f"Failed to connect to {host} port {port} after"
                f" {int((p.clock() - self.begin) * 1000)} ms: Timeout was reached",
            ) from None
        except OSError:
            await self._say("*", f"connect to {address} port {port} failed: Connection refused")
            raise _Problem(
                7,
                f"Failed to connect to {host} port {port} after"
                f" {int((p.clock() - self.begin) * 1000)} ms: Couldn't connect to server",
            ) from None
        self.connected = True
        self.peer, self.local = self.connection.peer, self.connection.local
        self.times["connect"] = p.clock() - self.begin
        await self._say("*", f"Connected to {host} ({address}) port {port} (#0)")
        packet = self._packet(
            method,
            body,
            parts.netloc.rsplit("@", 1)[-1],
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            parts.username,
            parts.password,
        )
        await self._say(">", packet.decode("utf-8", "replace").removesuffix("\r\n"))
        reader = Reader(self.connection)
        try:
            await self.connection.write(packet + (body or b""))
            head = await reader.head()
            while head is not None and head.line.split()[1:2] == ["100"]:
                head = await reader.head()
        except BadMessage:
            raise _Problem(1, "Received HTTP/0.9 when not allowed") from None
        if head is None:
            raise _Problem(52, "Empty reply from server")
        words = head.line.split(None, 2)
        if not head.line.startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
            raise _Problem(1, "Received HTTP/0.9 when not allowed")
        self.status = int(words[1])
        self.content_type = head.get("Content-Type")
        self.times["starttransfer"] = p.clock() - self.begin
        await self._say("<", "\r\n".join([head.line, *(f"{k}: {v}" for k, v in head.headers), ""]))
        return head, reader

    def _packet(
        self, method: str, body: bytes | None, host: str, target: str, user: str | None, password: str | None
    ) -> bytes:
        options = self.options
        own = options.values("H") + (
            ["Content-Type: application/json", "Accept: application/json"] if "json" in options else []
        )
        names = [header.split(":")[0].split(";")[0].strip().lower() for header in own]
        rows = [f"{method} {target} HTTP/1.1"]
        rows += [] if "host" in names else [f"Host: {host}"]
        login = options.value("u") or (f"{user}:{password or ''}" if user else "")
        if login and "authorization" not in names:
            rows.append("Authorization: Basic " + base64.b64encode(login.encode()).decode())
        rows += [] if "user-agent" in names else [f"User-Agent: {options.value('A', f'curl/{VERSION}')}"]
        rows += [] if "accept" in names else ["Accept: */*"]
        if "e" in options:
            rows.append(f"Referer: {options.value('e')}")
        if "b" in options:
            rows.append(f"Cookie: {options.value('b')}")
        rows += [header for header in own if not header.rstrip().endswith(":")]
        if body is not None:
            rows.append(f"Content-Length: {len(body)}")
            if "content-type" not in names and "T" not in options:
                rows.append("Content-Type: application/x-www-form-urlencoded")
        return "\r\n".join([*rows, "", ""]).encode("utf-8", "surrogateescape")

    def written(self, template: str, status: int) -> str:
        """What -w prints."""
        values = {
            "http_code": f"{self.status:03}",
            "response_code": f"{self.status:03}",
            "size_download": str(self.received),
            "num_redirects": str(self.redirects),
            "url_effective": self.url,
            "url": self.url,
            "content_type": self.content_type,
            "remote_ip": self.peer[0],
            "remote_port": str(self.peer[1]),
            "local_ip": self.local[0],
            "local_port": str(self.local[1]),
            "exitcode": str(status),
            "scheme": "HTTP",
            "http_version": "1.1",
            "num_connects": str(int(self.connected)),
            "method": self.options.value("X", "GET"),
            "speed_download": str(int(self.received / max(self.times["total"], 1e-6))),
            **{f"time_{name}": f"{value:.6f}" for name, value in self.times.items()},
        }
        text = template.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
        for name, value in values.items():
            text = text.replace(f"%{{{name}}}", value)
        return text.replace("%%", "%")
