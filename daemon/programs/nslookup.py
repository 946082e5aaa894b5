"""nslookup, with busybox 1.35's output."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dnslib import QTYPE, DNSRecord

from daemon.programs import resolver
from daemon.programs.options import Failure, UsageError, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

KINDS = ("soa", "ns", "a", "aaaa", "cname", "mx", "txt", "ptr", "srv", "any")
ATTEMPTS = 2
TIMEOUT = 5.0  # seconds in all, shared by the attempts


@program(
    "nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\nQuery DNS about HOST\n\nQUERY_TYPE: "
    "soa,ns,a,aaaa,cname,mx,txt,ptr,srv,any"
)
async def nslookup(p: ProcessContext) -> int:
    """nslookup [-type=TYPE] HOST [SERVER]"""
    kinds: list[str] = []
    words: list[str] = []
    debug = False
    for word in p.argv[1:]:
        name, equals, value = word.lstrip("-").partition("=")
        if (word.startswith("-") and equals and "type".startswith(name)) or (word.startswith("-q") and equals):
            if value.lower() not in KINDS:
                raise Failure(f'invalid query type "{value}"')
            kinds.append(value.upper())
        elif word == "-debug":
            debug = True
        elif word.startswith("-") and len(word) > 1:
            raise UsageError(f"invalid option -- '{word[1]}'")
        else:
            words.append(word)
    if not words:
        raise UsageError("")
    settings = resolver.configuration(p)
    servers = [(server, server) for server in settings.servers]
    port = resolver.PORT
    if len(words) > 1:
        host = words.pop()
        name, colon, digits = host.rpartition(":")
        if colon and digits.isdigit() and ":" not in name:
            host, port = name, int(digits)
        address = await resolver.first(p, host)
        if address is None:
            raise Failure(f"bad address '{host}'")
        servers = [(host if port == resolver.PORT else f"{host}:{port}", address)]
    questions: list[tuple[str, str]] = []
    for name in words:
        if not kinds and resolver.is_address(name):
            questions.append((resolver.reverse_name(name), "PTR"))
        else:
            questions.extend((name, kind) for kind in kinds or ["A", "AAAA"])
    for server in servers:
        shown, address = server
        answers = await asyncio.gather(*(_ask(p, (address, port), name, kind) for name, kind in questions))
        if any(answer is not None for answer in answers):
            break
    else:
        await p.print(";; connection timed out; no servers could be reached\n")
        return 1
    where = f"[{address}]" if ":" in address else address
    await p.print(f"Server:\t\t{shown}\nAddress:\t{where}:{port}\n")
    status = 0
    for number, ((name, _), answer) in enumerate(zip(questions, answers, strict=True)):
        if answer is None:
            continue
        if debug:
            await p.print(f"Query #{number} completed in 0ms:")
        if answer.header.rcode:
            await p.print(f"** server can't find {name}: {resolver.rcode_name(answer)}")
            status = 1
        else:
            if not answer.header.aa:
                await p.print("Non-authoritative answer:")
            for line in _records(answer):
                await p.print(line)
        await p.print("")
    return status


async def _ask(p: ProcessContext, server: tuple[str, int], name: str, kind: str) -> DNSRecord | None:
    for _ in range(ATTEMPTS):
        try:
            return await resolver.exchange(p, server, name, kind, TIMEOUT / ATTEMPTS)
        except TimeoutError:
            continue
        except ValueError:
            return None
        except OSError:
            return None
    return None


def _records(answer: DNSRecord) -> list[str]:
    out: list[str] = []
    for record in answer.rr:
        name = str(record.rname).rstrip(".")
        data = record.rdata
        kind = QTYPE.get(record.rtype)
        if kind in ("A", "AAAA"):
            out.append(f"Name:\t{name}\nAddress: {data}")
        elif kind == "PTR":
            out.append(f"{name}\tname = {str(data).rstrip('.')}")
        elif kind == "CNAME":
            out.append(f"{name}\tcanonical name = {str(data).rstrip('.')}")
        elif kind == "NS":
            out.append(f"{name}\tnameserver = {str(data).rstrip('.')}")
        elif kind == "MX":
            out.append(f"{name}\tmail exchanger = {data.preference} {str(data.label).rstrip('.')}")
        elif kind == "TXT":
            text = b"".join(data.data).decode("utf-8", "replace")
            out.append(f'{name}\ttext = "{text}"')
        elif kind == "SRV":
            out.append(f"{name}\tservice = {data.priority} {data.weight} {data.port} {str(data.target).rstrip('.')}")
        elif kind == "SOA":
            serial, refresh, retry, expire, minimum = data.times
            out.append(
                f"{name}\n\torigin = {str(data.mname).rstrip('.')}\n\tmail addr = {str(data.rname).rstrip('.')}"
                f"\n\tserial = {serial}\n\trefresh = {refresh}\n\tretry = {retry}\n\texpire = {expire}"
                f"\n\tminimum = {minimum}"
            )
    return out
