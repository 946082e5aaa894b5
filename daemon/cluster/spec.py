"""The swarm's own object: its spec with Docker's defaults, and the row that keeps it.

The row also carries the join tokens' secrets, sealed with a key that only managers have: rows go to every node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import cast

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.cluster.authority import issuer_facts
from daemon.cluster.joining import Secrets
from daemon.cluster.tokens import JoinToken, digest_of, new_secret
from daemon.engine.documents import JsonObject, rfc3339
from gossip.tables.row import Plain, Row, Value

SWARM_TABLE, SWARM_KEY = "swarm", "swarm"
_NONCE = 12  # bytes, AES-GCM's


def completed(given: JsonObject | None) -> JsonObject:
    """SwarmSpec as a manager shows it: what was given over swarmkit's defaults (manager/state, DefaultClusterSpec)."""
    given = given or {}

    def part(name: str) -> JsonObject:
        return {k: v for k, v in (given.get(name) or {}).items() if v}

    return {
        "Name": given.get("Name") or "default",
        "Labels": given.get("Labels") or {},
        "Orchestration": {"TaskHistoryRetentionLimit": 5} | part("Orchestration"),
        "Raft": {
            "SnapshotInterval": 10000,
            "KeepOldSnapshots": 0,
            "LogEntriesForSlowFollowers": 500,
            "ElectionTick": 10,
            "HeartbeatTick": 1,
        }
        | part("Raft"),
        "Dispatcher": {"HeartbeatPeriod": 5_000_000_000} | part("Dispatcher"),
        "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000} | part("CAConfig"),
        "TaskDefaults": given.get("TaskDefaults") or {},
        "EncryptionConfig": {"AutoLockManagers": bool((given.get("EncryptionConfig") or {}).get("AutoLockManagers"))},
    }


def _sealing(ca_key: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(b"shoal join tokens\0" + ca_key).digest())


def new_secrets(entropy: Callable[[int], bytes]) -> Secrets:
    return Secrets(new_secret(entropy), new_secret(entropy))


def seal(secrets: Secrets, ca_key: bytes, cluster_id: str, entropy: Callable[[int], bytes]) -> bytes:
    nonce = entropy(_NONCE)
    text = cast(bytes, msgpack.packb([secrets.worker, secrets.manager]))
    return nonce + _sealing(ca_key).encrypt(nonce, text, cluster_id.encode())


def unseal(sealed: Plain, ca_key: bytes, cluster_id: str) -> Secrets | None:
    """None for what was not sealed with this key."""
    if not isinstance(sealed, bytes) or len(sealed) <= _NONCE:
        return None
    try:
        text = _sealing(ca_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], cluster_id.encode())
    except InvalidTag:
        return None
    worker, manager = msgpack.unpackb(text)
    return Secrets(str(worker), str(manager))


def first_row(spec: JsonObject, sealed: bytes, wall: float) -> Value:
    return {"created": wall, "updated": wall, "spec": cast(Plain, spec), "tokens": sealed}


def tls_info(ca: bytes) -> JsonObject:
    subject, public = issuer_facts(ca)
    return {"TrustRoot": ca.decode(), "CertIssuerSubject": subject, "CertIssuerPublicKey": public}


def document(row: Row, *, cluster_id: str, ca: bytes, pools: list[str], subnet_size: int) -> JsonObject:
    """As `GET /swarm` and `docker info` show it, without the tokens."""
    created, updated = row.value.get("created"), row.value.get("updated")
    return {
        "ID": cluster_id,
        "Version": {"Index": row.lamport},
        "CreatedAt": rfc3339(created if isinstance(created, int | float) else None),
        "UpdatedAt": rfc3339(updated if isinstance(updated, int | float) else None),
        "Spec": row.value.get("spec") or {},
        "TLSInfo": tls_info(ca),
        "RootRotationInProgress": False,
        "DefaultAddrPool": pools,
        "SubnetSize": subnet_size,
        "DataPathPort": 4789,
    }


def tokens_document(secrets: Secrets, ca: bytes) -> JsonObject:
    digest = digest_of(ca)
    return {"Worker": str(JoinToken(digest, secrets.worker)), "Manager": str(JoinToken(digest, secrets.manager))}
