"""Short stories in which everything must go exactly as it should: what a swarm promises beside running containers.

A drill is for when nothing else is broken. It says what must be so, everywhere and by when; it leaves the draft as
the storm may find it. Each gives False, and adds nothing, where the scenario has not what it needs.
"""

from __future__ import annotations

from collections.abc import Callable

from scenarios.search.draft import Draft
from scenarios.search.drills import membership, numbers, presence, writes

DRILLS: dict[str, tuple[int, Callable[[Draft], bool]]] = {
    "one-is-away": (6, presence.one_is_away), "boots-alone": (3, presence.boots_alone),
    "all-die": (3, presence.all_die), "is-removed": (4, membership.is_removed), "fills-up": (2, numbers.fills_up),
    "roles-change": (2, membership.roles_change), "labels": (2, writes.labels), "keys-change": (2, writes.keys_change),
    "twins": (2, writes.twins), "long-life": (2, writes.long_life), "leaves": (3, membership.leaves),
    "splits": (3, numbers.splits), "hiccup": (2, presence.hiccup), "own-swarm": (1, membership.own_swarm),
    "removed-in-a-cut": (2, numbers.removed_in_a_cut), "moves": (3, numbers.moves),
}  # fmt: skip
"""With how often each is chosen."""


def some_drill(draft: Draft) -> None:
    """One that the scenario has what it needs for, if any."""
    left = {name: weight for name, (weight, _) in DRILLS.items()}
    while left:
        name = draft.chance.choices(list(left), list(left.values()))[0]
        del left[name]
        if DRILLS[name][1](draft):
            return
