"""TLS contexts for port 2377: a manager shows its certificate, a member shows its own, a joiner has none yet.

Python's ssl reads a node's own certificate and key from files only; they lie in the state directory with rights for
the owner alone, where Docker has swarm/certificates.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from daemon.cluster.identity import Membership


def _write_private(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    temporary.replace(path)


def _load_own(context: ssl.SSLContext, folder: Path, me: Membership) -> None:
    """With the certificate by which the present CA vouches for the next one, for peers that have not heard of that."""
    password = hashlib.sha256(b"shoal node key\0" + me.key).hexdigest().encode()
    _write_private(folder / "swarm-node.key", _encrypted(me.key, password))
    _write_private(folder / "swarm-node.crt", me.certificate + me.cross)
    context.load_cert_chain(folder / "swarm-node.crt", folder / "swarm-node.key", password)


def _encrypted(key: bytes, password: bytes) -> bytes:
    """The file is of use only to who has the key already: a membership may lie sealed beside it (`vault.py`)."""
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


def server_context(folder: Path, me: Membership) -> ssl.SSLContext:
    """A manager's. Peers may show a certificate, which must then be the swarm's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load_own(context, folder, me)
    _trust(context, *me.roots)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def first_contact() -> ssl.SSLContext:
    """To fetch the CA's certificate, which the token's digest then proves; nothing secret may be sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_context(*roots: bytes) -> ssl.SSLContext:
    """Trusts these CAs and nothing else. Names are checked by the caller: nodes have ids, not host names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    _trust(context, *roots)
    return context


def member_context(folder: Path, me: Membership) -> ssl.SSLContext:
    """As client_context, showing the own certificate."""
    context = client_context(*me.roots)
    _load_own(context, folder, me)
    return context


def _trust(context: ssl.SSLContext, *roots: bytes) -> None:
    context.load_verify_locations(cadata=b"\n".join(roots).decode())
