"""Each behaviour of TCP/IP that two hosts rely on, over a hundred seeds of a link that loses one frame in twenty, and
delays and doubles others: the bytes are identical, or the error is the right one. In virtual time, ours against ours;
`test_kernel` has the same against Linux."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

import pytest

from overlay.stack.tcp import transmit
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.state import State
from overlay.stack.udp import UdpEndpoint
from overlay.wire import icmp
from overlay.wire.address import ANY, ANY6, pack_ip
from tests.overlay.stack.invariants import check
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import Program, connect, exchange

SEEDS = 100
LOSSY = Link(loss=0.05)
FAULTY = Link(loss=0.05, reorder=0.1, duplicate=0.02)
OVER = (State.TIME_WAIT, State.CLOSED)
TIME = 900.0
"""Virtual seconds that anything may take: the retransmission timer doubles."""


class Path:
    """Two hosts on a faulty link (a → b: `links[0]`), or with a router between two of them."""

    def __init__(self, seed: int, faults: Link = FAULTY, *, far_mtu: int = 1500, routed: bool = False) -> None:
        self.random = Random(seed)
        self.network = Network(seed)
        self.a, self.b = self.network.host(), self.network.host()
        if not routed:
            self.to = "10.0.0.2"
            gso = self.random.choice([0, 60_000])
            self.links = self.network.link(self.a, "10.0.0.1/24", self.b, "10.0.0.2/24", gso=gso, faults=faults)
            return
        self.to = "10.0.1.2"
        router = self.network.host()
        router.forwarding = True
        self.links = self.network.link(self.a, "10.0.0.1/24", router, "10.0.0.254/24", faults=faults)
        self.network.link(router, "10.0.1.254/24", self.b, "10.0.1.2/24", mtu=far_mtu, faults=faults)
        for stack, via in ((self.a, "10.0.0.254"), (self.b, "10.0.1.254")):
            stack.add_route(ANY, 0, pack_ip(via), None, None, 0)
        for stack in (self.a, self.b, router):
            self.network.loopback(stack)

    def connect(self) -> tuple[Connection, Connection]:
        return connect(self.network, self.a, self.b, self.to)

    def bytes(self, most: int = 40_000) -> bytes:
        return self.random.randbytes(self.random.randrange(1, most))

    def run(self, until: Callable[[], bool]) -> None:
        assert self.network.run(until, TIME)

    def asks(self, send: Callable[[], object], answered: Callable[[], bool]) -> None:
        """Say it again every second until there is an answer, as whoever uses datagrams must."""
        for _ in range(100):
            send()
            if self.network.run(answered, 1):
                return
        raise AssertionError(self.a.counters, self.b.counters)


def over_seeds(case: Callable[[int], None]) -> Callable[[], None]:
    """A test that runs the case with every seed; a failure names the seed."""

    def run() -> None:
        for seed in range(SEEDS):
            try:
                case(seed)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise

    run.__name__ = case.__name__
    return run


@over_seeds
def test_transfer_both_ways_under_loss_reordering_and_duplication(seed: int) -> None:
    path = Path(seed)
    near, far = path.connect()
    exchange(path.network, near, far, path.bytes(), path.bytes())
    check(near)
    check(far)


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that holds little, so that little data fills it."""
    monkeypatch.setattr(transmit, "RECEIVE_BUFFER", 16_000)
    monkeypatch.setattr(transmit, "EARLY_BYTES", 16_000)


@pytest.mark.usefixtures("small_buffer")
@over_seeds
def test_zero_window(seed: int) -> None:
    """The reader sleeps with a full window; probes and updates may get lost, the bytes may not."""
    path = Path(seed, LOSSY)
    near, far = path.connect()
    data = path.random.randbytes(150_000)
    path.network.programs.append(Program(near, data))
    path.run(lambda: near.snd_wnd < near.mss and near.persist_at is not None)
    path.network.run(seconds=path.random.random() * 20)
    assert near.state not in OVER and far.inbox.held < len(data)
    reader = Program(far, b"")
    path.network.programs.append(reader)
    path.run(lambda: reader.ended)
    assert reader.received == data


