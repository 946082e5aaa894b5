"""The calls of NetworkDriver and IpamDriver, with what comes back checked (libnetwork's remote.md and ipam.md).

Field names and their order are those of a real engine's requests.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from daemon.engine.documents import JsonObject
from daemon.plugins.client import PluginClient, PluginError, UnknownCall
from daemon.plugins.discovery import Address, BadSpec, parse_address

NETWORK_DRIVER = "NetworkDriver"
IPAM_DRIVER = "IpamDriver"
FRAMES = "com.shoal.frames"
"""Join's option that offers a frame socket (docs/plugins.md)."""

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,11}")  # with a number it must fit into IFNAMSIZ
_GATEWAY = {"RequestAddressType": "com.docker.network.gateway"}


@dataclass(frozen=True, slots=True)
class Given:
    """What CreateEndpoint set, "" for what it left alone."""

    address: str = ""
    address6: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """Addresses are checked. `frames` is where a frame socket listens, `source` the name of a kernel's interface."""

    source: str
    prefix: str
    gateway: str | None
    gateway6: str | None
    routes: tuple[tuple[str, str | None], ...]
    frames: Address | None
    mtu: int | None
    super_frames: bool
    no_gateway_service: bool


class NetworkDriver:
    """A plug-in that makes networks."""

    def __init__(self, name: str, client: PluginClient) -> None:
        self.name = name
        self.scope = "local"
        self._client = client

    async def register(self) -> None:
        """Ask what it can do. Raises PluginError."""
        scope = (await self._call("GetCapabilities")).get("Scope")
        if scope not in ("local", "global"):
            raise PluginError(f"invalid capability: expecting 'local' or 'global', got {scope}")
        self.scope = scope

    async def _call(self, method: str, body: Mapping[str, object] | None = None, *, ending: bool = False) -> JsonObject:
        return await self._client.call(f"{NETWORK_DRIVER}.{method}", body, ending=ending)

    async def create_network(
        self, network_id: str, options: Mapping[str, object], ipv4: Sequence[JsonObject], ipv6: Sequence[JsonObject]
    ) -> None:
        body = {"NetworkID": network_id, "Options": options, "IPv4Data": list(ipv4), "IPv6Data": list(ipv6)}
        await self._call("CreateNetwork", body)

    async def delete_network(self, network_id: str) -> None:
        await self._call("DeleteNetwork", {"NetworkID": network_id}, ending=True)

    async def create_endpoint(
        self, network_id: str, endpoint_id: str, interface: Given, options: Mapping[str, object]
    ) -> Given:
        """What the plug-in set of what was empty; anything else is an error, and rolled back."""
        asked = {"Address": interface.address, "AddressIPv6": interface.address6, "MacAddress": interface.mac}
        body = {"NetworkID": network_id, "EndpointID": endpoint_id, "Interface": asked, "Options": options}
        answer = (await self._call("CreateEndpoint", body)).get("Interface") or {}
        try:
            return _given(answer, interface)
        except PluginError as error:
            await self.delete_endpoint(network_id, endpoint_id)
            raise PluginError(f"{error.message}; rolled back") from error

    async def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        await self._call("DeleteEndpoint", {"NetworkID": network_id, "EndpointID": endpoint_id}, ending=True)

    async def oper_info(self, network_id: str, endpoint_id: str) -> None:
        """What it says has no reader: ports that it may have mapped are its own affair (as in Docker)."""
        await self._call("EndpointOperInfo", {"NetworkID": network_id, "EndpointID": endpoint_id}, ending=True)

    async def join(
        self, network_id: str, endpoint_id: str, sandbox_key: str, options: Mapping[str, object]
    ) -> JoinAnswer:
        body = {
            "NetworkID": network_id,
            "EndpointID": endpoint_id,
            "SandboxKey": sandbox_key,
            "Options": {**options, FRAMES: "stream"},
        }
        answer = await self._call("Join", body)
        try:
            return _joined(answer)
        except PluginError as error:
            await self.leave(network_id, endpoint_id)
            raise PluginError(f"{error.message}; rolled back") from error

    async def leave(self, network_id: str, endpoint_id: str) -> None:
        await self._call("Leave", {"NetworkID": network_id, "EndpointID": endpoint_id}, ending=True)

    async def program_external_connectivity(
        self, network_id: str, endpoint_id: str, options: Mapping[str, object]
    ) -> None:
        body = {"NetworkID": network_id, "EndpointID": endpoint_id, "Options": options}
        try:
            await self._call("ProgramExternalConnectivity", body)
        except UnknownCall:
            return  # an optional call

    async def revoke_external_connectivity(self, network_id: str, endpoint_id: str) -> None:
        body = {"NetworkID": network_id, "EndpointID": endpoint_id}
        try:
            await self._call("RevokeExternalConnectivity", body, ending=True)
        except UnknownCall:
            return  # an optional call


