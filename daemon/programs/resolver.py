"""Names to addresses as libc does it: /etc/hosts, then the nameservers of /etc/resolv.conf (resolv.conf(5)).

One UDP socket of the container per question; `timeout:` and `attempts:` as configured, 5 s and 2 else.
"""

from __future__ import annotations

import asyncio
import copy
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from dnslib import QTYPE, RCODE, DNSError, DNSHeader, DNSQuestion, DNSRecord

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

PORT = 53
NOERROR, NXDOMAIN = 0, 3


@dataclass(slots=True)
class Configuration:
    """/etc/resolv.conf. `timeout` in seconds."""

    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2


class NoServer(OSError):
    """No nameserver answered in time."""


def configuration(p: ProcessContext) -> Configuration:
    """What /etc/resolv.conf says now; without one, the local host is asked, as libc does."""
    found = Configuration()
    try:
        text = p.files.text("/etc/resolv.conf")
    except OSError:
        text = ""
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver" and is_address(words[1]) and len(found.servers) < 3:
            found.servers.append(words[1])
        elif words[0] in ("search", "domain"):
            found.search = words[1:]
        elif words[0] == "options":
            for option in words[1:]:
                name, _, value = option.partition(":")
                if value.isdigit():
                    if name == "ndots":
                        found.ndots = min(int(value), 15)
                    elif name == "timeout":
                        found.timeout = float(min(max(int(value), 1), 30))
                    elif name == "attempts":
                        found.attempts = min(max(int(value), 1), 5)
    if not found.servers:
        found.servers = ["127.0.0.1"]
    return found


def is_address(text: str) -> bool:
    return _version(text) != 0


