"""macvlan, VLAN sub-interfaces, and what tells each mode from the others (Linux's macvlan.c; promises P8, P14)."""

from __future__ import annotations

import pytest

from overlay.lan import PORT
from overlay.sandbox import Sandbox
from overlay.spec import NetworkError, NetworkSpec, Pool
from overlay.wire import vlan
from tests.overlay.lab import Lab, bridge, lab, ping

LAN = "192.0.2.0/24"


def macvlan(
    name: str, *, parent: str = "eth0", mode: str = "", subnet: str = LAN, internal: bool = False
) -> NetworkSpec:
    options = {"parent": parent} if parent else {}
    if mode:
        options["macvlan_mode"] = mode
    gateway = subnet.removesuffix("0/24") + "254"
    return NetworkSpec(f"{name}-id".ljust(64, "0"), name, "macvlan", (Pool(subnet, gateway),), internal, options)


def tags_on_the_lan(net: Lab) -> set[int]:
    frames = [data for _, to, data in net.wires.sent if to[1] == PORT]
    return {vlan.pop(frame)[0].vid if vlan.is_tagged(frame) else 0 for frame in frames}


async def hears(sandbox: Sandbox, sender: Sandbox, to: str) -> list[bytes]:
    """What comes in on a sandbox's interfaces while another one pings."""
    capture = sandbox.capture()
    await ping(sender, to, wait=0.2)
    capture.close()
    return [captured.frame async for captured in capture if not captured.outgoing]


async def test_bridge_mode_is_on_the_lan_with_a_mac_of_its_own_but_not_with_its_host() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(macvlan("mv"))
        a, attached = net.run(h1, "a", network, "192.0.2.64")
        b, _ = net.run(h1, "b", network, "192.0.2.65")
        far, _ = net.run(h2, "far", network, "192.0.2.96")
        assert (attached.interface, attached.gateway) == ("eth0", "192.0.2.254")
        assert await ping(a, "192.0.2.65") == 64
        assert await ping(a, "192.0.2.96") == await ping(h2.host, "192.0.2.64") == 64
        assert await ping(b, "192.0.2.2") == await ping(b, "192.0.2.254") == 64
        assert [n.mac for n in h2.host.neighbours() if n.ip == "192.0.2.64"] == ["02:42:c0:00:02:40"]
        assert await ping(a, "192.0.2.1", wait=0.2) is None
        assert await ping(h1.host, "192.0.2.64", wait=0.2) is None
        assert await ping(h1.host, "192.0.2.2") == 64
        h1.detach("a@mv")
        h1.detach("b@mv")
        assert await ping(h2.host, "192.0.2.1") == 64
        assert far.interfaces()[-1].mac == "02:42:c0:00:02:60"


async def test_each_mode_by_who_hears_whom_with_and_without_a_reflective_switch() -> None:
    """Only bridge needs nobody else, vepa needs the switch, private does not want it."""
    found = {}
    for mode in ("bridge", "vepa", "private"):
        for relay in (False, True):
            async with lab(1, reflective_relay=relay) as net:
                (h1,) = net.hosts
                network = net.create(macvlan("mv", mode=mode))
                a, _ = net.run(h1, "a", network, "192.0.2.64")
                net.run(h1, "b", network, "192.0.2.65")
                found[mode, relay] = await ping(a, "192.0.2.65", wait=0.2)
                assert await ping(a, "192.0.2.254") == 64
    assert found == {
        ("bridge", False): 64,
        ("bridge", True): 64,
        ("vepa", False): None,
        ("vepa", True): 64,
        ("private", False): None,
        ("private", True): None,
    }


async def test_passthru_has_room_for_one_which_takes_the_parent_over() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(macvlan("mv", mode="passthru"), h1)
        one, _ = net.run(h1, "one", network, "192.0.2.64")
        with pytest.raises(NetworkError, match="failed to create the macvlan port: invalid argument"):
            net.run(h1, "two", network, "192.0.2.65")
        assert await ping(one, "192.0.2.2") == 64
        assert await hears(one, h2.host, "192.0.2.1"), "frames for whatever MAC come in"
        assert await ping(h2.host, "192.0.2.1", wait=0.2) is None
        h1.detach("one@mv")
        assert await ping(h2.host, "192.0.2.1") == 64


