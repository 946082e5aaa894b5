"""/networks: list, create, inspect, connect, disconnect, remove, prune."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import json_answer, no_content
from daemon.api.body import Schema, checked, read_json
from daemon.api.keys import ENGINE
from daemon.api.query import filters, flag
from daemon.api.versions import asked_for
from daemon.engine.container import EndpointSettings
from daemon.errors import NotFound

routes = web.RouteTableDef()

_LIST_IS_SHORT = (1, 28)  # before, a list says of each network all that inspect says
_NAMES_ARE_UNIQUE = (1, 44)  # before, two networks of one host may have one name, unless CheckDuplicate is given

_IPAM: Schema = {"Driver": "string", "Options": "map[string]string", "Config": "[]struct"}
_CREATE: Schema = {
    "Name": "string",
    "CheckDuplicate": "bool",
    "Driver": "string",
    "Scope": "string",
    "EnableIPv6": "bool",
    "IPAM": ("network.IPAM", _IPAM),
    "Internal": "bool",
    "Attachable": "bool",
    "Ingress": "bool",
    "ConfigOnly": "bool",
    "ConfigFrom": ("network.ConfigReference", {"Network": "string"}),
    "Options": "map[string]string",
    "Labels": "map[string]string",
}
_POOL: Schema = {
    "Subnet": "string",
    "IPRange": "string",
    "Gateway": "string",
    "AuxiliaryAddresses": "map[string]string",
}
ENDPOINT: Schema = {
    "IPAMConfig": (
        "network.EndpointIPAMConfig",
        {"IPv4Address": "string", "IPv6Address": "string", "LinkLocalIPs": "[]string"},
    ),
    "Links": "[]string",
    "Aliases": "[]string",
    "MacAddress": "string",
    "DriverOpts": "map[string]string",
    "GwPriority": "int",
}
_CONNECT: Schema = {"Container": "string", "EndpointConfig": ("network.EndpointSettings", ENDPOINT)}
_DISCONNECT: Schema = {"Container": "string", "Force": "bool"}


@routes.get("/networks")
async def listed(request: web.Request) -> web.StreamResponse:
    networks = request.app[ENGINE].networks
    chosen = networks.listed(filters(request))
    if asked_for(request) < _LIST_IS_SHORT:
        return json_answer([networks.inspect(network) for network in chosen])
    return json_answer([network.to_api() for network in chosen])


@routes.post("/networks/create")
async def create(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "NetworkCreateRequest", _CREATE)
    ipam = body.get("IPAM") or {}
    if ipam.get("Config"):
        ipam["Config"] = [checked_pool(entry) for entry in ipam["Config"]]
    namesakes = asked_for(request) < _NAMES_ARE_UNIQUE and not body.get("CheckDuplicate")
    work = engine.networks.create(body, namesakes=namesakes)
    network_id, warning = await engine.tasks.finish(work, "network create")
    return json_answer({"Id": network_id, "Warning": warning}, 201)


def checked_pool(entry: dict[str, object] | None) -> dict[str, object]:
    """One subnet of IPAM.Config with its fields' types checked. Raises BadParameter."""
    return checked(entry or {}, "IPAMConfig", _POOL)


@routes.get("/networks/{id:.+}")
async def inspect(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    network = engine.networks.find(request.match_info["id"])
    scope = request.query.get("scope", "")
    if scope and network.scope != scope:
        raise NotFound(f"network {request.match_info['id']} not found")
    return json_answer(engine.networks.inspect(network, verbose=flag(request, "verbose")))


@routes.post("/networks/prune")
async def prune(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    gone = await engine.tasks.finish(engine.networks.prune(filters(request)), "network prune")
    return json_answer({"NetworksDeleted": gone or None})


@routes.post("/networks/{id:.+}/connect")
async def connect(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "NetworkConnect", _CONNECT)
    container = engine.containers.find(body.get("Container") or "")
    settings = EndpointSettings.from_api(body.get("EndpointConfig"))
    work = engine.networks.connect(request.match_info["id"], container, settings)
    await engine.tasks.finish(work, "network connect")
    return web.Response(status=200)


@routes.post("/networks/{id:.+}/disconnect")
async def disconnect(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = await read_json(request, "NetworkDisconnect", _DISCONNECT)
    ref, force = request.match_info["id"], bool(body.get("Force"))
    # The network's error comes first when neither exists (moby looks a container up inside the operation).
    container = engine.containers.find(body.get("Container") or "")
    await engine.tasks.finish(engine.networks.disconnect(ref, container, force), "network disconnect")
    return web.Response(status=200)


@routes.delete("/networks/{id:.+}")
async def remove(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    await engine.tasks.finish(engine.networks.remove(request.match_info["id"]), "network rm")
    return no_content()
