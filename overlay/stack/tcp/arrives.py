"""What a connection does with a segment: RFC 9293 3.10.7, in its order of checks, with RFC 5961's and RFC 7323's.

Acknowledgements and new data wait for the end of the burst (`TcpLayer.flush`), except where the peer's loss
recovery needs one per segment: duplicates and early segments are acknowledged at once.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from overlay.stack.tcp import transmit
from overlay.stack.tcp.limits import (
    DELAYED_ACK,
    EARLY_BYTES,
    EARLY_PIECES,
    FIN_WAIT_2,
    PAWS_IDLE,
    RECEIVE_BUFFER,
    TIME_WAIT,
    default_mss,
)
from overlay.stack.tcp.loss import DUPLICATES
from overlay.stack.tcp.state import RECEIVING, State
from overlay.wire.tcp import ACK, FIN, RST, SYN, Segment

if TYPE_CHECKING:
    from overlay.stack.tcp.connection import Connection

_MASK = 0xFFFFFFFF
_HALF = 0x80000000


def unwrap(value: int, near: int) -> int:
    """The number congruent to the wire's `value` (mod 2³²) that is nearest to `near`."""
    return near + ((value - near + _HALF) & _MASK) - _HALF


def segment_arrives(conn: Connection, segment: Segment, now: float) -> None:
    """Entry; `conn` is not CLOSED or LISTEN."""
    if conn.state is State.SYN_SENT:
        _in_syn_sent(conn, segment, now)
        return
    flags, payload = segment.flags, segment.payload
    seq = unwrap(segment.seq, conn.rcv_nxt)
    end = seq + len(payload)
    stamps = segment.timestamps
    if stamps is not None and conn.timestamps_on:
        age = (stamps[0] - conn.ts_recent) & _MASK
        if age >= _HALF and not flags & RST and now - conn.ts_recent_at < PAWS_IDLE:
            conn.layer.stack.count("tcp-paws")
            conn.layer.challenge(conn)
            return
    if end < conn.last_ack_sent or seq > max(conn.rcv_adv, conn.rcv_nxt):
        _not_acceptable(conn, segment, seq, now)
        return
    # Only now: a stranger's segment must not set the clock that ours are measured by.
    newer = stamps is not None and conn.timestamps_on and (stamps[0] - conn.ts_recent) & _MASK < _HALF
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
    if conn.state is State.SYN_RECEIVED and not _handshake_done(conn, segment, seq, ack, now):
        return
    conn.last_received_at = now
    conn.keepalive_sent = 0
    if not _acknowledged(conn, segment, seq, ack, now):
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
            _in_simultaneous_open(conn, segment, now)
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


# ---------------------------------------------------------------------- handshake


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


def _in_syn_sent(conn: Connection, segment: Segment, now: float) -> None:
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


def _in_simultaneous_open(conn: Connection, segment: Segment, now: float) -> None:
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
    if resent:
        conn.congestion.window = min(conn.congestion.window, 3 * conn.mss)
    conn.become_established(now)


def _handshake_done(conn: Connection, segment: Segment, seq: int, ack: int, now: float) -> bool:
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


# ---------------------------------------------------------------------- acknowledgement


def _acknowledged(conn: Connection, segment: Segment, seq: int, ack: int, now: float) -> bool:
    """The ACK field, SACK and the window; False: drop the segment."""
    una = conn.snd_una
    if ack > conn.snd_nxt:
        conn.layer.challenge(conn)
        return False
    if ack < una - max(conn.max_send_window, 65536):
        conn.layer.challenge(conn)
        return False
    board = conn.scoreboard
    window = segment.window << conn.send_scale
    window_changed = False
    if ack >= una and (seq > conn.snd_wl1 or (seq == conn.snd_wl1 and ack >= conn.snd_wl2)):
        window_changed = window != conn.snd_wnd
        conn.snd_wnd = window
        conn.snd_wl1, conn.snd_wl2 = seq, ack
        if window > conn.max_send_window:
            conn.max_send_window = window
        if window and conn.persist_at is not None:
            conn.persist_at = None
    if ack > una or not board.records:
        conn.retries = 0
    news = 0
    if segment.sack and conn.sack_on:
        blocks = []
        for left, right in segment.sack:
            start, stop = unwrap(left, ack), unwrap(right, ack)
            if ack < stop <= conn.snd_nxt and start < stop:
                blocks.append((max(start, ack), stop))
        _look_for_duplicate(conn, segment, ack)
        if blocks:
            news, rtt = board.sack(blocks, now)
            if rtt is not None:
                conn.rtt.sample(rtt)
    if ack > una:
        _new_acknowledgement(conn, segment, una, ack, now)
    elif (
        not conn.sack_on
        and ack == una
        and board.records
        and not segment.payload
        and not segment.flags & FIN
        and not window_changed
    ):
        _duplicate(conn, now)
    if board.records and (board.sacked_bytes or news or conn.congestion.recovering):
        transmit.find_losses(conn, now)
        transmit.arm(conn, now, restart=False)
    return True


