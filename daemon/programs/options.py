"""Command line options as getopt(3) reads them, and busybox's words when they are wrong."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.runtime.context import ProcessContext, Program

BANNER = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary."


class UsageError(Exception):
    """The command line is wrong. `text` is said first (may be empty), then the usage."""


class Failure(Exception):
    """The program ends with `code`; the text is printed after `NAME: ` (nothing when it is empty)."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Options:
    """What was given: option → its values in order (an empty string for a flag), and the other words."""

    given: dict[str, list[str]] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def value(self, name: str, default: str = "") -> str:
        """The last value."""
        return self.given[name][-1] if name in self.given else default

    def values(self, name: str) -> list[str]:
        return self.given.get(name, [])

    def number(self, name: str, default: float, *, whole: bool = True) -> float:
        """As a number; Failure with busybox's text when it is none."""
        text = self.value(name)
        if name not in self.given:
            return default
        try:
            return int(text) if whole else float(text)
        except ValueError:
            raise Failure(f"invalid number '{text}'") from None


def parse(
    words: Sequence[str], spec: str, long: Mapping[str, str] | None = None, *, least: int = 0, most: int | None = None
) -> Options:
    """`spec` as getopt's: `ab:c` (`b` takes a value; a leading + stops at the first word that is no option).

    `long` maps `--name` to its short letter or name; one whose target is followed by ":" takes a value.
    UsageError when there are fewer than `least` other words or more than `most`.
    """
    stop = spec.startswith("+")
    spec = spec.lstrip("+")
    takes = {spec[n] for n in range(len(spec)) if spec[n + 1 : n + 2] == ":"}
    known = {char for char in spec if char != ":"}
    options = Options()
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            options.rest.extend(queue)
            break
        if word.startswith("--") and long is not None:
            name, equals, value = word[2:].partition("=")
            target = long.get(name)
            if target is None:
                raise UsageError(f"unrecognized option '--{name}'")
            key = target.rstrip(":")
            if target.endswith(":") and not equals:
                if not queue:
                    raise UsageError(f"option '--{name}' requires an argument")
                value = queue.pop(0)
            options.given.setdefault(key, []).append(value)
            continue
        if not word.startswith("-") or word == "-":
            options.rest.append(word)
            if stop:
                options.rest.extend(queue)
                break
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in known:
                raise UsageError(f"invalid option -- '{letter}'")
            value = ""
            if letter in takes:
                if not letters and not queue:
                    raise UsageError(f"option requires an argument -- '{letter}'")
                value, letters = letters or queue.pop(0), ""
            options.given.setdefault(letter, []).append(value)
    if len(options.rest) < least or (most is not None and len(options.rest) > most):
        raise UsageError("")
    return options


def program(usage: str, *, busybox: bool = True, code: int = 1) -> Callable[[Program], Program]:
    """Make a coroutine a program: UsageError prints `usage`, Failure its text, files' errors theirs."""

    def decorate(main: Program) -> Program:
        @functools.wraps(main)
        async def run(p: ProcessContext) -> int:
            name = applet(p)
            try:
                return await main(p)
            except UsageError as problem:
                if str(problem):
                    await p.error(f"{name}: {problem}")
                await p.error(f"{BANNER}\n\nUsage: {usage}" if busybox else f"usage: {usage}")
                return code
            except Failure as failure:
                if str(failure):
                    await p.error(f"{name}: {failure}")
                return failure.code
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                where = f"{error.filename}: " if error.filename else ""
                await p.error(f"{name}: {where}{error.strerror or error}")
                return 1

        return run

    return decorate


def applet(p: ProcessContext) -> str:
    """The name that error texts begin with: the shell's own for its builtins, as ash does."""
    return p.env.get("\0sh") or p.argv[0].rsplit("/", 1)[-1]
