"""SWIM between whole Membership objects: the promises of detection, refutation and healing, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip.swim.dials import DialPushPull
from gossip.swim.member import EventKind, MemberState
from gossip.swim.membership import Membership
from gossip.swim.meta import wrap_meta
from gossip.swim.profile import LAN, SHOAL, Profile
from gossip.wire.messages import Alive, Dead, Digest, Message, Suspect, decode_message
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from tests.gossip.lan import Host, Lan, all_see, views

ALIVE, SUSPECT, DEAD, LEFT = MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT
SEEDS = range(8)


def said_to(host: Host, other: Host, now: float) -> list[Message]:
    """What a host of a plain cluster would send to another now."""
    codec = PacketCodec(b"", Keyring([], Random(1).randbytes))
    packets = [data for data, to in host.membership.datagrams_to_send(now) if to == other.address]
    return [decode_message(body) for data in packets for body in codec.decode(data)]


@pytest.mark.parametrize("size", [2, 5, 10, 25])
def test_join_is_known_to_all_within_a_second(size: int) -> None:
    lan = Lan(keys=(bytes(16),), label=b"cluster")
    hosts = [lan.add(f"n{number}") for number in range(size)]
    for host in hosts[1:]:
        lan.join(host, hosts[0])
    took = lan.run_until(lambda: all(len(host.membership.members()) == size for host in hosts), 5)
    assert took < 1.0
    event = hosts[-1].saw(EventKind.JOINED, "n0")
    assert event is not None
    assert event.told_by == "n0"
    lan.run(0.1)
    assert all(host.talk.merged for host in hosts)


@pytest.mark.parametrize("size", [3, 10, 25])
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_member_is_dead_for_all_within_2_s(size: int, seed: int) -> None:
    lan = Lan(seed)
    *others, victim = lan.grow(size)
    lan.run(Random(seed).random())
    lan.kill(victim)
    took = lan.run_until(all_see(others, victim.name, DEAD), 10)
    assert took < 2.0
    assert took > SHOAL.refused_timeout, "evidence shortens the suspicion, it is no death sentence"
    assert not [e for host in others for e in host.events if e.member.name != victim.name]


@pytest.mark.parametrize("size", [3, 5, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_silent_member_is_dead_for_all_within_7_s(size: int, seed: int) -> None:
    lan = Lan(seed)
    *others, victim = lan.grow(size)
    lan.run(Random(seed).random())
    lan.cut([victim])
    took = lan.run_until(all_see(others, victim.name, DEAD), 20)
    assert took < (6.0 if size == 3 else 7.0)
    assert not sum(host.membership.counters["nacks_missing"] for host in others), "relays say what they cannot reach"
    failed = others[0].saw(EventKind.FAILED, victim.name)
    assert failed is not None
    assert failed.accused_by
    assert not [e for host in others for e in host.events if e.member.name != victim.name]
    if size == 3:
        took += lan.run_until(lambda: all(victim.state_of(host.name) is DEAD for host in others), 20)
        assert took < 7.0, "the one cut off notices too"


@pytest.mark.parametrize(("size", "minority"), [(3, 1), (4, 1), (5, 2), (10, 1), (10, 2), (10, 4)])
@pytest.mark.parametrize("seed", [1, 2])
def test_both_sides_of_a_cut_know_it_soon(size: int, minority: int, seed: int) -> None:
    """The small side cannot have the confirmations that Lifeguard would wait for."""
    lan = Lan(seed)
    hosts = lan.grow(size)
    lan.run(5)
    small, large = hosts[:minority], hosts[minority:]
    lan.cut(small)

    def known() -> bool:
        return all(
            host.state_of(other.name) is DEAD
            for side, others in ((small, large), (large, small))
            for host in side
            for other in others
        )

    assert lan.run_until(known, 8) < 7.5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_that_healed_makes_nobody_slow(seed: int) -> None:
    """Each side refutes what the other said of it meanwhile. That is no sickness, so the next cut is noticed as soon.
    (Who was alone has reasons of its own to doubt itself.)"""
    lan = Lan(seed)
    hosts = lan.grow(3)
    lan.run(2)
    lan.cut(hosts[:1])
    lan.run_until(lambda: all(hosts[0].state_of(host.name) is DEAD for host in hosts[1:]), 20)
    lan.heal()
    lan.run_until(lambda: all(all_see(hosts, host.name, ALIVE)() for host in hosts), 5)
    lan.run(0.2)
    assert all(host.membership.counters["refuted"] for host in hosts)
    assert [host.membership.awareness for host in hosts[1:]] == [0, 0]


@pytest.mark.parametrize("size", [3, 10])
def test_no_more_false_deaths_under_loss_than_memberlist(size: int) -> None:
    """A fifth of all packets lost; streams pay for loss with TCP's retransmissions."""

    def false_deaths(profile: Profile) -> int:
        lan = Lan(size)
        hosts = [lan.add(f"n{number}", profile=profile) for number in range(size)]
        for host in hosts[1:]:
            lan.join(host, hosts[0])
        lan.run(5)
        lan.loss = 0.2
        lan.run(90)
        return sum(event.kind is EventKind.FAILED for host in hosts for event in host.events)

    assert false_deaths(SHOAL) <= false_deaths(LAN)


