"""NetworkDB: what it refuses, wipes and never says again, as its source and the reports have it."""

from __future__ import annotations

from random import Random

from scenarios.docker_model.networkdb import CREATE, DELETE, Event, NetworkDB, Peer


class Node:
    """A database, what its watchers heard, and a way to give its news to another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[Event] = []
        self.time = 0.0
        self.db = NetworkDB(name, Random(1), lambda: self.time, self.heard.append, lambda: None)

    def sees(self, other: Node) -> None:
        self.db.alive(other.name, Peer(other.name, (other.name, 7946)))

    def loses(self, other: Node) -> None:
        self.db.dead(other.name, Peer(other.name, (other.name, 7946)), left=False)

    def tell_attachments(self, *others: Node) -> None:
        for message in self.db.riders(2, 1400):
            for other in others:
                other.db.receive(message)

    def tell_rows(self) -> list[bytes]:
        return [message for _, message in self.db.gossip()]

    def words(self) -> list[tuple[str, str]]:
        return [(event.what, event.key) for event in self.heard]


def attached() -> tuple[Node, Node]:
    """Two nodes on one network, each knowing it of the other."""
    a, b = Node("a"), Node("b")
    a.sees(b)
    b.sees(a)
    for node, other in ((a, b), (b, a)):
        node.db.join("net")
        node.db.synced("net")
        node.tell_attachments(other)
    return a, b


def test_a_row_is_told_once_and_not_for_ever() -> None:
    a, b = attached()
    a.db.put("net", "e1", {"node": "a"})
    sent = [message for _ in range(50) for message in a.tell_rows()]
    assert 1 <= len(sent) <= 8
    for message in sent:
        b.db.receive(message)
    assert b.words() == [(CREATE, "e1")]
    assert a.tell_rows() == []


def test_rows_of_a_node_that_is_not_known_to_be_attached_are_refused() -> None:
    """moby 53141: the node is back, its attachment is not, and its rows are dropped."""
    a, b = attached()
    a.db.put("net", "e1", {"node": "a"})
    for message in a.tell_rows():
        b.db.receive(message)
    b.loses(a)
    assert b.words() == [(CREATE, "e1"), (DELETE, "e1")]
    b.sees(a)
    b.db.merge_bulk(a.db.bulk(["net"]))
    assert b.words() == [(CREATE, "e1"), (DELETE, "e1")]
    assert b.db.counters["networkdb_row_refused"] == 1
    b.db.merge_state(a.db.local_state(join=True))
    b.db.merge_bulk(a.db.bulk(["net"]))
    assert b.words()[2:] == [(CREATE, "e1")]


def test_an_attachment_of_a_node_that_memberlist_holds_for_dead_is_refused() -> None:
    a, b = attached()
    b.loses(a)
    b.db.merge_state(a.db.local_state(join=True))
    assert b.db.common("a") == []
    assert b.db.counters["networkdb_attachment_refused"] == 1


def test_an_older_event_changes_nothing() -> None:
    a, b = attached()
    a.db.put("net", "e1", {"node": "a"})
    created = a.tell_rows()
    a.db.delete("net", "e1")
    for message in [*a.tell_rows(), *created]:
        b.db.receive(message)
    assert b.words() == []


def test_who_leaves_is_not_tried_again_and_who_fails_is_for_a_day() -> None:
    a, b = Node("a"), Node("b")
    a.sees(b)
    a.loses(b)
    peer = a.db.to_reconnect()
    assert peer is not None and peer.member == "b"
    a.time = 25 * 3600.0
    assert a.db.to_reconnect() is None
    a.sees(b)
    a.db.dead("b", Peer("b", ("b", 7946)), left=True)
    assert a.db.to_reconnect() is None


def test_what_cannot_be_read_is_counted() -> None:
    a, _ = attached()
    for data in (b"", b"[", b"[]", b"{}", b'["table"]', b'["network", 1, "x", [], {}]', b"\xff\xfe"):
        a.db.receive(data)
        a.db.merge_state(data)
        a.db.merge_bulk(data)
    assert a.db.counters["networkdb_unreadable"] >= 14
    assert a.words() == []
