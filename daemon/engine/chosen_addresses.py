"""Addresses that a user chooses for an endpoint, and Docker's answers when one cannot be had."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from daemon.engine.network import Network
from daemon.errors import ServerError


def no_such_address(address: str) -> ServerError:
    return ServerError(f"Invalid address {address}: It does not belong to any of this network's subnets")


def exhausted(network: Network, version: int = 4) -> ServerError:
    where = f"this network's address pools: {network.name} ({network.id})"
    return ServerError(f"no available IPv{version} addresses on {where}")


def link_local(addresses: Sequence[str]) -> Iterator[str]:
    """--link-local-ip as CIDR, with libnetwork's masks. ServerError for what is no address."""
    for address in addresses:
        try:
            version = ipaddress.ip_address(address).version
        except ValueError:
            raise ServerError(f"Invalid link-local IP address: [{' '.join(addresses)}]") from None
        yield f"{address}/{16 if version == 4 else 64}"


def is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)
