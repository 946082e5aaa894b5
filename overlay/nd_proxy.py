"""Neighbour Discovery as switches see it: which frames it is, what they claim, and the answer given in another's place.

A VTEP knows from the directory who has which address, so a question need not leave the host (RFC 7432, 10, does for
EVPN what is done here).
"""

from __future__ import annotations

from collections.abc import Callable

from overlay.wire import icmpv6, ipv6, nd
from overlay.wire.address import ANY6
from overlay.wire.ethernet import ETHERTYPE_IPV6, HEADER_LENGTH, Frame
from overlay.wire.ipv4 import Malformed
from overlay.wire.ipv6 import PROTOCOL_ICMPV6, Packet6

_IPV6 = b"\x86\xdd"
_NEXT_HEADER, _TYPE, _TARGET, _OPTIONS = 20, 54, 62, 78
"""Where things are in a frame whose ICMPv6 message stands right behind the IPv6 header, as ND's must here."""

Lookup = Callable[[bytes], bytes | None]
"""The MAC of an address, None if nobody is known to have it."""


def kind_of(frame: bytes) -> int:
    """ICMPv6's type if the frame is Neighbour Discovery (NS or NA), else 0."""
    if frame[12:14] != _IPV6 or len(frame) < _OPTIONS or frame[_NEXT_HEADER] != PROTOCOL_ICMPV6:
        return 0
    kind = frame[_TYPE]
    return kind if kind in (icmpv6.NEIGHBOUR_SOLICITATION, icmpv6.NEIGHBOUR_ADVERTISEMENT) else 0


def claims(frame: bytes, kind: int) -> tuple[bytes | None, bytes | None]:
    """What a message of that kind says of its sender: (address, MAC), None where it says nothing."""
    address = frame[_TARGET:_OPTIONS] if kind == icmpv6.NEIGHBOUR_ADVERTISEMENT else None
    option = frame[_OPTIONS : _OPTIONS + 8]
    return address, option[2:] if len(option) == 8 and option[1] == 1 else None


def answer(frame: bytes, lookup: Lookup) -> bytes | None:
    """The frame that answers a solicitation in the owner's place; None if there is nothing to say: nobody has the
    address, or the asker has it himself. Raises `Malformed`."""
    packet = ipv6.parse(frame, HEADER_LENGTH)
    if packet.ttl != nd.HOPS or packet.protocol != PROTOCOL_ICMPV6 or packet.extensions:
        raise Malformed("nd-not-from-the-link")
    message = icmpv6.parse(packet.payload, packet.source, packet.destination)
    asked = nd.parse_solicitation(message)
    asker = frame[6:12]
    mac = lookup(asked.target)
    if mac is None or mac == asker:
        return None
    claim = packet.source == ANY6
    to, station = (nd.ALL_NODES, nd.group_mac(nd.ALL_NODES)) if claim else (packet.source, asker)
    said = nd.Advertisement(asked.target, mac, solicited=not claim)
    body = icmpv6.emit(said.message(), asked.target, to)
    reply = Packet6(asked.target, to, PROTOCOL_ICMPV6, body, ttl=nd.HOPS)
    return Frame(station, mac, ETHERTYPE_IPV6, reply.emit()).emit()


def correction(frame: bytes, lookup: Lookup) -> bytes | None:
    """What tells the sender of a frame that its destination has another MAC by now; None if that is not so."""
    source, target = frame[22:38], frame[38:54]
    mac = lookup(target) if len(frame) >= _TYPE else None
    if mac is None or mac == frame[:6]:
        return None
    body = icmpv6.emit(nd.Advertisement(target, mac).message(), target, source)
    told = Packet6(target, source, PROTOCOL_ICMPV6, body, ttl=nd.HOPS)
    return Frame(frame[6:12], mac, ETHERTYPE_IPV6, told.emit()).emit()
