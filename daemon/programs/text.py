"""Programs that pass text on: cat, tee, head, tail, wc, cut, tr, rev, tac, nl."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, parse, program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description

WORDY = ("cat", "tail", "uniq", "md5sum", "sha1sum", "sha256sum", "sha512sum")  # say "can't open 'FILE'"
FOLLOW_INTERVAL = 1.0  # seconds between looks of tail -f, as busybox's


async def opened(p: ProcessContext, names: list[str], *, status: list[int]) -> AsyncIterator[tuple[str, Description]]:
    """Each input in turn ("-" or none: standard input); one that cannot be opened is told and sets status[0]."""
    name = p.argv[0].rsplit("/", 1)[-1]
    for path in names or ["-"]:
        if path == "-":
            yield "-", p.stdin
            continue
        try:
            stream = p.open(path, read=True)
        except OSError as error:
            told = f"can't open '{path}'" if name in WORDY else path
            await p.error(f"{name}: {told}: {error.strerror}")
            status[0] = 1
            continue
        try:
            yield path, stream
        except OSError as error:
            await p.error(f"{name}: {path}: {error.strerror}")
            status[0] = 1
        finally:
            stream.close()


async def whole(stream: Description) -> bytes:
    """Everything up to end of file."""
    chunks: list[bytes] = []
    while data := await stream.read(65536):
        chunks.append(data)
    return b"".join(chunks)


async def lines(stream: Description) -> AsyncIterator[bytes]:
    """Lines with their newline; the last one may have none."""
    while line := await stream.readline():
        yield line


@program("cat [-nbvteA] [FILE]...")
async def cat(p: ProcessContext) -> int:
    """cat [-n] [FILE]..."""
    options = parse(p.argv[1:], "nbvteAu")
    status = [0]
    number = 0
    for path in options.rest or ["-"]:
        async for _, stream in opened(p, [path], status=status):
            try:
                if not set("nbvteA") & set(options.given):
                    while data := await stream.read(65536):
                        await p.stdout.write(data)
                    continue
                async for line in lines(stream):
                    if "n" in options or ("b" in options and line.strip()):
                        number += 1
                        await p.stdout.write(f"{number:6}\t".encode())
                    await p.stdout.write(_visible(line, options.given))
            except IsADirectoryError as error:
                await p.error(f"cat: read error: {error.strerror}")
                status[0] = 1
    return status[0]


def _visible(line: bytes, given: dict[str, list[str]]) -> bytes:
    if "e" in given or "A" in given:
        line = line.replace(b"\n", b"$\n")
    if "t" in given or "A" in given:
        line = line.replace(b"\t", b"^I")
    if {"v", "e", "t", "A"} & set(given):
        line = b"".join(
            bytes([c])
            if c in (9, 10) or 32 <= c < 127
            else b"^?"
            if c == 127
            else b"^" + bytes([c + 64])
            if c < 32
            else b"M-" + (bytes([c - 128]) if 160 <= c < 255 else b"^" + bytes([(c - 128) ^ 64]))
            for c in line
        )
    return line


@program("tee [-ai] [FILE]...")
async def tee(p: ProcessContext) -> int:
    """tee [-a] [FILE]..."""
    options = parse(p.argv[1:], "ai")
    files: list[Description] = []
    status = 0
    for name in options.rest:
        try:
            files.append(
                p.keep(p.open(name, write=True, create=True, append="a" in options, truncate="a" not in options))
            )
        except OSError as error:
            await p.error(f"tee: {name}: {error.strerror}")
            status = 1
    while data := await p.stdin.read(65536):
        for stream in (p.stdout, *files):
            await stream.write(data)
    return status


def _count(text: str) -> int:
    match = re.fullmatch(r"([-+]?\d+)([bkm]?)", text)
    if match is None:
        raise Failure(f"invalid number '{text}'")
    return int(match.group(1)) * {"": 1, "b": 512, "k": 1024, "m": 1 << 20}[match.group(2)]


def _counts(words: list[str], pattern: str) -> list[str]:
    """The old form of a count, `-5` or `+5`, as `-n`; one that is an option's value is left alone."""
    return [
        f"-n{word.removeprefix('-')}"
        if re.fullmatch(pattern, word) and words[max(n - 1, 0)] not in ("-n", "-c")
        else word
        for n, word in enumerate(words)
    ]


