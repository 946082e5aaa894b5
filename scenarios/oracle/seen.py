"""What the daemons say of the containers that must be there: the checker's own question to each host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiodocker.exceptions import DockerError

from scenarios.oracle.world import Box, World
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """A running container on a network: its addresses there (`own` with the prefix), and what it must be called.
    box: None for one that nobody was told of, as when the answer to its `run` was lost."""

    box: Box | None
    id: str
    host: str
    name: str
    paused: bool
    network: str
    network_name: str
    driver: str
    address: str
    own: str
    address6: str
    mac: str
    hostname: str
    names: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """documents: inspect's of all containers, by id. networks: by host and id. nodes, swarm: by host. silent: hosts
    without an answer."""

    documents: dict[str, Document] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)
    networks: dict[str, dict[str, Document]] = field(default_factory=dict)
    nodes: dict[str, list[Document]] = field(default_factory=dict)
    swarm: dict[str, str] = field(default_factory=dict)
    silent: dict[str, None] = field(default_factory=dict)

    def network(self, host: str, id: str) -> Document:
        """As its own host tells, else as any does."""
        if (found := self.networks.get(host, {}).get(id)) is not None:
            return found
        return next((networks[id] for networks in self.networks.values() if id in networks), {})

    def spots(self, world: World) -> list[Spot]:
        """Of all containers that run."""
        found = []
        for host, ids in self.listed.items():
            for id in ids:
                document = self.documents[id]
                if document["State"]["Status"] in ("running", "paused"):
                    found += self._spots(world, host, document)
        return found

    def _spots(self, world: World, host: str, document: Document) -> list[Spot]:
        found = []
        box = world.boxes.get(document["Id"]) if host not in world.vague else None
        for name, settings in document["NetworkSettings"]["Networks"].items():
            network = self.network(host, settings["NetworkID"])
            if not settings["IPAddress"]:
                continue
            called = box.name if box is not None else document["Name"].removeprefix("/")
            place = box.places.get(name) if box is not None else None
            # A place that was lost with the swarm and is there again may be without what was asked for once.
            sure = place is not None and place.on is True
            aliases = place.aliases if place is not None and sure else tuple(settings.get("Aliases") or ())
            hostname = document["Config"]["Hostname"]
            names = dict.fromkeys(n.lower() for n in (called, *aliases, document["Id"][:12], hostname))
            found.append(
                Spot(box, document["Id"], host, called, document["State"]["Status"] == "paused",
                     settings["NetworkID"], name, str(network.get("Driver", "")), settings["IPAddress"],
                     f"{settings['IPAddress']}/{settings['IPPrefixLen']}", settings.get("GlobalIPv6Address") or "",
                     settings["MacAddress"], hostname, tuple(names))
            )  # fmt: skip
        return found


async def look(stage: Stage) -> Seen:
    """Asks every host for its containers, its networks, and what it holds of the swarm."""
    seen = Seen()
    for host in stage.swarm.addresses:
        client = stage.swarm.client(host)
        try:
            listed = await client.get("containers/json", all=1)
            networks = await client.get("networks")
            swarm = (await client.get("info"))["Swarm"]
            nodes = await client.get("nodes") if swarm["ControlAvailable"] else None
            documents = [await client.get(f"containers/{c['Id']}/json") for c in listed]
        except (DockerError, HostSilent, SwarmFailed, TimeoutError, OSError):
            seen.silent[host] = None
            continue
        seen.listed[host] = [d["Id"] for d in documents]
        seen.documents |= {d["Id"]: d for d in documents}
        seen.networks[host] = {n["Id"]: n for n in networks}
        seen.swarm[host] = swarm["LocalNodeState"]
        if nodes is not None:
            seen.nodes[host] = nodes
    return seen
