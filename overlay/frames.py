"""Ethernet frames on a byte stream: four bytes of length, big-endian, before each (as QEMU's `-netdev stream`).

So a network whose frames go through another process (a plug-in's) needs no kernel's help, and what speaks this already
(QEMU, passt) can be its other end.
"""

from __future__ import annotations

from overlay.wire.ethernet import HEADER_LENGTH

_LENGTH = 4
LARGEST = 65535
"""Bytes of a frame; a longer one means that the stream is not one of frames."""


class NotFrames(ValueError):
    """The stream cannot be one of frames; nothing that follows has a meaning."""


def framed(frame: bytes) -> bytes:
    """A frame as it goes onto the stream."""
    return len(frame).to_bytes(_LENGTH, "big") + frame


class FrameReader:
    """The receiving end. Holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.runts = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Frames that are complete now, in order; runts are counted and left out. Raises NotFrames."""
        rest = self._rest
        rest += data
        frames = []
        at, end = 0, len(rest)
        while end - at >= _LENGTH:
            length = int.from_bytes(rest[at : at + _LENGTH], "big")
            if length > LARGEST:
                raise NotFrames(f"a frame of {length} bytes")
            if end - at - _LENGTH < length:
                break
            at += _LENGTH
            if length >= HEADER_LENGTH:
                frames.append(bytes(rest[at : at + length]))
            else:
                self.runts += 1
            at += length
        del rest[:at]
        return frames
