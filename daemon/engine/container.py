"""A container as the engine keeps it: what was asked for, what it is attached to, and how it is doing.

Plain data and its two forms, stored and shown; what is done to a container is in `lifecycle.py`, its runs in `runs.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.engine.documents import JsonObject
from daemon.engine.mount_points import MountPoint

if TYPE_CHECKING:
    from daemon.engine.exec import Exec
    from daemon.engine.health import Health
    from daemon.engine.logs import ContainerLog
    from daemon.engine.streams import Streams
    from daemon.runtime.container import Guest
    from daemon.runtime.process import Process
    from overlay.sandbox import Sandbox


@dataclass(slots=True)
class EndpointSettings:
    """A container's place in one network: what the user asked for, and what the network gave.

    The second half is empty while the container is not running.
    """

    # asked for
    ipam_config: JsonObject | None = None  # IPv4Address, IPv6Address, LinkLocalIPs
    links: list[str] | None = None  # "container:alias"
    aliases: list[str] | None = None
    driver_opts: dict[str, str] | None = None
    desired_mac: str = ""
    gw_priority: int = 0
    # given
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    mac_address: str = ""
    dns_names: list[str] | None = None
    swarm_gave: JsonObject | None = None  # what a network of the swarm gave, shown as if it had been asked for

    @classmethod
    def from_api(cls, body: JsonObject | None) -> EndpointSettings:
        """From an EndpointsConfig entry or the EndpointConfig of a connect; only what a user may ask for is read."""
        body = body or {}
        ipam = body.get("IPAMConfig")
        return cls(
            ipam_config={k: v for k, v in ipam.items() if v} if ipam is not None else None,
            links=list(body["Links"]) if body.get("Links") else None,
            aliases=list(body["Aliases"]) if body.get("Aliases") else None,
            driver_opts=dict(body["DriverOpts"]) if body.get("DriverOpts") else None,
            desired_mac=body.get("MacAddress") or "",
            gw_priority=body.get("GwPriority") or 0,
        )

    def to_api(self) -> JsonObject:
        """As inspect shows it. Versions' differences (DNSNames, GwPriority) are the API's affair."""
        return {
            "IPAMConfig": self.swarm_gave if self.swarm_gave is not None else self.ipam_config,
            "Links": self.links,
            "Aliases": self.aliases,
            "NetworkID": self.network_id,
            "EndpointID": self.endpoint_id,
            "Gateway": self.gateway,
            "IPAddress": self.ip_address,
            "IPPrefixLen": self.prefix_len,
            "IPv6Gateway": self.ipv6_gateway,
            "GlobalIPv6Address": self.global_ipv6_address,
            "GlobalIPv6PrefixLen": self.global_ipv6_prefix_len,
            "MacAddress": self.mac_address,
            "DriverOpts": self.driver_opts,
        }

    def stored(self) -> JsonObject:
        """What survives a restart: what was asked for."""
        return {
            "IPAMConfig": self.ipam_config,
            "Links": self.links,
            "Aliases": self.aliases,
            "DriverOpts": self.driver_opts,
            "MacAddress": self.desired_mac,
            "GwPriority": self.gw_priority,
        }

    def clear_given(self) -> None:
        """Forget what the network gave, at stop; the network's id stays (Docker's inspect shows it so)."""
        self.endpoint_id = self.gateway = self.ip_address = self.mac_address = ""
        self.ipv6_gateway = self.global_ipv6_address = ""
        self.swarm_gave = None
        self.prefix_len = self.global_ipv6_prefix_len = 0


@dataclass(slots=True)
class State:
    """Docker's state of a container. Times are wall seconds; None is never."""

    status: str = "created"  # created, running, paused, restarting, removing, exited, dead
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def running(self) -> bool:
        """True while it has a process, or will have one again by itself; as Docker's Running."""
        return self.status in ("running", "paused", "restarting")

    @property
    def paused(self) -> bool:
        return self.status == "paused"

    @property
    def restarting(self) -> bool:
        return self.status == "restarting"


@dataclass(slots=True, eq=False)
class Container:
    """One container of this host. Identity is the object; two are never equal."""

    id: str
    name: str  # without the API's leading slash
    created: float
    image: str  # as the user wrote it
    image_id: str
    path: str
    args: list[str]
    config: JsonObject  # Docker's Config
    host_config: JsonObject  # Docker's HostConfig
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)  # network name -> settings, in order
    mounts: list[MountPoint] = field(default_factory=list)
    state: State = field(default_factory=State)
    restart_count: int = 0
    manually_stopped: bool = False
    stopped_by_daemon: bool = False  # it ran when the daemon last stopped
    restarting_by_user: bool = False  # its end is the first half of `docker restart`: AutoRemove waits
    # while running
    sandbox: Sandbox | None = None
    sandbox_id: str = ""
    guest: Guest | None = None
    process: Process | None = None
    ports: list[Any] = field(default_factory=list)  # overlay.host.Published, set and read by engine.networks
    health: Health | None = None
    execs: dict[str, Exec] = field(default_factory=dict)  # not ended yet
    # from creation to removal; made by Containers
    log: ContainerLog = field(init=False)
    streams: Streams = field(init=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one change of state at a time
    exit_waiters: list[asyncio.Future[int]] = field(default_factory=list)
    removal_waiters: list[asyncio.Future[int]] = field(default_factory=list)

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def hostname(self) -> str:
        """What `hostname` prints inside: with the domain when there is one."""
        return str(self.config["Hostname"])

    @property
    def network_mode(self) -> str:
        """HostConfig.NetworkMode: default, bridge, host, none, container:ID, or a network's name or id."""
        return str(self.host_config.get("NetworkMode") or "default")

    @property
    def shares_sandbox_of(self) -> str | None:
        """The container whose sandbox this one uses, or None."""
        mode = self.network_mode
        return mode.removeprefix("container:") if mode.startswith("container:") else None

    @property
    def log_readable(self) -> bool:
        """False with `--log-driver none`: nothing is kept then."""
        return bool(self.host_config["LogConfig"]["Type"] != "none")

    def event_attributes(self) -> dict[str, str]:
        """What every event about this container carries: labels, image and name."""
        labels: dict[str, str] = self.config.get("Labels") or {}
        return {**labels, "image": self.image, "name": self.name}
