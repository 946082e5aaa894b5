"""The small parts of SWIM, each against the formula it comes from."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from gossip.swim.awareness import Awareness
from gossip.swim.broadcasts import TransmitLimitedQueue
from gossip.swim.bucket import TokenBucket
from gossip.swim.meta import META_LIMIT, unwrap_meta, wrap_meta
from gossip.swim.profile import LAN, SHOAL
from gossip.swim.suspicion import Suspicion
from gossip.swim.timers import Timers

ONE = ("192.0.2.1", 7946)


def test_suspicion_shortens_with_confirmations_as_memberlist_computes() -> None:
    """mult 4, 1 s, n = 10: min 4 s, max 24 s, k = 2; one confirmation: 24 - log(2)/log(3) * 20 = 11.38 s."""
    suspicion = Suspicion(LAN, accuser="a", incarnation=1, members=10, now=100.0)
    assert suspicion.deadline == pytest.approx(124.0)
    assert not suspicion.confirm("a"), "the accuser does not confirm himself"
    assert suspicion.confirm("b")
    assert suspicion.deadline == pytest.approx(111.38, abs=0.01)
    assert not suspicion.confirm("b")
    assert suspicion.confirm("c")
    assert suspicion.deadline == pytest.approx(104.0)
    assert not suspicion.confirm("d"), "enough is enough: not passed on"


def test_small_cluster_expects_no_confirmation() -> None:
    assert Suspicion(LAN, accuser="a", incarnation=1, members=3, now=0.0).deadline == pytest.approx(4.0)


def test_refused_evidence_is_quick_but_leaves_time() -> None:
    suspicion = Suspicion(SHOAL, accuser="a", incarnation=1, members=10, now=0.0)
    suspicion.refused(0.5)
    suspicion.heard("b")
    assert suspicion.deadline == pytest.approx(0.5 + 2 * SHOAL.refused_timeout)
    suspicion.confirm("b")
    assert suspicion.deadline == pytest.approx(0.5 + SHOAL.refused_timeout)
    suspicion.stalled(9.0, 8.0)
    assert suspicion.deadline == pytest.approx(9.0 + SHOAL.probe_timeout), "time to read a refutation"


def test_no_confirmation_is_awaited_from_whom_nobody_hears() -> None:
    suspicion = Suspicion(SHOAL, accuser="a", incarnation=1, members=10, now=0.0, own="a")
    shortest = suspicion.deadline
    assert shortest == pytest.approx(SHOAL.suspicion_mult * SHOAL.probe_interval)
    assert suspicion.heard("b"), "one more may be heard"
    assert suspicion.deadline == pytest.approx(SHOAL.suspicion_max_mult * shortest), "b might confirm: wait for it"
    suspicion.confirm("b")
    assert suspicion.deadline == pytest.approx(shortest)
    assert not suspicion.heard("c"), "as many as Lifeguard waits for"
    assert shortest < suspicion.deadline < SHOAL.suspicion_max_mult * shortest


def test_own_stall_is_no_evidence_of_silence() -> None:
    suspicion = Suspicion(SHOAL, accuser="a", incarnation=1, members=3, now=10.0)
    shortest = suspicion.deadline - 10.0
    suspicion.stalled(12.0, 0.5)
    assert suspicion.deadline == pytest.approx(10.5 + shortest)
    suspicion.stalled(16.0, 3.0)
    assert suspicion.deadline == pytest.approx(16.0 + shortest)


def test_awareness_stays_in_its_range() -> None:
    awareness = Awareness(8)
    awareness.apply(-1)
    assert awareness.scale(1.0) == 1.0
    for _ in range(20):
        awareness.apply(1)
    assert (awareness.score, awareness.scale(0.5)) == (7, 4.0)


def test_queue_sends_the_least_sent_and_the_newest_first() -> None:
    profile = dataclasses.replace(LAN, retransmit_mult=2)
    queue = TransmitLimitedQueue(profile, Counter())
    queue.put("a", b"a1")
    queue.put("b", b"b1")
    assert queue.take(2, 4, 1, ONE) == [b"b1"], "newest first, and no more than fits"
    assert queue.take(2, 4, 1, ONE) == [b"a1"]
    queue.put("a", b"a2")
    assert queue.take(2, 100, 1, ONE) == [b"a2", b"b1"], "a newer rumour about the same subject replaces the older"
    assert queue.take(2, 100, 1, ONE) == [b"a2"]
    assert queue.take(2, 100, 1, ONE) == []


def test_a_rumour_goes_to_each_once_before_it_goes_to_anybody_twice() -> None:
    """Six members: with memberlist's rule three of its seven copies may go to one of the five others."""
    for profile, most in ((LAN, 4), (SHOAL, 7)):
        queue = TransmitLimitedQueue(profile, Counter())
        queue.put("a", b"a1", source=ONE)
        others = [(f"192.0.2.{number}", 7946) for number in range(2, 6)]
        sent = [to for _ in range(10) for to in (ONE, ONE, *others) for _ in queue.take(2, 100, 6, to)]
        assert len(sent) == most
        assert (sent[:4] == others) is (profile is SHOAL), "whom it came from has it"


def test_token_bucket() -> None:
    bucket = TokenBucket(2.0, 3)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]


def test_timers_keep_one_deadline_per_key() -> None:
    timers = Timers()
    timers.set(("a", 1), 5.0)
    timers.set(("b", 1), 5.0)
    timers.set(("a", 1), 3.0)
    timers.set(("c", 1), 1.0)
    timers.cancel(("c", 1))
    assert timers.next() == 3.0
    assert [timers.pop_due(5.0), timers.pop_due(5.0), timers.pop_due(5.0)] == [("a", 1), ("b", 1), None]


def test_meta_tells_our_kind_from_others() -> None:
    assert unwrap_meta(wrap_meta(b"x" * META_LIMIT)) == (b"x" * META_LIMIT, True)
    assert len(wrap_meta(b"x" * META_LIMIT)) <= 512
    assert unwrap_meta(b"\xff\x81\xa4role\xa2db") == (b"\xff\x81\xa4role\xa2db", False)
    tags = b"\xff\x82\xa5shoal\xa11\xa4role\xa7manager"
    assert wrap_meta(tags) == tags
    assert unwrap_meta(tags) == (tags, True)
    assert unwrap_meta(b"") == (b"", False)
    assert unwrap_meta(b"\xff\xc1") == (b"\xff\xc1", False)
    with pytest.raises(ValueError, match="fit"):
        wrap_meta(b"x" * (META_LIMIT + 1))
