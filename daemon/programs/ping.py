"""ping and ping6, with busybox's output."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import Failure, parse, program
from daemon.runtime.process import Interrupted
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from daemon.runtime.process import ProcessContext
    from overlay.sandbox import IcmpSocket

MAX_PAYLOAD = 65507
ECHO_REPLIES = (0, 129)  # ICMP and ICMPv6


class _Run:
    """The counts of one run. Times in milliseconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.duplicates = 0
        self.seen: dict[int, bool] = {}
        self.sent_at: dict[int, float] = {}
        self.times: list[float] = []
        self.total = 0.0
        self.low = float("inf")
        self.high = 0.0

    def note(self, milliseconds: float) -> None:
        self.total += milliseconds
        self.low = min(self.low, milliseconds)
        self.high = max(self.high, milliseconds)


@program("ping [OPTIONS] HOST")
async def ping(p: ProcessContext) -> int:
    """ping [-c COUNT] [-s SIZE] [-i SECS] [-W SECS] [-w SECS] [-t TTL] [-I ADDR] [-q] HOST"""
    options = parse(p.argv[1:], "46c:s:i:At:I:W:w:qp:nbLvM:O", least=1, most=1)
    count = int(options.number("c", 0))
    size = int(options.number("s", 56))
    interval = 0.0 if "A" in options else max(0.0, options.number("i", 1, whole=False))
    wait_first = options.number("W", 10, whole=False)
    deadline = options.number("w", 0, whole=False)
    ttl = int(options.number("t", 64))
    if not 0 <= size <= MAX_PAYLOAD or count < 0 or not 0 < ttl < 256:
        raise Failure(f"invalid number '{options.value('s') if not 0 <= size <= MAX_PAYLOAD else options.value('t')}'")
    source = options.value("I")
    if source and not resolver.is_address(source) and source not in [i.name for i in p.sandbox.interfaces()]:
        raise Failure(f"can't bind to interface {source}: No such device")
    family = 6 if "6" in options or p.argv[0].endswith("6") else 4 if "4" in options else 0
    host = options.rest[0]
    address = await resolver.first(p, host, family)
    if address is None:
        raise Failure(f"bad address '{host}'")
    # -I says on which link an address of one link is.
    zoned = source and not resolver.is_address(source) and ":" in address and "%" not in address
    run = _Run()
    await p.print(f"PING {host} ({address}): {size} data bytes")
    socket = p.keep(p.sandbox.icmp_open())
    quiet = "q" in options
    with contextlib.suppress(Interrupted):
        await p.process.interruptible(
            _exchange(
                p,
                socket,
                run,
                f"{address}%{source}" if zoned else address,
                count=count,
                size=size,
                interval=interval,
                wait_first=wait_first,
                deadline=deadline,
                ttl=ttl,
                quiet=quiet,
                pattern=options.value("p"),
            ),
            (int(Signals.SIGINT),),
        )
    lost = 100 * (run.sent - run.received) // run.sent if run.sent else 0
    duplicates = f"{run.duplicates} duplicates, " if run.duplicates else ""
    await p.print(
        f"\n--- {host} ping statistics ---\n{run.sent} packets transmitted, {run.received} packets received,"
        f" {duplicates}{lost}% packet loss"
    )
    if run.received:
        average = run.total / run.received
        await p.print(f"round-trip min/avg/max = {run.low:.3f}/{average:.3f}/{run.high:.3f} ms")
    return 0 if run.received else 1


async def _exchange(
    p: ProcessContext,
    socket: IcmpSocket,
    run: _Run,
    address: str,
    *,
    count: int,
    size: int,
    interval: float,
    wait_first: float,
    deadline: float,
    ttl: int,
    quiet: bool,
    pattern: str,
) -> None:
    byte = int(pattern, 16) & 0xFF if pattern else None
    payload = bytes([byte]) * size if byte is not None else bytes(n & 0xFF for n in range(size))
    start = p.clock()
    next_send = start
    ends = start + deadline if deadline else float("inf")
    while True:
        now = p.clock()
        if now >= ends:
            return
        if (not count or run.sent < count) and now >= next_send:
            try:
                socket.send_echo(address, ident=socket.ident, seq=run.sent & 0xFFFF, payload=payload, ttl=ttl)
            except OSError as error:
                # As busybox: one line, and the run is over with status 1.
                raise Failure(f"sendto: {error.strerror}") from None
            run.sent_at[run.sent & 0xFFFF] = p.clock()
            run.seen.pop(run.sent & 0xFFFF, None)
            run.sent += 1
            next_send = max(next_send + interval, p.clock()) if interval else float("inf")
            if count and run.sent == count:
                # The last: answers get the longest time seen twice over, or -W if none came (busybox's rule).
                grace = min(wait_first, max(2 * run.high / 1000, 1.0)) if run.received else wait_first
                ends = min(ends, p.clock() + grace)
        until = ends if count and run.sent >= count else min(next_send, ends)
        if until == float("inf") and not interval:
            until = p.clock() + wait_first
        try:
            async with asyncio.timeout_at(None if until == float("inf") else until):
                reply = await socket.recv()
        except TimeoutError:
            if not interval:
                next_send = p.clock()
            continue
        # Errors about our requests are not shown, as in busybox (their ident is not ours there).
        if reply.ident != socket.ident or reply.type not in ECHO_REPLIES or reply.seq not in run.sent_at:
            continue
        took = (reply.when - run.sent_at[reply.seq]) * 1000
        duplicate = run.seen.get(reply.seq, False)
        if duplicate:
            run.duplicates += 1
        else:
            run.seen[reply.seq] = True
            run.received += 1
            run.note(took)
        if not interval:
            next_send = p.clock()
        if not quiet:
            await p.print(
                f"{len(reply.payload) + 8} bytes from {reply.source}: seq={reply.seq} ttl={reply.ttl}"
                f" time={took:.3f} ms{' (DUP!)' if duplicate else ''}"
            )
        if count and run.received >= count:
            return
