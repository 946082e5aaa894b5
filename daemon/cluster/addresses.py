"""Addresses in `docker swarm init` and `join`: what may be listened on, advertised, and dialled."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from daemon.errors import BadParameter

_ADVERTISE = "advertise address must be a non-zero IP address or network interface (with optional port number)"
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
