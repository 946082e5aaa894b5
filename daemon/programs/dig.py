"""dig, with BIND's output."""

from __future__ import annotations

import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING

from dnslib import CLASS, OPCODE, QTYPE, RR, DNSRecord

from daemon.programs import resolver
from daemon.programs.options import Failure, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

VERSION = "9.18"
KINDS = ("A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")


@program("dig [@global-server] [domain] [q-type] {q-opt}", busybox=False)
async def dig(p: ProcessContext) -> int:
    """dig [@SERVER] [-p PORT] [-t TYPE] [-x ADDR] NAME [TYPE] [+short] [+time=N] [+tries=N] [+norecurse]"""
    name, kind, server, port = "", "", "", resolver.PORT
    flags: dict[str, str] = {}
    words = p.argv[1:]
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            server = word[1:]
        elif word.startswith("+"):
            flag, _, value = word[1:].partition("=")
            flags[flag] = value
        elif word in ("-p", "-t", "-q", "-x", "-c", "-b") and words:
            value = words.pop(0)
            if word == "-p" and value.isdigit():
                port = int(value)
            elif word == "-t":
                kind = value.upper()
            elif word == "-q":
                name = value
            elif word == "-x":
                if not resolver.is_address(value):
                    raise Failure(f"Invalid IP address {value}")
                name, kind = resolver.reverse_name(value), "PTR"
        elif word in ("-4", "-6", "IN"):
            continue
        elif word.upper() in KINDS and not kind:
            kind = word.upper()
        else:
            name = word
    if not name:
        name, kind = ".", kind or "NS"
    kind = kind or "A"
    if kind not in KINDS:
        await p.print(f";; Warning, ignoring invalid type {kind}")
        kind = "A"
    settings = resolver.configuration(p)
    if server:
        address = await resolver.first(p, server)
        if address is None:
            raise Failure(f"couldn't get address for '{server}': not found", 10)
        servers = [address]
    else:
        servers = settings.servers
    short = "short" in flags
    timeout = float(flags["time"]) if flags.get("time", "").isdigit() else settings.timeout
    tries = int(flags["tries"]) if flags.get("tries", "").isdigit() else 3
    if "search" in flags and "." not in name:
        name = resolver.candidates(name, settings)[0]
    asked = " ".join(p.argv[1:])
    banner = (
        f"\n; <<>> DiG {VERSION} <<>> {asked}\n"
        + ("; (1 server found)\n" if server else "")
        + ";; global options: +cmd"
    )
    for _ in range(max(1, tries)):
        for address in servers:
            start = p.clock()
            try:
                answer = await resolver.exchange(
                    p, (address, port), name, kind, timeout, recursive="norecurse" not in flags and "norec" not in flags
                )
            except ValueError:
                raise Failure(f"'{name}' is not a legal name", 10) from None
            except TimeoutError:
                await p.print(f";; communications error to {address}#{port}: timed out")
                continue
            except OSError as error:
                await p.print(f";; communications error to {address}#{port}: {(error.strerror or 'error').lower()}")
                continue
            if short:
                for record in answer.rr:
                    await p.print(_data(record))
                return 0
            await p.print(banner)
            await p.print(_long(answer, address, port, p.clock() - start, p.wall()))
            return 0
    if not short:
        await p.print(banner)
    await p.print(";; no servers could be reached")
    return 9


def _data(record: RR) -> str:
    rdata = record.rdata
    if QTYPE.get(record.rtype) == "TXT":
        return " ".join('"' + part.decode("utf-8", "replace") + '"' for part in rdata.data)
    return str(rdata)


def _column(text: str, width: int) -> str:
    """Pad with tabs, as dig does, at least one."""
    tabs = max(1, -(-(width - len(text)) // 8))
    return text + "\t" * tabs


def _long(answer: DNSRecord, server: str, port: int, took: float, wall: float) -> str:
    header = answer.header
    flags = " ".join(name for name in ("qr", "aa", "tc", "rd", "ra", "ad", "cd") if getattr(header, name, 0))
    rows = [
        ";; Got answer:",
        f";; ->>HEADER<<- opcode: {OPCODE.get(header.opcode)}, status: {resolver.rcode_name(answer)}, id: {header.id}",
        f";; flags: {flags}; QUERY: {len(answer.questions)}, ANSWER: {len(answer.rr)},"
        f" AUTHORITY: {len(answer.auth)}, ADDITIONAL: {len(answer.ar)}",
        "",
        ";; QUESTION SECTION:",
    ]
    for question in answer.questions:
        shown = ";" + str(question.qname)
        rows.append(f"{_column(shown, 24)}\t{CLASS.get(question.qclass)}\t{QTYPE.get(question.qtype)}")
    for title, records in (("ANSWER", answer.rr), ("AUTHORITY", answer.auth), ("ADDITIONAL", answer.ar)):
        records = [record for record in records if record.rtype != QTYPE.OPT]
        if not records:
            continue
        rows += ["", f";; {title} SECTION:"]
        for record in records:
            rows.append(
                f"{_column(str(record.rname), 24)}{record.ttl}\t{CLASS.get(record.rclass)}"
                f"\t{QTYPE.get(record.rtype)}\t{_data(record)}"
            )
    when = calendar.strftime("%a %b %d %H:%M:%S UTC %Y", calendar.gmtime(wall))
    rows += [
        "",
        f";; Query time: {int(took * 1000)} msec",
        f";; SERVER: {server}#{port}({server}) (UDP)",
        f";; WHEN: {when}",
        f";; MSG SIZE  rcvd: {len(answer.pack())}",
        "",
    ]
    return "\n".join(rows)
