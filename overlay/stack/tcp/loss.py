"""What was sent, and what of it is lost: SACK's scoreboard (RFC 2018, 6675) judged by time (RACK, RFC 8985).

A record is what went out in one piece, a super-segment too. RACK's rule: a piece is lost if one sent later has
been delivered, and more time than a bit of reordering needs has passed. It also finds lost retransmissions
and losses at small windows, where three duplicate acknowledgements never come.
Towards a peer without SACK, duplicate acknowledgements are counted (RFC 5681 3.2, RFC 6582).
"""

from __future__ import annotations

from collections import deque

from overlay.stack.tcp.rtt import RoundTrip

DUPLICATES = 3


class Sent:
    """`start`..`end` in unwrapped sequence numbers (SYN and FIN count one); `at` when it was last sent."""

    __slots__ = ("at", "end", "fin", "first_at", "lost", "resent", "sacked", "start", "syn")

    def __init__(self, start: int, end: int, at: float, *, syn: bool = False, fin: bool = False) -> None:
        self.start = start
        self.end = end
        self.at = at
        self.first_at = at
        self.syn = syn
        self.fin = fin
        self.resent = 0
        self.sacked = False
        self.lost = False


class Scoreboard:
    """Records in order. `pipe`: bytes that are thought to be in the network (not SACKed, not lost)."""

    __slots__ = (
        "_rack_at",
        "_rack_end",
        "_rack_rtt",
        "duplicates",
        "highest_sacked",
        "lost_bytes",
        "pipe",
        "records",
        "reordering",
        "reordering_steps",
        "sacked_bytes",
    )

    def __init__(self) -> None:
        self.records: deque[Sent] = deque()
        self.pipe = 0
        self.sacked_bytes = 0
        self.lost_bytes = 0
        self.highest_sacked = 0
        self.duplicates = 0
        self.reordering = False
        self.reordering_steps = 1
        self._rack_at = -1.0
        self._rack_end = 0
        self._rack_rtt = 0.0

    def add(self, record: Sent) -> None:
        """It was just sent for the first time."""
        self.records.append(record)
        self.pipe += record.end - record.start

    def resend(self, record: Sent, now: float) -> None:
        """It was just sent again."""
        if record.lost:
            record.lost = False
            size = record.end - record.start
            self.lost_bytes -= size
            self.pipe += size
        record.at = now
        record.resent += 1

    def mark_lost(self, record: Sent) -> None:
        """It has to be sent again."""
        if not record.lost and not record.sacked:
            record.lost = True
            size = record.end - record.start
            self.lost_bytes += size
            self.pipe -= size

    def mark_all_lost(self) -> None:
        """The retransmission timer fired. SACKed pieces stay so: our peers do not renege, and if one does the
        timer comes again (`forget_sacks`)."""
        for record in self.records:
            self.mark_lost(record)

    def unmark_lost(self) -> None:
        """It was a spurious timeout: what was thought to be lost is in the network."""
        for record in self.records:
            if record.lost:
                record.lost = False
                size = record.end - record.start
                self.lost_bytes -= size
                self.pipe += size

    def forget_sacks(self) -> None:
        """The peer reneged (RFC 2018 8): what it said it had it has to get again."""
        for record in self.records:
            if record.sacked:
                record.sacked = False
                size = record.end - record.start
                self.sacked_bytes -= size
                self.pipe += size

    def split(self, record: Sent, at: int) -> None:
        """Cut a record in two at sequence number `at`."""
        tail = Sent(at, record.end, record.at, fin=record.fin)
        tail.first_at, tail.resent, tail.sacked, tail.lost = record.first_at, record.resent, record.sacked, record.lost
        record.end, record.fin = at, False
        self.records.insert(self.records.index(record) + 1, tail)

    def _delivered(self, record: Sent, now: float) -> float | None:
        rtt = now - record.at
        # A retransmission acknowledged faster than a round trip: it was the original that arrived.
        plausible = record.resent == 0 or rtt >= self._rack_rtt / 2
        if plausible and (record.at, record.end) > (self._rack_at, self._rack_end):
            self._rack_at, self._rack_end, self._rack_rtt = record.at, record.end, rtt
        return rtt if record.resent == 0 else None

    def acknowledge(self, ack: int, now: float) -> tuple[bool, float | None]:
        """Everything below `ack` arrived: (whether something was a retransmission, an unambiguous RTT or None)."""
        records = self.records
        rtt: float | None = None
        resent = False
        while records and records[0].start < ack:
            record = records[0]
            if record.end > ack:
                self.split(record, ack)
            records.popleft()
            size = record.end - record.start
            if record.sacked:
                self.sacked_bytes -= size
                continue
            if record.lost:
                self.lost_bytes -= size
            else:
                self.pipe -= size
            if record.resent:
                resent = True
            elif record.end < self.highest_sacked:
                self.reordering = True
            sample = self._delivered(record, now)
            if sample is not None:
                rtt = sample
        self.duplicates = 0
        return resent, rtt

    def sack(self, blocks: list[tuple[int, int]], now: float) -> tuple[int, float | None]:
        """The peer has these ranges: (bytes that are news, an unambiguous RTT or None)."""
        news = 0
        rtt: float | None = None
        for left, right in blocks:
            for record in list(self.records):
                if record.start >= right:
                    break
                if record.end <= left or record.sacked:
                    continue
                if record.start < left:
                    self.split(record, left)
                    record = self.records[self.records.index(record) + 1]
                if record.end > right:
                    self.split(record, right)
                size = record.end - record.start
                record.sacked = True
                self.sacked_bytes += size
                if record.lost:
                    record.lost = False
                    self.lost_bytes -= size
                else:
                    self.pipe -= size
                news += size
                if record.end < self.highest_sacked and not record.resent:
                    self.reordering = True
                self.highest_sacked = max(self.highest_sacked, record.end)
                sample = self._delivered(record, now)
                if sample is not None:
                    rtt = sample
        return news, rtt

    def arrived_twice(self) -> None:
        """A retransmission was in vain: allow for more reordering (RFC 8985 6.2, RACK_update_reo_wnd)."""
        self.reordering = True
        self.reordering_steps = min(self.reordering_steps + 1, 32)

    def detect(self, now: float, rtt: RoundTrip, mss: int, *, recovering: bool) -> tuple[bool, float | None]:
        """RACK's loss detection (RFC 8985 6.2): (whether something new is lost, when to look again or None)."""
        enough = recovering or self.sacked_bytes >= DUPLICATES * mss
        window = 0.0
        if rtt.srtt and not (enough and not self.reordering):
            window = min(self.reordering_steps * rtt.minimum / 4, rtt.srtt)
        found = False
        again: float | None = None
        for record in self.records:
            if record.sacked or record.lost:
                continue
            if record.at > self._rack_at:
                if record.resent == 0:
                    break
                continue
            if record.at == self._rack_at and record.end >= self._rack_end:
                continue
            due = record.at + self._rack_rtt + window
            if due <= now:
                self.mark_lost(record)
                found = True
            elif again is None or due > again:
                again = due
        return found, again

    def next_lost(self) -> Sent | None:
        """The first piece to send again."""
        if self.lost_bytes:
            for record in self.records:
                if record.lost:
                    return record
        return None

    def clear(self) -> None:
        """The connection is over."""
        self.records.clear()
        self.pipe = self.sacked_bytes = self.lost_bytes = 0
