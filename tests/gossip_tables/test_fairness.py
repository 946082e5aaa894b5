"""A flood by one node: the others' rows are not delayed by it, and nothing grows without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossip.tables.fair_queue import FairQueue
from gossip.tables.outbox import BACKLOG, MAX_QUEUE, STREAM_BATCH, Outbox
from gossip.tables.record import OWNED, RecordId

HERE = ("192.0.2.1", 7946)


def row(owner: str, number: int) -> RecordId:
    return RecordId(OWNED, "t", f"k{number}", owner)


def test_a_flood_delays_nobody_else() -> None:
    outbox = Outbox()
    outbox.add(row("quiet", 0))
    for number in range(3 * MAX_QUEUE):
        outbox.add(row("flood", number))
    outbox.add(row("other", 0))
    assert len(outbox) == MAX_QUEUE
    assert outbox.dropped == 2 * MAX_QUEUE + 2
    assert {id.owner for id in outbox.next(HERE, 9)[:3]} == {"quiet", "flood", "other"}
    outbox.relieve()
    assert outbox.next(HERE, 9) == [row("quiet", 0), row("other", 0)]  # they still ride on packets
    outbox.to_stream(row("quiet", 0))
    batch = outbox.take_stream()
    assert len(batch) == STREAM_BATCH and row("quiet", 0) in batch[:2]
    assert batch[0] == row("flood", 2 * MAX_QUEUE + 2)  # what came first goes first
    assert outbox.streaming


def test_many_who_tell_little_go_by_stream_together() -> None:
    outbox = Outbox()
    for number in range(2 * BACKLOG):
        outbox.add(row(f"n{number}", number))
    outbox.relieve()
    assert len(outbox) == BACKLOG and len(outbox.take_stream()) == BACKLOG


ids = st.builds(row, st.sampled_from("abc"), st.integers(0, 5))


@given(st.integers(1, 8), st.lists(st.tuples(st.sampled_from(["add", "discard", "take", "sent"]), ids), max_size=40))
def test_a_queue_is_a_bounded_set_in_turns(limit: int, steps: list[tuple[str, RecordId]]) -> None:
    queue = FairQueue(limit)
    model: dict[RecordId, int] = {}
    for what, id in steps:
        if what == "add":
            queue.add(id)
            model.pop(id, None)
            model[id] = 0
            if len(model) > limit:
                sizes = [sum(1 for other in model if other.owner == owner) for owner in "abc"]
                gone = [other for other in model if other not in queue]
                assert len(gone) == 1 and sizes["abc".index(gone[0].owner)] == max(sizes)
                assert gone[0] == next(other for other in model if other.owner == gone[0].owner)
                del model[gone[0]]
        elif what == "discard":
            queue.discard(id)
            model.pop(id, None)
        elif what == "sent" and id in model:
            queue.sent(id, ("192.0.2.1", model[id]))
            model[id] += 1
        elif what == "take":
            for taken in queue.take(2):
                del model[taken]
        assert len(queue) == len(model) <= limit
        assert {each: len(queue.told(each)) for each in queue.least_sent()} == model
