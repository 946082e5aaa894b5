"""From the body of `POST /networks/create` to a network's record: Docker's checks, in Docker's order, in its words.

The order matters to clients: a body with two faults gets the error of the first check (daemon/network.go createNetwork,
libnetwork's NewNetwork). What needs the pools in use is in `networks.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from daemon.engine.documents import JsonObject
from daemon.engine.network import MTU_OPTION, Network, shown_wish
from daemon.errors import BadParameter, Forbidden, NotFound, ServerError
from overlay.spec import BRIDGE_NAME, ENABLE_ICC, ENABLE_MASQUERADE, HOST_BINDING, Pool

PARENTED = ("ipvlan", "macvlan")
"""Drivers whose endpoints stand on an interface of the host: they publish no ports."""
_LONGEST_NAME = 15  # of an interface (IFNAMSIZ less the end)
# Go's strconv.ParseBool
_BOOLEANS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")


def publishes(network: Network) -> bool:
    """Whether this engine publishes ports of what is on it: macvlan and ipvlan are on the LAN, and a plug-in publishes
    itself what it is told of."""
    return network.driver not in PARENTED and not network.remote


def record_of(body: JsonObject, network_id: str, created: float) -> Network:
    """The network that was asked for, with nothing allocated yet. Raises BadParameter, Forbidden, ServerError."""
    ipam = body.get("IPAM") or {}
    network = Network(
        id=network_id,
        name=body.get("Name") or "",
        created=created,
        driver=body.get("Driver") or "bridge",
        scope=body.get("Scope") or "local",
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        ingress=bool(body.get("Ingress")),
        enable_ipv6=bool(body.get("EnableIPv6")),
        config_only=bool(body.get("ConfigOnly")),
        config_from=(body.get("ConfigFrom") or {}).get("Network") or "",
        options=dict(body.get("Options") or {}),
        labels=dict(body.get("Labels") or {}),
        ipam_driver=ipam.get("Driver") or "default",
        ipam_options=ipam.get("Options"),
        wished_config=[dict(entry) for entry in ipam.get("Config") or []],
    )
    if network.config_only:
        network.driver = "null"  # it is nothing but its configuration
    for entry in network.wished_config:
        subnet = entry.get("Subnet") or ""
        if not _is_cidr(subnet):
            raise ServerError(f"Invalid subnet {subnet} : invalid CIDR address: {subnet}")
    _check_config_networks(network, ipam, body.get("Scope") or "")
    return network


def _check_config_networks(network: Network, ipam: JsonObject, scope: str) -> None:
    """libnetwork's validateConfiguration."""
    if network.config_only and (network.ingress or network.internal or network.attachable or scope):
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )
    if not network.config_from:
        return
    if network.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    own = (
        network.ipam_driver != "default"
        or network.enable_ipv6
        or network.labels
        or network.ipam_options
        or network.wished_config
        or network.options
    )
    if own:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )


def check_scope(network: Network, scope: str) -> None:
    """May its driver have the scope that was asked for? An overlay's is always the swarm's."""
    if network.config_only or network.remote:
        return
    if network.driver == "overlay":
        if scope == "local":
            raise Forbidden("cannot downgrade network scope for overlay networks")
        network.scope = "swarm"
    elif scope not in ("", "local", "swarm"):
        raise BadParameter(f"invalid scope: {scope}")
    elif network.ingress:
        raise Forbidden("Ingress network can only be global scope network")


def check_options(network: Network, others: Iterable[Network]) -> None:
    """What the bridge driver makes of its options (drivers/bridge: parseNetworkGenericOptions, Conflicts)."""
    if network.driver != "bridge":
        return
    options = network.options
    for label in (ENABLE_ICC, ENABLE_MASQUERADE):
        if label in options and options[label] not in _BOOLEANS:
            raise _unparsable(label, options[label], "strconv.ParseBool")
    if MTU_OPTION in options and not re.fullmatch(r"[+-]?\d+", options[MTU_OPTION]):
        raise _unparsable(MTU_OPTION, options[MTU_OPTION], "strconv.Atoi")
    if HOST_BINDING in options and not _is_address(options[HOST_BINDING]):
        raise BadParameter(f"failed to parse {HOST_BINDING} value: {options[HOST_BINDING]} (nil ip)")
    name = options.get(BRIDGE_NAME)
    if name and len(name) > _LONGEST_NAME:
        raise ServerError("failed to check bridge interface existence: numerical result out of range")
    twin = next((other for other in others if name and other.options.get(BRIDGE_NAME) == name), None)
    if twin is not None:
        raise Forbidden(
            f"cannot create network {network.id} ({name}): conflicts with network {twin.id} ({name}): "
            "networks have same bridge name"
        )


def _unparsable(label: str, value: str, parser: str) -> BadParameter:
    return BadParameter(f'failed to parse {label} value: {value} ({parser}: parsing "{value}": invalid syntax)')


def check_single(network: Network) -> None:
    """The host and null drivers have one network each (drivers' CreateNetwork)."""
    if network.driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{network.driver}" network is allowed')


def inherit(network: Network, source: Network | None) -> None:
    """--config-from: everything network-specific comes from the configuration network."""
    if source is None or not source.config_only:
        raise NotFound(f'configuration network "{network.config_from}" does not exist')
    network.ipam_driver = source.ipam_driver
    network.ipam_options = source.ipam_options
    network.wished_config = [dict(entry) for entry in source.wished_config]
    network.enable_ipv6 = source.enable_ipv6
    network.options = dict(source.options)
    network.labels = dict(source.labels or {})


def wished_pools(network: Network) -> list[Pool]:
    """The user's pools, checked: gateway and auxiliary addresses lie in their subnet. Those of IPv6 are looked at only
    where the network has that. Raises BadParameter, Forbidden, ServerError."""
    pools = []
    for entry in network.wished_config:
        subnet = ipaddress.ip_network(entry["Subnet"], strict=False)
        gateway = entry.get("Gateway") or None
        if gateway and not _is_address(gateway):
            raise BadParameter(f"invalid gateway address {gateway} in Ipam configuration")
        if subnet.version == 6 and not network.enable_ipv6:
            continue
        if gateway and ipaddress.ip_address(gateway) not in subnet:
            raise ServerError(f"failed to allocate gateway ({gateway}): Requested address is out of range")
        auxiliary = entry.get("AuxiliaryAddresses") or {}
        for name, address in auxiliary.items():
            if not _is_address(address):
                raise BadParameter(
                    f"non parsable secondary ip address ({name}:{address}) passed for network {network.name}"
                )
            if ipaddress.ip_address(address) not in subnet:
                raise Forbidden(f"auxilairy address: ({name}:{address}) must belong to the master pool: {subnet}")
        ip_range = entry.get("IPRange") or None
        if ip_range and not (_is_cidr(ip_range) and _inside(ip_range, subnet)):
            raise BadParameter("invalid pool request")
        pools.append(Pool(str(subnet), gateway, ip_range, dict(auxiliary)))
    return pools


def shown_config(network: Network, given: Sequence[JsonObject]) -> list[JsonObject]:
    """What inspect shows: the user's own words; in front of them what Docker added where there was no IPv4 subnet."""
    return [*given, *(shown_wish(entry) for entry in network.wished_config)]


def wishes_subnet(network: Network, version: int) -> bool:
    """Whether the user gave a subnet of that IP version."""
    return any((":" in entry["Subnet"]) == (version == 6) for entry in network.wished_config)


def _inside(inner: str, outer: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    network = ipaddress.ip_network(inner, strict=False)
    return network.network_address in outer and network.broadcast_address in outer


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
