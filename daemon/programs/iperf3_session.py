"""One iperf3 test: its streams move bytes, its intervals and results are told as text or as JSON."""

from __future__ import annotations

import asyncio
import time as calendar  # formatting of given seconds only: no clock is read
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import TcpConnection

Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]  # noqa: UP007 - recursive

BLOCK = 128 * 1024  # DEFAULT_TCP_BLKSIZE
VERSION = "3.12"
LINE = "- - - - - - - - - - - - - - - - - - - - - - - - -"


@dataclass(slots=True)
class Stream:
    """One data connection. `number` is its protocol id, `socket` the number shown."""

    connection: TcpConnection
    number: int
    socket: int
    moved: int = 0
    mark: int = 0
    peer_bytes: int = 0
    end: float = 0.0


@dataclass(slots=True)
class Test:
    """One test's parameters and streams, seen from either end."""

    server: bool
    reverse: bool = False
    seconds: float = 10.0
    total: int = 0
    blocks: int = 0
    parallel: int = 1
    length: int = BLOCK
    rate: float = 0.0  # bits a second of each stream that sends; 0: as fast as it goes
    interval: float = 1.0
    document: bool = False
    units: str = "a"
    streams: list[Stream] = field(default_factory=list)
    intervals: list[Json] = field(default_factory=list)
    start: float = 0.0
    stop: float = 0.0
    reported: float = 0.0  # until when the intervals are told

    @property
    def sends(self) -> bool:
        return self.server == self.reverse


def _size(count: float) -> str:
    value, unit = count, "Bytes"
    for name in ("KBytes", "MBytes", "GBytes", "TBytes"):
        if value < 1024:
            break
        value, unit = value / 1024, name
    return f"{_short(value)} {unit}"


def _rate(bits: float) -> str:
    value, unit = bits, "bits/sec"
    for name in ("Kbits/sec", "Mbits/sec", "Gbits/sec", "Tbits/sec"):
        if value < 1000:
            break
        value, unit = value / 1000, name
    return f"{_short(value)} {unit}"


def _short(value: float) -> str:
    text = f"{value:4.2f}" if value < 9.995 else f"{value:4.1f}" if value < 99.95 else f"{value:4.0f}"
    return text.rjust(4)


def _row(label: str, start: float, end: float, moved: int, tail: str) -> str:
    seconds = end - start
    bits = moved * 8 / seconds if seconds > 0 else 0.0
    return f"[{label:>3}] {start:6.2f}-{end:<6.2f} sec  {_size(moved)}  {_rate(bits)}                  {tail}"


def as_number(value: Json, default: int = 0) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


async def transfer(p: ProcessContext, test: Test, stream: Stream, done: Callable[[], None]) -> None:
    """Send until told to stop, or receive until the end; `done` is called when enough was moved."""
    connection = stream.connection
    try:
        if test.sends:
            block = p.random.randbytes(min(test.length, BLOCK))
            began = p.clock()
            while True:
                await connection.write(block)
                stream.moved += len(block)
                if test.total and sum(other.moved for other in test.streams) >= test.total:
                    done()
                    return
                early = began + stream.moved * 8 / test.rate - p.clock() if test.rate else 0.0
                await asyncio.sleep(max(0.0, early))
        while data := await connection.read(65536):
            stream.moved += len(data)
            if test.total and not test.server and sum(other.moved for other in test.streams) >= test.total:
                done()
    except OSError:
        return


async def report(p: ProcessContext, test: Test) -> None:
    """A line per stream and interval."""
    last = test.start
    while True:
        await asyncio.sleep(test.interval)
        last = await _interval(p, test, last)


async def last_interval(p: ProcessContext, test: Test) -> None:
    """What is left since the last line, unless it is nothing to speak of."""
    if test.stop - test.reported > 0.05 * min(test.interval, 1.0) or not test.intervals:
        await _interval(p, test, test.reported)


async def _interval(p: ProcessContext, test: Test, last: float) -> float:
    now = p.clock()
    test.reported = now
    if test.intervals and len(test.streams) > 1 and not test.document:
        await p.print(LINE)
    start, end = last - test.start, now - test.start
    rows: list[Json] = []
    total = 0
    for stream in test.streams:
        moved, stream.mark = stream.moved - stream.mark, stream.moved
        total += moved
        rows.append(_measure(start, end, moved, socket=stream.socket, sender=test.sends))
        if not test.document:
            await p.print(_row(str(stream.socket), start, end, moved, ""))
    if len(test.streams) > 1 and not test.document:
        await p.print(_row("SUM", start, end, total, ""))
    test.intervals.append({"streams": rows, "sum": _measure(start, end, total, sender=test.sends)})
    return now


