"""Who this host is in its swarm, and where its gossip's state lies on disk.

One document names the membership (`vault.py` keeps it). Gossip's own documents lie under kinds that begin with the
node's id: a host that leaves and joins again is a new node with a clean slate, and what the old one knew stays as an
archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.engine.documents import JsonObject

if TYPE_CHECKING:
    from daemon.store.contract import Storage

_VERSION = 1


class UnreadableMembership(Exception):
    """The store's document is of a later version, or no such document at all."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Secrets: `key` (this node's), `gossip_keys`, and on a manager `ca_key`. `seeds`: addresses of members to try
    at a start, managers first. `pools`, `subnet_size`: of `docker swarm init --default-addr-pool`. While the root CA is
    being replaced: `next_ca`, on managers its `next_ca_key`, and `cross`, the present CA's certificate for it."""

    node_id: str
    cluster_id: str
    role: str  # manager, worker
    address: str
    ca: bytes
    certificate: bytes
    key: bytes
    gossip_keys: tuple[bytes, ...]
    seeds: tuple[str, ...]
    pools: tuple[str, ...] = ("10.0.0.0/8",)
    subnet_size: int = 24
    ca_key: bytes = b""
    next_ca: bytes = b""
    next_ca_key: bytes = b""
    cross: bytes = b""

    @property
    def is_manager(self) -> bool:
        return self.role == "manager"

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Root certificates that it trusts; the last one signs by now."""
        return (self.ca, self.next_ca) if self.next_ca else (self.ca,)


def packed(membership: Membership) -> JsonObject:
    """The document that is stored."""
    return {name: getattr(membership, name) for name in Membership.__dataclass_fields__} | {"version": _VERSION}


def unpacked(document: JsonObject) -> Membership:
    """Raises UnreadableMembership."""
    try:
        if document.pop("version") != _VERSION:
            raise UnreadableMembership("written by a later version of shoal")
        for name in ("gossip_keys", "seeds", "pools"):
            document[name] = tuple(document[name])
        return Membership(**document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableMembership(str(error)) from error


class NodeStorage:
    """The part of the host's store that belongs to one node id."""

    def __init__(self, store: Storage, node_id: str) -> None:
        self._store = store
        self._prefix = f"{node_id}/"

    @property
    def doubtful(self) -> bool:
        return self._store.doubtful

    def settle(self) -> None:
        self._store.settle()

    def get(self, kind: str, key: str) -> bytes | None:
        return self._store.get(self._prefix + kind, key)

    def all(self, kind: str) -> list[tuple[str, bytes]]:
        return self._store.all(self._prefix + kind)

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        self._store.commit([(self._prefix + kind, key, value) for kind, key, value in changes])
