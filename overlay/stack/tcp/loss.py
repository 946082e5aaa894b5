"""What was sent, and what of it is lost: SACK's scoreboard (RFC 2018, 6675) judged by time (RACK, RFC 8985).

A record is what went out in one piece, a super-segment too. RACK's rule: a piece is lost if one sent later has
been delivered, and more time than a bit of reordering needs has passed. It also finds lost retransmissions
and losses at small windows, where three duplicate acknowledgements never come.
Towards a peer without SACK, duplicate acknowledgements are counted (RFC 5681 3.2, RFC 6582).

An acknowledgement costs what it tells, not what is out: records are found by bisection, neighbours that are SACKed
become one, and what is in the network is also a list in the order of sending, whose head alone can be overdue.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from overlay.stack.tcp.delivery import Delivery
from overlay.stack.tcp.rtt import RoundTrip

DUPLICATES = 3
MOST_STEPS = 32
PATIENCE = 16
_START = attrgetter("start")


class Sent:
    """`start`..`end` in unwrapped sequence numbers (SYN and FIN count one); `at` when it was last sent. `older` and
    `newer` are its neighbours by that among those in the network. The four before the last are `Delivery`'s."""

    __slots__ = (
        "at", "delivered", "delivered_at", "end", "fin", "first_sent_at", "limited", "lost", "newer", "older", "resent",
        "sacked", "start", "syn",
    )  # fmt: skip

    def __init__(self, start: int, end: int, at: float, *, syn: bool = False, fin: bool = False) -> None:
        self.start = start
        self.end = end
        self.at = at
        self.syn = syn
        self.fin = fin
        self.resent = 0
        self.sacked = False
        self.lost = False
        self.older: Sent | None = None
        self.newer: Sent | None = None
        self.delivered = 0
        self.delivered_at = at
        self.first_sent_at = at
        self.limited = False


