"""Autolock: which key this host's membership lies sealed with, and what it says while it waits for that key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cluster import spec
from daemon.cluster.identity import Membership, UnreadableMembership
from daemon.cluster.vault import BadKey, Locked, Vault, parse_key
from daemon.errors import BadParameter, Conflict, ServerError, Unauthorized, Unavailable

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine
    from gossip.tables.row import Change

LOCKED = (
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'
)
_LEAVING = "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."


class Lock:
    """`address`: this host's in the swarm whose membership is sealed; "" while it is not locked."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._cluster = cluster
        self._vault = Vault(engine.store, engine.world.entropy)
        self.address = ""

    def load(self) -> Membership | None:
        """At the daemon's start. None when there is none, or it is locked. Raises UnreadableMembership."""
        try:
            return self._vault.load()
        except Locked as locked:
            self.address = locked.address
            return None

    def opened(self, text: str) -> Membership:
        """The membership, by the key that somebody brings. Raises Docker's errors."""
        if self._cluster.is_manager:
            raise Conflict("swarm is not locked")
        if not self.address:
            raise Unavailable(self._cluster.no_manager_text())
        try:
            membership = self._vault.load(parse_key(text))
        except BadKey as error:
            raise BadParameter(str(error)) from error
        except Locked as error:
            raise Unauthorized("swarm could not be unlocked: invalid key provided") from error
        except UnreadableMembership as error:
            raise ServerError(f"swarm component could not be started: {error}") from error
        assert membership is not None
        return membership

    def given_up(self, *, force: bool) -> bool:
        """Leave a locked swarm; False when it is not locked. Raises Unavailable without `force`."""
        if not self.address:
            return False
        if not force:
            raise Unavailable(_LEAVING)
        self.forget()
        return True

    def save(self, membership: Membership) -> None:
        """Keep a membership, sealed as the swarm's row says by now. Raises OSError when the disk refuses."""
        self._turned()
        self._vault.save(membership)

    def save_new(self, membership: Membership, key: bytes) -> None:
        """The first time, in a swarm that this host has just made."""
        self._vault.use(key)
        self._vault.save(membership)

    def forget(self) -> None:
        """This host is no member any more."""
        self._vault.forget()
        self.address = ""

    def changed(self, change: Change) -> None:
        """A row changed: is the key another?"""
        if change.table == spec.SWARM_TABLE and change.key == spec.SWARM_KEY and self._cluster.ready:
            self.follow()

    def follow(self) -> None:
        """Seal anew if the swarm's row names another key."""
        if (membership := self._cluster.membership) is not None and self._turned():
            self._vault.save(membership)

    def _turned(self) -> bool:
        """A worker's membership is not sealed; a manager that has not got the row yet goes on with its key."""
        if self._cluster.membership is None:
            return False
        key = self._cluster.swarm.unlock_key() if self._cluster.is_manager else b""
        return key is not None and self._vault.use(key)
