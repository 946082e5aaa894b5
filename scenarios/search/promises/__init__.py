"""What is promised while nothing is broken, tried with chances of its own: each a small story that ends as it began."""

from __future__ import annotations

from collections.abc import Callable

from scenarios.search.draft import Draft
from scenarios.search.promises import doors, life, networks, packets

PROMISES: dict[str, Callable[[Draft], None]] = {
    "pausing": life.pausing, "stopping": life.stopping, "signalled": life.signalled, "ending": life.ending,
    "made-first": life.made_first, "health": life.health, "volumes": life.volumes,
    "chosen-address": networks.chosen_address, "own-aliases": networks.aliases, "renaming": networks.renaming,
    "joining": networks.joining, "full": networks.full, "apart": networks.apart,
    "none-and-host": networks.none_and_host, "sizes": packets.sizes, "noise": packets.noise, "copies": packets.copies,
    "losses": packets.losses, "streams": packets.streams, "closed": packets.closed, "hops": packets.hops,
    "published": doors.published, "chosen-by-the-host": doors.chosen_by_the_host, "seen-as": doors.seen_as,
    "untranslated": doors.untranslated, "spoofing": networks.spoofing,
}  # fmt: skip
"""By name."""


def keep(draft: Draft, most: int) -> None:
    """Tries some of them."""
    for name in draft.chance.sample(list(PROMISES), draft.chance.randint(0, most)):
        draft.add({"note": f"promised: {name}"})
        PROMISES[name](draft)
