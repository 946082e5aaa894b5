"""Join tokens: `SWMTKN-1-<digest of the CA>-<secret>`, as swarmkit writes them (ca/config.go, GenerateJoinToken).

The digest lets a joiner trust the CA before it tells anybody the secret; the secret tells the manager whether
a worker or a manager is asking.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGEST_LENGTH = 50  # 256 bits
_SECRET_LENGTH = 25  # 128 bits
_TOKEN = re.compile(rf"SWMTKN-1-([0-9a-z]{{{_DIGEST_LENGTH}}})-([0-9a-z]{{{_SECRET_LENGTH}}})")


class BadToken(ValueError):
    """Not a token at all. The text is Docker's."""

    def __init__(self) -> None:
        super().__init__("invalid join token")


def base36(number: int, length: int) -> str:
    """Zero-padded to `length` digits; digits beyond it are cut from the left."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


@dataclass(frozen=True, slots=True)
class JoinToken:
    """digest: base 36 of the SHA-256 of the CA's certificate; secret: base 36 of 128 random bits."""

    digest: str
    secret: str

    def __str__(self) -> str:
        return f"SWMTKN-1-{self.digest}-{self.secret}"

    def fits(self, ca_certificate: bytes) -> bool:
        """Is this the CA that the token was made for?"""
        return hmac.compare_digest(self.digest, digest_of(ca_certificate))


def digest_of(ca_certificate: bytes) -> str:
    """Of the PEM text, as swarmkit."""
    return base36(int.from_bytes(hashlib.sha256(ca_certificate).digest(), "big"), _DIGEST_LENGTH)


def new_secret(entropy: Callable[[int], bytes]) -> str:
    return base36(int.from_bytes(entropy(16), "big"), _SECRET_LENGTH)


def parse_token(text: str) -> JoinToken:
    """Raises BadToken."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise BadToken
    return JoinToken(match[1], match[2])
