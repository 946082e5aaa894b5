"""LZW as Go's compress/lzw writes it: least significant bit first, 8-bit literals, codes of 9 to 12 bits.

memberlist compresses with it (message type 9). Codes grow by one bit when the next free code reaches 2^width; a full
table is answered by the encoder with a clear code. Welch, "A Technique for High-Performance Data Compression", 1984.
"""

from __future__ import annotations

from gossip.wire.errors import WireError

_CLEAR = 256
_END = 257
_MAX_WIDTH = 12
_MAX_CODE = (1 << _MAX_WIDTH) - 1


def compress(data: bytes) -> bytes:
    out = bytearray()
    bits = 0
    held = 0
    width = 9
    newest = _END
    table: dict[int, int] = {}

    def flush_bytes() -> None:
        nonlocal bits, held
        whole = held >> 3
        if whole:
            out.extend((bits & ((1 << (whole << 3)) - 1)).to_bytes(whole, "little"))
            bits >>= whole << 3
            held &= 7

    bits |= _CLEAR << held
    held += width
    if not data:
        bits |= _END << held
        held += width
        flush_bytes()
        if held:
            out.append(bits & 0xFF)
        return bytes(out)
    code = data[0]
    for literal in memoryview(data)[1:]:
        key = code << 8 | literal
        known = table.get(key)
        if known is not None:
            code = known
            continue
        bits |= code << held
        held += width
        if held >= 64:
            flush_bytes()
        code = literal
        newest += 1
        if newest == 1 << width:
            width += 1
        if newest == _MAX_CODE:
            bits |= _CLEAR << held
            held += _MAX_WIDTH
            width = 9
            newest = _END
            table.clear()
            continue
        table[key] = newest
    bits |= code << held
    held += width
    newest += 1
    if newest == 1 << width:
        width += 1
    if newest == _MAX_CODE:
        bits |= _CLEAR << held
        held += _MAX_WIDTH
        width = 9
    bits |= _END << held
    held += width
    flush_bytes()
    if held:
        out.append(bits & 0xFF)
    return bytes(out)


def decompress(data: bytes, limit: int) -> bytes:
    """Raises WireError for bad codes, a missing end code, or more than ``limit`` bytes of output."""
    out: list[bytes] = []
    size = 0
    literals = [bytes((value,)) for value in range(256)]
    table: list[bytes] = [*literals, b"", b""]
    width = 9
    bits = 0
    held = 0
    last: bytes | None = None
    newest = _END
    position = 0
    length = len(data)
    while True:
        while held < width:
            if position >= length:
                raise WireError("bad_lzw", "truncated")
            chunk = data[position : position + 8]
            bits |= int.from_bytes(chunk, "little") << held
            held += len(chunk) << 3
            position += 8
        code = bits & ((1 << width) - 1)
        bits >>= width
        held -= width
        if code == _CLEAR:
            del table[258:]
            width = 9
            newest = _END
            last = None
            continue
        if code == _END:
            return b"".join(out)
        if code < len(table):
            entry = table[code]
        elif code == len(table) and last is not None and code <= _MAX_CODE:
            entry = last + last[:1]
        else:
            raise WireError("bad_lzw", "code")
        out.append(entry)
        size += len(entry)
        if size > limit:
            raise WireError("too_large", "lzw")
        if last is not None and len(table) <= _MAX_CODE:
            table.append(last + entry[:1])
        newest += 1
        last = entry
        if newest >= 1 << width:
            if width == _MAX_WIDTH:
                last = None
                newest -= 1
            else:
                width += 1
