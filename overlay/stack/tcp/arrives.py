"""What a connection does with a segment: RFC 9293 3.10.7, in its order of checks, with RFC 5961's and RFC 7323's.

Acknowledgements and new data wait for the end of the burst (`TcpLayer.flush`), except where the peer's loss
recovery needs one per segment: duplicates and early segments are acknowledged at once.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from overlay.stack.tcp import transmit
from overlay.stack.tcp.acknowledgement import acknowledged
from overlay.stack.tcp.handshake import handshake_done, in_simultaneous_open, in_syn_sent
from overlay.stack.tcp.limits import (
    DELAYED_ACK,
    EARLY_BYTES,
    EARLY_PIECES,
    PAWS_IDLE,
    SACK_DELAY,
    SACK_RANGES,
    SACK_SEGMENTS,
    TIME_WAIT,
)
from overlay.stack.tcp.loss import DUPLICATES
from overlay.stack.tcp.sequence import HALF, MASK, unwrap
from overlay.stack.tcp.state import RECEIVING, State
from overlay.wire.tcp import ACK, FIN, RST, SYN, Segment

if TYPE_CHECKING:
    from overlay.stack.tcp.connection import Connection


def segment_arrives(conn: Connection, segment: Segment, now: float) -> None:
    """Entry; `conn` is not CLOSED or LISTEN."""
    if conn.state is State.SYN_SENT:
        in_syn_sent(conn, segment, now)
        return
    flags, payload = segment.flags, segment.payload
    seq = unwrap(segment.seq, conn.rcv_nxt)
    end = seq + len(payload)
    stamps = segment.timestamps
    if stamps is not None and conn.timestamps_on:
        age = (stamps[0] - conn.ts_recent) & MASK
        if age >= HALF and not flags & RST and now - conn.ts_recent_at < PAWS_IDLE:
            conn.layer.stack.count("tcp-paws")
            conn.layer.challenge(conn)
            return
    if end < conn.last_ack_sent or seq > max(conn.rcv_adv, conn.rcv_nxt):
        _not_acceptable(conn, segment, seq, now)
        return
    # Only now: a stranger's segment must not set the clock that ours are measured by.
    newer = stamps is not None and conn.timestamps_on and (stamps[0] - conn.ts_recent) & MASK < HALF
    if stamps is not None and newer and seq <= conn.last_ack_sent:
        conn.ts_recent, conn.ts_recent_at = stamps[0], now
    if flags & RST:
        if seq == conn.rcv_nxt:
            _reset(conn, now)
        else:
            conn.layer.challenge(conn)
        return
    if flags & SYN:
        conn.layer.challenge(conn)
        return
    if not flags & ACK:
        return
    ack = unwrap(segment.ack, conn.snd_una)
    if conn.state is State.SYN_RECEIVED and not handshake_done(conn, segment, seq, ack, now):
        return
    conn.last_received_at = now
    conn.keepalive_sent = 0
    if not acknowledged(conn, segment, seq, ack, now):
        return
    if conn.state is State.CLOSED:
        return
    if conn.state is State.TIME_WAIT:
        if flags & FIN:
            transmit.acknowledge(conn)
            conn.linger_at = now + TIME_WAIT
        return
    if payload or flags & FIN:
        _text(conn, payload, seq, flags & FIN != 0, now)
    if not conn.touched:
        conn.layer.touch(conn)


def _not_acceptable(conn: Connection, segment: Segment, seq: int, now: float) -> None:
    flags = segment.flags
    if flags & RST:
        return
    if flags & SYN and conn.state is State.SYN_RECEIVED and seq == conn.irs:
        if flags & ACK:
            in_simultaneous_open(conn, segment, now)
        else:
            transmit.resend(conn, conn.scoreboard.records[0], now, 1)
        return
    if not segment.payload:
        # Two ends that disagree about where they are would answer each other for ever.
        conn.layer.challenge(conn)
        return
    if seq < conn.rcv_nxt:
        conn.duplicate = (seq, seq + len(segment.payload))
    transmit.acknowledge(conn)


def _reset(conn: Connection, now: float) -> None:
    if conn.state is State.SYN_RECEIVED:
        code = errno.ECONNREFUSED
    elif conn.state in (State.CLOSING, State.LAST_ACK, State.TIME_WAIT):
        code = 0
    elif conn.state is State.CLOSE_WAIT:
        code = errno.EPIPE
    else:
        code = errno.ECONNRESET
    conn.finish(code, now)


# ---------------------------------------------------------------------- text and FIN


def _acknowledge_early(conn: Connection, now: float) -> None:
    """Something is missing. The first three times the peer hears that at once, which is what starts its repair; then
    as many together as the ranges of one SACK can tell of (Linux's tcp_comp_sack_*)."""
    if conn.early_at != conn.rcv_nxt:
        conn.early_at, conn.early_count = conn.rcv_nxt, 0
    conn.early_count += 1
    conn.early_unsaid += 1
    at_once = conn.early_count <= DUPLICATES or conn.early_unsaid >= SACK_SEGMENTS or conn.inbox.changed >= SACK_RANGES
    if at_once or not conn.sack_on or conn.duplicate is not None:
        transmit.acknowledge(conn)
        return
    when = now + min(SACK_DELAY, conn.rtt.srtt / 20)
    if conn.delayed_ack_at is None or conn.delayed_ack_at > when:
        conn.delayed_ack_at = when
        conn.schedule()


def _text(conn: Connection, payload: bytes, seq: int, fin: bool, now: float) -> None:
    if conn.state not in RECEIVING:
        # After the peer's FIN there is nothing new; what comes again gets its acknowledgement again.
        transmit.acknowledge(conn)
        return
    if conn.orphan and payload and seq + len(payload) > conn.rcv_nxt:
        transmit.reset(conn)  # RFC 9293 3.6.1: nobody will read it
        conn.finish(0, now)
        return
    end = seq + len(payload)
    edge = max(conn.rcv_adv, conn.rcv_nxt)
    if end > edge:
        payload = payload[: edge - seq]
        end, fin = edge, False
    inbox = conn.inbox
    if seq > conn.rcv_nxt:
        if payload and inbox.early_bytes < EARLY_BYTES and len(inbox.early) < EARLY_PIECES:
            before = inbox.early_bytes
            inbox.insert(seq, payload)
            if inbox.early_bytes == before:
                conn.duplicate = (seq, end)
        conn.layer.stack.count("tcp-early")
        _acknowledge_early(conn, now)
        return
    if end <= conn.rcv_nxt and not (fin and end == conn.rcv_nxt):
        if payload:
            conn.duplicate = (seq, end)
        transmit.acknowledge(conn)
        return
    if payload and end > conn.rcv_nxt:
        inbox.append(payload if seq == conn.rcv_nxt else payload[conn.rcv_nxt - seq :])
        size = end - conn.rcv_nxt
        conn.rcv_nxt = end
        if inbox.early:
            conn.rcv_nxt = inbox.take_due(end)
            conn.ack_due = True
        conn.acked_bytes_pending += size
        if conn.quick_acks or conn.acked_bytes_pending >= 2 * conn.mss:
            conn.quick_acks = max(conn.quick_acks - 1, 0)
            conn.ack_due = True
        elif conn.delayed_ack_at is None:
            conn.delayed_ack_at = now + DELAYED_ACK
            conn.schedule()
    if fin and conn.rcv_nxt >= end:
        conn.rcv_nxt = end + 1
        conn.fin_received = True
        inbox.forget_early()
        conn.ack_due = True
        if conn.state is State.ESTABLISHED:
            conn.state = State.CLOSE_WAIT
        elif conn.state is State.FIN_WAIT_1:
            conn.state = State.CLOSING
        else:
            transmit.acknowledge(conn)
            conn.enter_time_wait(now)
    if conn.notify is not None:
        conn.notify()
