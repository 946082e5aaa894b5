"""Keys of encrypted overlays, made of the swarm's gossip keys: who may gossip may read, and nobody else.

A key made for one purpose tells nothing of the key that it was made of (HKDF, RFC 5869), so packets in great number
under it do not wear the gossip key out. When the gossip keys are rotated these follow.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LENGTH = 32
_PURPOSE = b"shoal encrypted overlays"


def overlay_keys(gossip_keys: Sequence[bytes], cluster_id: str) -> list[bytes]:
    """In the same order: the first one is for sealing."""
    return [HKDF(SHA256(), _LENGTH, cluster_id.encode(), _PURPOSE).derive(key) for key in gossip_keys]
