"""The API's application: version prefix, errors to JSON, and the endpoints of all modules."""

from __future__ import annotations

from aiohttp import web

from daemon.api.keys import ENGINE
from daemon.engine.engine import Engine

API_VERSION = (1, 47)
MIN_API_VERSION = (1, 24)


def make_app(engine: Engine) -> web.Application:
    """The application for one engine. Handlers find it as request.app[ENGINE] and the version asked for as
    request["version"]: tuple[int, int]."""
    app = web.Application(client_max_size=4 << 20)
    app[ENGINE] = engine
    return app