@lru_cache(4096)
def _version(text: str) -> int:
    """4, 6, or 0 for what is no address. Every look-up asks that of all that /etc/hosts says."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def hosts(p: ProcessContext) -> Sequence[tuple[str, list[str]]]:
    """/etc/hosts: address and names, in order."""
    try:
        return _rows(p.files.text("/etc/hosts"))
    except OSError:
        return []


@lru_cache(256)
def _rows(text: str) -> tuple[tuple[str, list[str]], ...]:
    rows = [line.split("#")[0].split() for line in text.splitlines()]
    return tuple((row[0], row[1:]) for row in rows if len(row) > 1 and is_address(row[0]))


def from_hosts(p: ProcessContext, name: str, family: int) -> list[str]:
    """Address of `name` in /etc/hosts; family 4, 6, or 0 for both. The first line alone counts, as for a libc without
    `multi on` in host.conf(5)."""
    wanted = name.lower().rstrip(".")
    return [
        address
        for address, names in hosts(p)
        if wanted in (entry.lower() for entry in names) and family in (0, _version(address))
    ][:1]


async def exchange(
    p: ProcessContext, server: tuple[str, int], name: str, kind: str, timeout: float, *, recursive: bool = True
) -> DNSRecord:
    """One question to one server, once. TimeoutError; OSError; ValueError for a name that cannot be asked."""
    try:
        rest = _question(name, kind, recursive)
    except (DNSError, UnicodeError) as error:
        raise ValueError(f"bad name: {name}") from error
    packet = p.random.randrange(65536).to_bytes(2, "big") + rest
    socket = p.keep(p.sandbox.udp_open())
    try:
        socket.connect(server)
        socket.sendto(packet)
        async with asyncio.timeout(timeout):
            while True:
                data, _ = await socket.recvfrom()
                if data[:2] != packet[:2]:
                    continue  # not an answer to anything that we asked
                try:
                    answer = _answer(data)
                except (DNSError, ValueError, IndexError, KeyError):
                    continue
                if answer.header.qr:
                    break
    finally:
        p.drop(socket)
    if answer.header.tc:
        return await _over_tcp(p, server, packet, timeout)
    return answer


@lru_cache(1024)
def _question(name: str, kind: str, recursive: bool) -> bytes:
    """A query without its id. A probe asks the same every time. Raises DNSError, UnicodeError."""
    query = DNSRecord(DNSHeader(id=0, rd=int(recursive)), q=DNSQuestion(name, getattr(QTYPE, kind)))
    return bytes(query.pack()[2:])


def _answer(data: bytes) -> DNSRecord:
    """Raises what dnslib raises for what is no DNS message."""
    known = _without_id(data[2:])
    answer, answer.header = copy.copy(known), copy.copy(known.header)
    answer.header.id = int.from_bytes(data[:2], "big")
    return answer


@lru_cache(1024)
def _without_id(rest: bytes) -> DNSRecord:
    return DNSRecord.parse(b"\0\0" + rest)


async def _over_tcp(p: ProcessContext, server: tuple[str, int], packet: bytes, timeout: float) -> DNSRecord:
    async with asyncio.timeout(timeout):
        connection = p.keep(await p.sandbox.tcp_connect(server[0], server[1], timeout=timeout))
        try:
            await connection.write(len(packet).to_bytes(2, "big") + packet)
            size = int.from_bytes(await connection.readexactly(2), "big")
            return DNSRecord.parse(await connection.readexactly(size))
        except (DNSError, asyncio.IncompleteReadError) as error:
            raise OSError(5, "bad answer") from error
        finally:
            p.drop(connection)


async def ask(p: ProcessContext, name: str, kind: str, settings: Configuration | None = None) -> DNSRecord:
    """A question to the configured servers in turn. NoServer when none answered."""
    settings = settings or configuration(p)
    last: DNSRecord | None = None
    for _ in range(settings.attempts):
        for server in settings.servers:
            try:
                answer = await exchange(p, (server, PORT), name, kind, settings.timeout)
            except (TimeoutError, OSError):
                continue
            if answer.header.rcode in (NOERROR, NXDOMAIN):
                return answer
            last = answer
    if last is not None:
        return last
    raise NoServer(110, "Connection timed out")


def candidates(name: str, settings: Configuration) -> list[str]:
    """The names to try, by ndots and search (resolv.conf(5))."""
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}" for domain in settings.search]
    return [name, *searched] if name.count(".") >= settings.ndots else [*searched, name]


async def lookup(p: ProcessContext, name: str, family: int = 0) -> list[str]:
    """getaddrinfo: the addresses of a name (or address), IPv4 first; [] when it has none.

    `family` 4 or 6 restricts it. Raises NoServer when no nameserver answered.
    """
    if is_address(name):
        return [name] if family in (0, ipaddress.ip_address(name).version) else []
    if not name or len(name) > 253 or any(not part or len(part) > 63 for part in name.rstrip(".").split(".")):
        return []
    found = from_hosts(p, name, family)
    if found:
        return found
    settings = configuration(p)
    for candidate in candidates(name, settings):
        for kind in ("A", "AAAA") if family == 0 else ("A",) if family == 4 else ("AAAA",):
            answer = await ask(p, candidate, kind, settings)
            addresses = [str(record.rdata) for record in answer.rr if record.rtype == getattr(QTYPE, kind)]
            if addresses:
                return addresses
            if answer.header.rcode != NOERROR:
                break
    return []


async def first(p: ProcessContext, name: str, family: int = 0) -> str | None:
    """The first address of a name, None when there is none or no server answers."""
    try:
        found = await lookup(p, name, family)
    except NoServer:
        return None
    return found[0] if found else None


def reverse_name(address: str) -> str:
    """The in-addr.arpa or ip6.arpa name."""
    return ipaddress.ip_address(address).reverse_pointer


async def reverse(p: ProcessContext, address: str) -> str | None:
    """The name of an address: /etc/hosts, then a PTR question."""
    for entry, names in hosts(p):
        if entry == address:
            return names[0]
    try:
        answer = await ask(p, reverse_name(address), "PTR")
    except OSError:
        return None
    return next((str(record.rdata).rstrip(".") for record in answer.rr if record.rtype == QTYPE.PTR), None)


def rcode_name(answer: DNSRecord) -> str:
    return str(RCODE.get(answer.header.rcode))