class Scoreboard:
    """Records in order. `pipe`: bytes that are thought to be in the network (not SACKed, not lost)."""

    __slots__ = (
        "_newest",
        "_oldest",
        "_patience",
        "_rack_at",
        "_rack_end",
        "_rack_rtt",
        "_twice_round",
        "delivery",
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
        self.records: list[Sent] = []
        self.delivery = Delivery()
        self.pipe = 0
        self.sacked_bytes = 0
        self.lost_bytes = 0
        self.highest_sacked = 0
        self.duplicates = 0
        self.reordering = False
        self.reordering_steps = 1
        self._oldest: Sent | None = None
        self._newest: Sent | None = None
        self._rack_at = -1.0
        self._rack_end = 0
        self._rack_rtt = 0.0
        self._twice_round = 0
        self._patience = PATIENCE

    # ------------------------------------------------------------------ what is in the network, by time of sending

    def _fly(self, record: Sent, behind: Sent | None) -> None:
        record.older = behind
        if behind is None:
            record.newer, self._oldest = self._oldest, record
        else:
            record.newer, behind.newer = behind.newer, record
        if record.newer is None:
            self._newest = record
        else:
            record.newer.older = record

    def _land(self, record: Sent) -> None:
        older, newer = record.older, record.newer
        if older is None:
            self._oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        record.older = record.newer = None

    def _fly_again(self, records: list[Sent]) -> None:
        """They were in the network all the time."""
        flying = [each for each in self.records if not each.sacked and not each.lost]
        self._oldest = self._newest = None
        for record in sorted([*flying, *records], key=lambda each: (each.at, each.end)):
            self._fly(record, self._newest)

    # ------------------------------------------------------------------ sending

    def add(self, record: Sent) -> None:
        """It was just sent for the first time."""
        self.delivery.sent(record, self.pipe, record.at)
        self.records.append(record)
        self.pipe += record.end - record.start
        self._fly(record, self._newest)

    def resend(self, record: Sent, now: float) -> None:
        """It was just sent again."""
        size = record.end - record.start
        if record.lost:
            record.lost = False
            self.lost_bytes -= size
            self.pipe += size
        else:
            self._land(record)
        record.at = now
        record.resent += 1
        self.delivery.sent(record, self.pipe - size, now)
        self._fly(record, self._newest)

    def mark_lost(self, record: Sent) -> None:
        """It has to be sent again."""
        if not record.lost and not record.sacked:
            record.lost = True
            size = record.end - record.start
            self.lost_bytes += size
            self.delivery.lost += size
            self.pipe -= size
            self._land(record)

    def mark_all_lost(self) -> None:
        """The retransmission timer fired. SACKed pieces stay so: our peers do not renege, and if one does the
        timer comes again (`forget_sacks`)."""
        for record in self.records:
            self.mark_lost(record)
        self.delivery.forget_losses()

    def unmark_lost(self) -> None:
        """It was a spurious timeout: what was thought to be lost is in the network."""
        found = [record for record in self.records if record.lost]
        self._fly_again(found)
        for record in found:
            record.lost = False
            size = record.end - record.start
            self.lost_bytes -= size
            self.pipe += size

    def forget_sacks(self) -> None:
        """The peer reneged (RFC 2018 8): what it said it had it has to get again."""
        found = [record for record in self.records if record.sacked]
        self._fly_again(found)
        for record in found:
            record.sacked = False
            record.resent += 1  # so that no round trip is measured on it
            size = record.end - record.start
            self.sacked_bytes -= size
            self.pipe += size

    def split(self, record: Sent, at: int) -> None:
        """Cut a record in two at sequence number `at`."""
        self._split(bisect_right(self.records, record.start, key=_START) - 1, at)

    def _split(self, index: int, at: int) -> None:
        record = self.records[index]
        tail = Sent(at, record.end, record.at, fin=record.fin)
        tail.resent, tail.sacked, tail.lost = record.resent, record.sacked, record.lost
        tail.delivered, tail.delivered_at = record.delivered, record.delivered_at
        tail.first_sent_at, tail.limited = record.first_sent_at, record.limited
        record.end, record.fin = at, False
        self.records.insert(index + 1, tail)
        if not record.sacked and not record.lost:
            self._fly(tail, record)

    # ------------------------------------------------------------------ what the peer says

    def _delivered(self, record: Sent, now: float) -> float | None:
        size = record.end - record.start
        if record.lost:
            record.lost = False
            self.lost_bytes -= size
        else:
            self.pipe -= size
            self._land(record)
        rtt = now - record.at
        # A retransmission acknowledged faster than a round trip: it was the original that arrived.
        plausible = record.resent == 0 or rtt >= self._rack_rtt / 2
        if plausible and (record.at, record.end) > (self._rack_at, self._rack_end):
            self._rack_at, self._rack_end, self._rack_rtt = record.at, record.end, rtt
        self.delivery.arrived(record, now)
        return rtt if record.resent == 0 else None

    def acknowledge(self, ack: int, now: float) -> tuple[bool, float | None]:
        """Everything below `ack` arrived: (whether something was a retransmission, an unambiguous RTT or None)."""
        records = self.records
        rtt: float | None = None
        resent = False
        count = 0
        for record in records:
            if record.start >= ack:
                break
            if record.end > ack:
                self._split(count, ack)
            count += 1
            if record.sacked:
                self.sacked_bytes -= record.end - record.start
                continue
            if record.resent:
                resent = True
            elif record.end < self.highest_sacked:
                self.reordering = True
            sample = self._delivered(record, now)
            if sample is not None:
                rtt = sample
        del records[:count]
        self.duplicates = 0
        return resent, rtt

    def sack(self, blocks: list[tuple[int, int]], now: float) -> tuple[int, float | None]:
        """The peer has these ranges: (bytes that are news, an unambiguous RTT or None)."""
        news = 0
        rtt: float | None = None
        records = self.records
        for left, right in blocks:
            index = max(bisect_right(records, left, key=_START) - 1, 0)
            while index < len(records):
                record = records[index]
                if record.start > right or (record.start == right and not record.sacked):
                    break
                if record.end <= left and not record.sacked:
                    index += 1
                    continue
                if not record.sacked:
                    if record.start < left:
                        self._split(index, left)
                        index += 1
                        record = records[index]
                    if record.end > right:
                        self._split(index, right)
                    sample = self._has(record, now)
                    news += record.end - record.start
                    if sample is not None:
                        rtt = sample
                if index and records[index - 1].sacked:
                    records[index - 1].end = record.end
                    records[index - 1].fin = record.fin
                    del records[index]
                else:
                    index += 1
        return news, rtt

    def _has(self, record: Sent, now: float) -> float | None:
        sample = self._delivered(record, now)
        record.sacked = True
        self.sacked_bytes += record.end - record.start
        if record.end < self.highest_sacked and not record.resent:
            self.reordering = True
        self.highest_sacked = max(self.highest_sacked, record.end)
        return sample

    def arrived_twice(self, una: int, nxt: int) -> None:
        """A retransmission was in vain: allow for more reordering, once a round trip (RFC 8985 6.2 step 4)."""
        self.reordering = True
        if una >= self._twice_round:
            self._twice_round = nxt
            self.reordering_steps = min(self.reordering_steps + 1, MOST_STEPS)
        self._patience = PATIENCE

    def recovered(self) -> None:
        """An episode of loss is over. After some without a retransmission in vain there is no reordering any more."""
        self._patience -= 1
        if self._patience <= 0:
            self.reordering_steps = 1

    # ------------------------------------------------------------------ what is lost

    def detect(self, now: float, rtt: RoundTrip, mss: int, *, recovering: bool) -> tuple[bool, float | None]:
        """RACK's loss detection (RFC 8985 6.2): (whether something new is lost, when to look again or None)."""
        enough = recovering or self.sacked_bytes >= DUPLICATES * mss
        window = 0.0
        if rtt.srtt and not (enough and not self.reordering):
            window = min(self.reordering_steps * rtt.minimum / 4, rtt.srtt)
        found = False
        again: float | None = None
        record = self._oldest
        while record is not None and record.at <= self._rack_at:
            following = record.newer
            if record.at < self._rack_at or record.end < self._rack_end:
                due = record.at + self._rack_rtt + window
                if due <= now:
                    self.mark_lost(record)
                    found = True
                elif again is None or due > again:
                    again = due
            record = following
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
        record = self._oldest
        while record is not None:
            following, record.older, record.newer = record.newer, None, None
            record = following
        self._oldest = self._newest = None
        self.records.clear()
        self.pipe = self.sacked_bytes = self.lost_bytes = 0
