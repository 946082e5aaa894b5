"""DNS messages (RFC 1035) between bytes and what the answerers need; dnslib does the encoding."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from dnslib import AAAA, PTR, QTYPE, RCODE, RR, A, DNSError, DNSRecord
from dnslib.label import DNSLabelError

TTL = 600
"""Seconds, as Docker's embedded resolver says."""

UDP_LIMIT = 512
"""Bytes of a UDP answer to who did not say more (RFC 1035, 4.2.1)."""


def parse_query(data: bytes) -> DNSRecord | None:
    """A query with exactly one question; None for anything else."""
    try:
        query = DNSRecord.parse(data)
    except (DNSError, DNSLabelError, ValueError, IndexError):
        return None
    return query if query.header.qr == 0 and len(query.questions) == 1 else None


def asked(query: DNSRecord) -> tuple[str, str]:
    """(name as it was written, type) of the question; types without a name come as numbers."""
    return str(query.q.qname), str(QTYPE.get(query.q.qtype))


def reverse_address(name: str) -> str | None:
    """`2.0.40.10.in-addr.arpa.` → `10.40.0.2`, and 32 nibbles of ip6.arpa; None for another name."""
    labels = name.rstrip(".").lower().split(".")
    if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
        try:
            return str(ipaddress.IPv6Address(int("".join(reversed(labels[:32])), 16)))
        except ValueError:
            return None
    if labels[-2:] != ["in-addr", "arpa"] or len(labels) != 6:
        return None
    try:
        return str(ipaddress.IPv4Address(".".join(reversed(labels[:4]))))
    except ValueError:
        return None


def answer(query: DNSRecord, *, authoritative: bool = False, rcode: str = "NOERROR") -> DNSRecord:
    """An empty answer to a query."""
    reply = query.reply(ra=1, aa=1 if authoritative else 0)
    reply.header.rcode = getattr(RCODE, rcode)
    return reply


def add_addresses(reply: DNSRecord, addresses: Sequence[str], *, ttl: int = TTL) -> None:
    """The addresses of the family that was asked for, in that order, under the name as it was asked."""
    name, kind = reply.q.qname, reply.q.qtype
    for address in addresses:
        six = ":" in address
        if kind in (QTYPE.A, QTYPE.ANY) and not six:
            reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=ttl))
        elif kind in (QTYPE.AAAA, QTYPE.ANY) and six:
            reply.add_answer(RR(name, QTYPE.AAAA, rdata=AAAA(address), ttl=ttl))


def add_pointer(reply: DNSRecord, name: str) -> None:
    """The name of the address that was asked for."""
    reply.add_answer(RR(reply.q.qname, QTYPE.PTR, rdata=PTR(name.encode()), ttl=TTL))


def pack(reply: DNSRecord, query: DNSRecord, *, stream: bool) -> bytes:
    """The bytes; an answer too large for UDP loses its last records and says that it is truncated. Names that DNS
    cannot carry (Docker's networks may be called anything) make it a SERVFAIL."""
    try:
        packed = bytes(reply.pack())
    except (DNSError, DNSLabelError, ValueError):
        return bytes(answer(query, rcode="SERVFAIL").pack())
    if stream:
        return packed
    limit = max([UDP_LIMIT, *(extra.rclass for extra in query.ar if extra.rtype == QTYPE.OPT)])
    while len(packed) > limit and reply.rr:
        reply.header.tc = 1
        reply.rr.pop()
        packed = bytes(reply.pack())
    return packed
