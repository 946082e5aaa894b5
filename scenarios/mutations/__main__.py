"""`python -m scenarios.mutations NAME FIRST SEEDS`: breaks the daemons of this process, then searches.

A line of JSON for each seed; ends at the first that fails. Exit status: 0 none failed, 1 one did, 3 the mutation does
not apply.
"""

from __future__ import annotations

import json
import sys

from scenarios.mutations.catalogue import named
from scenarios.mutations.hook import install
from scenarios.mutations.mutation import DoesNotApply

_LIMIT = 150.0
"""Real seconds for a run; one takes about a second."""


def main(name: str, first: int, seeds: int) -> int:
    try:
        install(named(name))
    except DoesNotApply as error:
        print(error, file=sys.stderr)
        return 3
    from scenarios.search.generate import source
    from scenarios.search.runs import run_seed

    for seed in range(first, first + seeds):
        outcome = run_seed(source(seed), seed, limit=_LIMIT)
        what, text = (outcome.problems[0].what, outcome.problems[0].text) if outcome.problems else ("", "")
        print(json.dumps({"seed": seed, "verdict": outcome.verdict, "what": what, "text": text}), flush=True)
        if not outcome.passed:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
