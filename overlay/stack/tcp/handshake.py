"""The three-way handshake, from both sides and crossed (RFC 9293 3.5, 3.10.7.3, 3.10.7.4)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from overlay.stack.tcp import transmit
from overlay.stack.tcp.limits import RECEIVE_BUFFER, default_mss
from overlay.stack.tcp.sequence import unwrap
from overlay.stack.tcp.state import State
from overlay.wire.tcp import ACK, RST, SYN, Segment

if TYPE_CHECKING:
    from overlay.stack.tcp.connection import Connection


def accept_options(conn: Connection, segment: Segment, now: float) -> None:
    """Take the options of the peer's SYN (RFC 7323 1.3: what both offered is on)."""
    conn.peer_mss = segment.mss if segment.mss is not None else default_mss(conn.remote_ip)
    if segment.window_scale is None:
        conn.send_scale = conn.receive_scale = 0
    else:
        conn.send_scale = min(segment.window_scale, 14)
    conn.sack_on = segment.sack_permitted
    conn.timestamps_on = segment.timestamps is not None
    if segment.timestamps is not None:
        conn.ts_recent, conn.ts_recent_at = segment.timestamps[0], now
    conn.irs = segment.seq
    conn.rcv_nxt = conn.last_ack_sent = segment.seq + 1
    conn.rcv_adv = conn.rcv_nxt + min(RECEIVE_BUFFER, 65535)
    conn.snd_wnd = conn.max_send_window = segment.window
    conn.snd_wl1 = segment.seq
    conn.set_path(now)


def in_syn_sent(conn: Connection, segment: Segment, now: float) -> None:
    flags = segment.flags
    ack = unwrap(segment.ack, conn.snd_una)
    if flags & ACK and (ack <= conn.iss or ack > conn.snd_nxt):
        if not flags & RST:
            conn.layer.refuse(conn.local_ip, conn.remote_ip, segment)
        return
    if flags & RST:
        if flags & ACK:
            conn.finish(errno.ECONNREFUSED, now)
        return
    if not flags & SYN:
        return
    accept_options(conn, segment, now)
    if not flags & ACK:
        # Simultaneous open (RFC 9293 3.5, figure 7).
        conn.state = State.SYN_RECEIVED
        transmit.resend(conn, conn.scoreboard.records[0], now, 1)
        return
    _syn_acknowledged(conn, segment, ack, now)
    transmit.acknowledge(conn)
    conn.layer.touch(conn)


def in_simultaneous_open(conn: Connection, segment: Segment, now: float) -> None:
    """The peer's SYN-ACK after both SYNs crossed."""
    ack = unwrap(segment.ack, conn.snd_una)
    if ack == conn.iss + 1:
        conn.snd_wnd = conn.max_send_window = segment.window
        _syn_acknowledged(conn, segment, ack, now)
        transmit.acknowledge(conn)
        conn.layer.touch(conn)


def _syn_acknowledged(conn: Connection, segment: Segment, ack: int, now: float) -> None:
    resent, rtt = conn.scoreboard.acknowledge(ack, now)
    if rtt is not None:
        conn.rtt.sample(rtt)
    conn.rtt.backoff = 0
    conn.snd_una = ack
    conn.snd_wl2 = ack
    conn.retransmit_at = None
    conn.become_established(now)
    conn.congestion.established(rtt or 0.0, resent=resent)


def handshake_done(conn: Connection, segment: Segment, seq: int, ack: int, now: float) -> bool:
    if not conn.snd_una < ack <= conn.snd_nxt:
        conn.layer.refuse(conn.local_ip, conn.remote_ip, segment)
        return False
    if conn.listener is not None and conn.listener.is_full:
        # As Linux: stay half open, the peer's data or our SYN-ACK will come again.
        conn.layer.stack.count("tcp-accept-queue-full")
        return False
    conn.snd_wnd = conn.max_send_window = segment.window << conn.send_scale
    conn.snd_wl1 = seq
    _syn_acknowledged(conn, segment, conn.iss + 1, now)
    return True
