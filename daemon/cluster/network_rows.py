"""The row of a swarm's network and back, and the names of the number spaces that belong to it.

Rows come from other hosts, perhaps of another version: what cannot be read gives None, never an exception.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.cluster.node_local import blank
from daemon.engine.network import Network, shown_pool
from daemon.engine.network_plan import wishes_subnet
from gossip.tables.row import Plain, Row, Value
from overlay.spec import Pool

NETWORKS = "networks"  # shared; key: the network's id
ENDPOINTS = "endpoints"  # owned; key: the endpoint's id
ATTACHMENTS = "attachments"  # owned; key: a network that the owner is on
ACKNOWLEDGED = "acknowledged"  # owned; key: a network that is being removed, which the owner has left
SUBNET_SPACE = "subnets"
VNI_SPACE = "vnis"
ADDRESS_SPACE = "addresses"
_MOST = (1 << 64) - 2
_UNASKED = 1 << 16  # of an IPv6 subnet


def address_spaces(network_id: str, index: int, pool: Pool) -> dict[str, tuple[int, int]]:
    """Number spaces of a pool: name to first number and size. Numbers are offsets from the pool's network address; its
    own and, of IPv4, the broadcast address are none. Beside a range a second space has those that are given only when
    asked for; of a large IPv6 subnet the first addresses are such a range, so that shares begin at readable ones. (The
    whole ends where a number ends on the wire, at 64 bits.)"""
    subnet = ipaddress.ip_network(pool.subnet)
    last_number = subnet.num_addresses - (2 if subnet.version == 4 else 1)
    whole = (1, max(min(last_number, _MOST), 1))
    name = f"{ADDRESS_SPACE}/{network_id}/{index}"
    if pool.ip_range is None:
        first = 2 if pool.gateway == str(subnet[1]) else 1
        if subnet.version == 6 and whole[1] > _UNASKED:
            return {name: (first, _UNASKED), f"{name}/chosen": whole}
        return {name: (first, max(whole[1] - first + 1, 1))}
    within = ipaddress.ip_network(pool.ip_range)
    first = max(offset_of(str(within.network_address), subnet), 1)
    last = min(offset_of(str(within.broadcast_address), subnet), whole[1])
    return {name: (first, max(last - first + 1, 1)), f"{name}/chosen": whole}


def space_of(network_id: str, index: int, pool: Pool, offset: int | None) -> str:
    """The space that a number of a pool comes from; None is any number."""
    spaces = list(address_spaces(network_id, index, pool).items())
    first, size = spaces[0][1]
    inside = offset is None or len(spaces) == 1 or first <= offset < first + size
    return spaces[0 if inside else 1][0]


def place_of(space: str) -> tuple[str, int] | None:
    """The id of the network, and which of its pools, that a space has addresses of; None for another kind."""
    kind, _, rest = space.partition("/")
    network_id, _, index = rest.partition("/")
    return (network_id, int(index.partition("/")[0])) if kind == ADDRESS_SPACE else None


def offset_of(address: str, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    return int(ipaddress.ip_address(address)) - int(subnet.network_address)


@dataclass(frozen=True, slots=True)
class DefaultSubnets:
    """The subnets of overlays that wish none: the swarm's default pools, one behind the other, cut into /`length`."""

    pools: tuple[str, ...]
    length: int

    def _pieces(self) -> Iterator[tuple[ipaddress.IPv4Network, int, int]]:
        """Each pool, the number of its first subnet, and how many it has."""
        first = 0
        for text in self.pools:
            pool = ipaddress.IPv4Network(text)
            count = 1 << (self.length - pool.prefixlen)
            yield pool, first, count
            first += count

    def __len__(self) -> int:
        return sum(count for _, _, count in self._pieces())

    def subnet(self, number: int) -> ipaddress.IPv4Network:
        """Raises IndexError for a number that there is not."""
        for pool, first, count in self._pieces():
            if first <= number < first + count:
                return ipaddress.IPv4Network(
                    (int(pool.network_address) + ((number - first) << (32 - self.length)), self.length)
                )
        raise IndexError(number)

    def numbers(self, pools: Sequence[Pool]) -> list[int]:
        """Which of them these pools cover."""
        found: list[int] = []
        for given in pools:
            subnet = ipaddress.ip_network(given.subnet)
            for pool, first, _ in self._pieces():
                if not subnet.overlaps(pool):
                    continue
                base = int(pool.network_address)
                start = max(int(subnet.network_address), base) - base
                end = min(int(subnet.broadcast_address), int(pool.broadcast_address)) - base
                shift = 32 - self.length
                found += range(first + (start >> shift), first + (end >> shift) + 1)
        return found


def row_of(network: Network) -> Value:
    pools: list[Plain] = [
        {"subnet": p.subnet, "gateway": p.gateway, "range": p.ip_range, "auxiliary": dict(p.auxiliary)}
        for p in network.pools
    ]
    return {
        "name": network.name,
        "created": network.created,
        "driver": network.driver,
        "internal": network.internal,
        "attachable": network.attachable,
        "ingress": network.ingress,
        "ipv6": network.enable_ipv6,
        "options": dict(network.options),
        "labels": dict(network.labels or {}),
        "ipam_options": dict(network.ipam_options) if network.ipam_options is not None else None,
        "pools": pools,
        "chosen": wishes_subnet(network, 4),
        "vni": network.vni,
        "config_from": network.config_from,
    }


def network_of(row: Row) -> Network | None:
    value = row.value
    name, created, vni = value.get("name"), value.get("created"), value.get("vni")
    pools, driver = _pools(value.get("pools")), str(value.get("driver") or "overlay")
    if not isinstance(name, str) or not isinstance(created, int | float):
        return None
    if driver != "overlay":
        return _node_local(row.key, name, float(created), driver, value)
    if not isinstance(vni, int) or pools is None:
        return None
    shown = [shown_pool(pool) for pool in pools]
    return Network(
        id=row.key,
        name=name,
        created=float(created),
        driver=driver,
        scope="swarm",
        internal=bool(value.get("internal")),
        attachable=bool(value.get("attachable")),
        ingress=bool(value.get("ingress")),
        enable_ipv6=bool(value.get("ipv6")),
        options=text_map(value.get("options")),
        labels=text_map(value.get("labels")),
        ipam_options=text_map(value.get("ipam_options")) if value.get("ipam_options") is not None else None,
        ipam_config=shown,
        wished_config=[entry for entry in shown if value.get("chosen") or ":" in entry["Subnet"]],
        pools=pools,
        vni=vni,
    )


def _node_local(id: str, name: str, created: float, driver: str, value: Value) -> Network:
    network = Network(
        id, name, created, driver, scope="swarm", internal=bool(value.get("internal")),
        attachable=bool(value.get("attachable")), config_from=str(value.get("config_from") or ""),
        labels=text_map(value.get("labels")),
    )  # fmt: skip
    blank(network)
    return network


def _pools(value: Plain) -> tuple[Pool, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    pools = []
    for entry in value:
        if not isinstance(entry, dict) or not isinstance(entry.get("subnet"), str):
            return None
        gateway, ip_range = entry.get("gateway"), entry.get("range")
        try:
            ipaddress.ip_network(str(entry["subnet"]))
        except ValueError:
            return None
        pools.append(
            Pool(
                str(entry["subnet"]),
                gateway if isinstance(gateway, str) else None,
                ip_range if isinstance(ip_range, str) else None,
                text_map(entry.get("auxiliary")),
            )
        )
    return tuple(pools)


def text_list(value: Plain) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def text_map(value: Plain) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)}