async def test_vlans_are_tagged_on_the_lan_and_do_not_hear_each_other() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        fifty = net.create(macvlan("v50", parent="eth0.50", subnet="10.50.0.0/24"))
        sixty = net.create(macvlan("v60", parent="eth0.60", subnet="10.50.0.0/24"))
        a, _ = net.run(h1, "a", fifty, "10.50.0.2")
        net.run(h2, "b", fifty, "10.50.0.3")
        stranger, _ = net.run(h2, "stranger", sixty, "10.50.0.4")
        plain, _ = net.run(h2, "plain", net.create(macvlan("mv"), h2), "192.0.2.96")
        net.wires.sent.clear()
        assert await ping(a, "10.50.0.3") == 64
        assert tags_on_the_lan(net) == {50}
        assert await hears(stranger, a, "10.50.0.9") == await hears(plain, a, "10.50.0.9") == []
        assert await ping(a, "10.50.0.4", wait=0.2) is await ping(stranger, "10.50.0.3", wait=0.2) is None
        assert await ping(plain, "192.0.2.1") == await ping(h2.host, "192.0.2.1") == 64
        names = [interface.name for interface in h1.host.interfaces()]
        assert "eth0.50" in names and "eth0.60" in names
        parent = h1.host.interface("eth0.50")
        assert (parent.beneath, a.interface("eth0").beneath) == ("eth0", f"if{parent.index}")
        for host, endpoint in ((h1, "a@v50"), (h2, "b@v50"), (h2, "stranger@v60")):
            host.detach(endpoint)
        h1.delete_network(fifty.id)
        assert [interface.name for interface in h1.host.interfaces()] == ["lo", "eth0", "eth0.60"]
        assert await ping(h2.host, "192.0.2.1") == 64


async def test_a_tag_nobody_has_is_counted() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        a, _ = net.run(h1, "a", net.create(macvlan("v50", parent="eth0.50", subnet="10.50.0.0/24"), h1), "10.50.0.2")
        net.run(h2, "b", net.create(macvlan("v60", parent="eth0.60", subnet="10.50.0.0/24"), h2), "10.50.0.3")
        await ping(a, "10.50.0.3", wait=0.2)
        assert h2.counters["vlan_dropped_unknown_vid"] > 0


async def test_without_a_parent_they_are_among_themselves() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        shut = net.create(macvlan("shut", internal=True, subnet="10.60.0.0/24"))
        alone = net.create(macvlan("alone", parent="", subnet="10.61.0.0/24"))
        a, _ = net.run(h1, "a", shut, "10.60.0.2")
        net.run(h1, "b", shut, "10.60.0.3")
        c, _ = net.run(h1, "c", alone, "10.61.0.2")
        assert await ping(a, "10.60.0.3") == 64
        assert await ping(a, "192.0.2.254", wait=0.2) is None
        assert await ping(c, "10.60.0.3", wait=0.2) is None
        assert f"dm-{shut.id[:12]}" in [interface.name for interface in h1.host.interfaces()]


async def test_a_bridge_of_the_host_can_be_a_parent() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        below = net.create(bridge("below", "10.70.0.0/24", com__docker__network__bridge__name="br-below"))
        above = net.create(macvlan("above", parent="br-below", subnet="10.70.0.0/24"))
        low, _ = net.run(h1, "low", below, "10.70.0.2")
        high, _ = net.run(h1, "high", above, "10.70.0.200")
        assert await ping(high, "10.70.0.2") == await ping(low, "10.70.0.1") == 64
        assert await ping(high, "10.70.0.1", wait=0.2) is None


@pytest.mark.parametrize(
    ("parent", "mode", "text"),
    [
        ("nosuch0", "", "invalid subinterface vlan name nosuch0, example formatting is eth0.10"),
        ("eth0.1.2", "", "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received"),
        ("eth0.x", "", "unable to parse a valid vlan id from: x"),
        ("eth9.10", "", "-o parent interface does was not found on the host: eth9"),
        ("eth0.4095", "", "vlan id must be between 1-4094, received: 4095"),
        ("lo", "", "loopback interface is not a valid macvlan parent link"),
        ("eth0", "nope", "requested macvlan mode 'nope' is not valid, 'bridge' mode is the macvlan driver default"),
        ("eth0.7", "", "network dm-first-id0000 is already using parent interface eth0.7"),
    ],
)
async def test_what_is_refused(parent: str, mode: str, text: str) -> None:
    async with lab() as net:
        net.create(macvlan("first", parent="eth0.7"))
        with pytest.raises(NetworkError) as refused:
            net.create(macvlan("second", parent=parent, mode=mode))
        assert str(refused.value).startswith(text)
        assert [interface.name for interface in net.hosts[0].host.interfaces()] == ["lo", "eth0", "eth0.7"]
