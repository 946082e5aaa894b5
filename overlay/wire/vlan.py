"""IEEE 802.1Q tags: four bytes between the MAC addresses and the EtherType.

    |        0x8100         | PCP |DEI|  VID   |   then the frame's own EtherType

A frame whose VID is 0 is not of a VLAN, it only has a priority (IEEE 802.1Q, 9.6); 4095 is reserved.
"""

from __future__ import annotations

from dataclasses import dataclass

from overlay.wire.ipv4 import Malformed

TPID = b"\x81\x00"
SERVICE_TPID = b"\x88\xa8"
"""Of provider bridges (IEEE 802.1ad)."""

TAG_LENGTH = 4
MAX_VID = 4094
_MACS = 12


@dataclass(frozen=True, slots=True)
class Tag:
    """`vid` 0–4094, `priority` 0–7; `drop_eligible` may be dropped first when a link is full."""

    vid: int
    priority: int = 0
    drop_eligible: bool = False

    def emit(self) -> bytes:
        """TPID and TCI; ValueError for a number that has no room."""
        if not (0 <= self.vid <= MAX_VID and 0 <= self.priority <= 7):
            raise ValueError(f"no 802.1Q tag: VID {self.vid}, priority {self.priority}")
        return TPID + (self.priority << 13 | self.drop_eligible << 12 | self.vid).to_bytes(2, "big")


def is_tagged(frame: bytes) -> bool:
    """Whether a tag follows the MAC addresses, a customer's or a provider's."""
    return frame[12:14] in (TPID, SERVICE_TPID)


def push(frame: bytes, tag: Tag) -> bytes:
    """The frame with a tag in front of its EtherType."""
    return b"".join((frame[:_MACS], tag.emit(), frame[_MACS:]))


def pop(frame: bytes) -> tuple[Tag, bytes]:
    """The outermost tag, and the frame without it. Malformed: "vlan-short", "vlan-untagged", "vlan-vid"."""
    if len(frame) < _MACS + TAG_LENGTH + 2:
        raise Malformed("vlan-short")
    if frame[12:14] != TPID:
        raise Malformed("vlan-untagged")
    control = int.from_bytes(frame[14:16], "big")
    if control & 0xFFF > MAX_VID:
        raise Malformed("vlan-vid")
    tag = Tag(control & 0xFFF, control >> 13, bool(control & 0x1000))
    return tag, frame[:_MACS] + frame[_MACS + TAG_LENGTH :]
