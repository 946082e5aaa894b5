"""A random order of which only as much is worked out as is asked for: nobody copies thousands to pick a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def lazily_shuffled(items: Sequence[T], random: Random) -> Iterator[T]:
    """Fisher-Yates with the exchanged places kept aside: every order is equally likely. ``items`` must not change."""
    moved: dict[int, int] = {}
    size = len(items)
    for place in range(size):
        other = random.randrange(place, size)
        here = moved.pop(place, place)
        if other == place:
            yield items[here]
        else:
            chosen = moved.get(other, other)
            moved[other] = here
            yield items[chosen]
