"""The calls of Docker's remote plug-in protocol, one method each (docs: libnetwork's remote.md and ipam.md)."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from examples.plugin.frames import FrameNetwork
from examples.plugin.ipam import Ipam, Refused

FRAMES = "com.shoal.frames"
"""An option of Join: the engine takes a frame socket in place of an interface of the kernel."""

Json = dict[str, Any]


@dataclass(slots=True)
class Network:
    """`frames` and `kernel` (a KernelNetwork) are made when an engine first needs them."""

    gateways: list[str]
    options: dict[str, str]
    addresses: dict[str, str] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    frames: FrameNetwork | None = None
    kernel: Any = None

    def gateway_of(self, endpoint_id: str) -> str | None:
        """That of the endpoint's own subnet."""
        address = ipaddress.ip_interface(self.addresses[endpoint_id]).ip
        found = (ipaddress.ip_interface(each) for each in self.gateways)
        return next((str(gateway.ip) for gateway in found if address in gateway.network), None)


def application(socket: Path) -> web.Application:
    """The plug-in for a socket; frame sockets lie beside it."""
    return Service(socket.parent, None).app()


class Service:
    """The plug-in. `folder` holds frame sockets; `record` gets each call and its answer."""

    def __init__(self, folder: Path, record: IO[str] | None, scope: str = "local") -> None:
        self._folder = folder
        self._scope = scope
        self._record = record
        self._ipam = Ipam()
        self._networks: dict[str, Network] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{call}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        name = request.match_info["call"]
        text = await request.text()
        body: Json = json.loads(text) if text.strip() else {}
        method: Callable[[Json], Awaitable[Json]] | None = getattr(self, name.replace(".", "_"), None)
        if method is None or name.startswith("_"):
            answer: Json = {"Err": f"no such call: {name}"}
        else:
            try:
                answer = await method(body)
            except (Refused, ValueError, OSError) as error:
                answer = {"Err": str(error), "Error": str(error)}  # of a network driver, of an IPAM driver
        if self._record is not None:
            print(json.dumps({"call": name, "body": body, "answer": answer}), file=self._record, flush=True)
        return web.json_response(answer, status=404 if method is None else 200)

    # -- the handshake ------------------------------------------------------------------------------------------

    async def Plugin_Activate(self, body: Json) -> Json:
        return {"Implements": ["NetworkDriver", "IpamDriver"]}

    async def NetworkDriver_GetCapabilities(self, body: Json) -> Json:
        return {"Scope": self._scope, "ConnectivityScope": self._scope}

    async def IpamDriver_GetCapabilities(self, body: Json) -> Json:
        return {"RequiresMACAddress": False}

    async def IpamDriver_GetDefaultAddressSpaces(self, body: Json) -> Json:
        return {"LocalDefaultAddressSpace": "here", "GlobalDefaultAddressSpace": "everywhere"}

    # -- addresses ----------------------------------------------------------------------------------------------

    async def IpamDriver_RequestPool(self, body: Json) -> Json:
        if body.get("V6"):
            raise Refused("this plug-in has no IPv6")
        pool_id, pool = self._ipam.request_pool(body["AddressSpace"], body.get("Pool", ""), body.get("SubPool", ""))
        return {"PoolID": pool_id, "Pool": pool, "Data": {}}

    async def IpamDriver_ReleasePool(self, body: Json) -> Json:
        self._ipam.release_pool(body["PoolID"])
        return {}

    async def IpamDriver_RequestAddress(self, body: Json) -> Json:
        return {"Address": self._ipam.request_address(body["PoolID"], body.get("Address", "")), "Data": {}}

    async def IpamDriver_ReleaseAddress(self, body: Json) -> Json:
        self._ipam.release_address(body["PoolID"], body.get("Address", ""))
        return {}

    # -- networks -----------------------------------------------------------------------------------------------

    async def NetworkDriver_CreateNetwork(self, body: Json) -> Json:
        """Options (-o): refuse=WHY; prefix=NAME of interfaces; route=CIDR that is on the link; gateway=none (the engine
        gives containers another way out) or never (it does not either)."""
        options = (body.get("Options") or {}).get("com.docker.network.generic") or {}
        if "refuse" in options:
            raise Refused(f"refused: {options['refuse']}")
        gateways = [each["Gateway"] for each in body.get("IPv4Data") or [] if each.get("Gateway")]
        self._networks[body["NetworkID"]] = Network(gateways, options)
        return {}

    async def NetworkDriver_DeleteNetwork(self, body: Json) -> Json:
        network = self._networks.pop(body["NetworkID"], None)
        if network is not None and network.frames is not None:
            network.frames.close()
        if network is not None and network.kernel is not None:
            await asyncio.to_thread(network.kernel.close)
        return {}

    def _network(self, body: Json) -> Network:
        network = self._networks.get(body["NetworkID"])
        if network is None:
            raise Refused(f"no such network: {body['NetworkID']}")
        return network

    # -- endpoints ----------------------------------------------------------------------------------------------

    async def NetworkDriver_CreateEndpoint(self, body: Json) -> Json:
        """An interface that the engine has given a MAC address keeps it; else the plug-in makes one of the address."""
        network, interface = self._network(body), body.get("Interface") or {}
        mac = interface.get("MacAddress") or ""
        answer: Json = {}
        if not mac:
            address = [int(part) for part in interface["Address"].partition("/")[0].split(".")]
            mac = "02:99:" + ":".join(f"{part:02x}" for part in address)
            answer = {"Interface": {"MacAddress": mac}}
        network.macs[body["EndpointID"]] = mac
        network.addresses[body["EndpointID"]] = interface["Address"]
        return answer

    async def NetworkDriver_EndpointOperInfo(self, body: Json) -> Json:
        self._network(body)
        return {"Value": {}}

    async def NetworkDriver_DeleteEndpoint(self, body: Json) -> Json:
        network = self._network(body)
        network.macs.pop(body["EndpointID"], None)
        network.addresses.pop(body["EndpointID"], None)
        return {}

    async def NetworkDriver_Join(self, body: Json) -> Json:
        network, endpoint = self._network(body), body["EndpointID"]
        prefix = network.options.get("prefix", "eth")
        answer: Json = {"InterfaceName": {"SrcName": "", "DstPrefix": prefix}, "StaticRoutes": []}
        if "route" in network.options:
            answer["StaticRoutes"].append({"Destination": network.options["route"], "RouteType": 1, "NextHop": ""})
        gateway = network.gateway_of(endpoint)
        if "gateway" not in network.options and gateway:
            answer["Gateway"] = gateway
        if network.options.get("gateway") == "never":
            answer["DisableGatewayService"] = True
        if FRAMES in (body.get("Options") or {}):
            network.frames = network.frames or FrameNetwork(self._folder, network.gateways)
            answer["Frames"] = {"Address": f"unix://{await network.frames.plug(endpoint)}", "SuperFrames": True}
        else:
            from examples.plugin.kernel import KernelNetwork

            network.kernel = network.kernel or KernelNetwork(body["NetworkID"], network.gateways)
            name = await asyncio.to_thread(network.kernel.plug, endpoint, network.macs[endpoint])
            answer["InterfaceName"]["SrcName"] = name
        return answer

    async def NetworkDriver_Leave(self, body: Json) -> Json:
        network = self._network(body)
        if network.frames is not None:
            network.frames.unplug(body["EndpointID"])
        if network.kernel is not None:
            await asyncio.to_thread(network.kernel.unplug, body["EndpointID"])
        return {}

    async def NetworkDriver_ProgramExternalConnectivity(self, body: Json) -> Json:
        self._network(body)
        return {}

    async def NetworkDriver_RevokeExternalConnectivity(self, body: Json) -> Json:
        self._network(body)
        return {}

    async def NetworkDriver_DiscoverNew(self, body: Json) -> Json:
        return {}

    async def NetworkDriver_DiscoverDelete(self, body: Json) -> Json:
        return {}
