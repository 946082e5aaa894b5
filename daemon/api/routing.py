"""Which handler a request's path means: with or without a version before it, all endpoints in one resource.

aiohttp's own router finds what follows a version only by trying one endpoint after the other, and each application
would compile two hundred patterns. Here a path without variables is looked up, and of the others only those are tried
that begin with the same word. Endpoints know nothing of an engine, so the hosts of one process share them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

VERSION_PREFIX = re.compile(r"/v([0-9]+(?:\.[0-9]+)*)(?=/)")
_VARIABLE = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


class Endpoints(web.PlainResource):
    """All of them at once, as one resource at "/". A request's version is its match_info's `_version`."""

    def __init__(
        self, tables: Iterable[web.RouteTableDef], answered: Callable[[Handler], Handler], unknown: Handler
    ) -> None:
        """`answered` puts around each handler what all have in common; `unknown` answers what is no endpoint."""
        super().__init__("/")
        self._fixed: dict[tuple[str, str], web.ResourceRoute] = {}
        self._variable: dict[tuple[str, str], list[tuple[re.Pattern[str], web.ResourceRoute]]] = {}
        self._unknown = web.ResourceRoute("*", answered(unknown), self)
        for table in tables:
            for route in table:
                assert isinstance(route, web.RouteDef)
                self._add(route.method, route.path, answered(route.handler))
                if route.method == "GET" and route.kwargs.get("allow_head", True):
                    self._add("HEAD", route.path, answered(route.handler))

    def _add(self, method: str, path: str, handler: Handler) -> None:
        route = web.ResourceRoute(method, handler, self)
        if "{" in path:
            self._variable.setdefault((method, _word(path)), []).append((_pattern(path), route))
        else:
            self._fixed[method, path] = route

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        path, values = request.rel_url.path_safe, {}
        if (prefix := VERSION_PREFIX.match(path)) is not None:
            path = path[prefix.end() :]
            values["_version"] = prefix[1]
        if (route := self._fixed.get((request.method, path))) is not None:
            return web.UrlMappingMatchInfo(values, route), set()
        for word in (_word(path), ""):
            for pattern, route in self._variable.get((request.method, word), ()):
                if (match := pattern.fullmatch(path)) is not None:
                    values |= {name: _unquoted(value) for name, value in match.groupdict().items()}
                    return web.UrlMappingMatchInfo(values, route), set()
        return web.UrlMappingMatchInfo({}, self._unknown), set()


def _word(path: str) -> str:
    """A path's first word; "" where that is a variable."""
    word = path.split("/", 2)[1] if path.startswith("/") else ""
    return "" if "{" in word else word


def _pattern(path: str) -> re.Pattern[str]:
    """aiohttp's way to write variables: {name}, or {name:what it may be}."""
    found, at = "", 0
    for variable in _VARIABLE.finditer(path):
        found += f"{re.escape(path[at : variable.start()])}(?P<{variable[1]}>{variable[2] or '[^{}/]+'})"
        at = variable.end()
    return re.compile(found + re.escape(path[at:]))


def _unquoted(value: str) -> str:
    """What `path_safe` left quoted."""
    return value.replace("%2F", "/").replace("%25", "%") if "%" in value else value
