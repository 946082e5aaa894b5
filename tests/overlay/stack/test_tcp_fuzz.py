"""Segments that no sane peer sends, in every state: nothing is raised, nothing of a connection contradicts itself,
and a stranger who does not know the sequence numbers cannot end it."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.state import State
from overlay.wire import tcp
from overlay.wire.address import ANY, pack_ip
from overlay.wire.ipv4 import PROTOCOL_TCP, Packet
from tests.overlay.stack.invariants import check
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import Program, connect

A, B = pack_ip("10.0.0.1"), pack_ip("10.0.0.2")

near_offsets = st.integers(-3, 3) | st.integers(-70_000, 70_000) | st.sampled_from([-(2**31), 2**31 - 1, 1 << 20])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("segment"),
            near_offsets,
            near_offsets,
            st.integers(0, 255) | st.sampled_from([tcp.ACK, tcp.ACK | tcp.FIN, tcp.SYN, tcp.SYN | tcp.ACK]),
            st.integers(0, 65535),
            st.integers(0, 3000),
            st.lists(st.tuples(near_offsets, st.integers(-10, 5000)), max_size=3),
            st.sampled_from([None, 0, 1, -1, -100_000, 100_000]),
        ),
        st.tuples(st.just("write"), st.integers(1, 20_000)),
        st.tuples(st.just("read"), st.integers(1, 20_000)),
        st.tuples(st.just("run"), st.sampled_from([0.001, 0.05, 0.3, 2.0])),
        st.tuples(st.just("shutdown")),
        st.tuples(st.just("close")),
    ),
    max_size=25,
)


def forge(conn: Connection, step: tuple) -> bytes:  # type: ignore[type-arg]
    _, seq, ack, flags, window, size, sacks, stamp = step
    stack = conn.layer.stack
    segment = tcp.Segment(
        conn.remote_port,
        conn.local_port,
        conn.rcv_nxt + seq & 0xFFFFFFFF,
        conn.snd_una + ack & 0xFFFFFFFF,
        flags,
        window,
        bytes(size),
        timestamps=None if stamp is None else (conn.ts_recent + stamp & 0xFFFFFFFF, int(stack.now * 1000) & 0xFFFFFFFF),
        sack=tuple(
            (conn.snd_una + left & 0xFFFFFFFF, conn.snd_una + left + length & 0xFFFFFFFF) for left, length in sacks
        ),
    )
    return segment.emit(conn.remote_ip, conn.local_ip)


@settings(max_examples=300, deadline=None)
@given(steps, st.sampled_from(["established", "syn-sent", "syn-received"]), st.integers(0, 5))
def test_forged_segments_never_break_a_connection(plan: list[tuple], start: str, seed: int) -> None:  # type: ignore[type-arg]
    network = Network(seed)
    a, b = network.host(), network.host()
    links = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(loss=0.1))
    if start == "established":
        conn, _ = connect(network, a, b, "10.0.0.2")
    elif start == "syn-sent":
        conn = a.tcp.connect(B, 80, network.now)
    else:
        listener = a.tcp.listen(ANY, 80, 1)
        listener.syn(A, B, tcp.Segment(999, 80, 5, 0, tcp.SYN, 1000, sack_permitted=True), network.now)
        conn = next(iter(listener.half_open.values()))
    links[1].cut = start != "established"
    interface = a.interfaces["eth0"]
    for step in plan:
        try:
            match step[0]:
                case "segment":
                    packet = Packet(B, A, PROTOCOL_TCP, forge(conn, step))
                    frame = interface.hardware + bytes(6) + b"\x08\x00" + packet.emit()
                    a.receive(interface, frame, network.now)
                    check(conn)
                    a.flush(network.now)
                case "write":
                    conn.write(bytes(step[1]), network.now)
                case "read":
                    conn.read(step[1], network.now)
                case "run":
                    network.run(seconds=step[1])
                case "shutdown":
                    conn.shutdown_write(network.now)
                case "close":
                    conn.close(network.now)
        except OSError:
            assert conn.state in (State.CLOSED, State.TIME_WAIT) or conn.fin_queued or conn.orphan
        check(conn)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_stranger_cannot_disturb_a_transfer(seed: int) -> None:
    """Off-path: right addresses and ports, but sequence numbers out of nowhere (RFC 5961)."""
    network = Network(seed)
    a, b = network.host(), network.host()
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    near, far = connect(network, a, b, "10.0.0.2")
    random = Random(seed)

    def attack(now: float) -> None:
        interface = b.interfaces["eth0"]
        for _ in range(3):
            seq = far.rcv_nxt + random.randrange(2 << 20, 2**32 - (2 << 20)) & 0xFFFFFFFF
            flags = random.choice([tcp.RST, tcp.SYN, tcp.ACK, tcp.ACK | tcp.FIN, tcp.RST | tcp.ACK])
            segment = tcp.Segment(
                near.local_port,
                80,
                seq,
                random.getrandbits(32),
                flags,
                0,
                b"evil",
                timestamps=(random.getrandbits(32), 0),
            )
            packet = Packet(A, B, PROTOCOL_TCP, segment.emit(A, B))
            b.receive(interface, interface.hardware + bytes(6) + b"\x08\x00" + packet.emit(), now)

    data = random.randbytes(200_000)
    sender, reader = Program(near, data), Program(far, data)
    network.programs += [sender, reader, attack]
    assert network.run(lambda: sender.done and reader.done, 1)
    assert bytes(reader.received) == bytes(sender.received) == data


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_invariants_hold_all_through_a_lossy_transfer(seed: int, gso: bool) -> None:
    network = Network(seed)
    a, b = network.host(), network.host()
    faults = Link(loss=0.05, reorder=0.1, duplicate=0.05)
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", gso=60_000 if gso else 0, faults=faults)
    near, far = connect(network, a, b, "10.0.0.2")
    data = Random(seed).randbytes(100_000)
    sender, reader = Program(near, data), Program(far, b"x" * 30_000)

    def watch(now: float) -> None:
        check(near)
        check(far)

    network.programs += [sender, reader, watch]
    assert network.run(lambda: sender.done and reader.done, 300)
    assert bytes(reader.received) == data
