"""/events: a stream of JSON objects."""

from __future__ import annotations

import json
from contextlib import aclosing

from aiohttp import web

from daemon.api.keys import ENGINE
from daemon.api.query import filters, timestamp
from daemon.errors import BadParameter

routes = web.RouteTableDef()


@routes.get("/events")
async def stream(request: web.Request) -> web.StreamResponse:
    """Ends at `until`; without it, when the client goes. Filters that it does not know are overlooked, as in Docker."""
    since, until = timestamp(request, "since"), timestamp(request, "until")
    if since is not None and until is not None and since > until:
        raise BadParameter("`since` time cannot be after `until` time")
    wanted = filters(request)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    async with aclosing(request.app[ENGINE].events.stream(since, until, wanted)) as events:
        async for event in events:
            await response.write(json.dumps(event.to_api(), ensure_ascii=False).encode() + b"\n")
    return response
