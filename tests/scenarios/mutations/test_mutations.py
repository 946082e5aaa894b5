"""Every mutation of the catalogue applies to the code as it is, and the search finds some of the quickest."""

from __future__ import annotations

import sys

import pytest

from scenarios.mutations.catalogue import mutations, named
from scenarios.mutations.catching import Caught, catch, catch_all
from scenarios.mutations.hook import install
from scenarios.mutations.mutation import ROOT, DoesNotApply, Mutation, automatic


@pytest.mark.parametrize("name", sorted(mutations()))
def test_it_applies(name: str) -> None:
    mutation = mutations()[name]
    compile(mutation.applied((ROOT / mutation.file).read_text()), mutation.file, "exec")


def test_one_that_does_not_apply_is_an_error() -> None:
    mutation = Mutation("old", "gossip/node.py", "this is not written there", "nor this", "nothing")
    with pytest.raises(DoesNotApply, match="0 times, not once"):
        mutation.applied("x = 1\n")
    with pytest.raises(DoesNotApply, match=r"nothing of a\.py changes"):
        Mutation("same", "a.py", "x = 1", "x = (1)", "nothing").applied("x = 1\n")
    with pytest.raises(DoesNotApply, match="no mutation 'never-was'"):
        named("never-was")


def test_a_module_that_is_loaded_cannot_be_broken_any_more() -> None:
    assert ROOT.name and "scenarios.mutations.hook" in sys.modules
    with pytest.raises(RuntimeError, match="is loaded already"):
        install(Mutation("late", "scenarios/mutations/hook.py", "a", "b", "nothing"))


def test_automatic_ones_are_different_programs_with_names_that_find_them() -> None:
    source = "def f(a, b):\n    if a < b:\n        g(a, b)\n    return a + b\n"
    found = {m.name.rpartition(":")[2]: m.applied(source) for m in automatic("x.py", source)}
    assert found == {
        "negated": "def f(a, b):\n    if (not (a < b)):\n        g(a, b)\n    return a + b\n",
        "compared": "def f(a, b):\n    if (a) <= (b):\n        g(a, b)\n    return a + b\n",
        "removed": "def f(a, b):\n    if a < b:\n        pass\n    return a + b\n",
        "swapped": "def f(a, b):\n    if a < b:\n        g(b, a)\n    return a + b\n",
        "sign": "def f(a, b):\n    if a < b:\n        g(a, b)\n    return (a) - (b)\n",
    }
    file = "gossip/tables/lamport.py"
    assert named(f"auto:{file}:{_line(file)}:compared").file == file


def _line(name: str) -> int:
    lines = (ROOT / name).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if "if time >= self._reserved" in line)


@pytest.mark.parametrize("name", ["restart-policy-forgotten", "name-not-removed"])
def test_the_search_finds_it_within_its_first_seeds(name: str) -> None:
    caught = catch(name, 1, 3)
    assert not caught.survived, caught
    assert caught.by != "start", caught


def test_a_hunt_goes_on_where_it_was() -> None:
    found = Caught("tombstone-loses", 2, "durability", "it is back", 1.0)
    missed = Caught("root-replaced-early", 10, "", "", 5.0)
    assert list(catch_all([found.name], 1, 50, 1, lambda _: None, [found])) == [found]
    assert list(catch_all([missed.name], 1, 10, 1, lambda _: None, [missed])) == [missed]
    wrong = Caught("no-such-mutation", 10, "", "", 5.0)
    [again] = catch_all([wrong.name], 1, 11, 1, lambda _: None, [wrong])
    assert again.seeds == 11 and again.by == "start", "of what was missed the later seeds are run"
