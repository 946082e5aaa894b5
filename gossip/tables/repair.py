"""Anti-entropy: two hosts find what differs by digests and exchange just that (push/pull).

Three questions, each smaller in scope and each skipped when the one before found nothing:
1. the digest of every table → the bucket digests of the tables that differ;
2. what the asker has in the buckets that differ (hashes) → the records that it lacks, and the hashes that are wanted;
3. the wanted records → nothing.
Where members take only rows of the scopes that they are attached to (`Replica.interest_only`) the first question says
which these are, and the answer which both sides take: the rest of the repair is about those, and rows without a scope.

Answers are cut at a size; the asker begins again until nothing differs. The asker is a generator that yields requests
and is sent answers, the other side a function: neither waits nor sends.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple, cast

import msgpack

from gossip.tables.digest import BUCKETS, group, id_hash
from gossip.tables.record import RING, ROSTER, SHARED, RecordId
from gossip.tables.replica import Replica

CHUNK = 512 * 1024
"""Bytes of records in one message, about."""
MAX_ROUNDS = 64
"""Rounds of one repair: it ends for others' sake even if records change faster than they are exchanged."""


class RepairError(ValueError):
    """A repair message that makes no sense."""


class NotAdmitted(Exception):
    """The peer does not find us in its roster (yet), or is new itself."""


class Repaired(NamedTuple):
    """What came of a repair. doubtful: the peer is in doubt of its own disk."""

    received: int
    doubtful: bool


def repair(replica: Replica, peer: str = "") -> Generator[bytes, bytes, Repaired]:
    """Ask a peer until nothing differs. Raises NotAdmitted, RepairError. peer: its id, which a newcomer must say."""
    received, doubtful = 0, False
    for _ in range(MAX_ROUNDS):
        answer = _answered((yield _pack(_opening(replica))))
        doubtful, agreed = answer.get("doubt") is True, _scopes(answer.get("scopes"))
        if replica.in_doubt and answer.get("held") is not None:
            replica.disprove(_held(answer.get("held")))
        ours: dict[str, dict[int, list[list[int]]]] = {}
        for name, theirs in _sums(answer.get("sums")).items():
            mine = replica.digests.sums(name, agreed)
            differing = [index for index in range(BUCKETS) if mine[index] != theirs[index]]
            if differing:
                ours[name] = {
                    index: [[hashed, print_] for hashed, print_, _ in replica.digests.bucket(name, index, agreed)]
                    for index in differing
                }
        if not ours:
            return Repaired(received, doubtful)
        question: dict[str, object] = {"op": "buckets", "buckets": ours, "doubt": replica.in_doubt}
        asked_in_doubt = replica.in_doubt
        answer = _answered((yield _pack(_with_scopes(question, agreed))))
        records, want = answer.get("records"), answer.get("want")
        if not isinstance(records, list) or not isinstance(want, list):
            raise RepairError("an answer to buckets has records and wants")
        # What is unproven at both may be told, but by the time that it comes one of them may be in doubt no more.
        unproven = doubtful and replica.in_doubt
        wanted = _wanted(replica, ours, want, unproven=unproven)
        changed = replica.merge_packed(
            records, peer=peer, doubtful=doubtful, proven=not doubtful, unproven=doubtful and asked_in_doubt
        )
        received += len(changed)
        while wanted:
            chunk, wanted = _cut(wanted)
            told = {"op": "records", "records": chunk, "doubt": replica.in_doubt, "unproven": unproven}
            _answered((yield _pack(told)))
        if not changed:
            return Repaired(received, doubtful)
    return Repaired(received, doubtful)


