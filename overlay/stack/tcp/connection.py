"""One TCP connection: its variables (RFC 9293 3.3.1), what the program may ask of it (3.9), and its timers.

What arrives is handled in `arrives` (with `handshake` and `acknowledgement`), what is sent in `transmit`; all of them
work on a `Connection`.
Sequence numbers inside are unwrapped: they start at the ISN and never wrap, so they compare as plain ints;
`& 0xFFFFFFFF` makes the wire's.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from overlay.stack.ports import connection_key
from overlay.stack.tcp import transmit
from overlay.stack.tcp.congestion import Congestion, control
from overlay.stack.tcp.inbox import Inbox
from overlay.stack.tcp.limits import (
    FIN_WAIT_2,
    LARGEST_PACKET,
    QUICK_ACKS,
    SEND_BUFFER,
    SEND_BUFFER_MOST,
    TIME_WAIT,
    default_mss,
    fixed_headers,
)
from overlay.stack.tcp.loss import Scoreboard
from overlay.stack.tcp.recovery import Recovery
from overlay.stack.tcp.rtt import RoundTrip
from overlay.stack.tcp.state import RECEIVING, State
from overlay.stack.udp import failure
from overlay.wire import tcp as wire

if TYPE_CHECKING:
    from overlay.stack.tcp.layer import TcpLayer
    from overlay.stack.tcp.listener import Listener


class Connection:
    """`notify` is called when something changed that a program may wait for: established, data, space, end, error.

    `dual`: it came to a socket of both families. `error` is the errno that ended it (0: none). `orphan`: the program
    closed it, nobody reads any more.
    """

    __slots__ = (
        "ack_due",
        "acked_bytes_pending",
        "buffer",
        "buffer_start",
        "congestion",
        "delayed_ack_at",
        "departure",
        "dual",
        "duplicate",
        "early_at",
        "early_count",
        "early_unsaid",
        "entry_at",
        "error",
        "fin_queued",
        "fin_received",
        "fin_sent",
        "inbox",
        "irs",
        "iss",
        "keepalive_at",
        "keepalive_idle",
        "keepalive_interval",
        "keepalive_probes",
        "keepalive_sent",
        "key",
        "last_ack_sent",
        "last_received_at",
        "last_sent_at",
        "layer",
        "linger_at",
        "listener",
        "local_ip",
        "local_port",
        "max_send_window",
        "mss",
        "nodelay",
        "notify",
        "orphan",
        "pace_at",
        "peer_mss",
        "persist_at",
        "persist_count",
        "probe_at",
        "probe_end",
        "quick_acks",
        "rcv_adv",
        "rcv_nxt",
        "receive_scale",
        "recovery",
        "remote_ip",
        "remote_port",
        "reorder_at",
        "retransmit_at",
        "retries",
        "rtt",
        "sack_on",
        "scoreboard",
        "segment_limit",
        "send_buffer",
        "send_scale",
        "snd_nxt",
        "snd_una",
        "snd_wl1",
        "snd_wl2",
        "snd_wnd",
        "soft_error",
        "state",
        "timeout_stamp",
        "timestamp_offset",
        "timestamps_on",
        "touched",
        "ts_recent",
        "ts_recent_at",
        "window_limited",
    )

    def __init__(
        self, layer: TcpLayer, local_ip: bytes, local_port: int, remote_ip: bytes, remote_port: int, now: float
    ) -> None:
        self.layer = layer
        self.local_ip, self.local_port = local_ip, local_port
        self.remote_ip, self.remote_port = remote_ip, remote_port
        self.key = connection_key(remote_ip, local_ip, remote_port, local_port)
        self.state = State.CLOSED
        self.listener: Listener | None = None
        self.notify: Callable[[], None] | None = None
        self.error = 0
        self.soft_error = 0
        self.orphan = False
        self.dual = False
        self.nodelay = False
        # send sequence
        self.iss = layer.initial_sequence(self, now)
        self.snd_una = self.snd_nxt = self.iss
        self.snd_wnd = self.max_send_window = 0
        self.snd_wl1 = self.snd_wl2 = 0
        self.send_scale = 0
        self.buffer = bytearray()
        self.send_buffer = SEND_BUFFER
        self.buffer_start = self.iss + 1
        self.fin_queued = self.fin_sent = False
        # receive sequence
        self.irs = self.rcv_nxt = self.rcv_adv = self.last_ack_sent = 0
        self.receive_scale = 0
        self.inbox = Inbox()
        self.fin_received = False
        self.duplicate: tuple[int, int] | None = None
        self.acked_bytes_pending = 0
        self.early_at = self.early_count = self.early_unsaid = 0
        self.ack_due = False
        self.quick_acks = QUICK_ACKS
        # options
        self.peer_mss = self.mss = self.segment_limit = default_mss(remote_ip)
        self.timestamps_on = self.sack_on = False
        self.timestamp_offset = layer.timestamp_offset(self)
        self.ts_recent = 0
        self.ts_recent_at = now
        # loss and congestion
        self.scoreboard = Scoreboard()
        self.rtt = RoundTrip()
        self.congestion: Congestion = control(layer.congestion, self.mss, layer.stack.random)
        self.recovery = Recovery()
        self.window_limited = False
        self.departure = 0.0
        self.timeout_stamp: int | None = None
        # timers, in seconds of the stack's clock
        self.entry_at: float | None = None
        self.retransmit_at: float | None = None
        self.reorder_at: float | None = None
        self.pace_at: float | None = None
        self.probe_at: float | None = None
        self.probe_end = 0
        self.delayed_ack_at: float | None = None
        self.persist_at: float | None = None
        self.persist_count = 0
        self.linger_at: float | None = None
        self.keepalive_at: float | None = None
        self.keepalive_idle: float | None = None
        self.keepalive_interval, self.keepalive_probes, self.keepalive_sent = 75.0, 9, 0
        self.retries = 0
        self.last_received_at = self.last_sent_at = now
        self.touched = False

    # ------------------------------------------------------------------ what the program asks

    @property
    def established(self) -> bool:
        """Whether the handshake is done and the connection is not over."""
        return self.state not in (State.CLOSED, State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED)

    @property
    def readable(self) -> bool:
        """Whether `read` has something to say: data, end, or error."""
        return bool(self.inbox.chunks) or self.fin_received or self.state is State.CLOSED

    @property
    def room(self) -> int:
        """Bytes that may still be queued for sending: there is room for what is out, for what is held back by a loss,
        and for as much again; what once was allowed stays so."""
        most = min(2 * self.congestion.window + self.scoreboard.sacked_bytes, SEND_BUFFER_MOST)
        self.send_buffer = max(self.send_buffer, most)
        return max(self.send_buffer - len(self.buffer), 0)

    def read(self, n: int, now: float) -> bytes | None:
        """Up to `n` bytes; b"" at the end; None when there is nothing yet; OSError when the connection broke."""
        data = self.inbox.read(n)
        if data:
            transmit.window_opened(self, now)
            return data
        if self.error:
            raise failure(self.error)
        if self.fin_received:
            return b""
        if self.state is State.CLOSED:
            raise failure(errno.ENOTCONN)
        return None

    def write(self, data: bytes | bytearray | memoryview, now: float) -> int:
        """Queue what fits; how much that was. OSError: EPIPE after shutdown or end, or the error that ended it."""
        if self.error:
            raise failure(self.error)
        if self.fin_queued or self.orphan or self.state in (State.CLOSED, State.TIME_WAIT):
            raise failure(errno.EPIPE)
        size = min(len(data), self.room)
        if size > 0:
            self.buffer += data if size == len(data) else memoryview(data)[:size]
            if self.state not in (State.SYN_SENT, State.SYN_RECEIVED):
                self.layer.stack.now = now
                transmit.output(self, now)
        return size

    def shutdown_write(self, now: float) -> None:
        """FIN behind what is queued; reading goes on."""
        self.layer.stack.now = now
        if self.fin_queued or self.state is State.CLOSED:
            return
        if self.state is State.SYN_SENT:
            self.finish(0, now)
            return
        self.fin_queued = True
        if self.state in (State.ESTABLISHED, State.SYN_RECEIVED):
            if self.state is State.ESTABLISHED:
                self.state = State.FIN_WAIT_1
        elif self.state is State.CLOSE_WAIT:
            self.state = State.LAST_ACK
        transmit.output(self, now)

    def close(self, now: float) -> None:
        """The program is done with it. Data that it did not read makes it a reset (RFC 9293 3.6.1, RFC 2525 2.17)."""
        if self.orphan:
            return
        self.orphan = True
        self.notify = None
        if self.inbox.held and self.state is not State.CLOSED:
            self.abort(now)
            return
        self.shutdown_write(now)
        if self.state is State.FIN_WAIT_2:
            self.linger_at = now + FIN_WAIT_2
            self.schedule()

    def abort(self, now: float) -> None:
        """Reset."""
        self.layer.stack.now = now
        if self.state not in (State.CLOSED, State.SYN_SENT, State.TIME_WAIT):
            transmit.reset(self)
        self.finish(errno.ECONNABORTED, now)

    def keepalive(self, idle: float | None, interval: float, probes: int, now: float) -> None:
        """Probe an idle peer (RFC 9293 3.8.4); None switches it off. Seconds."""
        self.keepalive_idle, self.keepalive_interval, self.keepalive_probes = idle, interval, probes
        self.keepalive_at = None if idle is None else now + idle
        self.keepalive_sent = 0
        self.schedule()

    # ------------------------------------------------------------------ life

    def set_path(self, now: float) -> None:
        """Take segment sizes from the path as it is now (RFC 6691, RFC 1191)."""
        mtu, whole = self.layer.path(self.remote_ip, now)
        fixed = fixed_headers(self.remote_ip)
        overhead = fixed + (wire.TIMESTAMPS_LENGTH if self.timestamps_on else 0)
        mss = max(min(self.peer_mss - (overhead - fixed), mtu - overhead), 64)
        self.mss = mss
        # Super-segments, where one travels whole, or else is cut by the stack, which costs less than making many here.
        # It cuts by the path's MTU, so not for a peer that wants less.
        large = min(whole, LARGEST_PACKET) if whole else LARGEST_PACKET if mss == mtu - overhead else 0
        self.segment_limit = max(mss, (large - overhead) // mss * mss)
        self.congestion.set_mss(mss, self.segment_limit if whole else 0)

    def become_established(self, now: float) -> None:
        """The handshake is done."""
        self.state = State.FIN_WAIT_1 if self.fin_queued else State.ESTABLISHED
        self.set_path(now)
        self.retries = 0
        if self.keepalive_idle is not None:
            self.keepalive_at = now + self.keepalive_idle
        if self.listener is not None:
            self.listener.established(self)
        self.wake()

    def enter_time_wait(self, now: float) -> None:
        """Both FINs are acknowledged; stay for two segment lifetimes (RFC 9293 3.6.1)."""
        self.state = State.TIME_WAIT
        self.retransmit_at = self.reorder_at = self.pace_at = self.probe_at = None
        self.persist_at = self.keepalive_at = None
        self.scoreboard.clear()
        self.buffer = bytearray()
        self.linger_at = now + TIME_WAIT
        self.schedule()
        self.layer.waiting(self)

    def finish(self, code: int, now: float) -> None:
        """It is over, with an errno or orderly (0)."""
        if self.state is State.CLOSED:
            return
        was_receiving = self.state in RECEIVING
        self.state = State.CLOSED
        self.error = self.error or code
        if not code and was_receiving:
            self.fin_received = True
        self.scoreboard.clear()
        self.buffer = bytearray()
        self.layer.stack.timers.cancel(self)
        self.layer.remove(self)
        if self.listener is not None:
            self.listener.gone(self)
        self.wake()

    def wake(self) -> None:
        """Tell the program."""
        if self.notify is not None:
            self.notify()

    # ------------------------------------------------------------------ timers

    def schedule(self) -> None:
        """Ask for a call at the earliest of the deadlines."""
        earliest: float | None = None
        for when in (
            self.retransmit_at,
            self.delayed_ack_at,
            self.pace_at,
            self.probe_at,
            self.reorder_at,
            self.persist_at,
            self.linger_at,
            self.keepalive_at,
        ):
            if when is not None and (earliest is None or when < earliest):
                earliest = when
        if earliest is not None and (self.entry_at is None or earliest < self.entry_at):
            self.layer.stack.timers.schedule(self, earliest)

    def on_timer(self, now: float) -> None:
        """Whatever is due (all of it: deadlines are often equal)."""
        if self.delayed_ack_at is not None and self.delayed_ack_at <= now:
            transmit.acknowledge(self)
        if self.reorder_at is not None and self.reorder_at <= now:
            self.reorder_at = None
            transmit.find_losses(self, now)
            transmit.output(self, now)
        if self.pace_at is not None and self.pace_at <= now:
            transmit.output(self, now)
        if self.probe_at is not None and self.probe_at <= now:
            self.probe_at = None
            transmit.tail_probe(self, now)
        if self.retransmit_at is not None and self.retransmit_at <= now:
            transmit.timed_out(self, now)
        if self.persist_at is not None and self.persist_at <= now:
            transmit.persist(self, now)
        if self.keepalive_at is not None and self.keepalive_at <= now:
            self._keep_alive(now)
        if self.linger_at is not None and self.linger_at <= now:
            self.finish(0, now)
        if self.state is not State.CLOSED:
            self.schedule()

    def _keep_alive(self, now: float) -> None:
        if self.keepalive_idle is None or self.state is State.TIME_WAIT:
            self.keepalive_at = None
            return
        due = self.last_received_at + self.keepalive_idle
        if self.scoreboard.records:  # what is out asks already (Linux), and gives up by its own count
            due = now + self.keepalive_idle
        if self.keepalive_sent == 0 and due > now:
            self.keepalive_at = due
            return
        if self.keepalive_sent >= self.keepalive_probes:
            transmit.reset(self)
            self.finish(self.soft_error or errno.ETIMEDOUT, now)
            return
        self.keepalive_sent += 1
        transmit.probe(self)
        self.keepalive_at = now + self.keepalive_interval
