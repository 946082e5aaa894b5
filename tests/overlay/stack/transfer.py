"""A program on each end of a connection: one writes all of its bytes, then shuts down; both read to the end."""

from __future__ import annotations

from overlay.stack.stack import Stack
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.listener import Listener
from overlay.wire.address import ANY6, pack_ip
from tests.overlay.stack.network import Network


def listen(stack: Stack, port: int = 80, backlog: int = 16) -> Listener:
    return stack.tcp.listen(ANY6, port, backlog)


def connect(network: Network, client: Stack, server: Stack, address: str) -> tuple[Connection, Connection]:
    """An established connection: both ends."""
    listener = listen(server)
    near = client.tcp.connect(pack_ip(address), 80, network.now)
    assert network.run(lambda: bool(listener.ready) and near.established, 120)
    far = listener.accept()
    assert far is not None
    listener.close(network.now)
    return near, far


class Program:
    """`received` is what came; `done` when the peer's end was read and all of ours is out."""

    def __init__(self, connection: Connection, data: bytes, *, pause: float = 0.0) -> None:
        self.connection = connection
        self.left = memoryview(data)
        self.received = bytearray()
        self.ended = False
        self.pause_until = pause
        self.shut = False

    def __call__(self, now: float) -> None:
        if self.left:
            self.left = self.left[self.connection.write(self.left, now) :]
        if not self.left and not self.shut:
            self.shut = True
            self.connection.shutdown_write(now)
        while now >= self.pause_until and not self.ended:
            data = self.connection.read(65536, now)
            if data is None:
                break
            self.received += data
            self.ended = not data

    @property
    def done(self) -> bool:
        return self.ended and not self.left


def exchange(
    network: Network, near: Connection, far: Connection, out: bytes, back: bytes, seconds: float = 600
) -> float:
    """Both ways at once; checks the bytes; how long it took."""
    one, two = Program(near, out), Program(far, back)
    network.programs += [one, two]
    start = network.now
    assert network.run(lambda: one.done and two.done, seconds), (
        near.state,
        far.state,
        len(one.left),
        len(two.received),
    )
    assert bytes(two.received) == out
    assert bytes(one.received) == back
    return network.now - start
