"""One plug-in's HTTP client: a POST of JSON for each call, with Docker's retries and Docker's error texts.

A call that finds nobody there is made again after 1, 2, 4 and 8 s, as long as fewer than 30 s have passed (moby's
pkg/plugins); no single attempt waits longer than that either, where Docker waits for ever. What ends something
(Leave, DeleteEndpoint, ReleaseAddress …) is tried once: a dead plug-in must not hold up `docker stop` or the daemon's
own end, and nothing is lost that the plug-in would still have.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
import structlog

from daemon.engine.documents import JsonObject
from daemon.errors import ServerError
from daemon.plugins.discovery import Address

log = structlog.get_logger("plugins")

TIMEOUT = 30.0  # seconds
ENDING = 10.0  # seconds, for what is tried once
_HURRIED = 1.0  # seconds, when the daemon stops
_LARGEST = 1 << 20  # bytes of an answer
_MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"


class PluginError(ServerError):
    """The plug-in could not be asked, or refused; the text is Docker's."""


class UnknownCall(PluginError):
    """The plug-in does not have that call (404); many are optional."""


class PluginClient:
    """Made when the plug-in is first needed; `close` ends its connections."""

    def __init__(self, address: Address, *, timeout: float = TIMEOUT) -> None:
        """`timeout`: seconds for a call with all its attempts."""
        self._address = address
        self._timeout = timeout
        self._hurried = False
        self._deadlines: dict[asyncio.Timeout, None] = {}
        self._session: aiohttp.ClientSession | None = None

    def hurry(self) -> None:
        """The daemon stops: calls under way and to come have a second."""
        self._hurried = True
        at = asyncio.get_running_loop().time() + _HURRIED
        for deadline in self._deadlines:
            deadline.reschedule(min(at, deadline.when() or at))

    async def close(self) -> None:
        """End its connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def call(
        self, method: str, body: Mapping[str, object] | None = None, *, ending: bool = False
    ) -> JsonObject:
        """The answer. `ending`: one attempt, and a shorter one. Raises PluginError, UnknownCall."""
        limit = min(ENDING, self._timeout) if ending else self._timeout
        data = b"" if body is None else json.dumps(body).encode() + b"\n"
        try:
            async with asyncio.timeout(min(limit, _HURRIED) if self._hurried else limit) as deadline:
                self._deadlines[deadline] = None
                try:
                    return await self._attempts(method, data, 0.0 if ending else limit)
                finally:
                    del self._deadlines[deadline]
        except TimeoutError:
            words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            raise PluginError(f"{self._post(method)}: {words}") from None

    async def _attempts(self, method: str, data: bytes, limit: float) -> JsonObject:
        loop = asyncio.get_running_loop()
        started, pause = loop.time(), 1.0
        while True:
            try:
                return await self._attempt(method, data)
            except TimeoutError:
                raise  # an OSError as well
            except (aiohttp.ClientError, OSError) as error:
                text = f"{self._post(method)}: {self._reason(error)}"
                if self._hurried or loop.time() - started + pause >= limit:
                    raise PluginError(text) from error
                log.warning("unable to connect to plug-in", error=text, retrying_in=pause)
                await asyncio.sleep(pause)
                pause *= 2

    async def _attempt(self, method: str, data: bytes) -> JsonObject:
        async with self._open().post(
            f"{'https' if self._address.scheme == 'https' else 'http'}://{self._authority()}/{method}",
            data=data,
            headers={"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE},
            allow_redirects=False,
        ) as response:
            text = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                text += chunk
                if len(text) > _LARGEST:
                    raise PluginError(f"{method}: an answer of more than {_LARGEST} bytes")
        if response.status != 200:
            found = _object(text)
            reason = found.get("Err") if found else None
            kind = UnknownCall if response.status == 404 else PluginError
            raise kind(f"{method}: {reason or text.decode(errors='replace')}")
        answer = _object(text)
        if answer is None:
            begin = text[:60].decode(errors="replace")
            raise PluginError(f"{method}: the plug-in's answer is no JSON object: {begin!r}")
        # A network driver says Err, an IPAM driver Error (libnetwork's ipams/remote/api); here either may say both.
        if refusal := answer.get("Err") or answer.get("Error"):
            raise PluginError(f"remote: {refusal}")
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector: aiohttp.BaseConnector
            if self._address.scheme == "unix":
                connector = aiohttp.UnixConnector(self._address.socket)
            else:
                connector = aiohttp.TCPConnector(ssl=self._tls() if self._address.scheme == "https" else True)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)
        return self._session

    def _tls(self) -> ssl.SSLContext:
        given = self._address.tls
        try:
            context = ssl.create_default_context(cafile=given.ca or None)
            if given.insecure:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if given.certificate:
                context.load_cert_chain(given.certificate, given.key or None)
        except OSError as error:  # ssl's own errors are OSErrors
            raise PluginError(f"the plug-in's TLSConfig: {error}") from error
        return context

    def _authority(self) -> str:
        return "plugin" if self._address.scheme == "unix" else self._address.socket

    def _post(self, method: str) -> str:
        """As Go's http client begins its errors."""
        scheme = "https" if self._address.scheme == "https" else "http"
        return f'Post "{scheme}://{quote(self._address.socket, safe="" if scheme == "unix" else ":")}/{method}"'

    def _reason(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ClientConnectorError):
            number = error.os_error.errno
            words = os.strerror(number).lower() if number else str(error.os_error)
            family = "unix" if self._address.scheme == "unix" else "tcp"
            return f"dial {family} {self._address.socket}: connect: {words}"
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "EOF"
        return str(error) or type(error).__name__


def _object(text: bytes | bytearray) -> JsonObject | None:
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
