"""The automaton of RFC 9293: every way to begin and to end, and what hostile or confused segments do (RFC 5961)."""

from __future__ import annotations

import errno
import itertools

import pytest

from overlay.stack.stack import Stack
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.limits import HALF_OPEN, TIME_WAIT
from overlay.stack.tcp.state import State
from overlay.wire import tcp
from overlay.wire.address import pack_ip
from overlay.wire.ipv4 import PROTOCOL_TCP, Packet
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import Program, connect, listen

A, B = pack_ip("10.0.0.1"), pack_ip("10.0.0.2")


@pytest.fixture
def network() -> Network:
    return Network(7)


def hosts(network: Network, faults: Link | None = None) -> tuple[Stack, Stack, Link, Link]:
    a, b = network.host(), network.host()
    out, back = network.link(a, "10.0.0.1/24", b, "10.0.0.2/24", faults=faults)
    return a, b, out, back


def inject(network: Network, stack: Stack, segment: tcp.Segment, source: bytes = A, destination: bytes = B) -> None:
    """A segment as if from the link."""
    interface = stack.interfaces["eth0"]
    packet = Packet(source, destination, PROTOCOL_TCP, segment.emit(source, destination))
    stack.receive(interface, interface.hardware + bytes(6) + b"\x08\x00" + packet.emit(), network.now)
    stack.flush(network.now)


def segment_from(conn: Connection, flags: int, *, seq: int = 0, ack: int = 0, data: bytes = b"") -> tcp.Segment:
    """A segment that `conn`'s peer accepts as from it, moved by `seq` and `ack`."""
    return tcp.Segment(
        conn.local_port,
        conn.remote_port,
        conn.snd_nxt + seq & 0xFFFFFFFF,
        conn.rcv_nxt + ack & 0xFFFFFFFF,
        flags,
        1000,
        data,
        timestamps=(int(conn.layer.stack.now * 1000) + conn.timestamp_offset & 0xFFFFFFFF, conn.ts_recent),
    )


