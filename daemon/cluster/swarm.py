"""The swarm's own object on a manager: inspect, update, join tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.cluster import spec
from daemon.cluster.authority import Authority, NotOurs, StandIn, X509Authority, checked_root
from daemon.cluster.joining import Secrets
from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter, ServerError

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
        secrets = self._secrets()
        if secrets is None:
            raise ServerError("the join tokens have not reached this manager yet")
        return secrets

    def _secrets(self) -> Secrets | None:
        """They are sealed with the CA's key; while that is being replaced, with either."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        keys = (membership.ca_key, membership.next_ca_key) if row is not None else ()
        sealed = row.value.get("tokens") if row is not None else None
        found = (spec.unseal(sealed, key, membership.cluster_id) for key in keys if key)
        return next((secrets for secrets in found if secrets is not None), None)

    def inspect(self) -> JsonObject:
        """`GET /swarm`, with the join tokens."""
        self._cluster.manage()
        root, _ = self._cluster.rotation.shown()
        return self.document() | {"JoinTokens": spec.tokens_document(self.secrets(), root)}

    def document(self) -> JsonObject:
        """Without the tokens, as `docker info` has it."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        if row is None:
            raise ServerError("the swarm's object has not reached this manager yet")
        return spec.document(
            row,
            cluster_id=membership.cluster_id,
            roots=self._cluster.rotation.shown(),
            rotating=self._cluster.rotation.in_progress,
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
        secrets = self._secrets()
        return secrets.unlock if secrets is not None else None

    def update(
        self, version: int, body: JsonObject, *, rotate_worker: bool, rotate_manager: bool, rotate_unlock: bool
    ) -> None:
        """`docker swarm update`, `ca --rotate`, `join-token --rotate` and `unlock-key --rotate`."""
        gossip, membership = self._cluster.manage()
        if body.get("Name") not in (None, "", "default"):
            raise BadParameter('swarm spec must be named "default"')
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        if row is None or row.lamport != version:
            raise ServerError("rpc error: code = Unknown desc = update out of sequence")
        wished = spec.completed(body)
        if (refusal := spec.refused_ca(wished)) is not None:
            raise refusal
        config, world, old = wished["CAConfig"], self._engine.world, self.secrets()
        certificate, key = config.pop("SigningCACert", ""), config.pop("SigningCAKey", "")
        if spec.turned(wished, row.value.get("spec")) or key:
            self.rotate_ca(certificate.encode(), key.encode())
        fresh = spec.new_secrets(world.entropy, locks=spec.locks(wished))
        keep_lock = spec.locks(wished) and old.unlock and not rotate_unlock
        secrets = Secrets(
            fresh.worker if rotate_worker else old.worker,
            fresh.manager if rotate_manager else old.manager,
            old.unlock if keep_lock else fresh.unlock,
        )
        ca_key = self._cluster.rotation.sealing_key(membership)
        sealed = spec.seal(secrets, ca_key, membership.cluster_id, world.entropy)
        value = {**row.value, "spec": wished, "tokens": sealed, "updated": world.wall()}
        gossip.write(spec.SWARM_TABLE, spec.SWARM_KEY, value)

    def rotate_ca(self, certificate: bytes = b"", key: bytes = b"") -> None:
        """Begin to replace the root CA by this one, or by a new one. Raises BadParameter."""
        world = self._engine.world
        following: Authority
        if certificate and key:
            try:
                following = checked_root(certificate, key, world.entropy, world.wall())
            except NotOurs as error:
                raise BadParameter(f"rpc error: code = InvalidArgument desc = {error}") from error
        elif self._engine.config.cluster_tls:
            following = X509Authority.create(world.entropy, world.wall())
        else:
            following = StandIn.create(world.entropy)
        self._cluster.rotation.rotate(following)

    def new_tokens(self) -> None:
        """With a new root CA the join tokens are new: they name it."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(spec.SWARM_TABLE, spec.SWARM_KEY)
        if row is None:
            return
        world, old, wished = self._engine.world, self._secrets(), row.value.get("spec")
        locked = isinstance(wished, dict) and spec.locks(wished)
        fresh = spec.new_secrets(world.entropy, locks=locked)
        if old is not None and locked:
            fresh = replace(fresh, unlock=old.unlock)
        ca_key = self._cluster.rotation.sealing_key(membership)
        sealed = spec.seal(fresh, ca_key, membership.cluster_id, world.entropy)
        gossip.write(spec.SWARM_TABLE, spec.SWARM_KEY, {**row.value, "tokens": sealed, "updated": world.wall()})