@over_seeds
def test_half_close(seed: int) -> None:
    """One says all that it has and stops; the other answers only then."""
    path = Path(seed)
    near, far = path.connect()
    question, answer = path.bytes(), path.bytes()
    asks, heard = Program(near, question), bytearray()

    def reply(now: float) -> None:
        while data := far.read(65536, now):
            heard.extend(data)
        if far.fin_received and not far.inbox.held and not far.fin_queued:
            assert far.write(answer, now) == len(answer)
            far.shutdown_write(now)

    path.network.programs += [asks, reply]
    path.run(lambda: asks.done)
    assert heard == question and asks.received == answer
    path.run(lambda: far.state is State.CLOSED)
    assert (near.state, near.error, far.error) == (State.TIME_WAIT, 0, 0)


@over_seeds
def test_simultaneous_close(seed: int) -> None:
    path = Path(seed)
    near, far = path.connect()
    one, two = path.bytes(3000), path.bytes(3000)
    path.run(lambda: not near.scoreboard.records and not far.scoreboard.records)
    for conn, data in ((near, one), (far, two)):
        conn.write(data, path.network.now)
        conn.shutdown_write(path.network.now)
    assert near.state is far.state is State.FIN_WAIT_1
    path.run(lambda: near.state in OVER and far.state in OVER)
    assert (near.error, far.error) == (0, 0)
    assert (far.read(9999, path.network.now), near.read(9999, path.network.now)) == (one, two)


@over_seeds
def test_simultaneous_open(seed: int) -> None:
    path = Path(seed)
    network, a, b = path.network, path.a, path.b
    for one, other in ((a, b), (b, a)):
        theirs = other.interfaces["eth0"]
        one.neighbours.set_permanent(one.interfaces["eth0"], theirs.assigned[0][0], theirs.hardware)
    near = a.tcp.connect(pack_ip("10.0.0.2"), 2000, network.now, source_port=1000)
    far = b.tcp.connect(pack_ip("10.0.0.1"), 1000, network.now, source_port=2000)
    path.run(lambda: near.established and far.established)
    exchange(network, near, far, path.bytes(), path.bytes())


@over_seeds
def test_reset(seed: int) -> None:
    """What was read before is the beginning of what was written; then both know. A reset that is lost is said again to
    whoever goes on."""
    path = Path(seed)
    near, far = path.connect()
    data = path.random.randbytes(100_000)
    sender, got = Program(near, data), bytearray()
    sender.shut = True  # it goes on: who has said all and heard nothing would never learn of a reset that got lost

    def send(now: float) -> None:
        if near.state is not State.CLOSED:
            sender(now)

    def read(now: float) -> None:
        while far.state is not State.CLOSED and (chunk := far.read(65536, now)):
            got.extend(chunk)

    path.network.programs += [send, read]
    enough = path.random.randrange(90_000)
    path.run(lambda: len(got) >= enough)
    far.abort(path.network.now)
    path.network.programs.remove(send)
    path.asks(lambda: near.write(b"more", path.network.now), lambda: near.state is State.CLOSED)
    assert near.error == errno.ECONNRESET
    assert data.startswith(got)


@over_seeds
def test_keep_alive(seed: int) -> None:
    """Lost probes do not end a connection with a peer that is there; silence of all of them does."""
    path = Path(seed, LOSSY)
    near, far = path.connect()
    near.keepalive(10, 1, 9, path.network.now)
    path.network.run(seconds=300)
    assert near.state is far.state is State.ESTABLISHED
    said = path.bytes()
    far.write(said, path.network.now)
    path.run(lambda: near.inbox.held == len(said))
    assert b"".join(iter(lambda: near.read(65536, path.network.now), None)) == said
    path.links[1].cut = True
    path.run(lambda: near.state is State.CLOSED)
    assert near.error == errno.ETIMEDOUT


