"""The control API, on a unix socket of its own.

GET /v1/status; GET /v1/standing (whether it is in a swarm, as whom, and by which key); GET /v1/nat;
GET /v1/tables?all=1;
GET, PUT, DELETE /v1/faults; PUT /v1/clock;
GET /v1/events?since=N&follow=1 (JSON lines);
GET /v1/frames (JSON lines: which MACs and ICMP echoes pass containers' interfaces, until the reader goes away);
GET /v1/capture?kind=vxlan,lost (JSON lines, until the reader goes away; lost: what faults swallowed, too).
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from daemon.control.frames import FrameWatch
from daemon.underlay.faults import BadFaults, FaultList, parse_faults
from daemon.underlay.tap import Captured
from daemon.world import WallClock

if TYPE_CHECKING:
    from daemon.host import Host

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_LIMIT = 1 << 20
_CLIENT_GONE = 499
_TABLES = ("networks", "endpoints", "attachments", "nodes", "nodespec", "swarm")


def _ordered(value: object) -> object:
    return sorted((k, _ordered(v)) for k, v in value.items()) if isinstance(value, dict) else value


async def _answered(handler: Handler, request: web.Request) -> web.StreamResponse:
    """A reader may go away at any time, before its answer has begun too: that is no error."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response(status=_CLIENT_GONE)  # nobody will read it


def make_control_app(host: Host) -> web.Application:
    """The application of one host."""
    control = Control(host)
    app = web.Application(client_max_size=_BODY_LIMIT)
    handlers: dict[tuple[str, str], Handler] = {
        ("GET", "/v1/status"): control.status,
        ("GET", "/v1/standing"): control.standing,
        ("GET", "/v1/nat"): control.nat,
        ("GET", "/v1/faults"): control.faults,
        ("PUT", "/v1/faults"): control.set_faults,
        ("DELETE", "/v1/faults"): control.heal,
        ("GET", "/v1/tables"): control.tables,
        ("PUT", "/v1/clock"): control.set_clock,
        ("GET", "/v1/events"): control.events,
        ("GET", "/v1/capture"): control.capture,
        ("GET", "/v1/frames"): control.frames,
    }
    for (method, path), handler in handlers.items():
        # No middleware of aiohttp: those are kept, whole hosts with them, in a cache of the process.
        app.router.add_route(method, path, partial(_answered, handler))
    return app


def _describe(packet: Captured, offset: float) -> dict[str, object]:
    return {
        "when": packet.when + offset,
        "direction": packet.direction,
        "kind": packet.kind,
        "source": list(packet.source),
        "target": list(packet.target),
        "data": packet.data.hex(),
        "stream": packet.stream,
    }


