"""sort and uniq."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, parse, program
from daemon.programs.text import lines, opened

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

SUFFIX = {"": 0, "K": 1, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


@dataclass(frozen=True, slots=True)
class _Key:
    """-k F1[.C1][FLAGS][,F2[.C2]]; an end field of 0 is the end of the line."""

    first: int
    first_char: int
    last: int
    last_char: int
    flags: str


@program("sort [-nrughMcszbdfiokt] [-o FILE] [-k START[.OFFSET][OPTS][,END[.OFFSET][OPTS]] [-t CHAR] [FILE]...")
async def sort(p: ProcessContext) -> int:
    """sort [-bcdfhnrsuV] [-k KEY] [-t CHAR] [-o FILE] [FILE]..."""
    options = parse(p.argv[1:], "nrughMcCszbdfiVo:k:t:S:T:m")
    status = [0]
    rows: list[str] = []
    async for _, stream in opened(p, options.rest, status=status):
        rows += [line.decode("utf-8", "surrogateescape").removesuffix("\n") async for line in lines(stream)]
    if status[0]:
        return 2
    flags = "".join(letter for letter in "nhMVbdfig" if letter in options)
    keys = [_key(text, flags) for text in options.values("k")]
    separator = options.value("t") or None

    def compare(one: str, other: str) -> int:
        for key in keys or [_Key(1, 1, 0, 0, flags)]:
            a = _extract(one, key, separator) if keys else one
            b = _extract(other, key, separator) if keys else other
            order = _order(a, b, key.flags)
            if order:
                reverse = "r" in key.flags or ("r" in options and not set(key.flags) - set(flags))
                return -order if reverse else order
        if "s" in options or "u" in options:
            return 0
        order = (one > other) - (one < other)
        return -order if "r" in options else order

    if "c" in options or "C" in options:
        for number in range(1, len(rows)):
            order = compare(rows[number - 1], rows[number])
            if order > 0 or (order == 0 and "u" in options):
                if "c" in options:
                    await p.error(
                        f"sort: {options.rest[0] if options.rest else '-'}:{number + 1}: disorder: {rows[number]}"
                    )
                return 1
        return 0
    rows.sort(key=functools.cmp_to_key(compare))
    if "u" in options:
        rows = [row for number, row in enumerate(rows) if number == 0 or compare(rows[number - 1], row) != 0]
    text = "".join(row + "\n" for row in rows)
    if "o" in options:
        p.files.write(p.path(options.value("o")), text)
    else:
        await p.print(text, end="")
    return status[0]


def _key(text: str, flags: str) -> _Key:
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?([a-zA-Z]*)(?:,(\d+)(?:\.(\d+))?([a-zA-Z]*))?", text)
    if match is None or match.group(1) == "0":
        raise Failure(f"bad field specification '{text}'" if match is None else "bad -k parameter")
    own = match.group(3) + (match.group(6) or "")
    return _Key(
        int(match.group(1)), int(match.group(2) or 1), int(match.group(4) or 0), int(match.group(5) or 0), own or flags
    )


def _extract(row: str, key: _Key, separator: str | None) -> str:
    if separator is not None:
        starts = [0]
        starts += [n + 1 for n, char in enumerate(row) if char == separator]
        ends = [start - 1 for start in starts[1:]] + [len(row)]
    else:
        spans = [match.span() for match in re.finditer(r"\s*\S+", row)]
        starts, ends = [span[0] for span in spans], [span[1] for span in spans]
    if key.first > len(starts):
        return ""
    start = starts[key.first - 1]
    if "b" in key.flags:
        start += len(row[start:]) - len(row[start:].lstrip())
    start += key.first_char - 1
    end = (
        len(row)
        if key.last == 0 or key.last > len(ends)
        else (starts[key.last - 1] + key.last_char if key.last_char else ends[key.last - 1])
    )
    return row[start:end]


def _order(a: str, b: str, flags: str) -> int:
    if "n" in flags or "h" in flags or "g" in flags:
        x, y = _number(a, flags), _number(b, flags)
        return (x > y) - (x < y)
    if "M" in flags:
        months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        m = [months.index(t.strip()[:3].lower()) if t.strip()[:3].lower() in months else -1 for t in (a, b)]
        return m[0] - m[1]
    if "V" in flags:
        left, right = (
            [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|\D+", t)]
            for t in (a, b)
        )
        return (left > right) - (left < right)
    if "d" in flags:
        a, b = (re.sub(r"[^A-Za-z0-9\s]", "", text) for text in (a, b))
    if "b" in flags:
        a, b = a.lstrip(), b.lstrip()
    if "f" in flags:
        a, b = a.upper(), b.upper()
    return (a > b) - (a < b)


def _number(text: str, flags: str) -> float:
    match = re.match(r"\s*([-+]?\d*\.?\d*)([KkMGTPE]?)", text)
    if match is None or not re.search(r"\d", match.group(1)):
        return 0.0
    return float(match.group(1)) * (1024.0 ** SUFFIX[match.group(2)] if "h" in flags else 1.0)


@program("uniq [-cduiz] [-f,s,w N] [FILE [OUTFILE]]")
async def uniq(p: ProcessContext) -> int:
    """uniq [-cdui] [-f N] [-s N] [-w N] [FILE [OUTFILE]]"""
    options = parse(p.argv[1:], "cduizf:s:w:")
    fields, chars = int(options.number("f", 0)), int(options.number("s", 0))
    width = int(options.number("w", 1 << 30))
    out: list[str] = []

    def key(row: str) -> str:
        rest = re.sub(rf"^(?:\s*\S+){{0,{fields}}}", "", row) if fields else row
        rest = rest[chars:][:width]
        return rest.lower() if "i" in options else rest

    def flush(row: str, count: int) -> None:
        if ("d" in options and count < 2) or ("u" in options and count > 1):
            return
        out.append(f"{count:7} {row}\n" if "c" in options else row + "\n")

    status = [0]
    last, count = "", 0
    async for _, stream in opened(p, options.rest[:1], status=status):
        async for line in lines(stream):
            row = line.decode("utf-8", "surrogateescape").removesuffix("\n")
            if count and key(row) == key(last):
                count += 1
                continue
            if count:
                flush(last, count)
            last, count = row, 1
            if len(out) > 256 and len(options.rest) < 2:
                await p.print("".join(out), end="")
                out.clear()
    if count:
        flush(last, count)
    if len(options.rest) > 1:
        p.files.write(p.path(options.rest[1]), "".join(out))
    else:
        await p.print("".join(out), end="")
    return status[0]
