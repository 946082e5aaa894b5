"""`python -m scenarios.exhaustive`: every state within bounds. Exit status 1 when one is wrong, with the way to it."""

from __future__ import annotations

import argparse
import sys

from scenarios.exhaustive.searches import NIGHTLY, SEARCHES, Search, told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.exhaustive", description=__doc__)
    parser.add_argument("--nightly", action="store_true", help="larger bounds; minutes and some GB")
    options = parser.parse_args()
    wrong = 0
    searches: tuple[Search, ...] = SEARCHES + (NIGHTLY if options.nightly else ())
    for search in searches:
        result = search.run()
        print(told(search, result), flush=True)
        if result.violation:
            wrong += 1
            print(f"  WRONG: {result.violation}, after:")
            for step in result.path:
                print(f"    {step}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
