"""The API's application: version prefix, errors to JSON, and the endpoints of all modules."""

from __future__ import annotations

import logging
from functools import cache, partial

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from daemon.api import (
    archive,
    containers,
    events,
    exec,
    images,
    networks,
    nodes,
    plugins,
    services,
    swarm,
    system,
    volumes,
)
from daemon.api.answers import error_answer
from daemon.api.body import MAX_BODY
from daemon.api.keys import ENGINE
from daemon.api.later import later
from daemon.api.routing import VERSION_PREFIX, Endpoints, Handler
from daemon.api.versions import API_VERSION, MIN_API_VERSION, asked_for, text
from daemon.engine.engine import Engine
from daemon.errors import ApiError, BadParameter, NotModified
from daemon.store import DiskRefused
from daemon.version import VERSION

log = structlog.get_logger("api")

_TABLES = (
    system.routes,
    events.routes,
    containers.routes,
    exec.routes,
    archive.routes,
    images.routes,
    networks.routes,
    volumes.routes,
    plugins.routes,
    swarm.routes,
    nodes.routes,
    services.routes,
)
_OF_MANAGERS = ("/services", "/tasks", "/secrets", "/configs")
_JSON_ERRORS = (1, 24)  # older clients get plain text
_CLIENT_GONE = 499


def make_app(engine: Engine) -> web.Application:
    """The application for one engine. Handlers find it as request.app[ENGINE], the version by `asked_for`."""
    app = web.Application(client_max_size=MAX_BODY)
    app[ENGINE] = engine
    app.router.register_resource(_endpoints())
    app.on_response_prepare.append(_headers)
    logging.getLogger("aiohttp.server").addFilter(_garbage_is_no_error)
    return app


@cache
def _endpoints() -> Endpoints:
    """What is around each handler is no middleware of aiohttp: those are kept, whole hosts with them, in a cache of the
    process."""
    return Endpoints(_TABLES, lambda handler: partial(_answered, handler), _unknown)


def _garbage_is_no_error(record: logging.LogRecord) -> bool:
    """What is not HTTP at all never reaches a handler; aiohttp answers it, and logs a traceback that tells nothing."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "not HTTP: %s", (str(error.message).partition("\n")[0],)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True


async def _answered(handler: Handler, request: web.Request) -> web.StreamResponse:
    """Only for versions that are served, and every error as Docker's JSON; nothing else may leave a handler."""
    try:
        _check_version(request)
        return await handler(request)
    except NotModified:
        return web.Response(status=304)
    except ApiError as error:
        if asked_for(request) < _JSON_ERRORS:
            return web.Response(text=f"{error.message}\n", status=error.status)
        return error_answer(error.message, error.status)
    except web.HTTPRequestEntityTooLarge:
        return error_answer("http: request body too large", 413)
    except web.HTTPException as error:
        return error_answer(error.reason, error.status)
    except DiskRefused as error:
        log.error("request failed", method=request.method, path=request.path, error=str(error))
        return error_answer(str(error), 500)
    except ConnectionError:
        return web.Response(status=_CLIENT_GONE)  # in the middle of a stream; nobody will read it
    except Exception as error:
        log.exception("request failed", method=request.method, path=request.path)
        return error_answer(f"internal error: {type(error).__name__}: {error}", 500)


async def _unknown(request: web.Request) -> web.Response:
    path = VERSION_PREFIX.sub("", request.path, count=1)
    if (feature := later(request.method, path)) is not None:
        if path.startswith(_OF_MANAGERS):
            request.app[ENGINE].cluster.manage()  # raises: this node is none
        return error_answer(f"{feature} not implemented in this version of shoal", 501)
    return error_answer("page not found", 404)


def _check_version(request: web.Request) -> None:
    """Raises BadParameter for a version that is not served."""
    version = asked_for(request)
    if version < MIN_API_VERSION:
        raise BadParameter(
            f"client version {text(version)} is too old. Minimum supported API version is {text(MIN_API_VERSION)}, "
            "please upgrade your client to a newer version"
        )
    if version > API_VERSION:
        raise BadParameter(
            f"client version {text(version)} is too new. Maximum supported API version is {text(API_VERSION)}"
        )


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    """What Docker sends with every answer; the CLI reads Api-Version and Ostype of a ping."""
    response.headers["Api-Version"] = text(API_VERSION)
    response.headers["Docker-Experimental"] = "false"
    system = request.app[ENGINE].config.os
    response.headers["Ostype"] = system
    response.headers["Server"] = f"shoal/{VERSION} ({system})"
