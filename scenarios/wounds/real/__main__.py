"""`python -m scenarios.wounds.real [NAME…] [--tries N] [-o FILE]`: stage wounds on real engines, tell what was seen."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from scenarios.wounds.real.engines import Engines, EnginesFailed, missing, run
from scenarios.wounds.real.staged import STAGED, Seen


def stage(name: str, tries: int, seed: int) -> list[Seen]:
    """So many tries of one wound on one set of engines. Raises EnginesFailed."""
    staged = STAGED[name]
    chance = random.Random(f"{seed}/{name}")
    seen: list[Seen] = []
    with Engines(advertise=staged.advertise) as engines:
        staged.prepare(engines)
        for _ in range(tries):
            seen.append(staged.attempt(engines, chance))
            print(f"{name}: {seen[-1]}", flush=True)
    return seen


def main() -> int:
    """Exit status 0: all were staged; 2: there can be no engines here."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.wounds.real", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STAGED)}; all without one")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="add what was seen to this JSON file")
    wished = parser.parse_args()
    unknown = [name for name in wished.names if name not in STAGED]
    if unknown:
        parser.error(f"no wound {unknown[0]!r}; there are {', '.join(STAGED)}")
    if why := missing():
        print(f"no real engines here: {why}", file=sys.stderr)
        return 2
    version = run("dockerd", "--version").out.strip()
    for name in wished.names or STAGED:
        if why := STAGED[name].missing:
            print(f"{name}: not staged: {why}", file=sys.stderr)
            continue
        try:
            seen = stage(name, wished.tries, wished.seed)
        except EnginesFailed as error:
            print(f"{name}: could not be staged: {error}", file=sys.stderr)
            continue
        if wished.output is not None:
            known = json.loads(wished.output.read_text()) if wished.output.exists() else {}
            known[name] = {
                "engine": version,
                "tries": [{"showed": one.showed, "seen": one.text} for one in seen],
            }
            wished.output.write_text(json.dumps(known, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
