"""md5sum, sha1sum, sha256sum, sha512sum, base64, hexdump, xxd, od, cmp."""

from __future__ import annotations

import base64 as coding
import binascii
import hashlib
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, parse, program
from daemon.programs.text import opened, whole

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext


@program("md5sum [-c[sw]] [FILE]...")
async def digest(p: ProcessContext) -> int:
    """md5sum, sha1sum, sha256sum, sha512sum [-c] [FILE]..."""
    options = parse(p.argv[1:], "cswb")
    name = p.argv[0].rsplit("/", 1)[-1]
    kind = name.removesuffix("sum")
    status = [0]
    if "c" in options:
        return await _check(p, kind, options.rest)
    async for path, stream in opened(p, options.rest, status=status):
        state = hashlib.new(kind)
        while data := await stream.read(65536):
            state.update(data)
        await p.print(f"{state.hexdigest()}  {path}")
    return status[0]


async def _check(p: ProcessContext, kind: str, names: list[str]) -> int:
    status = [0]
    bad = total = 0
    async for _, stream in opened(p, names, status=status):
        for line in (await whole(stream)).decode("utf-8", "surrogateescape").splitlines():
            wanted, _, path = line.partition("  ")
            total += 1
            try:
                good = hashlib.new(kind, p.files.read(p.path(path))).hexdigest() == wanted
            except OSError as error:
                await p.error(f"{kind}sum: can't open '{path}': {error.strerror}")
                good = False
            bad += not good
            await p.print(f"{path}: {'OK' if good else 'FAILED'}")
    if bad:
        await p.error(f"{kind}sum: WARNING: {bad} of {total} computed checksums did NOT match")
    return 1 if bad else status[0]


@program("base64 [-d] [-w COL] [FILE]")
async def base64(p: ProcessContext) -> int:
    """base64 [-d] [-w COL] [FILE]"""
    options = parse(p.argv[1:], "dw:")
    width = int(options.number("w", 76))
    status = [0]
    async for _, stream in opened(p, options.rest, status=status):
        data = await whole(stream)
        if "d" in options:
            try:
                await p.stdout.write(coding.b64decode(b"".join(data.split()), validate=True))
            except binascii.Error:
                raise Failure("truncated input") from None
            continue
        text = coding.b64encode(data).decode()
        rows = [text[at : at + width] for at in range(0, len(text), width)] if width else [text]
        await p.print("\n".join(rows), end="\n" if width and text else "")
    return status[0]


@program("hexdump [-bcCdovx] [-n LEN] [-s OFS] [FILE]...")
async def hexdump(p: ProcessContext) -> int:
    """hexdump [-Cv] [-n LEN] [-s OFS] [FILE]..."""
    options = parse(p.argv[1:], "bcCdovxe:f:n:s:")
    status = [0]
    data = b""
    async for _, stream in opened(p, options.rest, status=status):
        data += await whole(stream)
    offset = int(options.number("s", 0))
    end = offset + int(options.number("n", len(data)))
    data = data[:end]
    canonical = "C" in options or p.argv[0].rsplit("/", 1)[-1] == "hd"
    last = b""
    starred = False
    for at in range(offset, len(data), 16):
        row = data[at : at + 16]
        if row == last and "v" not in options and len(row) == 16:
            if not starred:
                await p.print("*")
            starred = True
            continue
        starred = False
        last = row
        if canonical:
            cells = " ".join(f"{byte:02x}" for byte in row[:8]) + "  " + " ".join(f"{byte:02x}" for byte in row[8:])
            await p.print(f"{at:08x}  {cells:<49} |{_printable(row)}|")
        else:
            padded = row + bytes(len(row) % 2)
            words = [f"{int.from_bytes(padded[n : n + 2], 'little'):04x}" for n in range(0, len(padded), 2)]
            await p.print(f"{at:07x} " + " ".join(words) + "     " * (8 - len(words)))
    if data:
        await p.print(f"{len(data):08x}" if canonical else f"{len(data):07x}")
    return status[0]


