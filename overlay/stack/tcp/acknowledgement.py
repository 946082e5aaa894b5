"""What an acknowledgement tells: what arrived, what is lost, how far the window goes (RFC 9293 3.10.7.4, RFC 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overlay.stack.tcp import transmit
from overlay.stack.tcp.limits import FIN_WAIT_2
from overlay.stack.tcp.loss import DUPLICATES
from overlay.stack.tcp.sequence import HALF, MASK, unwrap
from overlay.stack.tcp.state import State
from overlay.wire.tcp import FIN, Segment

if TYPE_CHECKING:
    from overlay.stack.tcp.connection import Connection


def acknowledged(conn: Connection, segment: Segment, seq: int, ack: int, now: float) -> bool:
    """The ACK field, SACK and the window; False: drop the segment."""
    una = conn.snd_una
    if ack > conn.snd_nxt:
        conn.layer.challenge(conn)
        return False
    if ack < una - max(conn.max_send_window, 65536):
        conn.layer.challenge(conn)
        return False
    board, sample = conn.scoreboard, conn.scoreboard.delivery
    growth = 0
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
    tells = ack > una or (conn.sack_on and bool(segment.sack))
    if tells:
        sample.begin(board.pipe)
    if segment.sack and conn.sack_on:
        blocks = []
        for left, right in segment.sack:
            start, stop = unwrap(left, ack), unwrap(right, ack)
            if ack < stop <= conn.snd_nxt and start < stop:
                blocks.append((max(start, ack), stop))
        _look_for_duplicate(conn, segment, ack)
        if blocks:
            news, sample.rtt = board.sack(blocks, now)
            if sample.rtt is not None:
                conn.rtt.sample(sample.rtt)
    if ack > una:
        growth = _new_acknowledgement(conn, segment, una, ack, now)
    elif (
        not conn.sack_on
        and ack == una
        and board.records
        and not segment.payload
        and not segment.flags & FIN
        and not window_changed
    ):
        _duplicate(conn, now)
    if board.records and (board.sacked_bytes or news or conn.recovery.active):
        transmit.find_losses(conn, now)
        transmit.arm(conn, now, restart=False)
    if tells:
        sample.finish(conn.rtt.minimum)
        if sample.news or sample.losses:
            conn.congestion.acknowledged(sample, growth, board.pipe, now)
    return True


def _look_for_duplicate(conn: Connection, segment: Segment, ack: int) -> None:
    """RFC 2883: a first block below the acknowledgement, or inside of the second, tells what arrived twice."""
    start, stop = unwrap(segment.sack[0][0], ack), unwrap(segment.sack[0][1], ack)
    twice = stop <= ack
    if not twice and len(segment.sack) > 1:
        left, right = unwrap(segment.sack[1][0], ack), unwrap(segment.sack[1][1], ack)
        twice = left <= start and stop <= right
    if twice:
        conn.scoreboard.arrived_twice(conn.snd_una, conn.snd_nxt)
        if conn.recovery.arrived_twice():
            _undo(conn)


def _undo(conn: Connection) -> None:
    conn.congestion.undo()
    conn.recovery.undone()


def _new_acknowledgement(conn: Connection, segment: Segment, una: int, ack: int, now: float) -> int:
    """Take what is acknowledged off the queue; the bytes that the congestion window may grow for."""
    board, recovery = conn.scoreboard, conn.recovery
    in_recovery = recovery.active
    _, rtt = board.acknowledge(ack, now)
    if rtt is not None:
        conn.rtt.sample(rtt)
        board.delivery.rtt = rtt
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
    if recovery.ends(ack):
        conn.congestion.leave_recovery()
        board.recovered()
    elif in_recovery and not conn.sack_on and board.records:
        # A partial acknowledgement: the next piece is lost too (RFC 6582 3.2).
        _mark_first_lost(conn)
    transmit.arm(conn, now, restart=True)
    if data > 0 and conn.notify is not None:
        conn.notify()
    if conn.fin_sent and ack >= conn.snd_nxt:
        _fin_acknowledged(conn, now)
    return ack - una if conn.window_limited and not in_recovery else 0


def _check_spurious_timeout(conn: Connection, segment: Segment) -> None:
    """Eifel (RFC 3522): the first acknowledgement after a timeout echoes a time before the retransmission, so
    it is the original's: nothing was lost."""
    stamp, conn.timeout_stamp = conn.timeout_stamp, None
    if segment.timestamps is None or stamp is None:
        return
    if (segment.timestamps[1] - stamp) & MASK >= HALF:
        _undo(conn)
        conn.scoreboard.unmark_lost()


def _duplicate(conn: Connection, now: float) -> None:
    """A duplicate acknowledgement of a peer without SACK (RFC 5681 3.2)."""
    board, recovery = conn.scoreboard, conn.recovery
    board.duplicates += 1
    if board.duplicates == DUPLICATES and not recovery.active and conn.snd_una >= recovery.point:
        conn.congestion.enter_recovery(conn.snd_nxt - conn.snd_una, board.delivery)
        recovery.begin(conn.snd_nxt)
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
