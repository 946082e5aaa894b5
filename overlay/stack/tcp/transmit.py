"""What a connection sends: data and FIN as windows allow, acknowledgements, retransmissions, probes, resets."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from overlay.stack.tcp.limits import (
    BLACK_HOLE_RETRIES,
    EARLY_BYTES,
    INITIAL_SEGMENTS,
    ORPHAN_RETRIES,
    PACING_CREDIT,
    RECEIVE_BUFFER,
    RETRIES,
    SYN_ACK_RETRIES,
    SYN_RETRIES,
    TAIL_PROBE_ALLOWANCE,
)
from overlay.stack.tcp.loss import Sent
from overlay.stack.tcp.rtt import MAX_RTO
from overlay.stack.tcp.state import SENDING, State
from overlay.wire.tcp import ACK, FIN, PSH, RST, SYN, Segment, emit_data

if TYPE_CHECKING:
    from overlay.stack.tcp.connection import Connection

_MASK = 0xFFFFFFFF


def timestamp(conn: Connection) -> int:
    """The timestamp clock (RFC 7323 5.4): milliseconds, with an offset of the connection's own."""
    return int(conn.layer.stack.now * 1000) + conn.timestamp_offset & _MASK


def send(conn: Connection, seq: int, flags: int, payload: bytes = b"", *, options: bool = False) -> None:
    """Emit one segment with the present acknowledgement and window. `options`: those of a SYN."""
    layer = conn.layer
    window = _window(conn, unscaled=flags & SYN != 0)
    stamps = (timestamp(conn), conn.ts_recent) if conn.timestamps_on or options else (0, 0)
    sack = conn.sack_on and not payload and (conn.inbox.early or conn.duplicate is not None)
    if conn.timestamps_on and not options and not sack:
        body = emit_data(
            conn.local_ip,
            conn.remote_ip,
            (conn.local_port, conn.remote_port),
            seq & _MASK,
            conn.rcv_nxt & _MASK,
            flags,
            window,
            stamps,
            payload,
        )
    else:
        segment = Segment(
            conn.local_port,
            conn.remote_port,
            seq & _MASK,
            conn.rcv_nxt & _MASK if flags & ACK else 0,
            flags,
            window,
            payload,
        )
        if options:
            _syn_options(conn, segment, stamps)
        else:
            if conn.timestamps_on:
                segment.timestamps = stamps
            if sack:
                ranges = conn.inbox.ranges(4)
                if conn.duplicate is not None:
                    ranges.insert(0, conn.duplicate)  # RFC 2883: what came twice stands first
                    conn.duplicate = None
                room = 3 if conn.timestamps_on else 4
                segment.sack = tuple((left & _MASK, right & _MASK) for left, right in ranges[:room])
        body = segment.emit(conn.local_ip, conn.remote_ip)
    if flags & ACK:
        conn.last_ack_sent = conn.rcv_nxt
        conn.acked_bytes_pending = conn.early_unsaid = 0
        conn.ack_due = False
        conn.delayed_ack_at = None
    layer.output(conn.local_ip, conn.remote_ip, body)


def _syn_options(conn: Connection, segment: Segment, stamps: tuple[int, int]) -> None:
    answering = segment.flags & ACK != 0
    segment.mss = conn.layer.announced_mss(conn.remote_ip)
    segment.sack_permitted = conn.sack_on or not answering
    segment.timestamps = stamps if conn.timestamps_on or not answering else None
    segment.window_scale = conn.receive_scale if conn.receive_scale or not answering else None


