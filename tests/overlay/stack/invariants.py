"""What always holds for a connection between two calls."""

from __future__ import annotations

from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.limits import EARLY_BYTES, RECEIVE_BUFFER, SEND_BUFFER_MOST
from overlay.stack.tcp.state import State


def check(conn: Connection) -> None:
    board = conn.scoreboard
    sizes = {True: 0, False: 0}
    lost = pipe = 0
    at = conn.snd_una
    for record in board.records:
        assert record.start == at < record.end
        assert not (record.sacked and record.lost)
        size = record.end - record.start
        sizes[record.sacked] += size
        lost += size if record.lost else 0
        pipe += 0 if record.lost or record.sacked else size
        at = record.end
    assert (board.sacked_bytes, board.lost_bytes, board.pipe) == (sizes[True], lost, pipe)
    if conn.state not in (State.CLOSED, State.TIME_WAIT):
        assert at == conn.snd_nxt
        assert conn.buffer_start == max(min(conn.snd_una, conn.buffer_start), conn.iss + 1)
        assert conn.snd_una <= conn.snd_nxt <= conn.buffer_start + len(conn.buffer) + 1
        if board.records:
            assert conn.retransmit_at is not None
    assert len(conn.buffer) <= SEND_BUFFER_MOST
    inbox = conn.inbox
    assert inbox.held == sum(map(len, inbox.chunks)) <= RECEIVE_BUFFER + EARLY_BYTES + 65536
    end = conn.rcv_nxt
    for start, data in inbox.early:
        assert start >= end or (start == end and data)
        assert data
        end = start + len(data)
    assert inbox.early_bytes == sum(len(data) for _, data in inbox.early) <= EARLY_BYTES + 65536
    assert conn.congestion.window >= min(conn.mss, 64)
    if conn.irs:
        assert conn.rcv_adv >= conn.rcv_nxt - 1
