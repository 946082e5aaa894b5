"""HTTP over a unix socket, or over TCP where there is none, with the standard library alone.

The launcher and the control socket's clients ask a handful of small questions and must be there at once: an import
of aiohttp takes longer than all of them. Whoever talks Docker's API at length uses `scenarios.client`.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

Place = Path | tuple[str, int]
"""Where an API is served: a socket file, or an address and port of the machine's loopback."""

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


class RequestFailed(Exception):
    """The server answered with an error status; `message` is its text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class LocalConnection(http.client.HTTPConnection):
    """An HTTP connection to a daemon of this machine."""

    def __init__(self, place: Place, timeout: float | None) -> None:
        host, port = ("localhost", None) if isinstance(place, Path) else place
        super().__init__(host, port, timeout=timeout)
        self._path = place if isinstance(place, Path) else None

    def connect(self) -> None:
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


def _message(status: int, data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip() or f"status {status}"


def request(
    place: Place, method: str, path: str, body: JSON = None, *, query: dict[str, str] | None = None, timeout: float
) -> JSON:
    """One request, its JSON answer (a string where it is not JSON, None where there is none).

    Raises RequestFailed for a status of 400 and up, OSError (TimeoutError among them) when nobody answers
    within `timeout` seconds.
    """
    connection = LocalConnection(place, timeout)
    try:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        connection.request(method, path + ("?" + urlencode(query) if query else ""), data, headers)
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{place}: {error!r}") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise RequestFailed(response.status, _message(response.status, answer))
    if not answer:
        return None
    try:
        parsed: JSON = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
    return parsed


def lines(place: Place, path: str, *, query: dict[str, str] | None = None) -> Iterator[JSON]:
    """A stream of JSON lines, until the server ends it or the caller closes the iterator."""
    connection = LocalConnection(place, None)
    try:
        connection.request("GET", path + ("?" + urlencode(query) if query else ""))
        response = connection.getresponse()
        if response.status >= 400:
            raise RequestFailed(response.status, _message(response.status, response.read()))
        for line in response:
            if line.strip():
                yield json.loads(line)
    finally:
        connection.close()
