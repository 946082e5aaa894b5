"""The small parts of SWIM, each against the formula it comes from."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from gossip.swim.awareness import Awareness
from gossip.swim.broadcasts import TransmitLimitedQueue
from gossip.swim.bucket import SubjectBuckets, TokenBucket
from gossip.swim.ears import Ears
from gossip.swim.meta import META_LIMIT, unwrap_meta, wrap_meta
from gossip.swim.profile import LAN, SHOAL
from gossip.swim.survey import Survey
from gossip.swim.suspicion import Suspicion
from gossip.swim.timers import Timers
from gossip.wire.messages import Ping, decode_message
from tests.gossip.lan import Lan

ONE = ("192.0.2.1", 7946)


def test_suspicion_shortens_with_confirmations_as_memberlist_computes() -> None:
    """mult 4, 1 s, n = 10: min 4 s, max 24 s, k = 2; one confirmation: 24 - log(2)/log(3) * 20 = 11.38 s."""
    suspicion = Suspicion(LAN, accuser="a", incarnation=1, members=10, now=100.0)
    assert suspicion.deadline == pytest.approx(124.0)
    assert not suspicion.confirm("a", 0.0), "the accuser does not confirm himself"
    assert suspicion.confirm("b", 0.0)
    assert suspicion.deadline == pytest.approx(111.38, abs=0.01)
    assert not suspicion.confirm("b", 0.0)
    assert suspicion.confirm("c", 0.0)
    assert suspicion.deadline == pytest.approx(104.0)
    assert not suspicion.confirm("d", 0.0), "enough is enough: not passed on"


def test_small_cluster_expects_no_confirmation() -> None:
    assert Suspicion(LAN, accuser="a", incarnation=1, members=3, now=0.0).deadline == pytest.approx(4.0)


def test_refused_evidence_is_quick_but_leaves_time() -> None:
    suspicion = Suspicion(SHOAL, accuser="a", incarnation=1, members=10, now=0.0)
    suspicion.refused(0.5)
    suspicion.heard("b")
    assert suspicion.deadline == pytest.approx(0.5 + 2 * SHOAL.refused_timeout)
    suspicion.confirm("b", 0.0)
    assert suspicion.deadline == pytest.approx(0.5 + SHOAL.refused_timeout)
    suspicion.stalled(9.0, 8.0)
    assert suspicion.deadline == pytest.approx(9.0 + SHOAL.probe_timeout), "time to read a refutation"


def test_no_confirmation_is_awaited_from_whom_nobody_hears() -> None:
    suspicion = Suspicion(SHOAL, accuser="a", incarnation=1, members=10, now=0.0, own="a")
    shortest = suspicion.deadline
    assert shortest == pytest.approx(SHOAL.suspicion_mult * SHOAL.probe_interval)
    assert suspicion.heard("b"), "one more may be heard"
    assert suspicion.deadline == pytest.approx(SHOAL.suspicion_max_mult * shortest), "b might confirm: wait for it"
    suspicion.confirm("b", 0.0)
    assert suspicion.deadline == pytest.approx(shortest)
    assert not suspicion.heard("c"), "as many as Lifeguard waits for"
    assert shortest < suspicion.deadline < SHOAL.suspicion_max_mult * shortest


def test_a_late_confirmation_leaves_time_to_refute() -> None:
    """A one-way cut heals after 10 s: with the confirmations the suspicion is over by far, and refutation under way."""
    for profile, ends in ((LAN, 10.0), (SHOAL, 10.0 + SHOAL.time_to_refute)):
        suspicion = Suspicion(profile, accuser="a", incarnation=1, members=10, now=0.0)
        for name in ("b", "c"):
            suspicion.heard(name)
            suspicion.confirm(name, 10.0)
        assert suspicion.deadline == pytest.approx(ends)


def test_ears_are_asked_before_a_verdict() -> None:
    """No echo that was sent since the question: wait; but only where an echo ever came, and not for ever."""
    local = Lan(1).add("n1").membership._local
    ears = Ears(local)

    def echo(seq: int) -> None:
        assert ears.echo(seq)

    ears.ask(1.0)
    (sent,) = local.outbox[local.config.address, local.config.port]
    ping = decode_message(sent)
    assert isinstance(ping, Ping)
    assert not ears.must_wait(1.0, 2.0), "no echo ever came: perhaps our address does not lead back"
    assert not ears.echo(ping.seq + 7), "somebody else's idea of our echo"
    echo(ping.seq)
    assert not ears.must_wait(1.0, 2.0)
    ears.ask(5.0)
    assert ears.must_wait(5.0, 5.1)
    assert ears.must_wait(5.0, 34.0)
    assert not ears.must_wait(5.0, 36.0), "it is the echo that is broken"
    echo(ping.seq + 1)
    assert not ears.must_wait(5.0, 34.0)
    assert ears.must_wait(6.0, 34.0), "heard then is not heard now"


def test_a_survey_tells_a_cut_from_our_own_sickness() -> None:
    survey = Survey()
    assert survey.may_begin(0.0)
    names = [f"n{number}" for number in range(10)]
    survey.begin(names, 0.0)
    assert not any(survey.result(name, answered=number % 2 == 0) for number, name in enumerate(names))
    assert not survey.sick, "half of them: a cut, or a bad network; not we"
    assert not survey.may_begin(20.0)
    assert survey.may_begin(30.0)
    survey.begin(names, 30.0)
    assert [survey.result(name, answered=True) for name in names[:3]] == [False, False, True]
    assert survey.sick
    assert not survey.asks(names[5]), "that is clear enough: the rest is not asked"


def test_somebody_talked_of_all_the_time_is_not_told_at_once() -> None:
    buckets = SubjectBuckets(0.5, 2)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0.0)
    assert buckets.take("a", 2.0)
    for number in range(2000):
        buckets.take(str(number), 3.0)
    assert buckets.take("a", 3.0), "forgotten, as one longest silent"


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
