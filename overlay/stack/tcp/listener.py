"""A listening endpoint: half-open connections (bounded) and those that wait for accept (the backlog)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from overlay.stack.tcp import transmit
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.handshake import accept_options
from overlay.stack.tcp.limits import HALF_OPEN, WINDOW_SCALE
from overlay.stack.tcp.state import State
from overlay.wire.tcp import Segment

if TYPE_CHECKING:
    from overlay.stack.tcp.layer import TcpLayer


class Listener:
    """`notify` is called when a connection may be accepted, or at close."""

    __slots__ = ("backlog", "closed", "half_open", "layer", "local_ip", "local_port", "notify", "only6", "ready")

    def __init__(self, layer: TcpLayer, local_ip: bytes, local_port: int, backlog: int, only6: bool = False) -> None:
        self.layer = layer
        self.only6 = only6
        self.local_ip, self.local_port = local_ip, local_port
        self.backlog = backlog
        self.half_open: dict[bytes, Connection] = {}
        self.ready: deque[Connection] = deque()
        self.closed = False
        self.notify: Callable[[], None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether nobody accepts as fast as they come (Linux: one more than the backlog)."""
        return len(self.ready) > self.backlog

    def syn(self, local_ip: bytes, remote_ip: bytes, segment: Segment, now: float) -> None:
        """A SYN without a connection (RFC 9293 3.10.7.2). Dropped, to come again, when there is no room."""
        if self.is_full or len(self.half_open) >= HALF_OPEN:
            self.layer.stack.count("tcp-backlog-full")
            return
        conn = Connection(self.layer, local_ip, self.local_port, remote_ip, segment.source_port, now)
        conn.listener = self
        conn.dual = len(self.local_ip) == 16
        conn.state = State.SYN_RECEIVED
        conn.receive_scale = WINDOW_SCALE
        accept_options(conn, segment, now)
        self.half_open[conn.key] = conn
        self.layer.add(conn)
        transmit.syn(conn, now)

    def established(self, conn: Connection) -> None:
        """Its handshake is done."""
        conn.listener = None
        del self.half_open[conn.key]
        self.ready.append(conn)
        if self.notify is not None:
            self.notify()

    def gone(self, conn: Connection) -> None:
        """A half-open connection ended."""
        conn.listener = None
        self.half_open.pop(conn.key, None)

    def accept(self) -> Connection | None:
        """The oldest established connection, or None."""
        return self.ready.popleft() if self.ready else None

    def close(self, now: float) -> None:
        """Stop; what was not accepted is reset."""
        if self.closed:
            return
        self.closed = True
        self.layer.remove_listener(self)
        for conn in [*self.half_open.values(), *self.ready]:
            conn.abort(now)
        self.ready.clear()
        if self.notify is not None:
            self.notify()
