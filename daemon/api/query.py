"""Query parameters as Docker reads them."""

from __future__ import annotations

import math

from aiohttp import web

from daemon.api import gojson
from daemon.engine.filters import Filters
from daemon.errors import BadParameter, ServerError


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    """Docker's BoolValue: anything but "", 0, no, false, none is true."""
    if name not in request.query:
        return default
    return request.query[name].strip().lower() not in ("", "0", "no", "false", "none")


def integer(request: web.Request, name: str) -> int | None:
    """A whole number, None when absent; Go's error for anything else."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadParameter(f'strconv.Atoi: parsing "{text}": invalid syntax') from None


def timestamp(request: web.Request, name: str) -> float | None:
    """Seconds since the epoch with an optional fraction; None when absent or 0 bytes long."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        seconds = float(text)
        if math.isfinite(seconds):
            return seconds
        raise ValueError(text)
    except ValueError:
        raise BadParameter(f'strconv.ParseInt: parsing "{text.partition(".")[0]}": invalid syntax') from None


def filters(request: web.Request) -> Filters:
    """The `filters` parameter, in either of its two forms."""
    text = request.query.get("filters", "")
    if not text:
        return Filters()
    try:
        body = gojson.loads(text)
    except gojson.GoJsonError as error:
        raise ServerError(str(error)) from None
    if not isinstance(body, dict):
        raise ServerError("json: cannot unmarshal into Go value of type map[string][]string")
    values: dict[str, list[str]] = {}
    for key, value in body.items():
        if isinstance(value, dict):
            values[key] = [str(k) for k, on in value.items() if on]
        elif isinstance(value, list) and all(isinstance(v, str) for v in value):
            values[key] = value
        else:
            raise ServerError("json: cannot unmarshal into Go value of type map[string][]string")
    return Filters(values)
