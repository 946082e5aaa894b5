"""Addresses in `docker swarm init` and `join`: what may be listened on, advertised, dialled and given to networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter, NotImplementedYet, Unavailable

_ADVERTISE = "advertise address must be a non-zero IP address or network interface (with optional port number)"
_VXLAN = 4789
_LISTEN = "listen address must be an IP address or network interface (with optional port number)"


def split(text: str, port: int) -> tuple[str, int]:
    """"192.0.2.1", "192.0.2.1:2377", "eth0:2377". Raises ValueError for a port that is none."""
    host, colon, number = text.partition(":")
    return host, int(number) if colon else port


def own_address(text: str, own: Sequence[str], default: str, *, listening: bool = False) -> str:
    """The address that a node goes by: one of its own, or that of its interface. Raises BadParameter."""
    complaint = _LISTEN if listening else _ADVERTISE
    if not text:
        return default
    try:
        host, _ = split(text, 0)
    except ValueError:
        raise BadParameter(complaint) from None
    if host in ("eth0", "lo") or not host:
        return default
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise BadParameter(complaint) from None
    if address.is_unspecified:
        if listening:
            return default
        raise BadParameter(complaint)
    if address.is_loopback:  # as good as its own: of this host it is the only one that a peer could mean
        return default
    if host not in own:
        raise BadParameter(f"{host} is not an address of this host ({', '.join(own)})")
    return host


def remote(text: str, port: int) -> tuple[str, int]:
    """A manager to dial. Raises BadParameter."""
    try:
        host, number = split(text, port)
        ipaddress.IPv4Address(host)
    except ValueError:
        raise BadParameter(f"{text}: an IPv4 address with an optional port expected") from None
    return host, number


def default_pools(body: JsonObject) -> tuple[tuple[str, ...], int]:
    """--default-addr-pool and --default-addr-pool-mask-length. Raises BadParameter."""
    pools = []
    for text in body.get("DefaultAddrPool") or []:
        try:
            pools.append(str(ipaddress.IPv4Network(text)))
        except ValueError:
            raise BadParameter(f"invalid CIDR address: {text}") from None
    size = body.get("SubnetSize") or 24
    if not all(ipaddress.IPv4Network(p).prefixlen <= size <= 29 for p in pools or ["10.0.0.0/8"]):
        raise BadParameter(f"invalid subnet size {size}: it must lie between the pools' prefix length and 29")
    for index, one in enumerate(pools):
        for other in pools[index + 1 :]:
            if ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other)):
                raise BadParameter(f"default address pools {one} and {other} overlap")
    return tuple(pools) or ("10.0.0.0/8",), size


def check_data_path_port(body: JsonObject) -> None:
    """--data-path-port: VXLAN's own. Raises BadParameter, NotImplementedYet."""
    port = body.get("DataPathPort") or _VXLAN
    if not 1024 <= port <= 49151:
        raise BadParameter(f"Datapath port number is not in valid range (1024-49151) : {port}")
    if port != _VXLAN:
        raise NotImplementedYet(f"VXLAN is on UDP port {_VXLAN} in this version of shoal")


def unreachable(manager: tuple[str, int], error: OSError) -> Unavailable:
    """gRPC's words for a dial that failed."""
    if isinstance(error, TimeoutError):
        reason = "i/o timeout"
    elif isinstance(error, ConnectionRefusedError):
        reason = "connect: connection refused"
    else:
        reason = str(error)
    dial = f"{manager[0]}:{manager[1]}"
    return Unavailable(
        "rpc error: code = Unavailable desc = connection error: desc = "
        f'"transport: Error while dialing dial tcp {dial}: {reason}"'
    )
