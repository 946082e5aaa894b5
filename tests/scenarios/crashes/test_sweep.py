"""A host dies between two persisted steps, its power goes, its disk is full: a part of the sweep that runs at night."""

from __future__ import annotations

import pytest

from scenarios.crashes.sweep import HOWS, Outcome, Point, points, run

SEED = 1
WHOLE = run(SEED)


def judged(outcome: Outcome) -> None:
    assert not outcome.violations, f"{outcome.point} (at: {outcome.step}): {outcome.violations}"


def commits(host: str, step: str) -> list[int]:
    """The numbers of a host's commits while the story does this."""
    return [WHOLE.before[host] + n for n, name in enumerate(after_boot(host)) if name == step]


def after_boot(host: str) -> list[str]:
    return WHOLE.steps[host][WHOLE.before[host] :]


def test_the_story_by_itself_leaves_nothing_wrong_and_a_seed_is_a_run() -> None:
    judged(WHOLE)
    assert sum(WHOLE.commits.values()) > 200
    point = Point("h1", commits("h1", "create wide")[0], "after")
    one, two = run(SEED, point), run(SEED, point)
    assert one.step == "create wide" and one == two


@pytest.mark.parametrize("point", list(points(WHOLE, len(HOWS) * 23 + 1)), ids=str)
def test_nothing_is_wrong_after_any_of_these(point: Point) -> None:
    outcome = run(SEED, point)
    judged(outcome)
    assert outcome.step, "the point was reached"


@pytest.mark.parametrize("how", ["before", "full"])
def test_a_removal_of_a_node_that_stops_half_way_is_done_in_the_end(how: str) -> None:
    """Its rows go, and the swarm gossips under a key that it does not know."""
    for commit in commits("h1", "node rm h4")[:4]:
        judged(run(SEED, Point.parse(f"h1:{commit}:{how}")))


def test_who_had_the_new_key_and_did_not_seal_with_it_is_heard_again() -> None:
    """Dead for long enough that all others have forgotten the old one."""
    for commit in commits("h3", "node rm h4")[:4]:
        judged(run(SEED, Point("h3", commit, "after"), pause=9.0))


def test_a_role_that_was_changed_just_before_a_crash_is_followed_after_it() -> None:
    for commit in commits("h3", "demote h3")[:3]:
        judged(run(SEED, Point("h3", commit, "before"), pause=0.2))