def _measure(start: float, end: float, moved: int, *, sender: bool, socket: int | None = None) -> dict[str, Json]:
    seconds = end - start
    row: dict[str, Json] = {} if socket is None else {"socket": socket}
    row.update(
        {
            "start": start,
            "end": end,
            "seconds": seconds,
            "bytes": moved,
            "bits_per_second": moved * 8 / seconds if seconds > 0 else 0.0,
            "omitted": False,
            "sender": sender,
        }
    )
    return row


def results_of(test: Test) -> dict[str, Json]:
    end = test.stop - test.start
    return {
        "cpu_util_total": 0.0,
        "cpu_util_user": 0.0,
        "cpu_util_system": 0.0,
        "sender_has_retransmits": 0,
        "congestion_used": "cubic",
        "streams": [
            {
                "id": stream.number,
                "bytes": stream.moved,
                "retransmits": -1,
                "jitter": 0,
                "errors": 0,
                "packets": 0,
                "start_time": 0,
                "end_time": end,
            }
            for stream in test.streams
        ],
    }


def take_results(test: Test, results: dict[str, Json]) -> None:
    rows = results.get("streams")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            for stream in test.streams:
                if stream.number == row.get("id"):
                    stream.peer_bytes = as_number(row.get("bytes"))
                    end = row.get("end_time")
                    stream.end = float(end) if isinstance(end, int | float) else 0.0


async def print_summary(p: ProcessContext, test: Test) -> None:
    mine = test.stop - test.start
    await p.print(f"{LINE}\n[ ID] Interval           Transfer     Bitrate")
    sent = received = 0
    for stream in test.streams:
        out, came = (stream.moved, stream.peer_bytes) if test.sends else (stream.peer_bytes, stream.moved)
        sent, received = sent + out, received + came
        theirs = stream.end or mine
        if test.sends or not test.server:
            await p.print(_row(str(stream.socket), 0.0, mine if test.sends else theirs, out, "sender"))
        if not test.sends or not test.server:
            await p.print(_row(str(stream.socket), 0.0, mine if not test.sends else theirs, came, "receiver"))
    if len(test.streams) > 1:
        if test.sends or not test.server:
            await p.print(_row("SUM", 0.0, mine, sent, "sender"))
        if not test.sends or not test.server:
            await p.print(_row("SUM", 0.0, mine, received, "receiver"))


def document_of(p: ProcessContext, test: Test, cookie: bytes, host: str, port: int) -> dict[str, Json]:
    when = p.wall()
    mine = test.stop - test.start
    streams: list[Json] = []
    sent = received = 0
    for stream in test.streams:
        out, came = (stream.moved, stream.peer_bytes) if test.sends else (stream.peer_bytes, stream.moved)
        sent, received = sent + out, received + came
        streams.append(
            {
                "sender": _measure(0.0, mine, out, socket=stream.socket, sender=test.sends),
                "receiver": _measure(0.0, stream.end or mine, came, socket=stream.socket, sender=test.sends),
            }
        )
    connected: list[Json] = [
        {
            "socket": s.socket,
            "local_host": s.connection.local[0],
            "local_port": s.connection.local[1],
            "remote_host": s.connection.peer[0],
            "remote_port": s.connection.peer[1],
        }
        for s in test.streams
    ]
    return {
        "start": {
            "connected": connected,
            "version": f"iperf {VERSION}",
            "system_info": f"Linux {p.hostname}",
            "timestamp": {
                "time": calendar.strftime("%a, %d %b %Y %H:%M:%S GMT", calendar.gmtime(when)),
                "timesecs": int(when),
            },
            "connecting_to": {"host": host, "port": port},
            "cookie": cookie[:-1].decode(),
            "test_start": {
                "protocol": "TCP",
                "num_streams": test.parallel,
                "blksize": test.length,
                "omit": 0,
                "duration": int(test.seconds),
                "bytes": test.total,
                "blocks": 0,
                "reverse": int(test.reverse),
                "tos": 0,
            },
        },
        "intervals": test.intervals,
        "end": {
            "streams": streams,
            "sum_sent": _measure(0.0, mine, sent, sender=test.sends),
            "sum_received": _measure(0.0, mine, received, sender=test.sends),
            "cpu_utilization_percent": {
                "host_total": 0.0,
                "host_user": 0.0,
                "host_system": 0.0,
                "remote_total": 0.0,
                "remote_user": 0.0,
                "remote_system": 0.0,
            },
        },
    }
