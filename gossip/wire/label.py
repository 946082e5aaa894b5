"""The label: which cluster a packet or stream belongs to (type 244, length u8, label), written before encryption."""

from __future__ import annotations

from gossip.wire.errors import WireError

LABEL_BYTE = 244
LABEL_MAX = 255


def label_header(label: bytes) -> bytes:
    """Nothing for an empty label."""
    if len(label) > LABEL_MAX:
        raise ValueError("a label has at most 255 bytes")
    return bytes((LABEL_BYTE, len(label))) + label if label else b""


def strip_label(data: bytes, expected: bytes) -> bytes:
    """``data`` after its label. Raises WireError when the label is not the expected one."""
    header = label_header(expected)
    if header:
        if not data.startswith(header):
            raise WireError("wrong_label")
        return data[len(header) :]
    if data[:1] == bytes((LABEL_BYTE,)):
        raise WireError("wrong_label", "a label where none is expected")
    return data