def answer(replica: Replica, peer: str, request: bytes) -> bytes:
    """What to say to one request of a peer's repair; raises RepairError."""
    message = _unpack(request)
    if replica.failed:
        raise RepairError("this host cannot write to its disk")
    if replica.newcomer or (replica.in_roster(replica.node_id) and not replica.in_roster(peer)):
        return _pack({"refused": True})
    op, doubtful = message.get("op"), message.get("doubt") is True
    if op == "tables":
        if isinstance(own := message.get("self"), bytes):
            replica.merge_packed([own])
        theirs = message.get("tables")
        if not isinstance(theirs, dict):
            raise RepairError("tables are a map")
        agreed = _agreed(replica, message)
        mine = replica.digests.tables(agreed)
        names = sorted({**mine, **{name: 0 for name in theirs if isinstance(name, str)}}, key=_precedence)
        sums = {name: replica.digests.sums(name, agreed) for name in names if mine.get(name) != theirs.get(name)}
        # Whoever is new, or back and not in step yet, cannot tell what has been removed.
        knows = doubtful and replica.bounded and not replica.in_doubt
        held = _still_there(replica, message.get("unproven")) if knows else None
        return _pack(_with_scopes({"sums": sums, "doubt": replica.in_doubt, "held": held}, agreed))
    if op == "buckets":
        return _answer_buckets(replica, message.get("buckets"), _agreed(replica, message), unproven=doubtful)
    if op == "records":
        records = message.get("records")
        if not isinstance(records, list):
            raise RepairError("records are an array")
        replica.merge_packed(records, doubtful=doubtful, unproven=message.get("unproven") is True)
        return _pack({})
    raise RepairError("unknown question")


def _opening(replica: Replica) -> dict[str, object]:
    """The first question; who is in doubt shows its record in the roster, which says so, and asks too which rows, that
    only its old disk knows, are really there."""
    unproven = [[id.table, id_hash(id)] for id in replica.unproven()]
    scopes = replica.wanted_scopes()
    tables = replica.digests.tables(scopes)
    opening = {"op": "tables", "tables": tables, "doubt": replica.in_doubt, "unproven": unproven}
    if replica.in_doubt:
        opening["self"] = replica.packed(RecordId(ROSTER, "", replica.node_id, ""))
    return _with_scopes(opening, scopes)


def _still_there(replica: Replica, asked: object) -> list[int]:
    """Of the rows that are asked for, by table and hash, those that are held."""
    if not isinstance(asked, list):
        raise RepairError("unproven rows are an array")
    found: list[int] = []
    for pair in asked:
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) is not int:
            raise RepairError("an unproven row is a table and a hash")
        name = group(RecordId(SHARED, pair[0], "", ""))
        if any(hashed == pair[1] for hashed, _, _ in replica.digests.bucket(name, pair[1] % BUCKETS)):
            found.append(pair[1])
    return found


def _held(found: object) -> dict[int, object]:
    if not isinstance(found, list) or not all(type(hashed) is int for hashed in found):
        raise RepairError("held rows are hashes")
    return dict.fromkeys(found)


def _with_scopes(message: dict[str, object], scopes: list[str] | None) -> dict[str, object]:
    return message if scopes is None else {**message, "scopes": scopes}


def _agreed(replica: Replica, message: Mapping[str, object]) -> list[str] | None:
    """The scopes that both sides take; None for all."""
    asked, ours = _scopes(message.get("scopes")), replica.wanted_scopes()
    if asked is None or ours is None:
        return ours if asked is None else asked
    wanted = dict.fromkeys(ours)
    return [scope for scope in asked if scope in wanted]


def _scopes(found: object) -> list[str] | None:
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(scope, str) for scope in found):
        raise RepairError("scopes are an array of names")
    return found


def _answer_buckets(replica: Replica, buckets: object, scopes: list[str] | None, *, unproven: bool) -> bytes:
    """`unproven`: the asker is in doubt as well, and takes what only our old disk knows."""
    if not isinstance(buckets, dict):
        raise RepairError("buckets are a map")
    records: list[bytes] = []
    want: list[int] = []
    size, more = 0, False
    for name in sorted((name for name in buckets if isinstance(name, str)), key=_precedence):
        for index, theirs in _bucket_hashes(buckets[name]).items():
            for hashed, print_, id in replica.digests.bucket(name, index, scopes):
                known = theirs.pop(hashed, None)
                if known == print_:
                    continue
                if known is not None:
                    want.append(hashed)
                packed = replica.packed(id)
                if packed is None or (replica.is_unproven(id) and not unproven):
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


def _wanted(
    replica: Replica, buckets: Mapping[str, Mapping[int, object]], want: list[object], *, unproven: bool
) -> list[bytes]:
    wanted = {hashed: None for hashed in want if type(hashed) is int}
    found: list[bytes] = []
    for name in sorted(buckets, key=_precedence):
        for index in buckets[name]:
            for hashed, _, id in replica.digests.bucket(name, index):
                packed = replica.packed(id) if hashed in wanted else None
                if packed is not None and (unproven or not replica.is_unproven(id)):
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
