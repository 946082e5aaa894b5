"""A network as the engine keeps it: what was asked for, what it got, and which endpoints this host has on it.

Plain data and its three forms: stored, shown, and as a driver needs it. What happens to networks is in `networks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from daemon.engine.documents import JsonObject, rfc3339
from overlay.spec import NetworkSpec, Pool

PREDEFINED = ("none", "host", "bridge")
BUILT_IN = ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")
"""Drivers; any other name is a plug-in's."""
GATEWAY_BRIDGE = "docker_gwbridge"
MTU_OPTION = "com.docker.network.driver.mtu"
VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list"
BRIDGE_MTU = 1500
ENCRYPTED_OPTION = "encrypted"
_VXLAN = 50  # bytes of outer Ethernet, IP, UDP and VXLAN (RFC 7348, 4.3)
_ESP = 26  # what libnetwork reckons for encryption
_SMALLEST_MTU = 68  # RFC 791
_LAST_VNI = (1 << 24) - 1


@dataclass(slots=True)
class Endpoint:
    """One place on a network on this host. `container_id` is empty for those that no container owns
    (a load balancer's, a gateway's); `shown_as` is the key under which inspect lists it."""

    id: str
    network_id: str
    container_id: str
    name: str
    names: tuple[str, ...]
    mac: str
    address: str  # CIDR; empty on host and none
    address6: str = ""
    gateway: str = ""
    gateway6: str = ""
    link_local: tuple[str, ...] = ()  # CIDR
    interface: str = ""
    prefix: str = "eth"  # of the interface's name
    shown_as: str = ""
    task: str = ""  # swarmkit's name for an attachment, in "is in use by task …"

    def to_api(self) -> JsonObject:
        return {
            "Name": self.name,
            "EndpointID": self.id,
            "MacAddress": self.mac,
            "IPv4Address": self.address,
            "IPv6Address": self.address6,
        }


@dataclass(slots=True, eq=False)
class Network:
    """One network. `ipam_config` is what inspect shows; `pools` is what is really in use (with the gateway that Docker
    chose and does not show). `wished_config`: did the user give a subnet (else --ip is refused)?"""

    id: str
    name: str
    created: float
    driver: str
    scope: str = "local"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    enable_ipv6: bool = False
    config_only: bool = False
    config_from: str = ""
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] | None = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    ipam_config: list[JsonObject] = field(default_factory=list)
    wished_config: list[JsonObject] = field(default_factory=list)
    pools: tuple[Pool, ...] = ()
    vni: int | None = None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def is_called(self, ref: str) -> bool:
        """Whether a user means this one for certain, by its name or whole id."""
        return ref in (self.name, self.id)

    @property
    def predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def user_defined(self) -> bool:
        """Has names and aliases, and lets a container choose its address; Docker's NetworkMode.IsUserDefined."""
        return not self.predefined

    @property
    def remote(self) -> bool:
        """Its driver is a plug-in."""
        return self.driver not in BUILT_IN

    @property
    def has_interface(self) -> bool:
        return self.driver not in ("host", "null")

    @property
    def mtu(self) -> int:
        """Of its endpoints' interfaces. An overlay's option says what the hosts' network has (libnetwork's maxMTU)."""
        try:
            link = int(self.options.get(MTU_OPTION, "")) or BRIDGE_MTU
        except ValueError:
            link = BRIDGE_MTU
        if self.driver != "overlay":
            return link
        return max((link - _VXLAN - _ESP) // 4 * 4 if self.encrypted else link - _VXLAN, _SMALLEST_MTU)

    @property
    def encrypted(self) -> bool:
        """`--opt encrypted`, whatever its value."""
        return self.driver == "overlay" and ENCRYPTED_OPTION in self.options

    @property
    def vnis(self) -> tuple[int, ...]:
        """One for each subnet of an overlay."""
        listed = self.options.get(VNI_OPTION, "").split(",")
        found = tuple(int(each) for each in listed if each.isascii() and each.isdecimal() and len(each) < 9)
        return tuple(vni for vni in found if 0 < vni <= _LAST_VNI) or (() if self.vni is None else (self.vni,))

    def endpoint_of(self, container_id: str) -> Endpoint | None:
        return next((e for e in self.endpoints.values() if e.container_id == container_id), None)

    def spec(self) -> NetworkSpec:
        return NetworkSpec(
            id=self.id,
            name=self.name,
            driver=self.driver,
            pools=self.pools,
            internal=self.internal,
            options=dict(self.options),
            vnis=self.vnis,
            mtu=self.mtu,
            ingress=self.ingress,
            encrypted=self.encrypted,
        )

    def to_api(self) -> JsonObject:
        """As list shows it; inspect adds what is on it."""
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": rfc3339(self.created),
            "Scope": self.scope,
            "Driver": self.driver,
            "EnableIPv6": self.enable_ipv6,
            "IPAM": {"Driver": self.ipam_driver, "Options": self.ipam_options, "Config": self.ipam_config},
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": self.ingress,
            "ConfigFrom": {"Network": self.config_from},
            "ConfigOnly": self.config_only,
            "Containers": {},
            "Options": dict(sorted(self.options.items())),
            "Labels": self.labels,
        }

    def stored(self) -> bytes:
        """For the store; the endpoints live and die with the daemon."""
        document = {f: getattr(self, f) for f in _STORED}
        document["pools"] = [asdict(p) | {"auxiliary": dict(p.auxiliary)} for p in self.pools]
        return json.dumps(document).encode()

    @classmethod
    def from_stored(cls, data: bytes) -> Network:
        document: JsonObject = json.loads(data)
        document["pools"] = tuple(Pool(**p) for p in document["pools"])
        return cls(**document)


_STORED = (
    "id", "name", "created", "driver", "scope", "internal", "attachable", "ingress", "enable_ipv6", "config_only",
    "config_from", "options", "labels", "ipam_driver", "ipam_options", "ipam_config", "wished_config", "vni",
)  # fmt: skip


def shown_pool(pool: Pool, gateway: bool = True) -> JsonObject:
    """A pool as IPAM.Config shows it: only the fields that are set."""
    entry: JsonObject = {"Subnet": pool.subnet}
    if pool.ip_range:
        entry["IPRange"] = pool.ip_range
    if gateway and pool.gateway:
        entry["Gateway"] = pool.gateway
    if pool.auxiliary:
        entry["AuxiliaryAddresses"] = dict(pool.auxiliary)
    return entry


def shown_wish(entry: Mapping[str, object]) -> JsonObject:
    """What the user gave, in Docker's order of fields."""
    keys = ("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses")
    return {key: entry[key] for key in keys if entry.get(key)}