class IpamDriver:
    """A plug-in that gives pools and addresses."""

    def __init__(self, name: str, client: PluginClient) -> None:
        self.name = name
        self.requires_mac = False
        self.requires_replay = False
        self.space = ""
        self._client = client

    async def register(self) -> None:
        """Ask what it needs, and for its address space. Raises PluginError."""
        try:
            capabilities = await self._call("GetCapabilities")
        except UnknownCall:
            capabilities = {}
        self.requires_mac = capabilities.get("RequiresMACAddress") is True
        self.requires_replay = capabilities.get("RequiresRequestReplay") is True
        self.space = _text(await self._call("GetDefaultAddressSpaces"), "LocalDefaultAddressSpace")

    async def _call(self, method: str, body: Mapping[str, object] | None = None, *, ending: bool = False) -> JsonObject:
        return await self._client.call(f"{IPAM_DRIVER}.{method}", body, ending=ending)

    async def request_pool(
        self, pool: str, subpool: str, options: Mapping[str, str], *, six: bool = False
    ) -> tuple[str, str, str]:
        """The pool's id, its subnet, and a gateway (CIDR) if the plug-in named one."""
        body = {"AddressSpace": self.space, "Pool": pool, "SubPool": subpool, "Options": dict(options), "V6": six}
        answer = await self._call("RequestPool", body)
        data = answer.get("Data")
        gateway = _text(data if isinstance(data, dict) else {}, "com.docker.network.gateway")
        return _text(answer, "PoolID"), _cidr(_text(answer, "Pool")), gateway and _interface(gateway)

    async def release_pool(self, pool_id: str) -> None:
        await self._call("ReleasePool", {"PoolID": pool_id}, ending=True)

    async def request_address(self, pool_id: str, wanted: str, *, gateway: bool = False, mac: str = "") -> str:
        """As CIDR."""
        options: dict[str, str] | None = dict(_GATEWAY) if gateway else None
        if mac:
            options = {**(options or {}), "com.docker.network.endpoint.macaddress": mac}
        answer = await self._call("RequestAddress", {"PoolID": pool_id, "Address": wanted, "Options": options})
        if not _text(answer, "Address"):
            raise PluginError("No address returned")
        return _interface(_text(answer, "Address"))

    async def release_address(self, pool_id: str, address: str) -> None:
        await self._call("ReleaseAddress", {"PoolID": pool_id, "Address": address}, ending=True)


def _given(answer: object, asked: Given) -> Given:
    if not isinstance(answer, dict):
        raise PluginError("the plug-in's Interface is no object")
    address, address6, mac = (_text(answer, key) for key in ("Address", "AddressIPv6", "MacAddress"))
    for value, before, what in (
        (mac, asked.mac, "MAC address"),
        (address, asked.address, "address"),
        (address6, asked.address6, "address"),
    ):
        if value and before:
            raise PluginError(f"driver modified interface {what}: endpoint interface {what} present ({before}). "
                              f"Cannot be modified with {value}.")  # fmt: skip
    if mac and not _MAC.fullmatch(mac.lower()):
        raise PluginError(f"address {mac}: invalid MAC address")
    return Given(address and _interface(address), address6 and _interface(address6), mac.lower())


def _joined(answer: JsonObject) -> JoinAnswer:
    name, frames = answer.get("InterfaceName"), answer.get("Frames")
    names = name if isinstance(name, dict) else {}
    socket = frames if isinstance(frames, dict) else {}
    routes = []
    for entry in answer.get("StaticRoutes") or []:
        route = entry if isinstance(entry, dict) else {}
        hop = _text(route, "NextHop") or None
        if hop is not None:
            _address(hop, f"failed to parse nexthop IP {hop}")
        routes.append((_cidr(_text(route, "Destination")), hop))
    gateway, gateway6 = _text(answer, "Gateway") or None, _text(answer, "GatewayIPv6") or None
    for each in filter(None, (gateway, gateway6)):
        _address(each, f'unable to parse Gateway "{each}"')
    mtu = socket.get("MTU")
    return JoinAnswer(
        _text(names, "SrcName"),
        _prefix(_text(names, "DstPrefix") or "eth"),
        gateway,
        gateway6,
        tuple(routes),
        _frame_address(_text(socket, "Address")),
        mtu if isinstance(mtu, int) and 68 <= mtu <= 65521 else None,
        socket.get("SuperFrames") is True,
        answer.get("DisableGatewayService") is True,
    )


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise PluginError(f"failed to set interface name: {text!r}")
    return text


def _frame_address(text: str) -> Address | None:
    if not text:
        return None
    try:
        address = parse_address(text)
    except BadSpec as error:
        raise PluginError(f"Frames: {error}") from None
    if address.scheme not in ("unix", "tcp") or (address.scheme == "tcp" and not urlsplit(text).port):
        raise PluginError(f"Frames: unix:///path or tcp://host:port expected, not {text!r}")
    return address


def _text(answer: Mapping[str, object], key: str) -> str:
    value = answer.get(key)
    return value if isinstance(value, str) else ""


def _address(text: str, complaint: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise PluginError(complaint) from None


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise PluginError(f"invalid CIDR address: {text}") from None


def _interface(text: str) -> str:
    if "/" in text:
        try:
            return str(ipaddress.ip_interface(text))
        except ValueError:
            pass
    raise PluginError(f"invalid CIDR address: {text}")
