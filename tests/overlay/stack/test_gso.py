"""Super-segments: cutting one gives what MTU-sized TCP would have sent, and nothing above the MTU leaks."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.stack.gso import segment
from overlay.wire import ethernet, ipv4, tcp
from overlay.wire.address import ANY, pack_ip
from overlay.wire.ipv4 import PROTOCOL_TCP, Packet
from tests.overlay.stack.network import Network
from tests.overlay.stack.transfer import connect, exchange

A, B = pack_ip("10.0.0.1"), pack_ip("10.0.1.2")


@given(
    st.integers(1, 60_000),
    st.integers(576, 1500),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255).filter(lambda flags: not flags & (tcp.SYN | tcp.RST | tcp.URG)),
    st.booleans(),
)
def test_the_pieces_are_right_and_carry_the_same(size: int, mtu: int, seq: int, flags: int, stamps: bool) -> None:
    data = Random(size).randbytes(size)
    whole = tcp.Segment(1, 2, seq, 4, flags, 5, data, timestamps=(6, 7) if stamps else None)
    packet = Packet(A, B, PROTOCOL_TCP, whole.emit(A, B), identification=65530, dont_fragment=True)
    frames = segment(ethernet.Frame(b"\x02" * 6, b"\x04" * 6, 0x0800, packet.emit()).emit(), mtu)
    got = b""
    for number, frame in enumerate(frames):
        piece = ipv4.parse(frame, 14)
        assert piece.total_length <= mtu == max(mtu, piece.total_length)
        assert piece.identification == (65530 + number) % 65536
        part = tcp.parse(piece.payload, A, B)
        assert part.seq == (seq + len(got)) & 0xFFFFFFFF
        assert (part.ack, part.window, part.timestamps) == (whole.ack, whole.window, whole.timestamps)
        first, last = number == 0, number == len(frames) - 1
        unchanged = ~(tcp.FIN | tcp.PSH | tcp.CWR)
        assert part.flags & unchanged == flags & unchanged
        assert part.flags & (tcp.FIN | tcp.PSH) == (flags & (tcp.FIN | tcp.PSH) if last else 0)
        assert part.flags & tcp.CWR == (flags & tcp.CWR if first else 0)
        got += part.payload
    assert got == data


def test_what_cannot_be_cut_comes_back_as_it_is() -> None:
    for payload, kind in ((bytes(3000), 0x8100), (Packet(A, B, 17, bytes(3000)).emit(), 0x0800)):
        frame = ethernet.Frame(b"\x02" * 6, b"\x04" * 6, kind, payload).emit()
        assert segment(frame, 1500) == [frame]


@pytest.mark.parametrize("far_gso", [0, 60000])
def test_a_router_passes_super_segments_whole_or_cuts_them(far_gso: int) -> None:
    network = Network()
    a, router, c = network.host(), network.host(), network.host()
    near_link, _ = network.link(a, "10.0.0.1/24", router, "10.0.0.254/24", mtu=1450, gso=60000)
    far_link, _ = network.link(router, "10.0.1.254/24", c, "10.0.1.2/24", mtu=1400, gso=far_gso)
    router.forwarding = True
    a.add_route(ANY, 0, pack_ip("10.0.0.254"), None, None, 0)
    c.add_route(ANY, 0, pack_ip("10.0.1.254"), None, None, 0)
    near_link.keep = far_link.keep = True
    near, far = connect(network, a, c, "10.0.1.2")
    data = Random(2).randbytes(2_000_000)
    exchange(network, near, far, data, b"")
    assert max(len(frame) for _, frame in near_link.frames) > 50_000
    largest = max(len(frame) for _, frame in far_link.frames)
    assert largest > 50_000 if far_gso else largest == 1414
    assert (far.peer_mss, near.peer_mss) == (1410, 1360)  # MSS stays that of the MTU