@program("head [OPTIONS] [FILE]...")
async def head(p: ProcessContext) -> int:
    """head [-n N] [-c N] [FILE]..."""
    words = _counts(p.argv[1:], r"-\d+[bkm]?")
    options = parse(words, "n:c:qv")
    count = _count(options.value("c") or options.value("n", "10"))
    titles = ("v" in options or len(options.rest) > 1) and "q" not in options
    status = [0]
    first = True
    async for name, stream in opened(p, options.rest, status=status):
        if titles:
            await p.print(("" if first else "\n") + f"==> {'standard input' if name == '-' else name} <==")
        first = False
        if count < 0:
            data = await whole(stream)
            if "c" in options:
                await p.stdout.write(data[:count])
            else:
                await p.stdout.write(b"".join(data.splitlines(keepends=True)[:count]))
            continue
        left = count
        while left > 0:
            data = await (stream.read(min(left, 65536)) if "c" in options else stream.readline())
            if not data:
                break
            left -= len(data) if "c" in options else 1
            await p.stdout.write(data)
    return status[0]


@program("tail [OPTIONS] [FILE]...")
async def tail(p: ProcessContext) -> int:
    """tail [-f] [-n [+]N] [-c [+]N] [FILE]..."""
    words = _counts(p.argv[1:], r"[-+]\d+[bkm]?")
    options = parse(words, "fFn:c:qvs:")
    text = options.value("c") or options.value("n", "10")
    count, from_start = abs(_count(text)), text.startswith("+")
    titles = ("v" in options or len(options.rest) > 1) and "q" not in options
    status = [0]
    first = True
    opens = 0
    async for name, stream in opened(p, options.rest, status=status):
        opens += 1
        if titles:
            await p.print(("" if first else "\n") + f"==> {'standard input' if name == '-' else name} <==")
        first = False
        data = await whole(stream)
        if "c" in options:
            await p.stdout.write(data[max(0, count - 1) :] if from_start else data[len(data) - min(count, len(data)) :])
        else:
            rows = data.splitlines(keepends=True) if b"\r" not in data else re.findall(rb"[^\n]*\n|[^\n]+", data)
            kept = rows[max(0, count - 1) :] if from_start else rows[len(rows) - min(count, len(rows)) :]
            await p.stdout.write(b"".join(kept))
        if ("f" in options or "F" in options) and name != "-" and len(options.rest) == 1:
            await _follow(p, name, len(data), options.number("s", FOLLOW_INTERVAL, whole=False))
    if not opens and options.rest:
        await p.error("tail: no files")
    return status[0]


async def _follow(p: ProcessContext, name: str, position: int, interval: float) -> None:
    path = p.path(name)
    while True:
        await asyncio.sleep(interval)
        if not p.files.is_file(path):
            continue
        size = p.files.stat(path).size
        position = 0 if size < position else position
        if size > position:
            data = p.files.read(path)[position:]
            position += len(data)
            await p.stdout.write(data)


