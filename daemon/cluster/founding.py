"""The first node of a new swarm makes the swarm: its CA, its id, its gossip key, and its own certificate."""

from __future__ import annotations

from daemon.cluster.authority import Authority, NodeName, StandIn, X509Authority, new_key, public_part
from daemon.cluster.identity import Membership
from daemon.world import World

_GOSSIP_KEY = 32  # bytes: AES-256


def found(world: World, address: str, *, pools: tuple[str, ...], subnet_size: int, use_tls: bool) -> Membership:
    """A manager's membership of a swarm that did not exist before."""
    authority: Authority
    if use_tls:
        authority, key = X509Authority.create(world.entropy, world.wall()), new_key(world.entropy)
    else:
        authority, key = StandIn.create(world.entropy), world.entropy(32)
    node_id, cluster_id = world.swarm_id(), world.swarm_id()
    name = NodeName(node_id, "manager", cluster_id)
    return Membership(
        node_id=node_id,
        cluster_id=cluster_id,
        role="manager",
        address=address,
        ca=authority.certificate,
        certificate=authority.issue(public_part(key) if use_tls else key, name, world.wall()),
        key=key,
        gossip_keys=(world.entropy(_GOSSIP_KEY),),
        seeds=(),
        pools=pools,
        subnet_size=subnet_size,
        ca_key=authority.key,
    )
