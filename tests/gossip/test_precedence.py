"""SWIM 4.2's order of messages as a law: what is known of a member is the greatest of what was said, in any order."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.member import MemberState
from gossip.swim.membership import Membership
from gossip.swim.profile import SHOAL, Config
from gossip.wire.messages import Alive, Dead, Suspect
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from tests.gossip.lan import Talk

CODEC = PacketCodec(b"", Keyring([], Random(1).randbytes))
AT_ONCE = replace(SHOAL, time_to_refute=0.0)
"""Otherwise another's verdict leaves its subject time to refute."""
incarnations = st.integers(1, 4)
alive = st.builds(lambda i: Alive(i, "n2", "192.0.2.2", 7946, b""), incarnations)
suspect = st.builds(lambda i, by: Suspect(i, "n2", by), incarnations, st.sampled_from(["n3", "n4"]))
gone = st.builds(lambda i, by: Dead(i, "n2", by), incarnations, st.sampled_from(["n2", "n3"]))


def known(said: list[Alive | Suspect | Dead]) -> tuple[int, MemberState]:
    """What a fresh member makes of them; it heard of incarnation 0 before."""
    membership = Membership(
        Config("n1", "192.0.2.1", profile=AT_ONCE),
        delegate=Talk("n1"),
        random=Random(1),
        entropy=Random(1).randbytes,
        now=0.0,
    )
    for message in (Alive(0, "n2", "192.0.2.2", 7946, b""), *said):
        membership.receive_datagram(CODEC.encode([message.encode()]), ("192.0.2.9", 7946), 1.0)
    member = membership.member("n2")
    assert member is not None
    return member.incarnation, member.state


def rank(message: Alive | Suspect | Dead) -> tuple[int, MemberState]:
    if isinstance(message, Alive):
        return message.incarnation, MemberState.ALIVE
    if isinstance(message, Suspect):
        return message.incarnation, MemberState.SUSPECT
    return message.incarnation, MemberState.LEFT if message.accuser == "n2" else MemberState.DEAD


@given(st.lists(st.one_of(alive, suspect), min_size=1, max_size=6), st.randoms())
def test_alive_and_suspect(said: list[Alive | Suspect | Dead], random: Random) -> None:
    expected = max(map(rank, said))
    random.shuffle(said)
    assert known(said) == expected


@given(st.lists(st.one_of(alive, gone), min_size=1, max_size=6), st.randoms())
def test_alive_dead_and_left(said: list[Alive | Suspect | Dead], random: Random) -> None:
    expected = max(map(rank, said))
    random.shuffle(said)
    assert known(said) == expected