def _printable(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


@program("xxd [-pri] [-g N] [-c N] [-l LEN] [-s OFS] [-o OFS] [FILE]")
async def xxd(p: ProcessContext) -> int:
    """xxd [-pr] [-g N] [-c N] [-l LEN] [-s OFS] [FILE]"""
    options = parse(p.argv[1:], "prig:c:l:s:o:")
    status = [0]
    async for _, stream in opened(p, options.rest[:1], status=status):
        data = await whole(stream)
        if "r" in options:
            text = data.decode("ascii", "replace")
            if "p" not in options:
                text = "".join(line.partition(": ")[2].split("  ")[0] for line in text.splitlines())
            try:
                await p.stdout.write(bytes.fromhex("".join(text.split())))
            except ValueError:
                raise Failure("invalid hex") from None
            continue
        start = int(options.number("s", 0))
        data = data[start : start + int(options.number("l", len(data)))]
        columns = int(options.number("c", 30 if "p" in options else 16)) or len(data)
        group = int(options.number("g", 2)) or columns
        for at in range(0, len(data), columns):
            row = data[at : at + columns]
            if "p" in options:
                await p.print(row.hex())
                continue
            cells = " ".join(row[n : n + group].hex() for n in range(0, len(row), group))
            width = columns * 2 + (columns - 1) // group
            await p.print(f"{start + at:08x}: {cells:<{width}}  {_printable(row)}")
    return status[0]


@program("od [-abcdfhilovxs] [-t TYPE] [-A RADIX] [-N SIZE] [-j SKIP] [FILE]...")
async def od(p: ProcessContext) -> int:
    """od [-c] [-A RADIX] [-t x1|o2] [-N SIZE] [FILE]..."""
    options = parse(p.argv[1:], "abcdfhilovxst:A:N:j:w:")
    status = [0]
    data = b""
    async for _, stream in opened(p, options.rest, status=status):
        data += await whole(stream)
    data = data[int(options.number("j", 0)) :]
    data = data[: int(options.number("N", len(data)))]
    radix = options.value("A", "o")
    kind = "c" if "c" in options else "x2" if "x" in options or "h" in options else options.value("t", "o2")

    def address(at: int) -> str:
        return "" if radix == "n" else f"{at:07o}" if radix == "o" else f"{at:07d}" if radix == "d" else f"{at:06x}"

    escapes = {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        if kind == "c":
            cells = [escapes.get(b, chr(b) if 32 <= b < 127 else f"{b:03o}").rjust(4) for b in row]
        elif kind in ("x1", "xC"):
            cells = [f" {b:02x}" for b in row]
        elif kind in ("o1", "u1", "d1"):
            cells = [f" {b:03o}" if kind == "o1" else f" {b:3}" for b in row]
        else:
            words = [int.from_bytes(row[n : n + 2].ljust(2, b"\0"), "little") for n in range(0, len(row), 2)]
            cells = [f" {word:04x}" if kind == "x2" else f" {word:06o}" for word in words]
        await p.print(address(at) + "".join(cells))
    if radix != "n":
        await p.print(address(len(data)))
    return status[0]


@program("cmp [-ls] FILE1 [FILE2]", code=2)
async def cmp(p: ProcessContext) -> int:
    """cmp [-s] FILE1 FILE2"""
    options = parse(p.argv[1:], "ls", least=1)
    names = [*options.rest, "-"][:2]
    contents: list[bytes] = []
    for name in names:
        try:
            contents.append(await whole(p.stdin) if name == "-" else p.files.read(p.path(name)))
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}", 2) from None
    one, two = contents
    if one == two:
        return 0
    at = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if "s" not in options:
        if at is None:
            short = names[0] if len(one) < len(two) else names[1]
            await p.error(f"cmp: EOF on {short}")
        else:
            line = one.count(b"\n", 0, at) + 1
            await p.print(f"{names[0]} {names[1]} differ: char {at + 1}, line {line}")
    return 1
