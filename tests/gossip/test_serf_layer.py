"""What serf says above memberlist, heard from a made-up agent: Lamport times decide, and everything is said on once."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.serf.intents import Intents, LamportClock
from gossip.serf.messages import (
    Join,
    Leave,
    Query,
    SerfType,
    State,
    decode_intent,
    decode_state,
    tags_of,
)
from gossip.swim.member import Address, EventKind, MemberState
from gossip.wire.dialect import pack, unpack_map
from gossip.wire.errors import WireError
from gossip.wire.messages import Alive, Message, Relayed, User, decode_message
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from tests.gossip.lan import Host, Lan

AGENT: Address = ("192.0.2.50", 7946)
KEY, NEW = b"k" * 16, b"n" * 16
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
times = st.integers(0, 2**40)


class Agent:
    """A serf agent as far as one member sees it: it says things, and what is sent to it is read."""

    def __init__(self, lan: Lan, host: Host) -> None:
        self._lan = lan
        self._host = host
        self._codec = PacketCodec(b"", Keyring([KEY], Random(1).randbytes))
        self.say(Alive(1, "serf1", *AGENT, b"\xff" + pack({"role": "web"})))

    def say(self, message: Message) -> None:
        self._host.membership.receive_datagram(self._codec.encode([message.encode()]), AGENT, self._lan.now)

    def serf(self, encoded: bytes) -> None:
        self.say(User(encoded))

    def sent(self) -> list[tuple[Message, Address]]:
        """All that the member sends now and in the next ticks, instead of its sending it."""
        out: list[tuple[Message, Address]] = []
        for _ in range(40):
            self._lan.now += 0.05
            membership = self._host.membership
            if (membership.get_timer() or 0) <= self._lan.now:
                membership.handle_timer(self._lan.now)
            for data, to in membership.datagrams_to_send(self._lan.now):
                out += [(decode_message(body), to) for body in self._codec.decode(data)]
        return out


@pytest.fixture
def agent() -> Agent:
    lan = Lan(1, keys=(KEY,))
    host = lan.grow(2)[0]
    made = Agent(lan, host)
    made.sent()
    return made


def _host(agent: Agent) -> Host:
    return agent._host


def test_an_intent_is_passed_on_once_to_both_kinds(agent: Agent) -> None:
    intent = Join(5, "serf1").encode()
    agent.serf(intent)
    sent = agent.sent()
    assert (User(intent), AGENT) in sent
    assert any(message == Relayed(intent) and to != AGENT for message, to in sent)
    agent.serf(intent)
    agent.serf(Join(4, "serf1").encode())
    assert not [message for message, _ in agent.sent() if isinstance(message, User | Relayed)]


def test_who_is_said_to_have_left_contradicts(agent: Agent) -> None:
    agent.serf(Leave(7, "n1").encode())
    said = [decode_intent(m.data) for m, to in agent.sent() if isinstance(m, User) and to == AGENT]
    assert said
    assert all(isinstance(intent, Join) and intent.node == "n1" and intent.time > 7 for intent in said)


def test_force_leave_of_a_failed_member(agent: Agent) -> None:
    host = _host(agent)
    lan = agent._lan
    lan.kill(lan.hosts["n2"])
    lan.run_until(lambda: host.state_of("n2") is MemberState.DEAD, 10)
    agent.serf(Leave(9, "n2").encode())
    assert host.state_of("n2") is MemberState.LEFT
    lan.poke(host)
    assert host.saw(EventKind.LEFT, "n2") is not None


def test_a_time_from_the_future_is_refused(agent: Agent) -> None:
    host = _host(agent)
    agent.serf(Join(5, "serf1").encode())
    agent.serf(Leave(2**62, "serf1").encode())
    assert host.membership.counters["dropped.from_the_future"] == 1
    state = decode_state(host.membership.local_state(join=False, native=False).user_state)
    assert (state.time, state.status_times) == (6, {"serf1": 5})


def _query(name: str, payload: bytes = b"", *, flags: int = 0, filters: list[bytes] | None = None) -> bytes:
    fields = {"LTime": 3, "ID": 4, "Addr": bytes((192, 0, 2, 50)), "Port": 7946, "Filters": filters or []}
    return b"\x04" + pack({**fields, "Flags": flags, "Timeout": 10**9, "Name": name, "Payload": payload})


def _answers(agent: Agent) -> list[tuple[int, bytes]]:
    """(flags, payload) of responses."""
    found = []
    for message, to in agent.sent():
        if isinstance(message, User) and message.data[0] == SerfType.QUERY_RESPONSE and to == AGENT:
            fields = unpack_map(message.data[1:])
            assert (fields.u32(b"ID"), fields.name(b"From")) == (4, "n1")
            found.append((fields.u32(b"Flags"), fields.raw(b"Payload", 1000)))
    return found


def test_queries(agent: Agent) -> None:
    host = _host(agent)
    agent.serf(_query("anything", flags=Query.ACK))
    assert _answers(agent) == [(1, b"")]
    agent.serf(_query("anything", flags=Query.ACK, filters=[b"\x00\x91\xa2n9"]))
    agent.serf(_query("anything", flags=Query.ACK, filters=[b"\x01\x82\xa3Tag\xa1a\xa4Expr\xa1b"]))
    assert _answers(agent) == []
    agent.serf(_query("_serf_conflict", b"serf1"))
    ((_, payload),) = _answers(agent)
    assert payload[0] == SerfType.CONFLICT_RESPONSE
    assert unpack_map(payload[1:]).address(b"Addr") == AGENT[0]
    agent.serf(_query("_serf_conflict", b"n1"))
    assert _answers(agent) == [], "a party is no witness"
    agent.serf(_query("_serf_install-key", b"\x07" + pack({"Key": NEW})))
    agent.serf(_query("_serf_use-key", b"\x07" + pack({"Key": NEW})))
    agent.serf(_query("_serf_remove-key", b"\x07" + pack({"Key": b"x" * 16})))
    assert host.membership.keyring.keys() == [NEW, KEY]
    agent.serf(_query("_serf_use-key", b"garbage"))
    assert host.membership.counters["dropped.bad_serf_message"] == 1


def test_unknown_serf_messages_are_counted(agent: Agent) -> None:
    for data in (b"", b"\x63abc", b"\x00", b"\x01\x90"):
        agent.serf(data)
    counters = _host(agent).membership.counters
    assert (counters["dropped.foreign_user_message"], counters["dropped.bad_msgpack"]) == (2, 2)


@given(times, st.dictionaries(names, times, max_size=300), st.lists(names, max_size=300), times, times)
def test_states_are_read_as_written(
    time: int, status: dict[str, int], left: list[str], events: int, queries: int
) -> None:
    state = State(time, status, left, events, queries)
    assert decode_state(state.encode()) == state


@given(st.lists(st.tuples(names, st.integers(1, 50), st.booleans()), max_size=30), st.randoms())
def test_intents_end_alike_in_any_order(said: list[tuple[str, int, bool]], random: Random) -> None:
    intents = [Leave(time, name) if leaves else Join(time, name) for name, time, leaves in said]
    ends = []
    for _ in range(2):
        heard = Intents("own")
        for intent in intents:
            heard.clock.witness(intent.time)
            heard.hear(intent)
        ends.append((heard.status_times, heard.clock.time))
        random.shuffle(intents)
    assert ends[0] == ends[1]


def test_the_clock_believes_a_first_time_and_no_leap() -> None:
    clock = LamportClock()
    assert clock.witness(2**30)
    assert clock.time == 2**30 + 1
    assert not clock.witness(2**60)
    assert clock.tick() == 2**30 + 2


def test_tags() -> None:
    assert tags_of(b"\xff" + pack({"role": "web", "dc": "eu"})) == {"role": "web", "dc": "eu"}
    assert tags_of(b"anything") == tags_of(b"\xff\xc1") == {}
    with pytest.raises(WireError):
        decode_state(b"\x02\x81\xa5LTime\xff")
