"""The membership on disk: in the clear, or, on a manager with autolock, sealed with a key that its disk does not have.

The key (swarmkit's KEK, `SWMKEY-1-…`) is one for the whole swarm; managers know it from the swarm's row, where it lies
sealed with the CA's key like the join tokens. A daemon that starts on a sealed membership is *locked*: it is no member
until somebody brings the key. Sealed is all that makes this host a member: its private key, the gossip keys, the CA's.
What stays readable: its address, and the tables (networks, nodes), which hold no secret that is not itself sealed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.cluster import identity
from daemon.cluster.identity import Membership, UnreadableMembership

if TYPE_CHECKING:
    from daemon.store.contract import Storage

_KIND, _KEY = "swarm", "membership"
_PREFIX = "SWMKEY-1-"
_LENGTH = 32  # bytes: AES-256
_NONCE = 12  # bytes, AES-GCM's
_PURPOSE = b"shoal membership"


class Locked(Exception):
    """The stored membership is sealed and this is not its key. `address`: of the host in its swarm."""

    def __init__(self, address: str) -> None:
        super().__init__("the membership is sealed")
        self.address = address


class BadKey(ValueError):
    """Not an unlock key at all. The text is swarmkit's."""

    def __init__(self) -> None:
        super().__init__("invalid key string")


def new_key(entropy: Callable[[int], bytes]) -> bytes:
    return entropy(_LENGTH)


def key_text(key: bytes) -> str:
    """As `docker swarm unlock-key` prints it (swarmkit's encryption.HumanReadableKey); empty for no key."""
    return _PREFIX + base64.b64encode(key).decode().rstrip("=") if key else ""


def parse_key(text: str) -> bytes:
    """Raises BadKey."""
    digits = text.strip().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey from error
    if not text.strip().startswith(_PREFIX) or len(key) != _LENGTH:
        raise BadKey
    return key


class Vault:
    """One host's membership in its store. Raises OSError when the disk refuses."""

    def __init__(self, store: Storage, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._entropy = entropy
        self._key = b""
        self._turned = False  # what lies there is in the clear, or under another key

    def load(self, key: bytes = b"") -> Membership | None:
        """What was saved; a sealed one with its `key` only. Raises Locked, UnreadableMembership."""
        data = self._store.get(_KIND, _KEY)
        if data is None:
            return None
        try:
            document = msgpack.unpackb(data)
            sealed = document.get("sealed")
            if sealed is None:
                return identity.unpacked(document)
            address = str(document["address"])
            try:
                if len(key) != _LENGTH:
                    raise Locked(address)
                document = msgpack.unpackb(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE))
            except InvalidTag as error:
                raise Locked(address) from error
        except (ValueError, TypeError, KeyError, AttributeError, msgpack.exceptions.UnpackException) as error:
            raise UnreadableMembership(str(error)) from error
        self._key = key
        return identity.unpacked(document)

    def save(self, membership: Membership) -> None:
        """Sealed if there is a key and this is a manager: a worker holds no secret of the swarm but its own."""
        plain = cast(bytes, msgpack.packb(identity.packed(membership)))
        if self._key and membership.is_manager:
            nonce = self._entropy(_NONCE)
            sealed = nonce + AESGCM(self._key).encrypt(nonce, plain, _PURPOSE)
            plain = cast(bytes, msgpack.packb({"address": membership.address, "sealed": sealed}))
        self._store.commit([(_KIND, _KEY, plain)])
        if self._turned:
            self._store.purge()
            self._turned = False
        else:
            self._store.sync()  # who it is must outlive a loss of power: the others will not forget it

    def use(self, key: bytes) -> bool:
        """Seal with this key from the next `save` on, or not at all (b""); whether that is a change."""
        changed, self._key = key != self._key, key
        self._turned = self._turned or changed
        return changed

    def forget(self) -> None:
        self._store.commit([(_KIND, _KEY, None)])
        self._store.sync()  # a spent id must not come back
        self._key = b""
