"""tcpdump: what passes the container's interfaces; also writes and reads pcap files."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.capture_filter import compile_filter, fields
from daemon.programs.options import Failure, parse, program
from daemon.programs.packet_text import Describer
from daemon.runtime.process import Interrupted
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from daemon.programs.capture_filter import Predicate
    from daemon.programs.options import Options
    from daemon.runtime.descriptor import Description
    from daemon.runtime.process import ProcessContext

SNAPSHOT = 262144
PCAP_MAGIC = 0xA1B2C3D4
ETHERNET = 1


@program(
    "tcpdump [-AdDeflLnNOpqStuUvxX] [-c count] [-i interface] [-r file] [-s snaplen] [-w file] [expression]",
    busybox=False,
)
async def tcpdump(p: ProcessContext) -> int:
    """tcpdump [-i IF|any] [-c N] [-neqvtlUX] [-w FILE] [-r FILE] [EXPRESSION]"""
    options = parse(p.argv[1:], "+AdDefKlLnNOpqStuUvxXi:c:w:r:s:B:C:W:G:Z:y:#", {"immediate-mode": "L"})
    if "D" in options:
        for number, interface in enumerate(p.sandbox.interfaces(), 1):
            await p.print(f"{number}.{interface.name} [Up, Running]")
        return 0
    names: dict[str, str] = {}
    for word in options.rest:
        if not resolver.is_address(word) and (found := resolver.from_hosts(p, word, 4)):
            names[word] = found[0]
    for at, word in enumerate(options.rest):
        if (
            word == "host"
            and at + 1 < len(options.rest)
            and not resolver.is_address(options.rest[at + 1])
            and options.rest[at + 1] not in names
        ):
            address = await resolver.first(p, options.rest[at + 1], 4)
            if address is not None:
                names[options.rest[at + 1]] = address
    predicate = compile_filter(options.rest, names)
    describer = Describer(link="e" in options, verbose="v" in options, quick="q" in options, absolute="S" in options)
    count = int(options.number("c", 0))
    if "r" in options:
        return await _replay(p, options, predicate, describer, count)
    interfaces = p.sandbox.interfaces()
    name = options.value("i") or next((i.name for i in interfaces if not i.loopback), "lo")
    if name != "any" and name not in [interface.name for interface in interfaces]:
        raise Failure(f"{name}: No such device exists\n(No such device exists)")
    writer = (
        p.keep(p.open(options.value("w"), write=True, create=True, truncate=True))
        if options.value("w") not in ("", "-")
        else p.stdout
        if "w" in options
        else None
    )
    if writer is not None:
        await writer.write(struct.pack("<IHHiIII", PCAP_MAGIC, 2, 4, 0, 0, SNAPSHOT, ETHERNET))
        await p.error(f"tcpdump: listening on {name}, link-type EN10MB (Ethernet), snapshot length {SNAPSHOT} bytes")
    else:
        hint = "" if "v" in options else "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n"
        await p.error(
            f"{hint}{'' if hint else 'tcpdump: '}listening on {name}, link-type EN10MB (Ethernet),"
            f" snapshot length {SNAPSHOT} bytes"
        )
    capture = p.keep(p.sandbox.capture(None if name == "any" else name))
    seen = [0, 0]

    async def collect() -> None:
        async for captured in capture:
            seen[1] += 1
            if not predicate(fields(captured.frame)):
                continue
            when = p.wall() - (p.clock() - captured.when)
            if writer is not None:
                await writer.write(_record(when, captured.frame))
            else:
                way = f"{captured.interface:<5} {'Out' if captured.outgoing else 'In '} " if name == "any" else ""
                await _show(p, options, describer, when, captured.frame, way)
            seen[0] += 1
            if count and seen[0] >= count:
                return

    with contextlib.suppress(Interrupted):
        await p.process.interruptible(collect(), (int(Signals.SIGINT), int(Signals.SIGTERM)))
    await p.error(
        f"{seen[0]} packets captured\n{seen[1]} packets received by filter\n{capture.dropped} packets dropped by kernel"
    )
    return 0


def _record(when: float, frame: bytes) -> bytes:
    seconds = int(when)
    return struct.pack("<IIII", seconds, int((when - seconds) * 1e6), len(frame), len(frame)) + frame


async def _show(
    p: ProcessContext, options: Options, describer: Describer, when: float, frame: bytes, way: str = ""
) -> None:
    stamps = len(options.values("t"))
    seconds = int(when)
    clock = calendar.strftime("%H:%M:%S", calendar.gmtime(seconds))
    fraction = f".{int((when - seconds) * 1e6):06} "
    stamp = "" if stamps == 1 else f"{seconds}{fraction}" if stamps == 2 else clock + fraction
    await p.print(f"{stamp}{way}{describer.frame(frame)}")
    if {"x", "X", "A"} & set(options.given):
        body = frame[14:]
        if "A" in options:
            await p.print("".join(chr(byte) if 32 <= byte < 127 or byte in (10, 13, 9) else "." for byte in body))
            return
        for at in range(0, len(body), 16):
            row = body[at : at + 16]
            cells = " ".join(row[n : n + 2].hex() for n in range(0, len(row), 2))
            text = "".join(chr(byte) if 32 < byte < 127 else "." for byte in row)
            await p.print(f"\t0x{at:04x}:  {cells}" if "X" not in options else f"\t0x{at:04x}:  {cells:<39}  {text}")


async def _replay(p: ProcessContext, options: Options, predicate: Predicate, describer: Describer, count: int) -> int:
    path = options.value("r")
    try:
        stream: Description = p.stdin if path == "-" else p.keep(p.open(path, read=True))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    head = await _exactly(stream, 24)
    order = "<" if head[:4] == struct.pack("<I", PCAP_MAGIC) else ">"
    if len(head) < 24 or struct.unpack(f"{order}I", head[:4])[0] != PCAP_MAGIC:
        raise Failure("unknown file format")
    await p.error(f"reading from file {path}, link-type EN10MB (Ethernet), snapshot length {SNAPSHOT}")
    shown = 0
    while len(row := await _exactly(stream, 16)) == 16:
        seconds, micro, size, _ = struct.unpack(f"{order}IIII", row)
        if size > SNAPSHOT:
            raise Failure("bogus savefile header")
        frame = await _exactly(stream, size)
        if predicate(fields(frame)):
            await _show(p, options, describer, seconds + (micro + 0.5) / 1e6, frame)
            shown += 1
            if count and shown >= count:
                break
        await asyncio.sleep(0)
    return 0


async def _exactly(stream: Description, n: int) -> bytes:
    data = b""
    while len(data) < n and (part := await stream.read(n - len(data))):
        data += part
    return data