class Control:
    """Handlers; they only read the host, and set its faults."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._started = host.world.wall()

    async def status(self, request: web.Request) -> web.Response:
        host, engine = self._host, self._host.engine
        return web.json_response(
            {
                "hostname": host.config.hostname,
                "address": host.config.address,
                "pid": os.getpid(),
                "started": self._started,
                "swarm": engine.cluster.info(),
                "members": engine.cluster.members_view(),
                "gossip": engine.cluster.gossip_counters(),
                "traffic": {kind: dataclasses.asdict(t) for kind, t in sorted(host.tap.traffic.items())},
                "underlay": dict(sorted(host.underlay.counters.items())),
                "overlay": dict(host.engine.host_network.counters),
                "ports": [
                    {
                        "container": container.name,
                        "protocol": port.mapping.protocol,
                        "container_port": port.mapping.container_port,
                        "host_ip": port.host_ip,
                        "host_port": port.host_port,
                        "real": port.real,
                        "note": port.note,
                    }
                    for container in engine.containers.all()
                    for port in container.ports
                ],
                "faults": host.faults.describe(),
                "events": len(host.history.since(0)),
            }
        )

    async def standing(self, request: web.Request) -> web.Response:
        """The part of the status that is asked for often."""
        cluster = self._host.engine.cluster
        removed = cluster.gossip.roster.removed_ids() if cluster.gossip is not None else []
        return web.json_response(
            {"state": cluster.state, "manager": cluster.is_manager, "node": cluster.node_id, "removed": removed,
             "seal": cluster.keys.seal()}
        )  # fmt: skip

    async def nat(self, request: web.Request) -> web.Response:
        network = self._host.engine.host_network
        containers = {
            (port.mapping.protocol, port.host_port): container.name
            for container in self._host.engine.containers.all()
            for port in container.ports
        }
        rules = []
        for line in network.rules():
            port = line.destination.rpartition(":")[2]
            owner = containers.get((line.protocol, int(port))) if line.target == "DNAT" else None
            rules.append(dataclasses.asdict(line) | {"container": owner})
        return web.json_response({"rules": rules, "flows": network.flows})

    async def tables(self, request: web.Request) -> web.Response:
        """What this host holds for true now: by table, "key owner" and a digest of the value. With all=1 every record
        that it holds (deleted and hidden ones, rings, roster), by its kind and table."""
        gossip = self._host.engine.cluster.gossip
        if gossip is None:
            return web.json_response({})
        if request.query.get("all") == "1":
            return web.json_response(gossip.fingerprints())
        return web.json_response(
            {
                table: {f"{r.key} {r.owner}": hashlib.sha256(repr(_ordered(r.value)).encode()).hexdigest()[:16]
                        for r in gossip.rows(table)}
                for table in _TABLES
            }
        )  # fmt: skip

    async def set_clock(self, request: web.Request) -> web.Response:
        """{"jump": seconds, "skew": seconds gained a second}: how wrong this host's wall clock is from now on."""
        try:
            document = json.loads(await request.text())
            jump, skew = float(document["jump"]), float(document["skew"])
        except (ValueError, TypeError, KeyError):
            return web.json_response({"message": 'expected {"jump": seconds, "skew": seconds a second}'}, status=400)
        clock = self._host.world.wall
        if not isinstance(clock, WallClock):
            return web.json_response({"message": "this daemon's clock cannot be set off"}, status=501)
        clock.set_off(jump, skew)
        return web.json_response({"wall": clock()})

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._host.faults.describe())

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            faults = parse_faults(json.loads(await request.text()))
        except (BadFaults, ValueError) as error:
            return web.json_response({"message": str(error)}, status=400)
        self._host.faults.set(faults)
        return web.json_response(self._host.faults.describe())

    async def heal(self, request: web.Request) -> web.Response:
        self._host.faults.set(FaultList())
        return web.json_response(self._host.faults.describe())

    async def events(self, request: web.Request) -> web.StreamResponse:
        try:
            seen = int(request.query.get("since", "0"))
        except ValueError:
            return web.json_response({"message": "since: a number expected"}, status=400)
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        entries = self._host.history.since(seen)
        while True:
            for entry in entries:
                await answer.write(json.dumps(entry).encode() + b"\n")
                seen = entry["n"] if isinstance(entry["n"], int) else seen
            if request.query.get("follow") != "1" or not (entries := await self._host.history.after(seen)):
                return answer

    async def capture(self, request: web.Request) -> web.StreamResponse:
        kinds = frozenset(k for k in request.query.get("kind", "").split(",") if k)
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        capture, end = self._host.tap.capture(kinds)
        try:
            await answer.prepare(request)
            while True:
                packet = await capture.next()
                if capture.dropped:
                    await answer.write(json.dumps({"dropped": capture.dropped}).encode() + b"\n")
                    capture.dropped = 0
                offset = self._host.world.wall() - asyncio.get_running_loop().time()
                await answer.write(json.dumps(_describe(packet, offset)).encode() + b"\n")
        finally:
            end()

    async def frames(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        watch = FrameWatch(self._host.engine.host_network)
        try:
            await answer.prepare(request)
            while True:
                seen = await watch.next()
                offset = self._host.world.wall() - asyncio.get_running_loop().time()
                told = {"when": seen.when + offset, "container": seen.container, "network": seen.network,
                        "outgoing": seen.outgoing, "data": seen.data.hex()}  # fmt: skip
                await answer.write(json.dumps(told).encode() + b"\n")
        finally:
            watch.end()