def test_options_are_negotiated(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    for conn in (near, far):
        assert conn.state is State.ESTABLISHED
        assert conn.timestamps_on and conn.sack_on
        assert conn.send_scale == 7 == conn.receive_scale
        assert conn.mss == 1500 - 40 - 12
        assert 32768 <= near.local_port <= 60999


def test_half_close_in_both_roles(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.write(b"question", network.now)
    near.shutdown_write(network.now)
    network.run(lambda: far.fin_received, 5)
    assert (far.state, near.state) == (State.CLOSE_WAIT, State.FIN_WAIT_2) or network.run(
        lambda: near.state is State.FIN_WAIT_2, 1
    )
    assert far.read(100, network.now) == b"question"
    assert far.read(100, network.now) == b""
    far.write(b"a long answer" * 10_000, network.now)
    far.shutdown_write(network.now)
    answer = bytearray()
    while True:
        network.run(lambda: near.readable, 5)
        data = near.read(65536, network.now)
        if data == b"":
            break
        answer += data or b""
    assert bytes(answer) == b"a long answer" * 10_000
    assert near.state is State.TIME_WAIT
    network.run(lambda: far.state is State.CLOSED, 5)
    assert (far.state, far.error) == (State.CLOSED, 0)
    network.run(seconds=TIME_WAIT + 1)
    assert near.state is State.CLOSED
    assert not a.tcp.connections and not b.tcp.connections


def test_simultaneous_close(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.shutdown_write(network.now)
    far.shutdown_write(network.now)
    network.run(lambda: near.state is State.CLOSING, 1)
    assert near.state is State.CLOSING or far.state is State.CLOSING
    network.run(lambda: near.state is far.state is State.TIME_WAIT, 2)
    assert (near.state, far.state) == (State.TIME_WAIT, State.TIME_WAIT)
    assert (near.read(1, network.now), far.read(1, network.now)) == (b"", b"")


def test_simultaneous_open(network: Network) -> None:
    a, b, *_ = hosts(network)
    a.neighbours.set_permanent(a.interfaces["eth0"], B, b.interfaces["eth0"].hardware)
    b.neighbours.set_permanent(b.interfaces["eth0"], A, a.interfaces["eth0"].hardware)
    near = a.tcp.connect(B, 2000, network.now, source_port=1000)
    far = b.tcp.connect(A, 1000, network.now, source_port=2000)
    assert network.run(lambda: near.state is far.state is State.ESTABLISHED, 10)
    near.write(b"x", network.now)
    network.run(lambda: far.readable, 1)
    assert far.read(9, network.now) == b"x"


def test_a_closed_port_refuses(network: Network) -> None:
    a, *_ = hosts(network)
    conn = a.tcp.connect(B, 81, network.now)
    network.run(lambda: conn.state is State.CLOSED, 5)
    assert conn.error == errno.ECONNREFUSED


def test_a_missing_host_is_unreachable_and_a_silent_one_times_out(network: Network) -> None:
    a, _, out, _ = hosts(network)
    missing = a.tcp.connect(pack_ip("10.0.0.9"), 80, network.now)
    network.loopback(a)
    network.run(lambda: missing.state is State.CLOSED, 10)
    assert missing.error == errno.EHOSTUNREACH
    a.neighbours.set_permanent(a.interfaces["eth0"], B, b"\x02" * 6)
    out.keep = True
    out.cut = True
    start = network.now
    silent = a.tcp.connect(B, 80, network.now)
    network.run(lambda: silent.state is State.CLOSED, 300)
    assert silent.error == errno.ETIMEDOUT
    times = [round(when - start) for when, _ in out.frames]
    assert times == [0, 1, 3, 7, 15, 31, 63]  # Linux's: 127 s in all


def test_no_route_is_an_error_at_once(network: Network) -> None:
    a, *_ = hosts(network)
    with pytest.raises(OSError) as caught:
        a.tcp.connect(pack_ip("192.168.1.1"), 80, network.now)
    assert caught.value.errno == errno.ENETUNREACH


def test_abort_resets_the_peer(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.abort(network.now)
    network.run(lambda: far.state is State.CLOSED, 1)
    assert far.error == errno.ECONNRESET
    with pytest.raises(ConnectionResetError):
        far.read(1, network.now)
    with pytest.raises(ConnectionResetError):
        far.write(b"x", network.now)


def test_closing_with_unread_data_resets(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.write(b"nobody reads this", network.now)
    network.run(lambda: far.readable, 1)
    far.close(network.now)
    network.run(lambda: near.state is State.CLOSED, 1)
    assert near.error == errno.ECONNRESET


def test_data_for_a_closed_program_resets(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    far.close(network.now)
    network.run(lambda: near.fin_received, 1)
    near.write(b"too late", network.now)
    network.run(lambda: near.state is State.CLOSED, 1)
    assert near.error == errno.EPIPE
    assert not b.tcp.connections


def test_closed_connections_do_not_linger_for_ever(network: Network) -> None:
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.close(network.now)
    network.run(seconds=1)
    assert (near.state, far.state) == (State.FIN_WAIT_2, State.CLOSE_WAIT)
    network.run(seconds=61)
    assert not a.tcp.connections
    assert near.error == 0


def test_a_silent_peer_ends_the_connection_after_the_retries(network: Network) -> None:
    a, b, out, _ = hosts(network)
    near, _far = connect(network, a, b, "10.0.0.2")
    a.neighbours.set_permanent(a.interfaces["eth0"], B, b.interfaces["eth0"].hardware)
    network.run(seconds=1)
    out.cut = out.keep = True
    near.write(b"x", network.now)
    assert network.run(lambda: near.state is State.CLOSED, 2000)
    assert near.error == errno.ETIMEDOUT
    gaps = [later[0] - earlier[0] for earlier, later in zip(out.frames[2:], out.frames[3:], strict=False)]
    assert all(b == pytest.approx(2 * a) for a, b in itertools.pairwise(gaps) if b < 119)
    assert max(gaps) == pytest.approx(120)


def test_keepalive_finds_a_dead_peer_and_keeps_a_live_one(network: Network) -> None:
    a, b, out, _ = hosts(network)
    near, _far = connect(network, a, b, "10.0.0.2")
    near.keepalive(10, 1, 3, network.now)
    network.run(seconds=100)
    assert near.state is State.ESTABLISHED
    out.cut = True
    start = network.now
    assert network.run(lambda: near.state is State.CLOSED, 100)
    assert near.error == errno.ETIMEDOUT
    assert network.now - start < 10 + 4


def test_keepalive_leaves_it_to_the_retransmissions_while_something_is_out(network: Network) -> None:
    a, b, out, _ = hosts(network)
    near, _far = connect(network, a, b, "10.0.0.2")
    near.keepalive(1, 1, 3, network.now)
    out.cut = True
    near.write(b"x", network.now)
    network.run(seconds=60)
    assert near.state is State.ESTABLISHED
    out.cut = False
    assert network.run(lambda: not near.scoreboard.records, 120)


def test_a_window_may_stay_closed_for_hours_as_long_as_probes_are_answered(network: Network) -> None:
    """RFC 9293 3.8.6.1: the sender must not give up. Probes come at most two minutes apart."""
    a, b, out, back = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    data = bytes(3 << 20)
    sender = Program(near, data)
    network.programs.append(sender)
    network.run(lambda: near.persist_count > 2, 100)
    out.keep = True
    network.run(seconds=3 * 3600)
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(out.frames)]
    assert near.error == 0 and near.snd_wnd < near.mss and 100 < max(gaps) <= 120.1
    reader = Program(far, b"")
    network.programs.append(reader)
    assert network.run(lambda: reader.ended, 200)
    assert reader.received == data
    # With nobody to answer them they are as many as retransmissions may be.
    near, far = connect(network, a, b, "10.0.0.2")
    network.programs.clear()
    network.programs.append(Program(near, data))
    network.run(lambda: near.persist_count > 2, 100)
    network.programs.clear()
    back.cut = True
    assert network.run(lambda: near.state is State.CLOSED, 3600)
    assert near.error == errno.ETIMEDOUT


def test_the_loss_of_the_last_segment_shows_before_the_timeout(network: Network) -> None:
    """RFC 8985 7: a probe after two round trips, not the timer after two hundred milliseconds."""
    a, b, out, _ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.write(bytes(20_000), network.now)
    network.run(lambda: far.inbox.held == 20_000, 5)
    frames: list[bytes] = []
    out.drop = lambda frame: frames.append(frame) or len(frames) == 3  # type: ignore[func-returns-value]
    near.write(bytes(3 * near.mss), network.now)
    start = network.now
    assert network.run(lambda: far.inbox.held == 20_000 + 3 * near.mss, 5)
    assert network.now - start < 0.12
    assert near.retries == 0


def test_a_peer_that_takes_back_what_it_said_it_had_gets_it_again(network: Network) -> None:
    """SACKs are advice (RFC 2018 8): the receiver may drop what it has not acknowledged."""
    a, b, out, _ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    data = bytes(range(256)) * 200
    out.drop = lambda frame: len(frame) > 1000 and near.scoreboard.sacked_bytes == 0
    near.write(data[: near.mss], network.now)
    out.drop = None
    out.cut = True
    network.run(seconds=0.001)
    out.cut = False
    near.write(data[near.mss :], network.now)
    seen = iter(range(1000))
    out.drop = lambda frame: len(frame) > 100 and next(seen) in (0, 1, 2)
    network.run(lambda: near.scoreboard.sacked_bytes > 5000, 2)
    assert near.scoreboard.sacked_bytes > 5000
    far.inbox.forget_early()
    out.drop = None
    got = bytearray()

    def read(now: float) -> None:
        got.extend(far.read(65536, now) or b"")

    network.programs.append(read)
    assert network.run(lambda: len(got) == len(data), 30)
    assert got == data


def test_a_timeout_that_was_none_is_taken_back(network: Network) -> None:
    """Eifel (RFC 3522): the path held everything back for a while; the originals arrive, the window stays."""
    for control in ("bbr", "reno"):
        network = Network(7)
        a, b, out, _ = hosts(network)
        a.tcp.congestion = control
        near, far = connect(network, a, b, "10.0.0.2")
        program = Program(far, b"")
        network.programs.append(program)
        near.write(bytes(200_000), network.now)
        network.run(lambda far=far: far.rcv_nxt - far.irs > 190_000, 5)
        network.run(seconds=1)
        out.delay = 0.6
        near.write(bytes(30_000), network.now)
        before = near.congestion.window
        network.run(lambda near=near: near.retries > 0, 2)
        assert near.retries > 0 and near.congestion.window < before // 2
        assert network.run(lambda near=near: not near.scoreboard.records, 5)
        assert near.congestion.window >= before
        assert near.recovery.active is near.recovery.after_timeout is False


def test_after_weeks_of_silence_old_timestamps_say_nothing(network: Network) -> None:
    """RFC 7323 5.5: the clock may have gone round."""
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    network.run(seconds=25 * 86400)
    late = segment_from(near, tcp.ACK | tcp.PSH, data=b"good morning")
    assert late.timestamps is not None
    late.timestamps = (far.ts_recent - 1000 & 0xFFFFFFFF, late.timestamps[1])
    inject(network, b, late)
    assert far.read(99, network.now) == b"good morning"


def test_a_blind_reset_or_syn_is_challenged(network: Network) -> None:
    a, b, _, back = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    back.keep = True
    for segment in (
        segment_from(near, tcp.RST, seq=100),
        segment_from(near, tcp.SYN, seq=100),
        segment_from(near, tcp.ACK, ack=100_000),
    ):
        back.frames.clear()
        inject(network, b, segment)
        assert far.state is State.ESTABLISHED
        assert len(back.frames) == 1
    for _ in range(2000):
        inject(network, b, segment_from(near, tcp.RST, seq=100))
    assert len(back.frames) <= 1500
    inject(network, b, segment_from(near, tcp.RST))
    assert far.state is State.CLOSED


def test_old_timestamps_are_refused(network: Network) -> None:
    """PAWS, RFC 7323 5.3."""
    a, b, *_ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    old = segment_from(near, tcp.ACK, data=b"from a former life")
    assert old.timestamps is not None
    old.timestamps = (old.timestamps[0] - 50_000 & 0xFFFFFFFF, old.timestamps[1])
    inject(network, b, old)
    assert not far.readable
    assert b.counters["tcp-paws"] == 1


def test_time_wait_gives_way_to_a_newer_syn(network: Network) -> None:
    a, b, *_ = hosts(network)
    listener = listen(b)
    near = a.tcp.connect(B, 80, network.now, source_port=5000)
    network.run(lambda: bool(listener.ready), 5)
    far = listener.accept()
    assert far is not None
    far.shutdown_write(network.now)
    network.run(lambda: near.fin_received, 5)
    near.shutdown_write(network.now)
    network.run(lambda: far.state is State.TIME_WAIT and near.state is State.CLOSED, 5)
    again = a.tcp.connect(B, 80, network.now, source_port=5000)
    assert network.run(lambda: again.state is State.ESTABLISHED, 3)


def test_a_lost_last_ack_is_sent_again(network: Network) -> None:
    a, b, out, _ = hosts(network)
    near, far = connect(network, a, b, "10.0.0.2")
    near.shutdown_write(network.now)
    network.run(lambda: far.fin_received, 5)
    far.shutdown_write(network.now)
    out.cut = True
    network.run(lambda: near.state is State.TIME_WAIT, 5)
    out.cut = False
    assert network.run(lambda: far.state is State.CLOSED, 5)
    assert far.error == 0


def test_the_handshake_survives_the_loss_of_each_of_its_segments(network: Network) -> None:
    a, b, out, back = hosts(network)
    a.neighbours.set_permanent(a.interfaces["eth0"], B, b.interfaces["eth0"].hardware)
    b.neighbours.set_permanent(b.interfaces["eth0"], A, a.interfaces["eth0"].hardware)
    listener = listen(b)
    for link, number in ((out, 0), (back, 0), (out, 1)):
        seen = iter(range(100))
        link.drop = lambda _frame, seen=seen, number=number: next(seen) == number
        conn = a.tcp.connect(B, 80, network.now)
        assert network.run(lambda: bool(listener.ready), 10)
        link.drop = None
        far = listener.accept()
        assert far is not None
        far.write(b"hello", network.now)
        assert network.run(lambda conn=conn: conn.readable, 10)
        assert conn.read(10, network.now) == b"hello"


def test_a_full_backlog_drops_and_recovers(network: Network) -> None:
    a, b, *_ = hosts(network)
    listener = listen(b, backlog=2)
    conns = [a.tcp.connect(B, 80, network.now) for _ in range(6)]
    network.run(seconds=0.5)
    assert len(listener.ready) == 3
    assert b.counters["tcp-accept-queue-full"] + b.counters["tcp-backlog-full"] > 0
    accepted = []

    def program(now: float) -> None:
        while (conn := listener.accept()) is not None:
            accepted.append(conn)

    network.programs.append(program)
    for conn in conns:
        conn.write(b"x", network.now)
    assert network.run(lambda: len(accepted) == 6, 60)


def test_half_open_connections_are_bounded_and_expire(network: Network) -> None:
    _, b, _, back = hosts(network)
    back.cut = True
    listener = listen(b)
    for port in range(HALF_OPEN + 50):
        inject(network, b, tcp.Segment(1000 + port, 80, 1, 0, tcp.SYN, 1000))
    assert len(listener.half_open) == HALF_OPEN
    assert b.counters["tcp-backlog-full"] == 50
    network.run(lambda: not listener.half_open, 200)
    assert not b.tcp.connections


def test_closing_a_listener_resets_what_was_not_accepted(network: Network) -> None:
    a, b, *_ = hosts(network)
    listener = listen(b)
    conn = a.tcp.connect(B, 80, network.now)
    network.run(lambda: bool(listener.ready), 5)
    listener.close(network.now)
    network.run(lambda: conn.state is State.CLOSED, 5)
    assert conn.error == errno.ECONNRESET
    with pytest.raises(OSError):
        listen(b).layer.listen(B, 80, 1)


def test_icmp_errors_only_count_in_the_window(network: Network) -> None:
    """RFC 5927: an error that quotes a sequence number that is not in flight is forged."""
    from overlay.wire import icmp

    a, b, *_ = hosts(network)
    near, _ = connect(network, a, b, "10.0.0.2")
    near.write(b"x" * 100, network.now)
    for offset, counted in ((5000, 1), (0, 1)):
        quoted = Packet(A, B, PROTOCOL_TCP, segment_from(near, tcp.ACK, seq=offset).emit(A, B))
        message = icmp.Icmp(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 0, 600, quoted.emit()[:28])
        a.icmp.receive(Packet(B, A, 1, message.emit()), broadcast=False)
        assert a.counters["tcp-icmp-out-of-window"] == counted
