"""The cluster's certificate authority: one root, a certificate per node that says id, role and cluster.

As in swarmkit: ECDSA P-256, the root is `CN=swarm-ca`, a node is `CN=<node id>, OU=swarm-manager|swarm-worker,
O=<cluster id>`. Only managers hold the root's key. `StandIn` takes its place in a simulation, where TLS is left out
because its bytes differ from run to run: the same interface, documents in the place of certificates, a keyed hash in
the place of a signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Entropy = Callable[[int], bytes]
_ROOT_LIFE = timedelta(days=20 * 365)
NODE_LIFE = 90 * 86400.0
"""Seconds for which a node's certificate is good, unless the swarm's spec says otherwise (swarmkit's default)."""
# A node's clock may be behind the manager's that signs for it.
_BACKDATE = timedelta(hours=1)
_LEAST_ROOT_LIFE = timedelta(days=365)  # of a CA that is brought (swarmkit's ca.RootCAExpiration less what it allows)
_PEM = b"-----BEGIN CERTIFICATE"


@dataclass(frozen=True, slots=True)
class NodeName:
    """Who a certificate speaks for. role: "manager" or "worker"."""

    node_id: str
    role: str
    cluster_id: str


class NotOurs(Exception):
    """A certificate that this cluster's CA has not signed, or one that says nothing we know."""


class Authority(Protocol):
    """Signs nodes. `certificate` and `key` are what a manager hands to another manager."""

    @property
    def certificate(self) -> bytes: ...
    @property
    def key(self) -> bytes: ...
    def issue(self, request: bytes, name: NodeName, wall: float, life: float = NODE_LIFE) -> bytes:
        """A node's certificate for the public key of `request`, good for `life` seconds. Raises NotOurs for a request
        that cannot be read."""

    def vouch(self, root: bytes) -> bytes:
        """This CA's certificate for another one: who trusts this root may trust that one."""


def _number(entropy: Entropy, below: int) -> int:
    return int.from_bytes(entropy(40), "big") % (below - 1) + 1


# The order of P-256's group (SEC 2, 2.4.2); private keys lie below it.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def new_key(entropy: Entropy) -> bytes:
    """A private key in PEM."""
    key = ec.derive_private_key(_number(entropy, _ORDER), ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_part(key: bytes) -> bytes:
    """What a node sends to have signed."""
    return _private(key).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    loaded = serialization.load_pem_private_key(key, password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise NotOurs("not an elliptic-curve key")
    return loaded


class X509Authority:
    """The real one."""

    def __init__(self, certificate: bytes, key: bytes, entropy: Entropy) -> None:
        self.certificate = certificate
        self.key = key
        self._entropy = entropy
        self._signing = _private(key)
        self._root = x509.load_pem_x509_certificate(certificate)

    @classmethod
    def create(cls, entropy: Entropy, wall: float) -> X509Authority:
        key = new_key(entropy)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
        now = datetime.fromtimestamp(wall, UTC)
        public = _private(key).public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(_number(entropy, 1 << 159))
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + _ROOT_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        root = builder.sign(_private(key), hashes.SHA256())
        return cls(root.public_bytes(serialization.Encoding.PEM), key, entropy)

    def issue(self, request: bytes, name: NodeName, wall: float, life: float = NODE_LIFE) -> bytes:
        try:
            public = serialization.load_pem_public_key(request)
        except (ValueError, TypeError) as error:
            raise NotOurs(f"no public key: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise NotOurs("not an elliptic-curve key")
        now = datetime.fromtimestamp(wall, UTC)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, name.cluster_id),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"swarm-{name.role}"),
                x509.NameAttribute(NameOID.COMMON_NAME, name.node_id),
            ]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._root.subject)
            .public_key(public)
            .serial_number(_number(self._entropy, 1 << 159))
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + timedelta(seconds=life))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._signing.public_key()), critical=False
            )
        )
        return builder.sign(self._signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


    def vouch(self, root: bytes) -> bytes:
        other = x509.load_pem_x509_certificate(root)
        builder = (
            x509.CertificateBuilder()
            .subject_name(other.subject)
            .issuer_name(self._root.subject)
            .public_key(other.public_key())
            .serial_number(_number(self._entropy, 1 << 159))
            .not_valid_before(max(other.not_valid_before_utc, self._root.not_valid_before_utc))
            .not_valid_after(min(other.not_valid_after_utc, self._root.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(other.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._signing.public_key()), critical=False
            )
        )
        return builder.sign(self._signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def issued_by(certificate: bytes, root: bytes) -> bool:
    """Whether a CA has signed a certificate itself."""
    if not root.startswith(_PEM):
        return certificate.rpartition(b"\n")[2] == root
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(root))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def vouched(cross: bytes, other: bytes, root: bytes) -> bool:
    """Whether `cross` is the certificate by which the holder of `root` vouches for the root `other`."""
    if not issued_by(cross, root):
        return False
    if not root.startswith(_PEM):
        return cross.startswith(other + b"\n")
    try:
        mine, theirs = x509.load_pem_x509_certificate(cross), x509.load_pem_x509_certificate(other)
    except (ValueError, TypeError):
        return False
    return mine.public_key() == theirs.public_key() and mine.subject == theirs.subject


def checked_root(certificate: bytes, key: bytes, entropy: Entropy, wall: float) -> X509Authority:
    """A CA that somebody brings. Raises NotOurs with swarmkit's reasons."""
    try:
        root = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError) as error:
        text = 'invalid root certificates: {"code":1003,"message":"Failed to parse certificate"}'
        raise NotOurs(text) from error
    try:
        signing = _private(key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = 'malformed private key: {"code":2003,"message":"Failed to parse private key"}'
        raise NotOurs(text) from error
    if root.public_key() != signing.public_key():
        raise NotOurs("certificate key mismatch")
    if root.not_valid_after_utc < datetime.fromtimestamp(wall, UTC) + _LEAST_ROOT_LIFE:
        raise NotOurs("CA certificate expires too soon")
    try:
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = None
    if constraints is None or not constraints.ca:
        raise NotOurs("certificate is not a CA certificate")
    return X509Authority(root.public_bytes(serialization.Encoding.PEM), new_form(key), entropy)


def new_form(key: bytes) -> bytes:
    """A private key in PEM as this program writes it."""
    return _private(key).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def name_in(certificate: bytes) -> NodeName:
    """Whom a node's certificate (DER or PEM) speaks for. Who signed it is for the caller to know. Raises NotOurs."""
    try:
        load = x509.load_pem_x509_certificate if certificate.startswith(_PEM) else x509.load_der_x509_certificate
        node = load(certificate)
    except (ValueError, TypeError) as error:
        raise NotOurs(f"no certificate: {error}") from error

    def only(oid: x509.ObjectIdentifier) -> str:
        found = node.subject.get_attributes_for_oid(oid)
        if len(found) != 1:
            raise NotOurs("a certificate without cluster, role or id")
        return str(found[0].value)

    role = only(NameOID.ORGANIZATIONAL_UNIT_NAME).removeprefix("swarm-")
    return NodeName(only(NameOID.COMMON_NAME), role, only(NameOID.ORGANIZATION_NAME))


def issuer_facts(certificate: bytes) -> tuple[str, str]:
    """Subject and public key of the CA in base64 DER, as `docker node inspect` shows them; empty for a stand-in."""
    if not certificate.startswith(_PEM):
        return "", ""
    root = x509.load_pem_x509_certificate(certificate)
    public = root.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(root.subject.public_bytes()).decode(), base64.b64encode(public).decode()


def validity(certificate: bytes) -> tuple[float, float]:
    """From when until when a node's certificate is good, in wall-clock seconds. Raises NotOurs."""
    try:
        if not certificate.startswith(_PEM):
            _, _, _, since, until = json.loads(certificate.partition(b"\n")[0])
            return float(since), float(until)
        found = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError) as error:
        raise NotOurs(str(error)) from error
    return (found.not_valid_before_utc + _BACKDATE).timestamp(), found.not_valid_after_utc.timestamp()


class StandIn:
    """The simulation's: no asymmetric keys; whoever holds `certificate` can check what `key`'s holder issued only by
    asking, which is enough where the network is a queue in memory."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def create(cls, entropy: Entropy) -> StandIn:
        key = entropy(32)
        return cls(b"stand-in " + hashlib.sha256(key).hexdigest().encode(), key)

    def issue(self, request: bytes, name: NodeName, wall: float, life: float = NODE_LIFE) -> bytes:
        return self._signed(json.dumps([name.node_id, name.role, name.cluster_id, wall, wall + life]).encode())

    def vouch(self, root: bytes) -> bytes:
        return self._signed(root)

    def _signed(self, body: bytes) -> bytes:
        return body + b"\n" + hmac.new(self.key, body, hashlib.sha256).hexdigest().encode() + b"\n" + self.certificate
