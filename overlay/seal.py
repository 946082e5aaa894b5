"""The seal of encrypted overlays: AES-GCM over the inner frame, between VXLAN's header and the wire.

    VXLAN header (8, in the clear, authenticated) | SPI (4) | counter (6) | sealed frame | tag (16)

Docker uses IPsec's ESP for this (RFC 4106's AES-GCM); this is the same idea inside the UDP datagram, as long as what
Docker reckons for ESP when it chooses the MTU (26 bytes). A sender's key is derived from the swarm's key, the sender's
address and an SPI drawn at its start, so no two senders or starts share a key and the counter may be the nonce. A
receiver takes every counter once, in a window (RFC 4303, 3.4.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overlay.wire.vxlan import HEADER_LENGTH

OVERHEAD = 26
_SPI, _COUNTER, _NONCE = 4, 6, 12
_PREFIX = _SPI + _COUNTER
_WINDOW = 4096
_STARTS = 8
"""Associations kept per sender: its present start, and a few before it whose packets may still be under way."""


class _Association:
    """One sender since one of its starts, under one of the swarm's keys."""

    __slots__ = ("_highest", "_seen", "cipher", "key")

    def __init__(self, key: bytes, address: str, spi: bytes) -> None:
        self.key = key
        self.cipher = _cipher(key, address, spi)
        self._highest = -1
        self._seen = 0

    def fresh(self, counter: int) -> bool:
        """Whether this counter may still come."""
        behind = self._highest - counter
        return behind < 0 or (behind < _WINDOW and not self._seen >> behind & 1)

    def saw(self, counter: int) -> None:
        """It has come."""
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, _WINDOW) | 1) & (1 << _WINDOW) - 1
            self._highest = counter
        else:
            self._seen |= 1 << -ahead


class Sealer:
    """Seals for one host. `address` is the one that others see its datagrams come from."""

    def __init__(self, address: str, *, entropy: Callable[[int], bytes], counters: Counter[str]) -> None:
        self._address = address
        self._entropy = entropy
        self._counters = counters
        self._keys: tuple[bytes, ...] = ()
        self._own: AESGCM | None = None
        self._spi = b""
        self._counter = 0
        self._peers: dict[str, dict[bytes, _Association]] = {}

    @property
    def ready(self) -> bool:
        """Whether there is a key."""
        return self._own is not None

    def use(self, keys: Sequence[bytes]) -> None:
        """The swarm's keys for this; the first one seals, all of them open. None: the host is in no swarm."""
        sealing, self._keys = self._keys[:1], tuple(keys)
        # What came under a key that stays is remembered, or it could be sent again.
        for source, starts in self._peers.items():
            self._peers[source] = {spi: known for spi, known in starts.items() if known.key in self._keys}
        if sealing == self._keys[:1]:
            return
        self._spi = self._entropy(_SPI)
        # Anywhere in the lower half: should an SPI ever repeat, the counters still do not.
        self._counter = int.from_bytes(self._entropy(_COUNTER), "big") >> 1
        self._own = _cipher(keys[0], self._address, self._spi) if keys else None

    def seal(self, header: bytes, frame: bytes) -> bytes:
        """What follows the header on the wire."""
        assert self._own is not None, "a segment is sealed only when there is a key"
        self._counter += 1
        counter = self._counter.to_bytes(_COUNTER, "big")
        return b"".join((self._spi, counter, self._own.encrypt(counter.rjust(_NONCE, b"\0"), frame, header)))

    def open(self, data: bytes, source: str) -> bytes | None:
        """The frame in a datagram; None, and counted, when it is not one of the swarm's, was changed or came before."""
        header, body = data[:HEADER_LENGTH], data[HEADER_LENGTH:]
        if len(body) < OVERHEAD:
            self._counters["vxlan_dropped_seal_short"] += 1
            return None
        spi, counter, sealed = body[:_SPI], body[_SPI:_PREFIX], body[_PREFIX:]
        nonce, number = counter.rjust(_NONCE, b"\0"), int.from_bytes(counter, "big")
        known = self._peers.get(source, {}).get(spi)
        if known is not None and not known.fresh(number):
            self._counters["vxlan_dropped_seal_replayed"] += 1
            return None
        tries = [known] if known is not None else [_Association(key, source, spi) for key in self._keys]
        for association in tries:
            try:
                frame = association.cipher.decrypt(nonce, sealed, header)
            except InvalidTag:
                continue
            association.saw(number)
            if known is None:
                self._remember(source, spi, association)
            return frame
        self._counters["vxlan_dropped_seal_wrong"] += 1
        return None

    def _remember(self, source: str, spi: bytes, association: _Association) -> None:
        starts = self._peers.setdefault(source, {})
        starts[spi] = association
        if len(starts) > _STARTS:
            del starts[next(iter(starts))]


def _cipher(key: bytes, address: str, spi: bytes) -> AESGCM:
    info = b"shoal vxlan " + address.encode() + b" " + spi
    return AESGCM(HKDF(SHA256(), 32, None, info).derive(key))