def test_anothers_verdict_leaves_time_to_refute() -> None:
    """Whoever was cut off or slow brings many of these, and nobody knew even the suspicion."""
    lan = Lan(2)
    hosts = lan.grow(5)
    codec = PacketCodec(b"", Keyring([], Random(1).randbytes))
    verdict = codec.encode([Dead(1, "n3", "n2").encode()])
    for host in (hosts[0], hosts[3]):
        host.membership.receive_datagram(verdict, hosts[1].address, lan.now)
        lan.poke(host)
        assert host.state_of("n3") is SUSPECT
    lan.run(5)
    assert all(host.state_of("n3") is ALIVE for host in hosts)
    assert not [event for host in hosts for event in host.events if event.kind is EventKind.FAILED]
    lan.cut([hosts[2]])
    hosts[0].membership.receive_datagram(codec.encode([Dead(2, "n3", "n2").encode()]), hosts[1].address, lan.now)
    lan.poke(hosts[0])
    took = lan.run_until(lambda: hosts[0].state_of("n3") is DEAD, 5)
    assert took == pytest.approx(SHOAL.time_to_refute, abs=0.1), "and then it holds"


@pytest.mark.parametrize("size", [3, 5, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_member_stopped_for_3_s_is_never_dead_and_accuses_nobody(size: int, seed: int) -> None:
    lan = Lan(seed)
    *others, sleeper = lan.grow(size)
    lan.run(Random(seed).random())
    lan.pause(sleeper)
    lan.run(3.0)
    if size == 3:
        assert any(host.state_of(sleeper.name) is SUSPECT for host in others)
    lan.resume(sleeper)
    took = lan.run_until(all_see(others, sleeper.name, ALIVE), 5)
    assert took < 1.0
    lan.run(10)
    assert not [e for host in others for e in host.events if e.kind is EventKind.FAILED]
    assert not [e for e in sleeper.events if e.kind in (EventKind.SUSPECTED, EventKind.FAILED)]
    assert sleeper.membership.counters["stalls"] == 1


@pytest.mark.parametrize("groups", [(1, 2), (2, 3), (5, 5)])
@pytest.mark.parametrize("cut_for", [10.0, 120.0])
@pytest.mark.parametrize("seed", range(4))
def test_partition_heals_within_3_s(groups: tuple[int, int], cut_for: float, seed: int) -> None:
    lan = Lan(seed)
    hosts = lan.grow(sum(groups))
    one, other = hosts[: groups[0]], hosts[groups[0] :]
    lan.cut(one, other)
    lan.run(cut_for + Random(seed).random())
    for mine, theirs in ((one, other), (other, one)):
        for host in mine:
            assert {host.state_of(peer.name) for peer in mine} == {ALIVE}
            if cut_for > 60:
                assert {host.state_of(peer.name) for peer in theirs} == {DEAD}
    lan.heal()
    whole = [[(host.name, ALIVE) for host in sorted(hosts, key=lambda h: h.name)]] * len(hosts)
    took = lan.run_until(lambda: views(hosts) == whole, 20)
    assert took < 3.0
    lan.run(10)
    assert views(hosts) == whole, "and it stays whole"


def test_leave_is_left_not_failed() -> None:
    lan = Lan()
    *others, leaver = lan.grow(5)
    leaver.membership.leave(lan.now)
    lan.poke(leaver)
    assert lan.run_until(all_see(others, leaver.name, LEFT), 2) < 0.3
    lan.kill(leaver)
    lan.run(10)
    assert all(host.saw(EventKind.FAILED, leaver.name) is None for host in others)
    assert all(host.saw(EventKind.SUSPECTED, leaver.name) is None for host in others)


def test_restarted_member_is_back_under_its_name() -> None:
    lan = Lan()
    *others, victim = lan.grow(3)
    lan.kill(victim)
    lan.run(5)
    again = lan.add(victim.name, address=victim.address)
    lan.join(again, others[0])
    assert lan.run_until(all_see(others, victim.name, ALIVE), 5) < 1.0
    recovered = others[1].saw(EventKind.RECOVERED, victim.name)
    assert recovered is not None
    assert recovered.before is not None
    assert recovered.before.state is DEAD


def test_seed_is_tried_until_it_is_there() -> None:
    lan = Lan()
    early = lan.add("early", seeds=(("192.0.2.2", 7946),))
    lan.run(20)
    late = lan.add("late")
    took = lan.run_until(lambda: late.state_of("early") is ALIVE and early.state_of("late") is ALIVE, 10)
    assert took < 2.0


def test_name_conflict_is_refused_and_counted() -> None:
    lan = Lan()
    hosts = lan.grow(3)
    impostor = Lan(9).add("n1", address=("192.0.2.99", 7946))
    impostor.membership.update_meta(0.0)
    state = impostor.membership.local_state(join=True, native=False)
    hosts[1].membership.push_pull_asked(state, "192.0.2.99", lan.now)
    member = hosts[1].membership.member("n1")
    assert member is not None
    assert member.address == hosts[0].address[0]
    assert hosts[1].membership.counters["dropped.name_conflict"] == 1


def test_dead_member_may_come_back_elsewhere_after_a_while() -> None:
    lan = Lan()
    *others, victim = lan.grow(3)
    lan.kill(victim)
    lan.run(5)
    moved = lan.add(victim.name, address=("192.0.2.77", 7946))
    lan.join(moved, others[0])
    assert lan.run_until(all_see(others, victim.name, ALIVE), 5) < 1.0
    assert {host.membership.member(victim.name).address for host in others} == {"192.0.2.77"}  # type: ignore[union-attr]


def test_news_goes_out_at_once_and_is_bounded() -> None:
    lan = Lan()
    hosts = lan.grow(3)
    hosts[0].talk.to_say += [b"one", b"two"]
    hosts[0].membership.broadcast_soon()
    lan.poke(hosts[0])
    took = lan.run_until(lambda: any(b"two" in host.talk.heard for host in hosts[1:]), 1)
    assert took < 0.01
    before = lan.packets
    for number in range(2000):
        hosts[0].talk.to_say.append(b"%d" % number)
        hosts[0].membership.broadcast_soon()
        lan.poke(hosts[0])
    assert lan.packets - before <= SHOAL.prompt_burst
    assert hosts[0].membership.counters["prompt_gossip_withheld"] > 0


def test_changed_meta_is_an_update() -> None:
    lan = Lan()
    hosts = lan.grow(5)
    hosts[0].talk.data = b"new"
    hosts[0].membership.update_meta(lan.now)
    lan.poke(hosts[0])
    took = lan.run_until(lambda: all(host.saw(EventKind.UPDATED, "n1") for host in hosts[1:]), 2)
    assert took < 0.25
    assert {host.membership.member("n1").meta for host in hosts} == {b"new"}  # type: ignore[union-attr]


def test_icmp_error_is_a_reason_to_probe_and_no_verdict() -> None:
    lan = Lan(3)
    one, two, _ = lan.grow(3)
    one.membership.datagram_refused(two.address, lan.now)
    lan.poke(one)
    assert one.membership.counters["probes_out_of_turn"] == 1
    lan.run(3)
    assert one.saw(EventKind.SUSPECTED, two.name) is None, "he answered"


def test_a_message_of_a_newer_version_spoils_no_other_in_its_packet() -> None:
    lan = Lan(4)
    one, two, _ = lan.grow(3)
    codec = PacketCodec(b"", Keyring([], Random(1).randbytes))
    packet = codec.encode([b"\xf0 from the future", Suspect(1, one.name, two.name).encode(), b"\x03\xc1"])
    one.membership.receive_datagram(packet, two.address, lan.now)
    counters = one.membership.counters
    assert (counters["dropped.unknown_message"], counters["dropped.bad_msgpack"], counters["refuted"]) == (1, 1, 1)


def test_what_cannot_be_is_refused() -> None:
    """An incarnation that could never be refuted, and addresses where nobody can be."""
    lan = Lan(4)
    one, two, _ = lan.grow(3)
    codec = PacketCodec(b"", Keyring([], Random(1).randbytes))
    for said in (
        Suspect(2**32 - 1, two.name, "n3"),
        Suspect(2**32 - 1, one.name, "n3"),
        Alive(2**32 - 1, two.name, *two.address, b""),
        Alive(2**32 - 1, "n8", "192.0.2.8", 7946, b""),
        Alive(1, "n9", "0.0.0.0", 7946, b""),
        Alive(1, "n9", "224.0.0.1", 7946, b""),
        Alive(1, "n9", "192.0.2.9", 0, b""),
    ):
        one.membership.receive_datagram(codec.encode([said.encode()]), ("192.0.2.3", 7946), lan.now)
    counters = one.membership.counters
    assert (counters["dropped.from_the_future"], counters["dropped.bad_address"]) == (4, 3)
    assert views([one]) == [[("n1", ALIVE), ("n2", ALIVE), ("n3", ALIVE)]]
    lan.run(2)
    one.membership.update_meta(lan.now)
    lan.poke(one)
    lan.run(1)
    assert views([one, two]) == [[("n1", ALIVE), ("n2", ALIVE), ("n3", ALIVE)]] * 2, "and can still be refuted"


def test_members_outside_of_the_networks_are_refused() -> None:
    lan = Lan(5)
    one = lan.add("n1")
    config = replace(one.membership.config, networks=("192.0.2.0/24",))
    inside = Membership(config, delegate=one.talk, random=Random(1), entropy=Random(1).randbytes, now=0.0)
    codec = PacketCodec(b"", Keyring([], Random(1).randbytes))
    for name, address in (("n2", "192.0.2.2"), ("n3", "198.51.100.3")):
        said = Alive(1, name, address, 7946, b"").encode()
        inside.receive_datagram(codec.encode([said]), ("192.0.2.2", 7946), 0.0)
    assert [member.name for member in inside.members()] == ["n1", "n2"]
    assert inside.counters["dropped.bad_address"] == 1


def test_answer_under_way_does_not_hide_the_end_of_a_stream() -> None:
    """The victim acks a ping and dies: the ack arrives after the stream's end, and says nothing about now."""
    lan = Lan()
    watcher, victim = lan.grow(2)
    probes = watcher.membership.counters["probes"]
    lan.run_until(lambda: watcher.membership.counters["probes"] > probes, 5)
    received = victim.membership.counters["packets_received"]
    lan.run_until(lambda: victim.membership.counters["packets_received"] > received, 5)
    lan.kill(victim)
    assert lan.run_until(all_see([watcher], victim.name, DEAD), 10) < 1.5


def test_one_bad_link_is_bridged_by_indirect_probes() -> None:
    lan = Lan()
    hosts = lan.grow(4)
    lan.cut_link(hosts[0], hosts[1])
    lan.run(60)
    assert not [event for host in hosts for event in host.events]
    assert hosts[2].membership.counters["probes_relayed"] > 5


def test_member_deaf_to_udp_is_found_alive_by_tcp() -> None:
    lan = Lan()
    hosts = lan.grow(4)
    lan.deaf_to_udp.append("n4")
    lan.run(20)
    assert not [event for host in hosts[:3] for event in host.events]
    assert hosts[2].membership.counters["probes_answered_by_tcp_only"] > 3, "its predecessor in the ring"


def test_stale_accuser_is_told_the_refutation() -> None:
    lan = Lan()
    hosts = lan.grow(3)
    hosts[0].membership.update_meta(lan.now)
    lan.poke(hosts[0])
    lan.run(3)
    stale = Suspect(1, "n1", "n2").encode()
    hosts[0].membership.receive_datagram(stale, hosts[1].address, lan.now)
    assert said_to(hosts[0], hosts[1], lan.now) == [Alive(2, "n1", *hosts[0].address, wrap_meta(b"n1"))]


def test_peer_that_thinks_us_dead_hears_at_once() -> None:
    lan = Lan()
    hosts = lan.grow(12)
    state = hosts[1].membership.local_state(join=False, native=True)
    dead = tuple(replace(node, state=2) if node.name == "n1" else node for node in state.nodes)
    dial = DialPushPull(hosts[1].address, False, True, 1.0)
    hosts[0].membership.push_pull_answered(dial, replace(state, nodes=dead), lan.now)
    assert said_to(hosts[0], hosts[1], lan.now)[0] == Alive(2, "n1", *hosts[0].address, wrap_meta(b"n1"))


@pytest.mark.parametrize("seed", range(3))
def test_no_false_death_under_loss(seed: int) -> None:
    lan = Lan(seed, loss=0.2)
    hosts = lan.grow(5)
    lan.run(120)
    assert not [event for host in hosts for event in host.events if event.kind is EventKind.FAILED]


@pytest.mark.parametrize(("size", "most"), [(3, 1.3), (10, 1.8), (25, 1.85)])
def test_idle_load_is_below_serfs(size: int, most: float) -> None:
    """serf's agents: 2.05 packets a second and member at 3, 2.2 at 25, streams included."""
    lan = Lan(keys=(bytes(16),), label=b"x" * 25)
    hosts = [lan.add(f"host{n}-" + "abcdefghijklmnopqrstuvwxy") for n in range(size)]
    for host in hosts:
        host.talk.name = "the same"  # the layer above has nothing to exchange
        lan.join(host, hosts[0])
    lan.run(5)
    packets, octets, before = lan.packets, lan.octets, [host.membership.counters["push_pulls"] for host in hosts]
    lan.run(60)
    assert (lan.packets - packets) / 60 / size < most
    assert (lan.octets - octets) / 60 / size < 300
    pulls = [host.membership.counters["push_pulls"] - were for host, were in zip(hosts, before, strict=True)]
    assert sum(pulls) <= 2 * size, "a digest is enough where there is nothing to exchange (each counts at both ends)"


def test_a_digest_finds_who_is_not_known() -> None:
    """All news of a newcomer was lost, and push/pull is two minutes away."""
    lan = Lan(6)
    hosts = lan.grow(6)
    late = lan.add("late")
    lan.cut([late, hosts[0]], hosts[1:])
    lan.join(late, hosts[0])
    lan.run(1.0)
    assert [host.state_of("late") for host in hosts] == [ALIVE, *[None] * 5]
    for host in (late, hosts[0]):
        host.membership._local.rumours.discard("late")
    lan.heal()
    assert lan.run_until(all_see(hosts, "late", ALIVE), 60) < 25
    stranger = PacketCodec(b"", Keyring([], Random(1).randbytes)).encode([Digest(7, b"").encode()])
    hosts[1].membership.receive_datagram(stranger, ("192.0.2.99", 7946), lan.now)
    assert hosts[1].membership.counters["dropped.digest_of_a_stranger"] == 1


def test_who_was_heard_is_not_probed_in_turn() -> None:
    lan = Lan(7)
    one, two = lan.grow(2)
    probes = [host.membership.counters["probes"] for host in (one, two)]
    lan.run(60)
    probed = [host.membership.counters["probes"] - before for host, before in zip((one, two), probes, strict=True)]
    assert 30 <= sum(probed) <= 70, "at most one ping a second between two, not two"
    lan.cut([two])
    assert lan.run_until(all_see([one], two.name, DEAD), 20) < 6.0


def test_roster_decides_who_may_be_a_member() -> None:
    lan = Lan()
    hosts = lan.grow(3)
    for host in hosts[:2]:
        host.membership.allow(lambda name: name != "n3", lan.now)
        lan.poke(host)
        assert host.state_of("n3") is None
    assert hosts[0].saw(EventKind.LEFT, "n3")
    lan.run(8)
    assert hosts[0].state_of("n3") is None
    assert hosts[0].membership.counters["dropped.not_in_roster"] > 0
    assert hosts[2].state_of("n1") is DEAD, "whoever is expelled gets no answer"


def test_newcomer_whose_gossip_outruns_the_roster() -> None:
    lan = Lan()
    hosts = lan.grow(3)
    roster = ["n1", "n2", "n3"]
    for host in hosts:
        host.membership.allow(lambda name: name in roster, lan.now)
    late = lan.add("n4")
    lan.join(late, hosts[0])
    lan.run(3)
    assert hosts[1].state_of("n4") is None
    roster.append("n4")
    lan.join(late, hosts[0])
    assert lan.run_until(all_see(hosts, "n4", ALIVE), 5) < 1.0


def test_encrypted_cluster_hears_no_stranger() -> None:
    lan = Lan(keys=(b"k" * 16,))
    hosts = lan.grow(3)
    for keys in ((), (b"z" * 16,)):
        stranger = lan.add(f"stranger{len(keys)}", keys=keys)
        stranger.membership.leave(lan.now)
        for data, _ in stranger.membership.datagrams_to_send(lan.now):
            hosts[0].membership.receive_datagram(data, stranger.address, lan.now)
    hosts[0].membership.receive_datagram(b"\x08hello", ("192.0.2.50", 7946), lan.now)
    assert len(hosts[0].membership.members()) == 3
    assert hosts[0].membership.counters["dropped.unauthenticated"] >= 1


def test_key_rotation_while_running() -> None:
    lan = Lan(keys=(b"k" * 16,))
    hosts = lan.grow(3)
    new = b"n" * 32
    for step in ("add", "use"):
        for host in hosts:
            getattr(host.membership.keyring, step)(new)
            lan.run(1.0)
    for host in hosts:
        host.membership.keyring.remove(b"k" * 16)
        lan.run(1.0)
    assert not [event for host in hosts for event in host.events]
    assert not any(host.membership.counters["dropped.unauthenticated"] for host in hosts)


def test_garbage_is_counted_and_changes_nothing() -> None:
    lan = Lan()
    hosts = lan.grow(2)
    random = Random(5)
    for _ in range(3000):
        hosts[0].membership.receive_datagram(random.randbytes(random.randrange(60)), ("192.0.2.9", 9), lan.now)
        lan.poke(hosts[0])
    counters = hosts[0].membership.counters
    assert sum(number for name, number in counters.items() if name.startswith("dropped.")) > 2000
    lan.run(5)
    assert [member.name for member in hosts[0].membership.members()] == ["n1", "n2"]


def test_plain_lan_profile_is_memberlists() -> None:
    """With the reference's constants a silent member takes about as long as serf's 6 s."""
    lan = Lan()
    hosts = [lan.add(f"n{number}", profile=LAN) for number in range(3)]
    for host in hosts[1:]:
        lan.join(host, hosts[0])
    lan.run(2)
    lan.cut([hosts[2]])
    took = lan.run_until(all_see(hosts[:2], "n2", DEAD), 30)
    assert 5.0 <= took <= 8.5


def test_one_seed_gives_one_run() -> None:
    def run() -> tuple[int, int, list[str]]:
        lan = Lan(7, loss=0.1)
        hosts = lan.grow(5)
        lan.kill(hosts[4])
        lan.run(10)
        return lan.packets, lan.octets, [f"{e.at} {e.kind} {e.member.name} {e.told_by}" for e in hosts[0].events]

    assert run() == run()
