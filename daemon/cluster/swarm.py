"""The swarm's own object on a manager: inspect, update, join tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cluster import spec
from daemon.cluster.joining import Secrets
from daemon.engine.documents import JsonObject
from daemon.errors import ServerError

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine


class SwarmObject:
    """What `GET /swarm` shows and `POST /swarm/update` changes. Every operation raises Unavailable on a worker."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster

    def secrets(self) -> Secrets:
        """Raises ServerError while the row has not reached this manager."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        secrets = spec.unseal(row.value.get("tokens"), membership.ca_key, membership.cluster_id) if row else None
        if secrets is None:
            raise ServerError("the join tokens have not reached this manager yet")
        return secrets

    def inspect(self) -> JsonObject:
        """`GET /swarm`, with the join tokens."""
        _, membership = self._cluster.manage()
        return self.document() | {"JoinTokens": spec.tokens_document(self.secrets(), membership.ca)}

    def document(self) -> JsonObject:
        """Without the tokens, as `docker info` has it."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        if row is None:
            raise ServerError("the swarm's object has not reached this manager yet")
        return spec.document(
            row,
            cluster_id=membership.cluster_id,
            ca=membership.ca,
            pools=list(membership.pools),
            subnet_size=membership.subnet_size,
        )

    def certificate_life(self) -> float:
        """Seconds for which nodes' certificates are to be good."""
        gossip = self._cluster.gossip
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY) if gossip is not None else None
        return spec.certificate_life(row.value.get("spec") if row is not None else None)

    def unlock_key(self) -> bytes | None:
        """The key that locked managers need, b"" while they are not locked; None while the row has not reached this
        manager, or is sealed with a key that it has not got yet."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        secrets = spec.unseal(row.value.get("tokens"), membership.ca_key, membership.cluster_id) if row else None
        return secrets.unlock if secrets is not None else None

    def update(
        self, version: int, body: JsonObject, *, rotate_worker: bool, rotate_manager: bool, rotate_unlock: bool
    ) -> None:
        """`docker swarm update`, `join-token --rotate` and `unlock-key --rotate`."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        if row is None or row.lamport != version:
            raise ServerError("rpc error: code = Unknown desc = update out of sequence")
        wished = spec.completed(body)
        if (refusal := spec.refused_ca(wished, row.value.get("spec"))) is not None:
            raise refusal
        world, old = self._engine.world, self.secrets()
        fresh = spec.new_secrets(world.entropy, locks=spec.locks(wished))
        keep_lock = spec.locks(wished) and old.unlock and not rotate_unlock
        secrets = Secrets(
            fresh.worker if rotate_worker else old.worker,
            fresh.manager if rotate_manager else old.manager,
            old.unlock if keep_lock else fresh.unlock,
        )
        sealed = spec.seal(secrets, membership.ca_key, membership.cluster_id, world.entropy)
        value = {**row.value, "spec": wished, "tokens": sealed, "updated": world.wall()}
        gossip.write(spec.SWARM_TABLE, spec.SWARM_KEY, value)
