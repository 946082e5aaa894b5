"""IPAM against what a real engine gave out, in the order in which it did (recorded rows, docker 20.10)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.ipam.errors import (
    AddressInUse,
    InvalidPool,
    NoAvailableAddresses,
    NoAvailablePool,
    NotInSubnet,
    PoolOverlap,
)
from overlay.ipam.mac import mac_from_ip
from overlay.ipam.pool import AddressPool
from overlay.ipam.space import GLOBAL_DEFAULTS, AddressSpace


def test_defaults_come_in_docker_s_order_and_a_freed_one_is_last() -> None:
    space = AddressSpace()
    space.request_pool("172.17.0.0/16")
    given = [str(space.request_pool().network) for _ in range(3)]
    assert given == ["172.18.0.0/16", "172.19.0.0/16", "172.20.0.0/16"]
    space.release("172.18.0.0/16")
    assert str(space.request_pool().network) == "172.21.0.0/16"
    rest = [str(space.request_pool().network) for _ in range(10 + 16 + 1)]
    assert rest[9:12] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert rest[-1] == "172.18.0.0/16"
    with pytest.raises(NoAvailablePool):
        space.request_pool()


def test_a_default_that_overlaps_a_chosen_pool_or_a_route_is_passed_over() -> None:
    space = AddressSpace()
    space.request_pool("172.17.200.0/24")
    assert str(space.request_pool(avoid=["172.18.5.0/24"]).network) == "172.19.0.0/16"
    assert str(AddressSpace(GLOBAL_DEFAULTS).request_pool(avoid=["10.0.0.0/24"]).network) == "10.0.1.0/24"


@pytest.mark.parametrize("subnet", ["192.168.50.0/24", "192.168.50.128/25", "192.168.0.0/16"])
def test_overlap_is_refused(subnet: str) -> None:
    space = AddressSpace()
    space.request_pool("192.168.50.0/24")
    with pytest.raises(PoolOverlap, match=r"^Pool overlaps with other one on this address space$"):
        space.request_pool(subnet)


@pytest.mark.parametrize("subnet", ["300.1.1.0/24", "192.168.57.0/33", "192.168.57.0", "nonsense"])
def test_what_is_no_subnet_has_go_s_text(subnet: str) -> None:
    with pytest.raises(InvalidPool, match=f"^invalid CIDR address: {subnet}$"):
        AddressSpace().request_pool(subnet)


def test_a_small_network_gives_its_five_addresses_then_the_freed_one() -> None:
    """network-lifecycle: 10.9.0.0/29, five containers, a sixth refused, the second's address used again."""
    pool = AddressSpace().request_pool("10.9.0.0/29")
    assert pool.request_gateway() == "10.9.0.1"
    assert [pool.request() for _ in range(5)] == [f"10.9.0.{n}" for n in range(2, 7)]
    with pytest.raises(NoAvailableAddresses):
        pool.request()
    pool.release("10.9.0.3")
    assert pool.request() == "10.9.0.3"


def test_chosen_gateway_range_and_auxiliary_addresses() -> None:
    pool = AddressSpace().request_pool("192.0.2.0/24", ip_range="192.0.2.64/27")
    pool.request_gateway("192.0.2.254")
    assert pool.request() == "192.0.2.64"  # drivers: the first container of the range has its first address
    assert pool.request("192.0.2.7") == "192.0.2.7"  # chosen outside of the range, inside of the subnet
    aux = AddressSpace().request_pool("192.168.55.0/24")
    aux.reserve(["192.168.55.2", "192.168.55.3"])
    assert (aux.request_gateway(), aux.request()) == ("192.168.55.1", "192.168.55.4")
    with pytest.raises(InvalidPool):
        AddressPool("192.168.54.0/24", ip_range="192.168.60.0/24")


def test_wishes_that_cannot_be_met() -> None:
    pool = AddressSpace().request_pool("10.20.0.0/24")
    pool.request_gateway()
    pool.request("10.20.0.77")
    for taken in ("10.20.0.77", "10.20.0.1", "10.20.0.0", "10.20.0.255"):
        with pytest.raises(AddressInUse, match=r"^Address already in use$"):
            pool.request(taken)
    for stranger in ("10.99.0.1", "nonsense"):
        with pytest.raises(NotInSubnet):
            pool.request(stranger)


def test_mac_is_the_address() -> None:
    assert mac_from_ip("172.17.0.2") == mac_from_ip("172.17.0.2/16") == "02:42:ac:11:00:02"


@given(st.lists(st.one_of(st.none(), st.integers(0, 15)), max_size=40))
def test_never_twice_and_always_the_lowest(steps: list[int | None]) -> None:
    pool = AddressPool("10.0.0.0/28")
    held: set[str] = set()
    for step in steps:
        if step is None:
            free = [str(a) for a in ipaddress.ip_network("10.0.0.0/28").hosts() if str(a) not in held]
            if free:
                got = pool.request()
                assert got == free[0]
                held.add(got)
        else:
            address = f"10.0.0.{step}"
            pool.release(address)
            held.discard(address)