@program("wc [-cmlwL] [FILE]...")
async def wc(p: ProcessContext) -> int:
    """wc [-lwcL] [FILE]..."""
    options = parse(p.argv[1:], "cmlwL")
    wanted = [letter for letter in "lwcmL" if letter in options] or ["l", "w", "c"]
    totals = dict.fromkeys("lwcmL", 0)
    status = [0]
    # One number alone of one input is printed bare; else columns, as busybox does.
    width = 1 if len(wanted) == 1 and len(options.rest) <= 1 else 9
    counted = 0
    async for name, stream in opened(p, options.rest, status=status):
        counts = dict.fromkeys("lwcmL", 0)
        inside = False
        async for line in lines(stream) if set(wanted) - {"c"} else _chunks(stream):
            counts["c"] += len(line)
            if wanted == ["c"]:
                continue
            counts["m"] += len(line.decode("utf-8", "replace"))
            counts["l"] += line.endswith(b"\n")
            words = line.split()
            counts["w"] += len(words) - (inside and bool(line[:1].strip()) and bool(words))
            inside = not line.endswith(b"\n") and bool(line[-1:].strip())
            counts["L"] = max(counts["L"], len(line.rstrip(b"\n").expandtabs()))
        for letter in counts:
            totals[letter] = max(totals[letter], counts[letter]) if letter == "L" else totals[letter] + counts[letter]
        counted += 1
        await p.print(_wc_row(wanted, counts, width, "" if name == "-" and not options.rest else name))
    if len(options.rest) > 1:
        await p.print(_wc_row(wanted, totals, width, "total"))
    return status[0]


async def _chunks(stream: Description) -> AsyncIterator[bytes]:
    while data := await stream.read(65536):
        yield data


def _wc_row(wanted: list[str], counts: dict[str, int], width: int, name: str) -> str:
    cells = [str(counts[letter]).rjust(width) for letter in wanted]
    return " ".join(cells) + (f" {name}" if name else "")


@program("cut [OPTIONS] [FILE]...")
async def cut(p: ProcessContext) -> int:
    """cut -c|-b|-f LIST [-d SEP] [-s] [FILE]..."""
    options = parse(p.argv[1:], "b:c:f:d:snD:O:", {"output-delimiter": "O:"})
    chosen = [letter for letter in "bcf" if letter in options]
    if len(chosen) != 1:
        raise Failure("expected a list of bytes, characters, or fields")
    ranges = _ranges(options.value(chosen[0]))
    separator = options.value("d", "\t")
    joiner = options.value("O", separator)
    status = [0]
    async for _, stream in opened(p, options.rest, status=status):
        async for raw in lines(stream):
            line = raw.rstrip(b"\n").decode("utf-8", "surrogateescape")
            if chosen[0] != "f":
                await p.print("".join(char for n, char in enumerate(line, 1) if _within(ranges, n)))
                continue
            if separator not in line:
                if "s" not in options:
                    await p.print(line)
                continue
            fields = line.split(separator)
            await p.print(joiner.join(text for n, text in enumerate(fields, 1) if _within(ranges, n)))
    return status[0]


def _ranges(text: str) -> list[tuple[int, int]]:
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d*)(-?)(\d*)", part)
        if match is None or part in ("", "-") or part == "0":
            raise Failure(f"invalid range {part}" if part else "invalid range")
        start = int(match.group(1) or 1)
        ranges.append((start, int(match.group(3)) if match.group(3) else (1 << 31 if match.group(2) else start)))
    return ranges


def _within(ranges: list[tuple[int, int]], number: int) -> bool:
    return any(start <= number <= end for start, end in ranges)


@program("tr [-cds] STRING1 [STRING2]")
async def tr(p: ProcessContext) -> int:
    """tr [-cds] STRING1 [STRING2]"""
    options = parse(p.argv[1:], "+cCds", least=1)
    one = _characters(options.rest[0])
    two = _characters(options.rest[1]) if len(options.rest) > 1 else b""
    if "c" in options or "C" in options:
        one = bytes(code for code in range(256) if code not in one)
    delete = "d" in options
    squeeze = (two if two and not (delete and len(options.rest) < 2) else one) if "s" in options else b""
    table = bytes(range(256))
    if not delete and two:
        padded = two + two[-1:] * max(0, len(one) - len(two))
        mapping = bytearray(table)
        for source, target in zip(one, padded, strict=False):
            mapping[source] = target
        table = bytes(mapping)
    last = -1
    while data := await p.stdin.read(65536):
        data = data.translate(None, one) if delete else data.translate(table)
        if squeeze:
            out = bytearray()
            for code in data:
                if code != last or code not in squeeze:
                    out.append(code)
                last = code
            data = bytes(out)
        await p.stdout.write(data)
    return 0


