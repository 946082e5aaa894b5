"""The searches that are made, each with its bounds, and how they are told."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scenarios.exhaustive.model import Bounds, Model, Result


@dataclass(frozen=True, slots=True)
class Search:
    """most: states after which the search ends, breadth first, so that all up to a depth have been seen (0: none)."""

    name: str
    bounds: Bounds
    most: int = 0

    def run(self) -> Result:
        began = time.process_time()
        result = Model(self.bounds).explore(self.most)
        result.seconds = time.process_time() - began
        return result


SEARCHES = (
    Search("numbers in a cut", Bounds(donations=2, numbers=2, removals=0, crashes=0, cuts=1)),
    Search("numbers and a crash", Bounds(donations=2, numbers=2, removals=0, crashes=1, cuts=0, size=2)),
    Search("numbers and an old disk", Bounds(donations=1, numbers=1, removals=0, crashes=0, cuts=0, olds=1)),
    Search("a row's removal and an old disk", Bounds(donations=0, numbers=0, removals=0, crashes=0, rows=1, cuts=0,
                                                     olds=1), 3_000),
    Search("a removal and its heir", Bounds(donations=1, numbers=1, removals=1, crashes=0, cuts=0)),
    Search("a row's removal and a newcomer", Bounds(donations=0, numbers=0, removals=0, crashes=0, rows=1, cuts=0,
                                                    late=True)),
    Search("a row's removal, and a newcomer's admitter removed", Bounds(donations=0, numbers=0, removals=1, crashes=0,
                                                                          rows=1, cuts=0, late=True), 6_000),
    Search("numbers, and a newcomer's admitter removed", Bounds(donations=1, numbers=1, removals=1, crashes=0, cuts=0,
                                                                late=True), 6_000),
    Search("ring, roster and removal at once", Bounds(donations=2, numbers=1, removals=1, crashes=1, cuts=1), 60_000),
)  # fmt: skip
"""What CI makes."""

NIGHTLY = (
    Search("more numbers and a crash", Bounds(donations=2, numbers=1, removals=0, crashes=1, cuts=0)),
    Search("numbers, an old disk and a cut", Bounds(donations=2, numbers=1, removals=0, crashes=0, cuts=1, olds=1),
           100_000),
    Search("a row's removal, an old disk and a crash", Bounds(donations=0, numbers=0, removals=0, crashes=1, rows=1,
                                                              cuts=0, olds=1), 100_000),
    Search("numbers, and a newcomer's admitter removed, all", Bounds(donations=1, numbers=1, removals=1, crashes=0,
                                                                     cuts=0, late=True)),
    Search("a row's removal, and a newcomer's admitter removed, further",
           Bounds(donations=0, numbers=0, removals=2, crashes=1, rows=1, cuts=0, late=True), 300_000),
    Search("numbers, a crash and a cut", Bounds(donations=2, numbers=1, removals=0, crashes=1, cuts=1)),
    Search("a removal, its heir and a crash", Bounds(donations=1, numbers=0, removals=1, crashes=1, cuts=0)),
    Search("a removal, its heir and a cut", Bounds(donations=1, numbers=1, removals=1, crashes=0, cuts=1)),
    Search("two removals", Bounds(donations=1, numbers=0, removals=2, crashes=0, cuts=0)),
    Search("a row's removal, a newcomer, a crash and a cut", Bounds(donations=0, numbers=0, removals=0, crashes=1,
                                                                    rows=1, cuts=1, late=True), 400_000),
    Search("ring, roster and removal at once, further", Bounds(donations=2, numbers=1, removals=1, crashes=1, cuts=1),
           2_000_000),
)  # fmt: skip


def told(search: Search, result: Result) -> str:
    b = search.bounds
    amounts = {
        "donations": b.donations, "numbers taken": b.numbers, "removals of a node": b.removals,
        "removals of a row": b.rows, "crashes": b.crashes, "cuts": b.cuts, "old disks": b.olds,
        "newcomers": int(b.late),
    }  # fmt: skip
    bounds = ", ".join(f"{count} {name}" for name, count in amounts.items() if count)
    extent = f"all, {result.depth} steps deep" if result.complete else f"all within {result.depth} steps, and more"
    return (
        f"{search.name} ({bounds}): {result.states} states by {result.steps} steps, {extent}; {result.hosts} states of "
        f"a host; {result.seconds:.1f} s of a core"
    )
