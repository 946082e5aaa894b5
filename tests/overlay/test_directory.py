"""The law of the directory: what the data path reads depends on the facts present, not on how they came to be."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.directory import Directory, RemoteVtep, recomputed
from overlay.spec import EndpointFact
from overlay.wire.address import pack_ip, pack_mac

FACTS = st.builds(
    EndpointFact,
    network_id=st.sampled_from(["n1", "n2"]),
    endpoint_id=st.sampled_from(list("abcde")),
    node=st.sampled_from(["h1", "h2", "h3"]),
    vtep=st.sampled_from([None, "192.0.2.2", "192.0.2.3"]),
    mac=st.sampled_from(["02:42:0a:00:01:02", "02:42:0a:00:01:03", "02:42:0a:00:01:04"]),
    addresses=st.lists(st.sampled_from(["10.0.1.2/24", "10.0.1.3/24", "fd00::2/64"]), max_size=2, unique=True).map(
        tuple
    ),
    names=st.lists(st.sampled_from(["web", "Web", "db", "api"]), max_size=3, unique=True).map(tuple),
    claim=st.integers(0, 2),
    super_frames=st.booleans(),
)
CHANGES = st.lists(st.one_of(FACTS, st.sampled_from(list("abcdef"))), max_size=30)


@settings(max_examples=300)
@given(CHANGES)
def test_incremental_equals_full_recomputation(changes: list[EndpointFact | str]) -> None:
    directory = Directory()
    for change in changes:
        if isinstance(change, str):
            directory.remove(change)
        else:
            directory.put(change)
        assert directory.views == recomputed(directory.facts())


@settings(max_examples=100)
@given(st.lists(FACTS, max_size=6, unique_by=lambda f: f.endpoint_id), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(facts: list[EndpointFact], random) -> None:  # type: ignore[no-untyped-def]
    straight, shuffled = Directory(), Directory()
    for fact in facts:
        straight.put(fact)
    for fact in random.sample(facts, len(facts)):
        shuffled.put(fact)
    assert straight.views == shuffled.views


WEB = EndpointFact("n", "e1", "h2", "192.0.2.2", "02:42:0a:00:01:02", ("10.0.1.2/24",), ("web", "app", "0123456789ab"))


def test_names_are_many_valued_and_any_case() -> None:
    directory = Directory()
    directory.put(WEB)
    other = replace(WEB, endpoint_id="e2", mac="02:42:0a:00:01:03", addresses=("10.0.1.3/24",), names=("x", "APP"))
    directory.put(other)
    assert directory.lookup("n", "App") == ["10.0.1.2", "10.0.1.3"]
    assert directory.lookup("n", "WEB") == ["10.0.1.2"]
    assert directory.lookup("other", "web") == []
    assert directory.reverse("n", "10.0.1.3") == "x"


def test_facts_outlive_a_network_that_is_closed_here_and_empty_views_do_not() -> None:
    directory = Directory()
    view = directory.open("n")
    directory.put(WEB)
    directory.close("n")
    assert directory.open("n") is view and directory.lookup("n", "web") == ["10.0.1.2"]
    directory.remove("e1")
    assert directory.open("n") is view
    directory.close("n")
    assert directory._views == directory._indexes == {}


def test_a_row_that_cannot_be_read_is_no_fact() -> None:
    directory = Directory()
    directory.put(WEB)
    for broken in (replace(WEB, mac="None"), replace(WEB, addresses=("nonsense",)), replace(WEB, mac="02:42")):
        directory.put(broken)
        assert directory.views == recomputed(directory.facts()) == {}
    assert directory.refused == 3


def test_a_moved_address_survives_the_late_delete_of_its_old_place() -> None:
    """moby 33789: the delete of the old endpoint comes after the new one was added."""
    directory = Directory()
    directory.put(WEB)
    directory.put(replace(WEB, endpoint_id="e2", node="h3", vtep="192.0.2.3", claim=1))
    directory.remove("e1")
    view = directory.open("n")
    assert view.fdb[pack_mac(WEB.mac)] == RemoteVtep(("192.0.2.3", 4789))
    assert view.neighbours[pack_ip("10.0.1.2")] == pack_mac(WEB.mac)
    assert directory.lookup("n", "web") == ["10.0.1.2"]
    assert list(view.vteps) == ["192.0.2.3"]


def test_of_two_that_claim_an_address_the_younger_donation_wins_and_the_other_comes_back() -> None:
    directory = Directory()
    directory.put(WEB)
    directory.put(replace(WEB, endpoint_id="e2", mac="02:42:0a:00:01:09", names=("thief",), claim=5))
    assert directory.lookup("n", "web") == []
    assert directory.reverse("n", "10.0.1.2") == "thief"
    directory.remove("e2")
    assert directory.lookup("n", "web") == ["10.0.1.2"]
    assert directory.open("n").neighbours[pack_ip("10.0.1.2")] == pack_mac(WEB.mac)