def _look_for_duplicate(conn: Connection, segment: Segment, ack: int) -> None:
    """RFC 2883: a first block below the acknowledgement, or inside of the second, tells what arrived twice."""
    start, stop = unwrap(segment.sack[0][0], ack), unwrap(segment.sack[0][1], ack)
    twice = stop <= ack
    if not twice and len(segment.sack) > 1:
        left, right = unwrap(segment.sack[1][0], ack), unwrap(segment.sack[1][1], ack)
        twice = left <= start and stop <= right
    if twice:
        conn.scoreboard.arrived_twice()
        conn.congestion.arrived_twice()


def _new_acknowledgement(conn: Connection, segment: Segment, una: int, ack: int, now: float) -> None:
    board, congestion = conn.scoreboard, conn.congestion
    in_recovery = congestion.recovering
    _, rtt = board.acknowledge(ack, now)
    if rtt is not None:
        conn.rtt.sample(rtt)
    elif conn.rtt.backoff:
        conn.rtt.backoff = 0
    conn.snd_una = ack
    data = ack - conn.buffer_start
    if data > 0:
        had = len(conn.buffer)
        if data > had:
            data = had
        del conn.buffer[:data]
        conn.buffer_start += data
    if conn.timeout_stamp is not None:
        _check_spurious_timeout(conn, segment)
    if in_recovery:
        if ack >= congestion.recovery_point:
            congestion.leave_recovery()
        elif not conn.sack_on and board.records:
            # A partial acknowledgement: the next piece is lost too (RFC 6582 3.2).
            _mark_first_lost(conn)
    elif ack >= congestion.recovery_point or congestion.window < congestion.threshold:
        congestion.acknowledged(ack - una)
    transmit.arm(conn, now, restart=True)
    if data > 0 and conn.notify is not None:
        conn.notify()
    if conn.fin_sent and ack >= conn.snd_nxt:
        _fin_acknowledged(conn, now)


def _check_spurious_timeout(conn: Connection, segment: Segment) -> None:
    """Eifel (RFC 3522): the first acknowledgement after a timeout echoes a time before the retransmission, so
    it is the original's: nothing was lost."""
    stamp, conn.timeout_stamp = conn.timeout_stamp, None
    if segment.timestamps is None or stamp is None:
        return
    if (segment.timestamps[1] - stamp) & _MASK >= _HALF:
        conn.congestion.undo_reduction()
        conn.scoreboard.unmark_lost()


def _duplicate(conn: Connection, now: float) -> None:
    """A duplicate acknowledgement of a peer without SACK (RFC 5681 3.2)."""
    board, congestion = conn.scoreboard, conn.congestion
    board.duplicates += 1
    if board.duplicates == DUPLICATES and not congestion.recovering and conn.snd_una >= congestion.recovery_point:
        congestion.enter_recovery(min(conn.snd_nxt - conn.snd_una, congestion.window), conn.snd_nxt)
        _mark_first_lost(conn)


def _mark_first_lost(conn: Connection) -> None:
    board = conn.scoreboard
    first = board.records[0]
    if first.end - first.start > conn.mss:
        board.split(first, first.start + conn.mss)
    board.mark_lost(first)


def _fin_acknowledged(conn: Connection, now: float) -> None:
    if conn.state is State.FIN_WAIT_1:
        conn.state = State.FIN_WAIT_2
        if conn.orphan:
            conn.linger_at = now + FIN_WAIT_2
            conn.schedule()
        conn.wake()
    elif conn.state is State.CLOSING:
        conn.enter_time_wait(now)
        conn.wake()
    elif conn.state is State.LAST_ACK:
        conn.finish(0, now)


# ---------------------------------------------------------------------- text and FIN


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
        transmit.acknowledge(conn)
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
        inbox.early.clear()
        inbox.early_bytes = 0
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