TR_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": " \\t\\n\\v\\f\\r",
    "blank": " \\t",
    "xdigit": "0-9A-Fa-f",
    "punct": "!-/:-@[-`{-~",
    "cntrl": "\\0-\\037",
}


def _characters(text: str) -> bytes:
    text = re.sub(r"\[:(\w+):\]", lambda match: TR_CLASSES.get(match.group(1), ""), text)
    raw = text.encode("utf-8", "surrogateescape")
    codes: list[int] = []
    plain: list[bool] = []
    at = 0
    while at < len(raw):
        if raw[at : at + 1] == b"\\" and at + 1 < len(raw):
            octal = re.match(rb"[0-7]{1,3}", raw[at + 1 :])
            if octal is not None:
                codes.append(int(octal.group(), 8) & 0xFF)
                at += 1 + octal.end()
            else:
                letter = raw[at + 1 : at + 2]
                codes.append(b"\a\b\f\n\r\t\v"[b"abfnrtv".index(letter)] if letter in b"abfnrtv" else letter[0])
                at += 2
            plain.append(False)
            continue
        codes.append(raw[at])
        plain.append(True)
        at += 1
    out = bytearray()
    n = 0
    while n < len(codes):
        if n + 2 < len(codes) and codes[n + 1] == 45 and plain[n + 1] and codes[n + 2] >= codes[n]:
            out.extend(range(codes[n], codes[n + 2] + 1))
            n += 3
        else:
            out.append(codes[n])
            n += 1
    return bytes(out)


@program("rev [FILE]...")
async def rev(p: ProcessContext) -> int:
    """rev [FILE]..."""
    status = [0]
    async for _, stream in opened(p, p.argv[1:], status=status):
        async for line in lines(stream):
            text = line.decode("utf-8", "surrogateescape")
            await p.print(text.rstrip("\n")[::-1], end="\n" if text.endswith("\n") else "")
    return status[0]


@program("tac [FILE]...")
async def tac(p: ProcessContext) -> int:
    """tac [FILE]..."""
    status = [0]
    async for _, stream in opened(p, p.argv[1:], status=status):
        await p.stdout.write(b"".join(reversed([line async for line in lines(stream)])))
    return status[0]


@program("nl [FILE]...")
async def nl(p: ProcessContext) -> int:
    """nl [-ba] [FILE]..."""
    options = parse(p.argv[1:], "b:w:s:i:v:")
    status = [0]
    number = int(options.number("v", 1))
    async for _, stream in opened(p, options.rest, status=status):
        async for line in lines(stream):
            if line.strip() or options.value("b") == "a":
                await p.stdout.write(f"{number:6}\t".encode() + line)
                number += 1
            else:
                await p.stdout.write(b"       " + line)
    return status[0]


@program("paste [-sd LIST] [FILE]...")
async def paste(p: ProcessContext) -> int:
    """paste [-s] [-d LIST] [FILE]..."""
    options = parse(p.argv[1:], "sd:")
    separators = options.value("d", "\t").replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0") or "\0"
    status = [0]
    columns: list[list[str]] = []
    async for _, stream in opened(p, options.rest, status=status):
        columns.append((await whole(stream)).decode("utf-8", "surrogateescape").splitlines())
    rows = (
        columns
        if "s" in options
        else [
            [column[n] if n < len(column) else "" for column in columns]
            for n in range(max(map(len, columns), default=0))
        ]
    )
    for row in rows:
        line = "".join(cell + separators[n % len(separators)].strip("\0") for n, cell in enumerate(row[:-1]))
        await p.print(line + (row[-1] if row else ""))
    return status[0]
