"""Encryption of packets and streams: AES-GCM with a ring of keys (memberlist security.go).

Sealed bytes are: version (0 or 1), nonce of 12, ciphertext, tag of 16. Version 0 pads the plaintext by PKCS7 to the
AES block, version 1 does not. The first key of the ring seals, every key opens, so that a key can be replaced in a
running cluster: add everywhere, use everywhere, remove everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip.wire.errors import WireError

KEY_SIZES = (16, 24, 32)
_NONCE = 12
_TAG = 16
_BLOCK = 16
SEAL_OVERHEAD = 1 + _NONCE + _TAG
"""Bytes that version 1 adds."""


class Keyring:
    """The gossip keys of one node; empty means that nothing is encrypted."""

    def __init__(self, keys: Sequence[bytes], entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in keys:
            self.add(key)

    def __bool__(self) -> bool:
        return bool(self._ciphers)

    def keys(self) -> list[bytes]:
        """The primary first."""
        return list(self._ciphers)

    def add(self, key: bytes) -> None:
        """Let ``key`` open; it seals only if the ring was empty. Raises ValueError for a bad size."""
        if len(key) not in KEY_SIZES:
            raise ValueError("a gossip key has 16, 24 or 32 bytes")
        self._ciphers.setdefault(key, AESGCM(key))

    def use(self, key: bytes) -> None:
        """Seal with ``key`` from now on. Raises KeyError when it was not added."""
        cipher = self._ciphers[key]
        self._ciphers = {key: cipher, **{other: each for other, each in self._ciphers.items() if other != key}}

    def remove(self, key: bytes) -> None:
        """Raises ValueError for the key that seals; a key that is not there is no error."""
        if key == next(iter(self._ciphers), None):
            raise ValueError("the key in use cannot be removed")
        self._ciphers.pop(key, None)

    def seal(self, plain: bytes, associated: bytes, version: int = 1) -> bytes:
        """Raises KeyError on an empty ring."""
        if not self._ciphers:
            raise KeyError("no gossip key")
        cipher = next(iter(self._ciphers.values()))
        nonce = self._entropy(_NONCE)
        if version == 0:
            padding = _BLOCK - len(plain) % _BLOCK
            plain += bytes((padding,)) * padding
        return bytes((version,)) + nonce + cipher.encrypt(nonce, plain, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Raises WireError when no key of the ring opens it."""
        if len(sealed) < SEAL_OVERHEAD:
            raise WireError("unauthenticated", "too short")
        version = sealed[0]
        if version > 1:
            raise WireError("unauthenticated", "not sealed, or an unknown version")
        nonce = sealed[1 : 1 + _NONCE]
        body = sealed[1 + _NONCE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, body, associated)
            except InvalidTag:
                continue
            return plain if version else _unpad(plain)
        raise WireError("unauthenticated", "no key opens it")


def sealed_size(plain: int, version: int = 1) -> int:
    """Bytes that ``plain`` bytes take when sealed."""
    if version == 0:
        plain += _BLOCK - plain % _BLOCK
    return plain + SEAL_OVERHEAD


def _unpad(plain: bytes) -> bytes:
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= _BLOCK or padding > len(plain) or plain[-padding:] != bytes((padding,)) * padding:
        raise WireError("bad_padding")
    return plain[:-padding]
