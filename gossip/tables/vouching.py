"""Whom a removed node had admitted: those that its remover did not know of go with it.

A node that nobody can hear may admit others before it learns that it was removed. Its remover counts without them: it
collects tombstones that they have never seen, and inherits ranges that they were given. So a removal says whom the
removed had admitted as far as its remover knew, and whoever else names it as the one who admitted him is removed by the
same removal. Of two removals that know different ones only those count whom both knew: either remover went on without
the others.

A removal may also be heard before the nodes that it counts: until those are known there is somebody to wait for.

Every host draws this conclusion from the records that it holds, so all that hold the same come to the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gossip.tables.digest import fingerprint
from gossip.tables.record import RosterBody


def vouched(roster: Mapping[str, RosterBody], node: str) -> tuple[int, ...]:
    """What a removal says of whom `node` admitted, the removed too (who went on from them counts by them)."""
    return tuple(sorted(_print(other) for other, body in roster.items() if body.by == node and other != node))


def gone_with(roster: Mapping[str, RosterBody], changed: str) -> Iterator[tuple[str, RosterBody]]:
    """Records that follow from a changed one: of its node, and of those that this node admitted."""
    body = roster[changed]
    admitted = [node for node, other in roster.items() if other.by == changed] if body.removal is not None else []
    for node in dict.fromkeys([changed, *admitted]):
        admitter = roster.get(roster[node].by)
        if roster[node].by == node or admitter is None or admitter.removal is None or admitter.vouched is None:
            continue
        if _print(node) not in admitter.vouched:
            before = roster[node]
            after = before.join(RosterBody(0, "", "", "", "", admitter.removal, ()))
            if after != before:
                yield node, after


def unheard(roster: Mapping[str, RosterBody]) -> bool:
    """Whether a removal counts somebody who is not in this roster yet."""
    return missing(roster, [print_ for body in roster.values() for print_ in body.vouched or ()])


def missing(roster: Mapping[str, RosterBody], said: Sequence[object]) -> bool:
    """Whether one of those whom somebody says that he has admitted (see `vouched`) is not in this roster yet."""
    wanted = dict.fromkeys(said)
    for node in roster if wanted else ():
        wanted.pop(_print(node), None)
    return bool(wanted)


def _print(node: str) -> int:
    return fingerprint(node.encode())
