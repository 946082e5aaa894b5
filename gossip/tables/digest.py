"""Digests that find what differs between two hosts at a cost of what differs, not of what there is.

Each record has a fingerprint; a bucket's digest is the sum (mod 2^64) of its records' fingerprints, a table's the
sum of its buckets. Sums are kept up to date as records change, so a comparison reads no row. (A flat Merkle tree;
sums instead of hashes of hashes because they can be changed in place.)
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from gossip.tables.record import RecordId

BUCKETS = 64
"""Buckets of a table: 10,000 rows make some 150 a bucket."""
MASK = (1 << 64) - 1


def fingerprint(data: bytes) -> int:
    """64 bits that stand for a record's bytes."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def id_hash(id: RecordId) -> int:
    """64 bits that stand for what a record is about; its low bits choose the bucket."""
    return int.from_bytes(blake2b("\x1f".join(id).encode(), digest_size=8).digest(), "big")


def group(id: RecordId) -> str:
    """The name under which a record's table is compared."""
    return id.kind + id.table


class Digests:
    """Per group of records: BUCKETS sums, and in each bucket the fingerprint of every record.

    `scopes` of the questions: None is everything; else the records without a scope and those of these scopes.
    """

    __slots__ = ("_buckets", "_sums")

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, list[int]]] = {}
        self._buckets: dict[str, list[dict[int, tuple[int, RecordId, str]]]] = {}

    def set(self, id: RecordId, print_: int | None, scope: str = "") -> None:
        """Note a record's new fingerprint, or that it is gone."""
        name, hashed = group(id), id_hash(id)
        sums = self._sums.get(name)
        if sums is None:
            sums = self._sums[name] = {}
            self._buckets[name] = [{} for _ in range(BUCKETS)]
        index = hashed % BUCKETS
        bucket = self._buckets[name][index]
        old = bucket.pop(hashed, None)
        if old is not None:
            _add(sums, old[2], index, -old[0])
        if print_ is not None:
            bucket[hashed] = (print_, id, scope)
            _add(sums, scope, index, print_)

    def tables(self, scopes: Sequence[str] | None = None) -> dict[str, int]:
        """Each group's digest; groups without records are left out."""
        return {name: total for name in sorted(self._sums) if (total := sum(self.sums(name, scopes)) & MASK)}

    def root(self, scopes: Sequence[str] | None = None) -> int:
        """One number for everything."""
        return fingerprint(repr(list(self.tables(scopes).items())).encode())

    def sums(self, name: str, scopes: Sequence[str] | None = None) -> list[int]:
        """The digests of a group's buckets."""
        known = self._sums.get(name, {})
        wanted = known if scopes is None else dict.fromkeys(["", *scopes])
        parts = [known[scope] for scope in wanted if scope in known]
        if len(parts) == 1:
            return list(parts[0])
        return [sum(each) & MASK for each in zip(*parts, strict=True)] or [0] * BUCKETS

    def bucket(self, name: str, index: int, scopes: Sequence[str] | None = None) -> list[tuple[int, int, RecordId]]:
        """(hash of the id, fingerprint, id) of each record of a bucket, in order of the hash."""
        buckets = self._buckets.get(name)
        if buckets is None:
            return []
        wanted = None if scopes is None else dict.fromkeys(["", *scopes])
        found = ((hashed, *buckets[index][hashed]) for hashed in sorted(buckets[index]))
        return [(hashed, print_, id) for hashed, print_, id, scope in found if wanted is None or scope in wanted]


def _add(sums: dict[str, list[int]], scope: str, index: int, amount: int) -> None:
    of_scope = sums.setdefault(scope, [0] * BUCKETS)
    of_scope[index] = (of_scope[index] + amount) & MASK
    if not of_scope[index] and not any(of_scope):
        del sums[scope]
