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

from daemon.cluster.authority import NODE_LIFE, issuer_facts
from daemon.cluster.joining import Secrets
from daemon.cluster.tokens import JoinToken, digest_of, new_secret
from daemon.cluster.vault import new_key
from daemon.engine.documents import JsonObject, rfc3339
from daemon.errors import ApiError, BadParameter, NotImplementedYet
from gossip.tables.row import Plain, Row, Value

SWARM_TABLE, SWARM_KEY = "swarm", "swarm"
_NONCE = 12  # bytes, AES-GCM's
_LEAST_LIFE = 3_600_000_000_000  # nanoseconds


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


def certificate_life(shown: object) -> float:
    """Seconds, of a completed spec; swarmkit's default for what is none."""
    config = shown.get("CAConfig") if isinstance(shown, dict) else None
    life = config.get("NodeCertExpiry") if isinstance(config, dict) else None
    return life / 1e9 if isinstance(life, int) else NODE_LIFE


def refused_ca(wished: JsonObject) -> ApiError | None:
    """Why a CA cannot be configured so, in swarmkit's words where it has some; None if it can."""
    config = wished["CAConfig"]
    if config["NodeCertExpiry"] < _LEAST_LIFE:
        return BadParameter("rpc error: code = InvalidArgument desc = minimum certificate expiry time is: 1h0m0s")
    if config.get("SigningCAKey") and not config.get("SigningCACert"):
        return BadParameter(
            "rpc error: code = InvalidArgument desc = if a signing CA key is provided, the signing CA cert must also "
            "be provided"
        )
    if config.get("ExternalCAs"):
        return NotImplementedYet("external certificate authorities are not there in this version of shoal")
    return None


def turned(wished: JsonObject, before: object) -> bool:
    """Whether a completed spec asks for another root CA than the one before."""
    old = before.get("CAConfig") if isinstance(before, dict) else None
    known = old.get("ForceRotate") if isinstance(old, dict) else 0
    return bool((wished["CAConfig"].get("ForceRotate") or 0) != (known or 0))


def _sealing(ca_key: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(b"shoal join tokens\0" + ca_key).digest())


def new_secrets(entropy: Callable[[int], bytes], *, locks: bool = False) -> Secrets:
    return Secrets(new_secret(entropy), new_secret(entropy), new_key(entropy) if locks else b"")


def locks(spec: JsonObject) -> bool:
    """Whether a completed spec has managers locked."""
    return bool(spec["EncryptionConfig"]["AutoLockManagers"])


def seal(secrets: Secrets, ca_key: bytes, cluster_id: str, entropy: Callable[[int], bytes]) -> bytes:
    nonce = entropy(_NONCE)
    text = cast(bytes, msgpack.packb([secrets.worker, secrets.manager, secrets.unlock]))
    return nonce + _sealing(ca_key).encrypt(nonce, text, cluster_id.encode())


def unseal(sealed: Plain, ca_key: bytes, cluster_id: str) -> Secrets | None:
    """None for what was not sealed with this key."""
    if not isinstance(sealed, bytes) or len(sealed) <= _NONCE:
        return None
    try:
        text = _sealing(ca_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], cluster_id.encode())
    except InvalidTag:
        return None
    worker, manager, *unlock = msgpack.unpackb(text)
    return Secrets(str(worker), str(manager), *unlock)


def first_row(spec: JsonObject, sealed: bytes, wall: float) -> Value:
    return {"created": wall, "updated": wall, "spec": cast(Plain, spec), "tokens": sealed}


def tls_info(root: bytes, issuer: bytes) -> JsonObject:
    subject, public = issuer_facts(issuer)
    return {"TrustRoot": root.decode(), "CertIssuerSubject": subject, "CertIssuerPublicKey": public}


def document(
    row: Row, *, cluster_id: str, roots: tuple[bytes, bytes], rotating: bool, pools: list[str], subnet_size: int
) -> JsonObject:
    """As `GET /swarm` and `docker info` show it, without the tokens."""
    created, updated = row.value.get("created"), row.value.get("updated")
    return {
        "ID": cluster_id,
        "Version": {"Index": row.lamport},
        "CreatedAt": rfc3339(created if isinstance(created, int | float) else None),
        "UpdatedAt": rfc3339(updated if isinstance(updated, int | float) else None),
        "Spec": row.value.get("spec") or {},
        "TLSInfo": tls_info(*roots),
        "RootRotationInProgress": rotating,
        "DefaultAddrPool": pools,
        "SubnetSize": subnet_size,
        "DataPathPort": 4789,
    }


def tokens_document(secrets: Secrets, ca: bytes) -> JsonObject:
    digest = digest_of(ca)
    return {"Worker": str(JoinToken(digest, secrets.worker)), "Manager": str(JoinToken(digest, secrets.manager))}
