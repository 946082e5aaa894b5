"""`python -m scenarios.crashes`: the sweep as a command. Exit status 1 when a point left something wrong."""

from __future__ import annotations

import argparse
import sys

from scenarios.crashes.sweep import HOWS, Outcome, Point, run
from scenarios.crashes.sweeping import sweep


def _tell(outcome: Outcome) -> None:
    where = "undisturbed" if outcome.point is None else f"{outcome.point} (at: {outcome.step})"
    for violation in outcome.violations:
        print(f"  {where}: {violation}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.crashes", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=40, metavar="N", help="only each N-th point (default 40)")
    parser.add_argument("--nightly", action="store_true", help="every point")
    parser.add_argument("--how", choices=HOWS, action="append", help="only these")
    parser.add_argument("--point", metavar="HOST:COMMIT:HOW", help="one point alone, as the sweep names it")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes (default: a core each)")
    options = parser.parse_args()
    if options.point:
        try:
            outcome = run(options.seed, Point.parse(options.point))
        except ValueError as error:
            parser.error(f"--point: HOST:COMMIT:HOW expected, as in h1:40:power: {error}")
        _tell(outcome)
        print(f"{outcome.point} (at: {outcome.step or 'never reached'}): {len(outcome.violations)} wrong")
        return 1 if outcome.violations else 0
    every = 1 if options.nightly else max(1, options.every)
    found = sweep(options.seed, every=every, hows=options.how or HOWS, jobs=options.jobs, tell=_tell)
    kinds = ", ".join(f"{count} {how}" for how, count in found.tried.items())
    print(
        f"seed {found.seed}: {found.steps} operations, {found.commits} commits; {found.total} points tried ({kinds}), "
        f"{len(found.wrong)} left something wrong; {found.seconds:.0f} s"
    )
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
