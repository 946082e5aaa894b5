"""traceroute, with busybox's output: UDP probes, or ICMP with -I."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import Failure, parse, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import IcmpReceived, IcmpSocket, UdpSocket

BASE_PORT = 33434
MARKS6 = {0: "!N", 1: "!P", 3: "!A"}
#: Type of an error by type of ICMPv6: unreachable, time exceeded; and of the echo reply.
AS_ICMP = {1: 3, 3: 11, 129: 0}
PORT_UNREACHABLE = {4: 3, 6: 4}  # its code, by IP version
MARKS = {0: "!N", 1: "!H", 2: "!P", 4: "!F", 5: "!S", 9: "!A", 10: "!A", 13: "!X"}


@program(
    "traceroute [-46IFlnrv] [-f 1ST_TTL] [-m MAXTTL] [-q PROBES] [-p PORT]\n\t[-t TOS] [-w WAIT_SEC] [-s SRC_IP]"
    " [-i IFACE] [-z PAUSE_MSEC] HOST [BYTES]"
)
async def traceroute(p: ProcessContext) -> int:
    """traceroute [-In] [-f TTL] [-m MAXTTL] [-q PROBES] [-p PORT] [-w SEC] HOST [BYTES]"""
    options = parse(p.argv[1:], "46IFlnrvdf:m:q:p:t:w:s:i:z:g:", least=1)
    host = options.rest[0]
    size = options.rest[1] if len(options.rest) > 1 else "46"
    if not size.isdigit():
        raise Failure(f"invalid number '{size}'")
    first, last = int(options.number("f", 1)), int(options.number("m", 30))
    probes, wait = int(options.number("q", 3)), options.number("w", 3, whole=False)
    port = int(options.number("p", BASE_PORT))
    if not 0 < first <= last < 256:
        raise Failure(f"invalid number '{options.value('m') or options.value('f')}'")
    family = 6 if "6" in options or p.argv[0].endswith("6") else 4 if "4" in options else 0
    address = await resolver.first(p, host, family)
    if address is None:
        raise Failure(f"bad address '{host}'")
    await p.print(f"traceroute to {host} ({address}), {last} hops max, {size} byte packets")
    icmp = p.keep(p.sandbox.icmp_open())
    udp = None if "I" in options else p.keep(p.sandbox.udp_open())
    version = 6 if ":" in address else 4
    payload = bytes(max(0, int(size) - (28 if version == 4 else 48)))
    sequence = 0
    for hop in range(first, last + 1):
        await p.print(f"{hop:2} ", end="")
        shown = ""
        arrived = unreachable = 0
        for _ in range(probes):
            sequence += 1
            answer, took = await _probe(p, icmp, udp, address, port + sequence, sequence, hop, payload, wait)
            if answer is None:
                await p.print(" *", end="")
                continue
            if answer.source != shown:
                shown = answer.source
                name = None if "n" in options else await resolver.reverse(p, answer.source)
                await p.print(
                    f" {answer.source}" if "n" in options else f" {name or answer.source} ({answer.source})", end=""
                )
            await p.print(f"  {took * 1000:.3f} ms", end="")
            kind = _kind(answer)
            if kind == 3 and answer.code != PORT_UNREACHABLE[version]:
                marks = MARKS if version == 4 else MARKS6
                await p.print(f" {marks.get(answer.code, f'!<{answer.code}>')}", end="")
                unreachable += 1
            elif kind in (0, 3):
                arrived += 1
        await p.print("")
        if arrived or unreachable >= max(1, probes - 1):
            break
    return 0


def _kind(answer: IcmpReceived) -> int:
    """ICMP's type, of either family by the old one's numbers."""
    return AS_ICMP.get(answer.type, -1) if ":" in answer.source else answer.type


async def _probe(
    p: ProcessContext,
    icmp: IcmpSocket,
    udp: UdpSocket | None,
    address: str,
    port: int,
    sequence: int,
    ttl: int,
    payload: bytes,
    wait: float,
) -> tuple[IcmpReceived | None, float]:
    start = p.clock()
    try:
        if udp is None:
            icmp.send_echo(address, ident=icmp.ident, seq=sequence, payload=payload, ttl=ttl)
        else:
            udp.set_ttl(ttl)
            udp.sendto(payload, (address, port & 0xFFFF))
    except OSError as error:
        raise Failure(f"sendto: {error.strerror}") from None
    try:
        async with asyncio.timeout(wait):
            while True:
                answer = await icmp.recv()
                if udp is None and answer.ident == icmp.ident and answer.seq == sequence:
                    break
                if (
                    udp is not None
                    and _kind(answer) in (3, 11)
                    and answer.ident == udp.local[1]
                    and answer.seq == port & 0xFFFF
                ):
                    break
    except TimeoutError:
        return None, 0.0
    return answer, answer.when - start
