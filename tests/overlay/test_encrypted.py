"""Encrypted overlays and overlays of several subnets: what is on the wire, what is refused, what is routed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.seal import OVERHEAD, Sealer
from overlay.spec import NetworkError, NetworkSpec, Pool
from overlay.wire import vxlan
from tests.overlay.lab import Lab, fetch, lab, overlay, ping, serving

KEY, OTHER = b"k" * 32, b"o" * 32
HEADER = vxlan.emit(vxlan.Header(4097, sealed=True))


def sealer(address: str, *keys: bytes, seed: int = 0) -> Sealer:
    made = Sealer(address, entropy=Random(seed).randbytes, counters=Counter())
    made.use(keys)
    return made


@given(st.binary(min_size=14, max_size=2000), st.integers(0, 10), st.data())
def test_what_is_sealed_opens_once_and_only_unchanged(frame: bytes, before: int, data: st.DataObject) -> None:
    counters: Counter[str] = Counter()
    one, two = sealer("192.0.2.1", KEY), Sealer("192.0.2.2", entropy=Random(1).randbytes, counters=counters)
    two.use([OTHER, KEY])
    for _ in range(before):
        one.seal(HEADER, b"earlier")
    sealed = HEADER + one.seal(HEADER, frame)
    assert len(sealed) == vxlan.HEADER_LENGTH + len(frame) + OVERHEAD
    bit = data.draw(st.integers(8, len(sealed) * 8 - 1))
    changed = (int.from_bytes(sealed, "big") ^ 1 << len(sealed) * 8 - 1 - bit).to_bytes(len(sealed), "big")
    assert two.open(changed, "192.0.2.1") is None
    assert two.open(sealed, "192.0.2.3") is None, "another sender has another key"
    assert two.open(sealed, "192.0.2.1") == frame
    assert two.open(sealed, "192.0.2.1") is None
    assert counters == {"vxlan_dropped_seal_wrong": 2, "vxlan_dropped_seal_replayed": 1}


@given(st.permutations(range(12)))
def test_any_order_is_taken_each_counter_once(order: list[int]) -> None:
    one, two = sealer("192.0.2.1", KEY), sealer("192.0.2.2", KEY, seed=1)
    sent = [HEADER + one.seal(HEADER, bytes([number])) for number in range(12)]
    assert [two.open(sent[number], "192.0.2.1") for number in order] == [bytes([number]) for number in order]
    assert not any(two.open(packet, "192.0.2.1") for packet in sent)


def test_a_new_start_is_another_key_and_rotation_needs_no_pause() -> None:
    one, two = sealer("192.0.2.1", KEY), sealer("192.0.2.2", KEY, seed=1)
    again = sealer("192.0.2.1", KEY, seed=9)
    first = one.seal(HEADER, b"same")
    assert first[10:] != again.seal(HEADER, b"same")[10:]
    assert two.open(HEADER + again.seal(HEADER, b"x"), "192.0.2.1") == b"x"
    last = HEADER + one.seal(HEADER, b"y")
    assert two.open(last, "192.0.2.1") == b"y"
    two.use([OTHER, KEY])
    one.use([KEY, OTHER])
    assert two.open(last, "192.0.2.1") is None, "what came before is not taken again because keys were added"
    assert two.open(HEADER + one.seal(HEADER, b"z"), "192.0.2.1") == b"z"
    assert one.open(HEADER + two.seal(HEADER, b"back"), "192.0.2.2") == b"back"
    two.use([OTHER])
    assert two.open(HEADER + one.seal(HEADER, b"old key"), "192.0.2.1") is None


def encrypted(name: str = "ov", vni: int = 4097) -> NetworkSpec:
    return dataclasses.replace(overlay(name, "10.0.1.0/24", vni), mtu=1424, encrypted=True)


def vxlan_datagrams(net: Lab) -> list[bytes]:
    return [data for _, to, data in net.wires.sent if to[1] == vxlan.PORT]


async def test_an_encrypted_overlay_shows_nothing_on_the_wire() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        with pytest.raises(NetworkError, match="no key for encrypted overlay network ov"):
            h1.create_network(encrypted())
        for host in net.hosts:
            host.encrypt_with([KEY])
        network = net.create(encrypted())
        a, _ = net.run(h1, "a", network, "10.0.1.2")
        b, _ = net.run(h2, "b", network, "10.0.1.3")
        secret = b"a secret that is long enough to be found " * 100
        async with serving(b, 80, secret):
            assert (await fetch(a, ("10.0.1.3", 80))).startswith(secret)
        sent = vxlan_datagrams(net)
        assert sent and all(vxlan.parse(data).sealed for data in sent)
        assert not any(b"a secret" in data or bytes([10, 0, 1, 3]) in data for data in sent)

        before = h2.counters["vxlan_received"]
        forged = {
            "seal_replayed": sent[0],
            "seal_wrong": sent[0][:12] + b"\xff" * 6 + sent[0][18:],
            "seal_missing": vxlan.emit(vxlan.Header(4097)) + sent[0][8:],
            "seal_short": sent[0][:30],
        }
        for packet in forged.values():
            net.wires.ports["192.0.2.2", vxlan.PORT](packet, ("192.0.2.1", 4789))
        assert h2.counters["vxlan_received"] == before
        assert {why: h2.counters[f"vxlan_dropped_{why}"] for why in forged} == dict.fromkeys(forged, 1)


async def test_hosts_without_the_swarm_s_key_are_not_heard() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        h1.encrypt_with([KEY])
        h2.encrypt_with([OTHER])
        network = net.create(encrypted())
        a, _ = net.run(h1, "a", network, "10.0.1.2")
        net.run(h2, "b", network, "10.0.1.3")
        assert await ping(a, "10.0.1.3", wait=0.2) is None
        assert h2.counters["vxlan_dropped_seal_wrong"] > 0
        h2.encrypt_with([OTHER, KEY])
        h1.encrypt_with([KEY, OTHER])
        assert await ping(a, "10.0.1.3") == 64


async def test_subnets_of_one_overlay_have_a_vni_each_and_are_routed() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        pools = (Pool("10.8.0.0/24", "10.8.0.1"), Pool("10.9.0.0/24", "10.9.0.1"))
        network = net.create(NetworkSpec("two-id", "two", "overlay", pools, vnis=(4101, 4102), mtu=1450))
        a, _ = net.run(h1, "a", network, "10.8.0.2")
        b, _ = net.run(h2, "b", network, "10.9.0.2")
        net.run(h2, "c", network, "10.8.0.3")
        assert [(r.destination, r.via) for r in a.routes()] == [("10.8.0.0/24", None), ("10.9.0.0/24", "10.8.0.1")]
        for wanted, target, ttl in ((4101, "10.8.0.3", 64), (4102, "10.9.0.2", 63)):
            net.wires.sent.clear()
            assert await ping(a, target) == ttl
            there = [data for source, _, data in net.wires.sent if source[0] == "192.0.2.1"]
            assert {vxlan.parse(data).vni for data in there} == {wanted}
        assert await ping(b, "10.8.0.2") == 63
        assert await ping(a, "10.9.0.1") == 64
        # On the wrong segment nobody answers for an address, and nobody takes a frame for its MAC.
        a.add_route("10.9.0.2/32", interface="eth0")
        assert await ping(a, "10.9.0.2", wait=0.2) is None
        assert [n.mac for n in a.neighbours() if n.ip == "10.9.0.2"] == [None]
        a.add_neighbour("10.9.0.2", "02:42:0a:09:00:02", "eth0")
        assert await ping(a, "10.9.0.2", wait=0.2) is None
        assert h2.counters["vxlan_dropped_unknown_mac"] > 0
