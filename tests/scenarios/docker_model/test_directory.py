"""FDB and names patched by events: right as long as events come in order, wrong when they do not."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from overlay.directory import Directory
from overlay.spec import EndpointFact
from overlay.wire.address import pack_ip, pack_mac
from scenarios.docker_model.directory import AGEING, PatchedDirectory
from scenarios.sim.swarm import simulate

H2, H3 = "192.0.2.2", "192.0.2.3"


def fact(endpoint: str, vtep: str | None, number: int, *names: str) -> EndpointFact:
    mac = f"02:42:0a:00:01:{number:02x}"
    return EndpointFact("net", endpoint, vtep or "here", vtep, mac, (f"10.0.1.{number}/24",), names)


@given(st.lists(st.tuples(st.booleans(), st.integers(2, 6), st.sampled_from([None, H2, H3])), max_size=30))
def test_in_order_and_with_addresses_of_their_own_it_is_what_shoal_has(
    steps: list[tuple[bool, int, str | None]],
) -> None:
    """No strawman: an endpoint comes before it goes, and nobody uses an address that is not free."""
    ours, theirs = Directory(), PatchedDirectory()
    there: dict[int, str] = {}
    for number, (add, place, vtep) in enumerate(steps):
        if add and place not in there:
            there[place] = f"e{number}"
            for directory in (ours, theirs):
                directory.put(fact(there[place], vtep, place, "same", f"c{place}"))
        elif not add and place in there:
            for directory in (ours, theirs):
                directory.remove(there[place])
            del there[place]
        one, other = ours.views.get("net"), theirs.views.get("net")
        assert (one is None) == (other is None or not (other.fdb or other.neighbours or other.names))
        if one is not None and other is not None:
            assert (one.fdb, one.neighbours) == (other.fdb, other.neighbours)
            assert {name: sorted(found) for name, found in one.names.items()} == {
                name: sorted(found) for name, found in other.names.items()
            }


def moved(directory: Directory) -> tuple[str | None, list[str]]:
    """An address and its name move from h2 to h3, and the delete comes late: where the FDB and the name lead."""
    directory.open("net")
    directory.put(fact("old", H2, 9, "web"))
    directory.put(fact("new", H3, 9, "web"))
    before = directory.views["net"].fdb.get(pack_mac("02:42:0a:00:01:09"))
    directory.remove("old")
    return before.destination[0] if before else None, directory.lookup("net", "web")


def test_a_late_delete_leaves_packets_where_nobody_is_and_takes_the_name() -> None:
    assert moved(PatchedDirectory()) == (H2, [])
    assert moved(Directory()) == (H3, ["10.0.1.9"])


def test_what_the_kernel_has_learned_keeps_the_drivers_entry_out_and_ages() -> None:
    """moby 53663."""

    async def story() -> None:
        directory = PatchedDirectory()
        view = directory.open("net")
        mac = pack_mac("02:42:0a:00:01:09")
        directory.put(fact("old", H2, 9, "web"))
        directory.remove("old")
        directory.learn("net", mac, H2)
        directory.put(fact("old", H2, 9, "web"))
        assert view.fdb[mac].destination[0] == H2
        await asyncio.sleep(AGEING + 1)
        assert mac not in view.fdb
        assert view.neighbours[pack_ip("10.0.1.9")] == mac
        directory.clear()

    simulate(story())


def test_a_late_delete_takes_only_its_own_name_from_the_reverse_map() -> None:
    """As since libnetwork keeps sets of names there: no strawman where an address moves and nothing is broken."""
    directory = PatchedDirectory()
    directory.open("net")
    directory.put(fact("old", H2, 9, "moving"))
    directory.put(fact("new", H3, 9, "moved"))
    assert directory.reverse("net", "10.0.1.9") == "moving", "the first of the set"
    directory.remove("old")
    assert directory.reverse("net", "10.0.1.9") == "moved"
    directory.remove("new")
    assert directory.reverse("net", "10.0.1.9") is None
