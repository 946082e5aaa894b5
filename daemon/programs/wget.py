"""wget, with busybox's texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from daemon.programs import resolver
from daemon.programs.http_message import BadMessage, Head, Reader
from daemon.programs.options import Failure, parse, program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description
    from overlay.sandbox import TcpConnection

    Say = Callable[[str], Awaitable[None]]

MAX_REDIRECTS = 5
TIMEOUT = 900.0  # seconds, busybox's default for -T
LONG = {
    "header": "header:",
    "post-data": "post:",
    "post-file": "file:",
    "spider": "spider",
    "quiet": "q",
    "output-document": "O:",
    "timeout": "T:",
    "tries": "t:",
    "no-check-certificate": "nocheck",
    "user-agent": "U:",
    "server-response": "S",
    "directory-prefix": "P:",
    "continue": "c",
    "proxy": "Y:",
    "output-file": "o:",
}


@program(
    "wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]\n\t[--post-data STR | --post-file FILE]"
    " [-Y on/off]\n\t[--no-check-certificate] [-P DIR] [-U AGENT] [-T SEC] URL...\n\n"
    "Retrieve files via HTTP"
)
async def wget(p: ProcessContext) -> int:
    """wget [-q] [-O FILE] [-T SEC] [-S] [--spider] [--header STR] [--post-data STR] URL..."""
    options = parse(p.argv[1:], "cqSO:o:P:U:T:t:Y:n", LONG, least=1)
    quiet = "q" in options

    async def say(text: str) -> None:
        if not quiet:
            await p.error(text)

    body: bytes | None = None
    if "post" in options:
        body = options.value("post").encode("utf-8", "surrogateescape")
    elif "file" in options:
        body = p.files.read(p.path(options.value("file")))
    timeout = options.number("T", TIMEOUT, whole=False)
    for url in options.rest:
        job = _Download(p, url, options.values("header"), body, options.value("U", "Wget"), timeout)
        async with job:
            head = await job.open(say, show="S" in options)
            if "spider" in options:
                await say("remote file exists")
                continue
            name = options.value("O") or (options.value("P", ".").rstrip("/") + "/" if "P" in options else "") + (
                urlsplit(job.url).path.rsplit("/", 1)[-1] or "index.html"
            )
            await _save(p, job, head, name, say, given="O" in options)
    return 0


async def _save(p: ProcessContext, job: _Download, head: Head, name: str, say: Say, *, given: bool) -> None:
    to_stdout = name == "-"
    out: Description
    if to_stdout:
        out = p.stdout.duplicate()
        await say("writing to stdout")
    else:
        if not given and p.files.exists(p.path(name)):
            raise Failure(f"can't open '{name}': File exists")
        try:
            out = p.open(name, write=True, create=True, truncate=True)
        except OSError as error:
            raise Failure(f"can't open '{name}': {error.strerror}") from None
        await say(f"saving to '{name}'")
    total = 0
    try:
        async for part in job.reader.body(head, response=True):
            total += len(part)
            await out.write(part)
    except BadMessage:
        raise Failure("connection closed prematurely") from None
    except TimeoutError:
        raise Failure("download timed out") from None
    finally:
        out.close()
    shown = name.rsplit("/", 1)[-1][:20]
    await say(f"{shown:<20} 100% |{'*' * 32}| {_size(total):>5}  0:00:00 ETA")
    await say("written to stdout" if to_stdout else f"'{name}' saved")


def _size(count: int) -> str:
    if count < 100_000:
        return str(count)
    value = count / 1024
    for unit in "kMGT":
        if value < 1000:
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
        value /= 1024
    return f"{value:.0f}P"


class _Download:
    """One URL, followed over redirects, with a deadline on every step."""

    def __init__(
        self, p: ProcessContext, url: str, headers: list[str], body: bytes | None, agent: str, timeout: float
    ) -> None:
        self.p = p
        self.url = url if "://" in url else f"http://{url}"
        self.headers = headers
        self.body = body
        self.agent = agent
        self.timeout = timeout or TIMEOUT
        self.connection: TcpConnection | None = None
        self.reader: Reader

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.connection is not None:
            self.p.drop(self.connection)
            self.connection = None

    async def open(self, say: Say, *, show: bool) -> Head:
        """Send the request; the head of the final answer. Failure with busybox's texts."""
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(self.url)
            if parts.scheme != "http":
                raise Failure(
                    f"not an http or ftp url: {self.url}"
                    if parts.scheme != "https"
                    else "TLS is not there in the simulated runtime"
                )
            try:
                port = parts.port or 80
            except ValueError:
                raise Failure(f"bad port spec in '{parts.netloc}'") from None
            host = parts.hostname or ""
            address = await resolver.first(self.p, host)
            if address is None:
                raise Failure(f"bad address '{host}'")
            await say(f"Connecting to {parts.netloc.rsplit('@', 1)[-1]} ({address}:{port})")
            try:
                self.connection = self.p.keep(await self.p.sandbox.tcp_connect(address, port, timeout=self.timeout))
            except TimeoutError:
                raise Failure("download timed out") from None
            except OSError as error:
                raise Failure(f"can't connect to remote host ({address}): {error.strerror}") from None
            self.reader = Reader(self.connection)
            head = await self._request(parts.netloc.rsplit("@", 1)[-1], parts.path or "/", parts.query)
            if show:
                await self.p.error(
                    "\n".join(f"  {row}" for row in [head.line, *(f"{k}: {v}" for k, v in head.headers), ""])
                )
            words = head.line.split(None, 2)
            status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
            location = head.get("Location")
            if status in (301, 302, 303, 307, 308) and location:
                self._close()
                self.url = urljoin(self.url, location)
                continue
            if not 200 <= status < 300:
                raise Failure(f"server returned error: {head.line}")
            return head
        raise Failure("too many redirections")

    async def _request(self, host: str, path: str, query: str) -> Head:
        assert self.connection is not None
        names = [header.split(":")[0].lower() for header in self.headers]
        rows = [f"{'GET' if self.body is None else 'POST'} {path}{'?' + query if query else ''} HTTP/1.1"]
        rows += [] if "host" in names else [f"Host: {host}"]
        rows += [] if "user-agent" in names else [f"User-Agent: {self.agent}"]
        rows += ["Connection: close", *self.headers]
        if self.body is not None:
            rows += [] if "content-type" in names else ["Content-Type: application/x-www-form-urlencoded"]
            rows += [f"Content-Length: {len(self.body)}"]
        packet = "\r\n".join([*rows, "", ""]).encode("utf-8", "surrogateescape") + (self.body or b"")
        try:
            async with asyncio.timeout(self.timeout):
                await self.connection.write(packet)
                head = await self.reader.head()
        except TimeoutError:
            raise Failure("download timed out") from None
        except OSError as error:
            raise Failure(f"error getting response: {error.strerror}") from None
        except BadMessage:
            raise Failure("bad header line") from None
        if head is None:
            raise Failure("error getting response: Success")
        if not head.line.startswith("HTTP/"):
            raise Failure("bad header line: " + head.line[:64])
        return head
