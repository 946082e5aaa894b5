"""Anti-entropy: two hosts find what differs by digests and exchange just that (push/pull).

Three questions, each smaller in scope and each skipped when the one before found nothing:
1. the digest of every table → the bucket digests of the tables that differ;
2. what the asker has in the buckets that differ (hashes) → the records that it lacks, and the hashes that are wanted;
3. the wanted records → nothing.
Answers are cut at a size; the asker begins again until nothing differs. The asker is a generator that yields requests
and is sent answers, the other side a function: neither waits nor sends.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import cast

import msgpack

from gossip.tables.digest import BUCKETS, group
from gossip.tables.record import RING, ROSTER, RecordId
from gossip.tables.replica import Replica

CHUNK = 512 * 1024
"""Bytes of records in one message, about."""
MAX_ROUNDS = 64
"""Rounds of one repair: it ends for others' sake even if records change faster than they are exchanged."""


class RepairError(ValueError):
    """A repair message that makes no sense."""


class NotAdmitted(Exception):
    """The peer does not find us in its roster (yet)."""


def repair(replica: Replica) -> Generator[bytes, bytes, int]:
    """Ask a peer until nothing differs; returns how many records came. Raises NotAdmitted, RepairError."""
    received = 0
    for _ in range(MAX_ROUNDS):
        answer = _answered((yield _pack({"op": "tables", "tables": replica.digests.tables()})))
        ours: dict[str, dict[int, list[list[int]]]] = {}
        for name, theirs in _sums(answer.get("sums")).items():
            mine = replica.digests.sums(name)
            differing = [index for index in range(BUCKETS) if mine[index] != theirs[index]]
            if differing:
                ours[name] = {
                    index: [[hashed, print_] for hashed, print_, _ in replica.digests.bucket(name, index)]
                    for index in differing
                }
        if not ours:
            return received
        answer = _answered((yield _pack({"op": "buckets", "buckets": ours})))
        records, want = answer.get("records"), answer.get("want")
        if not isinstance(records, list) or not isinstance(want, list):
            raise RepairError("an answer to buckets has records and wants")
        wanted = _wanted(replica, ours, want)
        changed = replica.merge_packed(records)
        received += len(changed)
        while wanted:
            chunk, wanted = _cut(wanted)
            _answered((yield _pack({"op": "records", "records": chunk})))
        if not changed:
            return received
    return received


def answer(replica: Replica, peer: str, request: bytes) -> bytes:
    """What to say to one request of a peer's repair; raises RepairError."""
    message = _unpack(request)
    if replica.failed:
        raise RepairError("this host cannot write to its disk")
    if replica.in_roster(replica.node_id) and not replica.in_roster(peer):
        return _pack({"refused": True})
    op = message.get("op")
    if op == "tables":
        theirs = message.get("tables")
        if not isinstance(theirs, dict):
            raise RepairError("tables are a map")
        mine = replica.digests.tables()
        names = sorted({**mine, **{name: 0 for name in theirs if isinstance(name, str)}}, key=_precedence)
        return _pack(
            {"sums": {name: replica.digests.sums(name) for name in names if mine.get(name) != theirs.get(name)}}
        )
    if op == "buckets":
        return _answer_buckets(replica, message.get("buckets"))
    if op == "records":
        records = message.get("records")
        if not isinstance(records, list):
            raise RepairError("records are an array")
        replica.merge_packed(records)
        return _pack({})
    raise RepairError("unknown question")


def _answer_buckets(replica: Replica, buckets: object) -> bytes:
    if not isinstance(buckets, dict):
        raise RepairError("buckets are a map")
    records: list[bytes] = []
    want: list[int] = []
    size, more = 0, False
    for name in sorted((name for name in buckets if isinstance(name, str)), key=_precedence):
        for index, theirs in _bucket_hashes(buckets[name]).items():
            for hashed, print_, id in replica.digests.bucket(name, index):
                known = theirs.pop(hashed, None)
                if known == print_:
                    continue
                if known is not None:
                    want.append(hashed)
                packed = replica.packed(id)
                if packed is None:
                    continue
                if size > CHUNK:
                    more = True
                    continue
                records.append(packed)
                size += len(packed)
            want += sorted(theirs)
    return _pack({"records": records, "want": want, "more": more})


def _bucket_hashes(found: object) -> dict[int, dict[int, int]]:
    if not isinstance(found, dict):
        raise RepairError("a table's buckets are a map")
    result: dict[int, dict[int, int]] = {}
    for index, pairs in found.items():
        if type(index) is not int or not 0 <= index < BUCKETS or not isinstance(pairs, list):
            raise RepairError("no such bucket")
        hashes: dict[int, int] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2 or not all(type(part) is int for part in pair):
                raise RepairError("a bucket has pairs of hashes")
            hashes[pair[0]] = pair[1]
        result[index] = hashes
    return result


def _wanted(replica: Replica, buckets: Mapping[str, Mapping[int, object]], want: list[object]) -> list[bytes]:
    wanted = {hashed: None for hashed in want if type(hashed) is int}
    found: list[bytes] = []
    for name in sorted(buckets, key=_precedence):
        for index in buckets[name]:
            for hashed, _, id in replica.digests.bucket(name, index):
                packed = replica.packed(id) if hashed in wanted else None
                if packed is not None:
                    found.append(packed)
    return found


def _cut(records: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    size = 0
    for index, packed in enumerate(records):
        size += len(packed)
        if size > CHUNK:
            return records[: index + 1], records[index + 1 :]
    return records, []


def _precedence(name: str) -> tuple[int, str]:
    """The roster first (it says whose rows count), then the rings, then rows."""
    order = {group(RecordId(ROSTER, "", "", "")): 0, group(RecordId(RING, "", "", "")): 1}
    return order.get(name, 2), name


def _sums(found: object) -> dict[str, list[int]]:
    if not isinstance(found, dict):
        raise RepairError("an answer to tables has sums")
    for name, sums in found.items():
        if not isinstance(name, str) or not isinstance(sums, list) or len(sums) != BUCKETS:
            raise RepairError("a table has a sum for each bucket")
        if not all(type(value) is int for value in sums):
            raise RepairError("sums are numbers")
    return cast("dict[str, list[int]]", found)


def _answered(data: bytes) -> dict[str, object]:
    message = _unpack(data)
    if message.get("refused"):
        raise NotAdmitted
    return message


def _pack(message: Mapping[str, object]) -> bytes:
    return cast(bytes, msgpack.packb(message, use_bin_type=True))


def _unpack(data: bytes) -> dict[str, object]:
    try:
        message = msgpack.unpackb(data, raw=False, strict_map_key=False)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise RepairError(str(error)) from None
    if not isinstance(message, dict):
        raise RepairError("a message is a map")
    return cast("dict[str, object]", message)
