"""Who joins begins with what its manager knows of the members, those who were removed included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.cluster.control_plane import ControlPlane
from gossip.node import GossipNode, Identity
from gossip.tables.record import RosterBody, decode_record
from scenarios.sim.swarm import SimulatedSwarm, simulate


def test_a_newcomer_hears_of_a_removal_before_its_first_packet() -> None:
    begun: list[tuple[str, Sequence[bytes]]] = []

    def noting(identity: Identity, **parts: Any) -> GossipNode:
        begun.append((identity.hostname, parts["admitted_with"]))
        return GossipNode(identity, **parts)

    async def main() -> None:
        hosts = SimulatedSwarm(1, 3)
        hosts.control_plane = ControlPlane(gossip=noting)
        async with hosts as swarm:
            await swarm.form()
            removed = swarm.hosts["h3"].engine.cluster.node_id
            await swarm.api("h1", "DELETE", f"/nodes/{removed}?force=1")
            await swarm.until(lambda: not swarm.hosts["h3"].engine.cluster.active, 10)
            tokens = await swarm.api("h1", "GET", "/swarm")
            assert isinstance(tokens, dict)
            body = {"JoinToken": tokens["JoinTokens"]["Worker"], "RemoteAddrs": [f"{swarm.addresses['h1']}:2377"]}
            await swarm.api("h3", "POST", "/swarm/join", body)
            host, roster = begun[-1]
            records = [decode_record(packed) for packed in roster]
            gone = [r.id.key for r in records if isinstance(r.body, RosterBody) and r.body.removal is not None]
            own = swarm.hosts["h3"].engine.cluster.node_id
            assert host == "h3" and gone == [removed] and own in [record.id.key for record in records]

    simulate(main(), limit=100)