def _window(conn: Connection, *, unscaled: bool) -> int:
    """The window field (RFC 9293 3.8.6): the right edge never goes back, and moves by useful steps only."""
    inbox = conn.inbox
    edge = conn.rcv_nxt + RECEIVE_BUFFER - inbox.held + min(inbox.early_bytes, EARLY_BYTES)
    if edge - conn.rcv_adv >= min(conn.mss, RECEIVE_BUFFER // 2):
        conn.rcv_adv = edge
    size = conn.rcv_adv - conn.rcv_nxt
    if unscaled:
        field = min(size, 65535)
        conn.rcv_adv = conn.rcv_nxt + field
        return field
    # Rounding down here takes back less than one unit of the scale, which RFC 7323 2.4 expects.
    return min(size >> conn.receive_scale, 65535)


def acknowledge(conn: Connection) -> None:
    """A segment without data, now."""
    send(conn, conn.snd_nxt, ACK)


def probe(conn: Connection) -> None:
    """A segment that is one byte old, so that the peer answers with its window (RFC 1122 4.2.3.6, as Linux also
    probes a closed window)."""
    send(conn, conn.snd_una - 1, ACK)


def reset(conn: Connection) -> None:
    """RST at the next sequence number."""
    send(conn, conn.snd_nxt, RST | ACK)


def syn(conn: Connection, now: float) -> None:
    """The first SYN or SYN-ACK."""
    conn.scoreboard.add(Sent(conn.iss, conn.iss + 1, now, syn=True))
    conn.snd_nxt = conn.iss + 1
    _send_syn(conn)
    conn.retransmit_at = now + conn.rtt.rto
    conn.schedule()


def _send_syn(conn: Connection) -> None:
    flags = SYN | ACK if conn.state is State.SYN_RECEIVED else SYN
    send(conn, conn.iss, flags, options=True)


def window_opened(conn: Connection, now: float) -> None:
    """The program read: tell the peer if it may be waiting for that."""
    if conn.state in (State.CLOSED, State.TIME_WAIT) or conn.fin_received:
        return
    left = conn.rcv_adv - conn.rcv_nxt
    free = RECEIVE_BUFFER - conn.inbox.held
    if left < RECEIVE_BUFFER // 4 and free - left >= RECEIVE_BUFFER // 4:
        conn.layer.stack.now = now
        acknowledge(conn)


def output(conn: Connection, now: float) -> None:
    """Send whatever may be sent, as far as the rate allows: lost pieces first, then new data, then FIN."""
    if conn.state not in SENDING:
        return
    board, congestion = conn.scoreboard, conn.congestion
    if conn.pace_at is None:
        # Time that nobody wanted is lost, but for as much as a timer may be late; who waited loses nothing.
        conn.departure = max(conn.departure, now - PACING_CREDIT)
    conn.pace_at = None
    if not board.records:
        congestion.resume(now - conn.last_sent_at, conn.rtt.rto, board.delivery, now)
    conn.window_limited = False
    sent = _resend_lost(conn, now) if board.lost_bytes else False
    if conn.pace_at is None and _send_new(conn, now):
        sent = True
    if sent:
        conn.last_sent_at = now
        arm(conn, now, restart=False)
    _arm_persist(conn, now)
    if conn.pace_at is not None:
        conn.schedule()


def _send_new(conn: Connection, now: float) -> bool:
    board, congestion = conn.scoreboard, conn.congestion
    buffer = conn.buffer
    end = conn.buffer_start + len(buffer)
    inflation = 0 if conn.sack_on else board.duplicates * conn.mss
    largest = min(conn.segment_limit, congestion.quantum)
    sent = False
    while not conn.fin_sent:
        unsent = end - conn.snd_nxt
        if unsent <= 0 and not conn.fin_queued:
            break
        if _must_wait(conn, now):
            return sent
        window = conn.snd_una + conn.snd_wnd - conn.snd_nxt
        room = congestion.window + inflation - board.pipe
        size = min(unsent, window, room, largest)
        fin = conn.fin_queued and size == unsent
        if size < unsent:
            if room < min(unsent, window, conn.mss):
                conn.window_limited = True
                if board.pipe or size <= 0:
                    return sent
            if size > conn.mss:
                size -= size % conn.mss
            elif size < conn.mss and (size <= 0 or size < conn.max_send_window // 2):
                # Silly window (RFC 9293 3.8.6.2.1): wait for more; the persist timer covers the wait.
                return sent
        elif size < conn.mss and not fin and not conn.nodelay and board.records:
            break  # Nagle (RFC 9293 3.7.4)
        elif size > conn.mss and not fin and not conn.nodelay and size % conn.mss and board.records:
            size -= size % conn.mss
        if size <= 0 and not fin:
            break
        start = conn.snd_nxt
        offset = start - conn.buffer_start
        payload = bytes(memoryview(buffer)[offset : offset + size]) if size > 0 else b""
        flags = ACK
        if fin:
            flags |= FIN | PSH
            conn.fin_sent = True
        elif size == unsent:
            flags |= PSH
        conn.snd_nxt = start + size + (1 if fin else 0)
        board.add(Sent(start, conn.snd_nxt, now, fin=fin))
        send(conn, start, flags, payload)
        _departed(conn, size)
        sent = True
    if not board.lost_bytes and board.pipe < congestion.window:
        board.delivery.program_idle(board.pipe)
    return sent


def _must_wait(conn: Connection, now: float) -> bool:
    """Whether the next piece has its time still before it; then the timer is asked for."""
    if conn.departure <= now or not conn.congestion.pacing_rate:
        return False
    conn.pace_at = conn.departure
    return True


def _departed(conn: Connection, size: int) -> None:
    """`size` bytes went; when the next may go. As in Linux the initial window is not spaced: a short answer costs no
    more than it did."""
    rate = conn.congestion.pacing_rate
    if rate and conn.snd_nxt - conn.iss > INITIAL_SEGMENTS * conn.mss:
        conn.departure += size / rate


def _resend_lost(conn: Connection, now: float) -> bool:
    sent = False
    board = conn.scoreboard
    while True:
        record = board.next_lost()
        if record is None or (sent and _must_wait(conn, now)):
            return sent
        room = conn.congestion.window - board.pipe
        if room < min(conn.mss, record.end - record.start) and board.pipe > 0:
            conn.window_limited = True
            return sent
        if record is board.records[0]:
            conn.retransmit_at = None  # the oldest gets all of the time again, as in Linux
        resend(conn, record, now, max(room, conn.mss))
        sent = True


def resend(conn: Connection, record: Sent, now: float, room: int) -> None:
    """Send a record again, at most `room` bytes of it (whole segments)."""
    board = conn.scoreboard
    if record.syn:
        _send_syn(conn)
        board.resend(record, now)
        return
    limit = min(conn.segment_limit, conn.congestion.quantum, max(room - room % conn.mss, conn.mss))
    data_end = record.end - 1 if record.fin else record.end
    if data_end - record.start > limit:
        board.split(record, record.start + limit)
        data_end = record.end
    offset = record.start - conn.buffer_start
    payload = bytes(memoryview(conn.buffer)[offset : offset + data_end - record.start])
    board.resend(record, now)
    conn.recovery.resent += 1
    send(conn, record.start, ACK | PSH | (FIN if record.fin else 0), payload)
    _departed(conn, len(payload))


def find_losses(conn: Connection, now: float) -> None:
    """Ask the scoreboard what is lost by now; a new loss event halves the window once."""
    board, recovery = conn.scoreboard, conn.recovery
    in_flight = conn.snd_nxt - conn.snd_una - board.sacked_bytes
    found, again = board.detect(now, conn.rtt, conn.mss, recovering=recovery.active)
    conn.reorder_at = again
    if found and not recovery.active and conn.snd_una >= recovery.point:
        conn.congestion.enter_recovery(in_flight, board.delivery)
        recovery.begin(conn.snd_nxt)
    elif found:
        recovery.active = True


def arm(conn: Connection, now: float, *, restart: bool) -> None:
    """Keep the retransmission timer running while something is out (RFC 6298 5), and the tail loss probe
    (RFC 8985 7) while nothing is known to be lost."""
    board = conn.scoreboard
    if not board.records:
        conn.retransmit_at = conn.probe_at = None
        return
    rto = conn.rtt.rto
    if restart or conn.retransmit_at is None:
        conn.retransmit_at = now + rto
    if conn.sack_on and conn.rtt.srtt and not board.sacked_bytes and not board.lost_bytes and not conn.retries:
        wait = 2 * conn.rtt.srtt + (TAIL_PROBE_ALLOWANCE if len(board.records) == 1 else 0.002)
        conn.probe_at = now + wait if wait < rto and conn.probe_end <= conn.snd_una else None
    else:
        conn.probe_at = None
    conn.schedule()


def tail_probe(conn: Connection, now: float) -> None:
    """Send something at the end of a flight so that its loss shows by SACK instead of by timeout."""
    board = conn.scoreboard
    if not board.records or conn.state not in SENDING:
        return
    before = conn.snd_nxt
    conn.probe_end = conn.snd_nxt
    output(conn, now)
    if conn.snd_nxt == before:
        last = board.records[-1]
        if not last.sacked:
            if last.end - last.start > conn.mss:
                board.split(last, last.end - conn.mss)
                last = board.records[-1]
            resend(conn, last, now, conn.mss)
            conn.recovery.resent -= 1  # it says nothing about the reduction before
    conn.probe_at = None
    conn.retransmit_at = now + conn.rtt.rto


def timed_out(conn: Connection, now: float) -> None:
    """The retransmission timer fired (RFC 6298 5.4–5.7)."""
    conn.retransmit_at = None
    board = conn.scoreboard
    if not board.records:
        return
    limit = RETRIES
    if conn.state is State.SYN_SENT:
        limit = SYN_RETRIES
    elif conn.state is State.SYN_RECEIVED:
        limit = SYN_ACK_RETRIES
    elif conn.orphan:
        limit = ORPHAN_RETRIES
    if conn.retries >= limit:
        conn.finish(conn.soft_error or errno.ETIMEDOUT, now)
        return
    conn.retries += 1
    conn.rtt.backoff += 1
    first = board.records[0]
    if first.syn:
        resend(conn, first, now, 1)
    else:
        if conn.retries == BLACK_HOLE_RETRIES and first.end - first.start >= conn.mss:
            conn.layer.doubt_path(conn.remote_ip, now)
        conn.set_path(now)
        if first.sacked:
            board.forget_sacks()
        conn.congestion.timed_out(conn.snd_nxt - conn.snd_una, first=conn.retries == 1)
        conn.recovery.timed_out(conn.snd_nxt, first=conn.retries == 1)
        if conn.retries == 1:
            conn.timeout_stamp = timestamp(conn) if conn.timestamps_on else None
        board.duplicates = 0
        conn.reorder_at = conn.probe_at = None
        board.mark_all_lost()
        output(conn, now)
    conn.retransmit_at = now + conn.rtt.rto


def _arm_persist(conn: Connection, now: float) -> None:
    """A closed window and nothing out: nobody would ever speak again (RFC 9293 3.8.6.1)."""
    waiting = conn.buffer_start + len(conn.buffer) > conn.snd_nxt or (conn.fin_queued and not conn.fin_sent)
    if waiting and not conn.scoreboard.records and conn.pace_at is None:
        if conn.persist_at is None:
            conn.persist_count = 0
            conn.persist_at = now + conn.rtt.rto
            conn.schedule()
    else:
        conn.persist_at = None


def persist(conn: Connection, now: float) -> None:
    """Probe the closed window, at doubling intervals."""
    conn.persist_at = None
    if conn.state not in SENDING:
        return
    if conn.retries >= (ORPHAN_RETRIES if conn.orphan else RETRIES):
        conn.finish(conn.soft_error or errno.ETIMEDOUT, now)
        return
    if conn.snd_wnd > 0:
        # The window is open, but silly: send what fits (RFC 9293 3.8.6.2.1, the override timeout).
        _send_into_silly_window(conn, now)
        if conn.scoreboard.records:
            return
    conn.persist_count += 1
    conn.retries += 1
    probe(conn)
    conn.persist_at = now + min(MAX_RTO, conn.rtt.rto * (1 << min(conn.persist_count, 10)))


def _send_into_silly_window(conn: Connection, now: float) -> None:
    unsent = conn.buffer_start + len(conn.buffer) - conn.snd_nxt
    size = min(unsent, conn.snd_una + conn.snd_wnd - conn.snd_nxt, conn.mss)
    if size <= 0:
        return
    start = conn.snd_nxt
    offset = start - conn.buffer_start
    conn.snd_nxt += size
    conn.scoreboard.add(Sent(start, conn.snd_nxt, now))
    send(conn, start, ACK | PSH, bytes(memoryview(conn.buffer)[offset : offset + size]))
    arm(conn, now, restart=True)
