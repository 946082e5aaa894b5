"""`network create`'s --subnet, --gateway, --ip-range and --aux-address, paired as the docker command pairs them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from scenarios.client import Document


def pools(
    subnets: Sequence[str], gateways: Sequence[str], ranges: Sequence[str], auxiliary: Sequence[str]
) -> list[Document]:
    """IPAM.Config. Raises ValueError with the docker command's words for what belongs to no subnet."""
    if len(ranges) > len(subnets) or len(gateways) > len(subnets):
        raise ValueError("every ip-range or gateway must have a corresponding subnet")
    found: dict[str, Document] = {}
    networks: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {}
    for subnet in subnets:
        try:
            network = ipaddress.ip_network(subnet, strict=False)
        except ValueError:
            raise ValueError(f"invalid CIDR address: {subnet}") from None
        if any(network.version == other.version and network.overlaps(other) for other in networks.values()):
            raise ValueError("multiple overlapping subnet configuration is not supported")
        networks[subnet] = network
        found[subnet] = {"Subnet": subnet}

    def owner(address: str, what: str) -> str:
        try:
            ip = ipaddress.ip_address(address.partition("/")[0])
        except ValueError:
            raise ValueError(f"invalid IP address in {what}: {address}") from None
        for subnet, network in networks.items():
            if ip in network:
                return subnet
        raise ValueError(f"no matching subnet for {what} {address}")

    for text in ranges:
        found[owner(text, "range")]["IPRange"] = text
    for text in gateways:
        found[owner(text, "gateway")]["Gateway"] = text
    for text in auxiliary:
        name, _, address = text.partition("=")
        found[owner(address, "aux-address")].setdefault("AuxiliaryAddresses", {})[name] = address
    return list(found.values())
