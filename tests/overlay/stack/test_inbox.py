"""Segments of a stream, in any order, overlapping in any way, come out as the stream."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from overlay.stack.tcp.inbox import Inbox

STREAM = Random(1).randbytes(400)


@given(st.lists(st.tuples(st.integers(0, 399), st.integers(1, 80)), max_size=60))
def test_what_comes_early_is_kept_once_and_delivered_in_order(pieces: list[tuple[int, int]]) -> None:
    inbox, next_seq, have = Inbox(), 0, set[int]()
    for start, size in pieces:
        end = min(start + size, len(STREAM))
        have |= set(range(start, end))
        if start > next_seq:
            inbox.insert(start, STREAM[start:end])
        elif end > next_seq:
            inbox.append(STREAM[next_seq:end])
            next_seq = inbox.take_due(end)
        expected = next((i for i in range(len(STREAM)) if i not in have), len(STREAM))
        assert next_seq == expected == inbox.held
        assert inbox.early_bytes == len(have) - next_seq
        covered = {i for left, right in inbox.ranges(1000) for i in range(left, right)}
        assert covered == {i for i in have if i > next_seq}
        if inbox.early and start > next_seq:
            left, right = inbox.ranges(3)[0]
            assert left <= start < right
    assert b"".join(iter(lambda: inbox.read(7), b"")) == STREAM[:next_seq]
    assert inbox.held == 0
