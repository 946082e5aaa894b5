"""What each host's API says of containers, endpoints and networks at one time: the checker's own question to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiodocker.exceptions import DockerError

from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed

_ANSWER = 3.0
_VXLAN = "com.docker.network.driver.overlay.vxlanid_list"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running container's place on a network."""

    host: str
    container: str
    name: str
    network: str
    network_name: str
    address: str
    mac: str


@dataclass(slots=True)
class View:
    """Of one host. active: it is a member of the swarm; manager: and shows all of its networks; node: its id; seal: the
    gossip key that it seals with, by digest; removed: ids that are so in its eyes.
    networks: id to the API's document; containers: id to (name, state)."""

    host: str
    at: float
    active: bool
    manager: bool = False
    node: str = ""
    seal: str = ""
    removed: tuple[str, ...] = ()
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, tuple[str, str]] = field(default_factory=dict)
    endpoints: list[Endpoint] = field(default_factory=list)

    def is_overlay(self, network: str) -> bool:
        return str(self.networks.get(network, {}).get("Driver")) == "overlay"


def vni(network: dict[str, Any]) -> int | None:
    text = str((network.get("Options") or {}).get(_VXLAN, "")).split(",")[0]
    return int(text) if text.isdigit() else None


async def look(stage: Stage, host: str) -> View | None:
    """None: it does not answer (killed, paused), which is no violation by itself."""
    if not stage.swarm.is_up(host) or host in stage.expected_down:
        return None
    at = stage.swarm.now()
    client = stage.swarm.client(host)
    try:
        async with asyncio.timeout(_ANSWER):
            standing = await stage.swarm.control(host, "GET", "/v1/standing")
            networks = await client.get("networks")
            containers = await client.get("containers/json", all=1)
    except (DockerError, HostSilent, SwarmFailed, TimeoutError, OSError):
        return None
    own = standing["node"], standing["seal"], tuple(standing["removed"])
    view = View(host, at, standing["state"] == "active", standing["manager"], *own)
    view.networks = {n["Id"]: n for n in networks}
    for c in containers:
        name = next((n.removeprefix("/") for n in c["Names"] if n.count("/") == 1), c["Id"][:12])
        view.containers[c["Id"]] = (name, c["State"])
        if c["State"] not in ("running", "paused"):
            continue
        for network_name, s in c["NetworkSettings"]["Networks"].items():
            if s["IPAddress"]:
                view.endpoints.append(
                    Endpoint(host, c["Id"], name, s["NetworkID"], network_name, s["IPAddress"], s["MacAddress"])
                )
    return view


async def look_at_all(stage: Stage) -> dict[str, View]:
    found = [await look(stage, host) for host in stage.swarm.addresses]
    return {view.host: view for view in found if view is not None}