@over_seeds
def test_segment_size_and_window_scale_are_what_the_peer_said(seed: int) -> None:
    path = Path(seed, LOSSY)
    small = path.random.choice([576, 900, 1280, 1500])
    path.b.interfaces["eth0"].mtu = small
    near, far = path.connect()
    assert near.mss == far.mss == small - 52
    assert (near.send_scale, far.send_scale) == (7, 7)
    path.links[0].keep = True
    exchange(path.network, near, far, path.random.randbytes(80_000), path.bytes(5000))
    assert near.max_send_window > 65535
    if path.a.interfaces["eth0"].gso_size == 0:
        assert max(len(frame) for _, frame in path.links[0].frames) == small + 14


@over_seeds
def test_fragments(seed: int) -> None:
    path = Path(seed)
    to = pack_ip(path.to)
    if seed % 2:
        for number, stack in enumerate((path.a, path.b), 1):
            stack.enable_ipv6(stack.interfaces["eth0"])
            stack.add_address(stack.interfaces["eth0"], pack_ip(f"fd00::{number}"), 64)
        to = pack_ip("fd00::2")
    echo, asker = path.b.udp.open(ANY6, 7), path.a.udp.open(ANY6, 0)
    data = path.random.randbytes(path.random.randrange(1473, 12_000))
    got: list[bytes] = []

    def answer(now: float) -> None:
        if found := echo.receive():
            echo.send(found[0], found[1], now)
        if found := asker.receive():
            got.append(found[0])

    path.network.programs.append(answer)
    path.asks(lambda: asker.send(data, (to, 7), path.network.now), lambda: bool(got))
    assert got[0] == data


@over_seeds
def test_icmp_errors(seed: int) -> None:
    path = Path(seed, LOSSY, routed=True)
    refused = path.a.tcp.connect(pack_ip(path.to), 81, path.network.now)
    path.run(lambda: refused.state is State.CLOSED)
    assert refused.error == errno.ECONNREFUSED
    for to, ttl, code in (
        (path.to, 64, errno.ECONNREFUSED),
        (path.to, 1, errno.EHOSTUNREACH),
        ("192.168.7.7", 64, errno.ENETUNREACH),
        ("10.0.1.77", 64, errno.EHOSTUNREACH),
    ):
        asker = path.a.udp.open(ANY, 0)
        asker.connect((pack_ip(to), 9))
        asker.ttl = ttl
        _ask_until_refused(path, asker)
        assert asker.error == code
        asker.close()


def _ask_until_refused(path: Path, asker: UdpEndpoint) -> None:
    path.asks(lambda: asker.send(b"x", None, path.network.now), lambda: asker.error != 0)


@over_seeds
def test_path_mtu(seed: int) -> None:
    """A narrow link behind a router: TCP finds out, whatever is lost on the way of its finding out."""
    narrow = Random(seed).choice([576, 800, 1280])
    path = Path(seed, LOSSY, far_mtu=narrow, routed=True)
    near, far = path.connect()
    near.peer_mss = 1460  # what the far end said about its own link would do without discovery
    near.set_path(path.network.now)
    assert near.mss > narrow
    exchange(path.network, near, far, path.random.randbytes(30_000), path.bytes())
    assert near.mss == narrow - 52


@over_seeds
def test_ping(seed: int) -> None:
    path = Path(seed)
    raw = path.a.icmp.open()
    question = icmp.Icmp(icmp.ECHO_REQUEST, 0, 1, seed, path.bytes(4000))
    path.asks(
        lambda: raw.send(pack_ip(path.to), question, 64, path.network.now),
        lambda: bool(raw.queue),
    )
    assert raw.queue[0].message == icmp.Icmp(icmp.ECHO_REPLY, 0, 1, seed, question.payload)
