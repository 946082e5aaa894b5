"""grep, egrep, fgrep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, parse, program
from daemon.programs.patterns import BadPattern, translate

if TYPE_CHECKING:
    from daemon.programs.options import Options
    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description


@program("grep [-HhnlLoqvsrRiwFEx] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... | -f FILE... } [FILE]...", code=2)
async def grep(p: ProcessContext) -> int:
    """grep [-cEFhHilLnoqrsvwx] [-e PATTERN] [-m N] [-A N] [-B N] [-C N] PATTERN [FILE]..."""
    options = parse(p.argv[1:], "cHhnlLoqvsrRiwFEaxzye:f:m:A:B:C:", {"color": "color", "colour": "color"})
    name = p.argv[0].rsplit("/", 1)[-1]
    patterns = [part for value in options.values("e") for part in value.split("\n")]
    for path in options.values("f"):
        patterns += (p.files.text(p.path(path)) if path != "-" else "").splitlines()
    if "e" not in options and "f" not in options:
        if not options.rest:
            raise UsageError("")
        patterns = options.rest.pop(0).split("\n")
    matcher = _matcher(
        patterns, options, fixed="F" in options or name == "fgrep", extended="E" in options or name == "egrep"
    )
    search = _Search(p, options, matcher)
    recursive = "r" in options or "R" in options
    names = options.rest or (["."] if recursive else ["-"])
    inputs = [found for path in names for found in (search.walk(path) if recursive else [path])]
    search.titled = ("H" in options or len(inputs) > 1 or recursive) and "h" not in options
    for path in inputs:
        if path == "-":
            await search.look("(standard input)", p.stdin)
            continue
        try:
            stream = p.open(path, read=True)
        except OSError as error:
            search.failed = True
            if "s" not in options:
                await p.error(f"{name}: {path}: {error.strerror}")
            continue
        try:
            await search.look(path, stream)
        except IsADirectoryError:
            if "s" not in options:
                await p.error(f"{name}: {path}: Is a directory")
        finally:
            stream.close()
        if search.found and "q" in options:
            break
    if search.found and "q" in options:
        return 0
    return 2 if search.failed else 0 if search.found else 1


def _matcher(patterns: list[str], options: Options, *, fixed: bool, extended: bool) -> re.Pattern[str]:
    try:
        parts = [re.escape(text) if fixed else translate(text, extended=extended) for text in patterns]
        joined = "|".join(f"(?:{part})" for part in parts) if len(parts) != 1 else parts[0]
        if not parts:
            joined = "(?!)"
        if "w" in options:
            joined = rf"(?<!\w)(?:{joined})(?!\w)"
        if "x" in options:
            joined = rf"\A(?:{joined})\Z"
        return re.compile(joined, re.IGNORECASE if "i" in options or "y" in options else 0)
    except (BadPattern, re.error) as error:
        raise Failure(f"bad regex '{patterns[0] if patterns else ''}': {error}", 2) from None


class _Search:
    def __init__(self, p: ProcessContext, options: Options, matcher: re.Pattern[str]) -> None:
        self.p = p
        self.options = options
        self.matcher = matcher
        self.found = False
        self.failed = False
        self.titled = False
        both = options.value("C", "0")
        self.before = int(options.value("B", both))
        self.after = int(options.value("A", both))
        self.limit = int(options.number("m", 0))
        self.printed_any = False

    def walk(self, path: str) -> list[str]:
        if not self.p.files.is_dir(self.p.path(path)):
            return [path]
        return [
            found
            for name in self.p.files.listdir(self.p.path(path))
            for found in self.walk(f"{path.rstrip('/')}/{name}")
        ]

    async def look(self, name: str, stream: Description) -> None:
        options = self.options
        title = f"{name}:" if self.titled else ""
        count = number = printed = 0
        context: list[tuple[int, str]] = []
        trailing = 0
        while raw := await stream.readline(1 << 20):
            number += 1
            line = raw.decode("utf-8", "surrogateescape").removesuffix("\n")
            if (self.matcher.search(line) is not None) == ("v" in options):
                if trailing:
                    trailing -= 1
                    printed = number
                    await self._show(name, number, line, "-")
                elif self.before:
                    context = [*context, (number, line)][-self.before :]
                continue
            count += 1
            self.found = True
            if "q" in options:
                return
            if "l" in options or "L" in options:
                break
            if "c" not in options:
                if (
                    (self.before or self.after)
                    and self.printed_any
                    and printed < (context[0][0] if context else number) - 1
                ):
                    await self.p.print("--")
                for earlier, text in context:
                    await self._show(name, earlier, text, "-")
                context = []
                trailing = self.after
                printed = number
                self.printed_any = True
                if "o" in options and "v" not in options:
                    for match in self.matcher.finditer(line):
                        if match.group():
                            await self._show(name, number, match.group(), ":")
                else:
                    await self._show(name, number, line, ":")
            if self.limit and count >= self.limit:
                break
        if "c" in options:
            await self.p.print(f"{title}{count}")
        if ("l" in options and count) or ("L" in options and not count):
            await self.p.print(name)

    async def _show(self, name: str, number: int, text: str, mark: str) -> None:
        title = f"{name}{mark}" if self.titled else ""
        await self.p.print(f"{title}{f'{number}{mark}' if 'n' in self.options else ''}{text}")
