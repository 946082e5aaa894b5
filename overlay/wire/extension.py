"""IPv6 extension headers (RFC 8200, 4): hop-by-hop and destination options, routing; the fragment header is the
packet's own. What a receiver does not know it handles as the header's own bits say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from overlay.wire.ipv4 import Malformed

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
DESTINATION = 60

UNKNOWN_OPTION = 2
ERRONEOUS_FIELD = 0
"""Codes of ICMPv6's parameter problem."""

_PADDING = (0, 1)
_ROUTER_ALERT = 5
_HEADERS = 8
"""More headers than this in one packet are no use but to an attacker."""


class Extension(NamedTuple):
    """One header: its kind, and its bytes (the first names what follows and is set anew when it is emitted)."""

    kind: int
    body: bytes


class BadExtension(Malformed):
    """A header that its receiver must report to the sender (unless the packet was for a group, and `multicast` is
    false): ICMPv6 parameter problem with this code, pointing at this byte of the packet."""

    def __init__(self, reason: str, code: int, pointer: int, *, multicast: bool) -> None:
        super().__init__(reason)
        self.code = code
        self.pointer = pointer
        self.multicast = multicast


def walk(data: bytes, kind: int, *, first: bool) -> tuple[tuple[Extension, ...], int, int]:
    """The extension headers at the front of `data`, which begins with one of that kind: (headers, what follows them,
    where that begins). `first`: the IPv6 header is right in front. Raises `Malformed`."""
    found: list[Extension] = []
    offset = 0
    while kind in (HOP_BY_HOP, ROUTING, DESTINATION):
        if len(data) - offset < 8 or len(found) == _HEADERS or (kind == HOP_BY_HOP and (found or not first)):
            raise Malformed("ip6-extension")
        size = (data[offset + 1] + 1) * 8
        body = bytes(data[offset : offset + size])
        if len(body) < size:
            raise Malformed("ip6-extension")
        found.append(Extension(kind, b"\0" + body[1:]))
        kind = body[0]
        offset += size
    return tuple(found), kind, offset


def check(extensions: Sequence[Extension], at: int, *, arrived: bool) -> None:
    """What a receiver must look at: all of them where the packet has `arrived`, a router only at the hop-by-hop
    options. `at`: where the first stands in the packet. Raises `Malformed`, `BadExtension`."""
    for kind, body in extensions:
        if kind == ROUTING:
            # No routing type is acted on (type 0 is forbidden, RFC 5095); with no segments left it means nothing.
            if arrived and body[3]:
                raise BadExtension("ip6-routing", ERRONEOUS_FIELD, at + 2, multicast=False)
        elif arrived or kind == HOP_BY_HOP:
            _check_options(body, at)
        at += len(body)


def _check_options(body: bytes, at: int) -> None:
    """RFC 8200, 4.2: the two highest bits of an option's type say what to do when it is not known."""
    where = 2
    while where < len(body):
        option = body[where]
        if option == 0:
            where += 1
            continue
        if where + 2 > len(body) or where + 2 + body[where + 1] > len(body):
            raise Malformed("ip6-options")
        if option not in (*_PADDING, _ROUTER_ALERT) and option >> 6:
            if option >> 6 == 1:
                raise Malformed("ip6-option-discard")
            raise BadExtension("ip6-option-unknown", UNKNOWN_OPTION, at + where, multicast=option >> 6 == 2)
        where += 2 + body[where + 1]


def chain(extensions: Sequence[Extension], last: int) -> tuple[int, bytes]:
    """(kind of the first header, the headers' bytes) for headers with `last` behind them."""
    parts: list[bytes] = []
    following = last
    for extension in reversed(extensions):
        parts.append(bytes((following,)) + extension.body[1:])
        following = extension.kind
    return following, b"".join(reversed(parts))
