"""`make evidence`: runs it all and writes docs/evidence.md. Exit status 1 when something did not hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scenarios.evidence.gathering import CI, NIGHT, gather
from scenarios.evidence.page import page
from scenarios.evidence.rules import ROOT, NoSuchCheck


def main() -> int:
    parser = argparse.ArgumentParser(prog="make evidence ARGS=…", description=__doc__)
    parser.add_argument("--nightly", action="store_true", help="a thousand seeds, every crash point: hours")
    parser.add_argument("--mutants", type=Path, metavar="FILE", help="what a hunt for mutations wrote")
    parser.add_argument("--simulated", action="store_true", help="start no processes (calibration is left out)")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "evidence.md", metavar="FILE")
    options = parser.parse_args()
    try:
        found = gather(
            NIGHT if options.nightly else CI,
            lambda text: print(f"  {text}", file=sys.stderr, flush=True),
            options.mutants,
            real=not options.simulated,
        )
    except NoSuchCheck as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 2
    options.output.write_text(page(found))
    for text in found.wrong:
        print(f"did not hold: {text}")
    print(f"written: {options.output}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
