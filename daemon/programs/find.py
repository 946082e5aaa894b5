"""find."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, program
from daemon.programs.running import start

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext


class _Find:
    """One find command: its expression is a small recursive-descent parser that decides as it reads."""

    def __init__(self, p: ProcessContext, words: list[str]) -> None:
        self.p = p
        self.words = words
        self.low, self.high = 0, 1 << 30
        self.at = 0
        self.path = ""
        self.acted = False
        self.pruned = False
        self.batch: dict[int, list[str]] = {}
        self.status = 0
        self.after = False  # a directory comes after what is in it

    async def either(self, live: bool) -> bool:
        value = await self.both(live)
        while self.at < len(self.words) and self.words[self.at] in ("-o", "-or"):
            self.at += 1
            other = await self.both(live and not value)
            value = value or other
        return value

    async def both(self, live: bool) -> bool:
        value = await self.primary(live)
        while self.at < len(self.words) and self.words[self.at] not in ("-o", "-or", ")"):
            if self.words[self.at] in ("-a", "-and"):
                self.at += 1
            other = await self.primary(live and value)
            value = value and other
        return value

    def _argument(self, name: str) -> str:
        if self.at >= len(self.words):
            raise Failure(f"{name}: requires an argument")
        self.at += 1
        return self.words[self.at - 1]

    async def primary(self, live: bool) -> bool:
        if self.at >= len(self.words):
            raise Failure("bad expression")
        word = self.words[self.at]
        self.at += 1
        name = self.path.rstrip("/").rsplit("/", 1)[-1] or "/"
        if word in ("!", "-not"):
            return not await self.primary(live)
        if word == "(":
            value = await self.either(live)
            if self._argument("(") != ")":
                raise Failure("bad expression")
            return value
        if word in ("-name", "-iname", "-path", "-ipath", "-wholename"):
            pattern, subject = self._argument(word), self.path if "name" not in word[-5:] or "whole" in word else name
            if word.startswith("-i"):
                pattern, subject = pattern.lower(), subject.lower()
            return fnmatch.fnmatchcase(subject, pattern)
        if word in ("-maxdepth", "-mindepth"):
            self._argument(word)
            return True
        stat = self.p.files.stat(self.p.path(self.path), follow=False)
        if word == "-type":
            return self._argument(word) == ("f" if stat.kind == "-" else stat.kind)
        if word == "-size":
            match = re.fullmatch(r"([-+]?)(\d+)([ckwbMG]?)", self._argument(word))
            if match is None:
                raise Failure("invalid number")
            unit = {"c": 1, "k": 1024, "": 512, "b": 512, "w": 2, "M": 1 << 20, "G": 1 << 30}[match.group(3)]
            return _compare(match.group(1), -(-stat.size // unit), int(match.group(2)))
        if word in ("-mtime", "-mmin"):
            match = re.fullmatch(r"([-+]?)(\d+)", self._argument(word))
            if match is None:
                raise Failure("invalid number")
            age = int((self.p.wall() - stat.mtime) / (86400 if word == "-mtime" else 60))
            return _compare(match.group(1), age, int(match.group(2)))
        if word == "-perm":
            text = self._argument(word)
            mode = int(text.lstrip("-/+"), 8)
            return (
                (stat.mode & mode) == mode
                if text.startswith("-")
                else bool(stat.mode & mode)
                if text[:1] in "/+"
                else (stat.mode & 0o7777) == mode
            )
        if word == "-newer":
            return stat.mtime > self.p.files.stat(self.p.path(self._argument(word))).mtime
        if word == "-empty":
            return not (self.p.files.listdir(self.p.path(self.path)) if stat.kind == "d" else stat.size)
        if word == "-prune":
            self.pruned = self.pruned or live
            return True
        return await self._act(word, live)

    async def _act(self, word: str, live: bool) -> bool:
        self.acted = True
        if word in ("-print", "-print0"):
            if live:
                await self.p.print(self.path, end="\0" if word.endswith("0") else "\n")
            return True
        if word == "-delete":
            if live:
                path = self.p.path(self.path)
                if self.p.files.stat(path, follow=False).kind == "d":
                    self.p.files.rmdir(path)
                else:
                    self.p.files.remove(path)
            return True
        if word == "-quit":
            if live:
                raise StopAsyncIteration
            return True
        if word == "-exec":
            start_at = self.at
            while self.at < len(self.words) and self.words[self.at] not in (";", "+"):
                self.at += 1
            if self.at >= len(self.words):
                raise Failure("-exec: requires ';' or '+'")
            argv, ending = self.words[start_at : self.at], self.words[self.at]
            self.at += 1
            if not live:
                return True
            if ending == "+":
                self.batch.setdefault(start_at, []).append(self.path)
                return True
            return await start(self.p, [part.replace("{}", self.path) for part in argv]).wait() == 0
        raise Failure(f"unrecognized: {word}")

    async def visit(self, path: str, depth: int) -> None:
        try:
            folder = self.p.files.stat(self.p.path(path), follow=False).kind == "d"
        except OSError as error:
            await self.p.error(f"find: {path}: {error.strerror}")
            self.status = 1
            return
        self.pruned = False
        if not self.after:
            await self._test(path, depth)
        if folder and depth < self.high and not self.pruned:
            for name in self.p.files.listdir(self.p.path(path)):
                await self.visit(f"{path.rstrip('/')}/{name}", depth + 1)
        if self.after:
            await self._test(path, depth)

    async def _test(self, path: str, depth: int) -> None:
        if depth < self.low:
            return
        self.path = path
        self.at = 0
        matched = True
        if self.words:
            matched = await self.either(True)
            if self.at < len(self.words):
                raise Failure("bad expression")
        if matched and not self.acted:
            await self.p.print(path)


def _compare(sign: str, value: int, wanted: int) -> bool:
    return value > wanted if sign == "+" else value < wanted if sign == "-" else value == wanted


@program("find [-HL] [PATH]... [OPTIONS] [ACTIONS]")
async def find(p: ProcessContext) -> int:
    """find [PATH]... [-name PATTERN] [-type f|d|l] [-maxdepth N] [-exec CMD ;] [-delete] …"""
    words = p.argv[1:]
    paths: list[str] = []
    while words and not words[0].startswith("-") and words[0] not in ("!", "("):
        paths.append(words.pop(0))
    job = _Find(p, [word for word in words if word != "-depth"])
    job.after = "-depth" in words or "-delete" in words
    for flag in ("-maxdepth", "-mindepth"):
        if flag in words:
            at = words.index(flag)
            if at + 1 >= len(words) or not words[at + 1].isdigit():
                raise Failure(f"invalid number '{words[at + 1] if at + 1 < len(words) else ''}'")
            if flag == "-maxdepth":
                job.high = int(words[at + 1])
            else:
                job.low = int(words[at + 1])
    for path in paths or ["."]:
        try:
            await job.visit(path, 0)
        except StopAsyncIteration:
            break
    for at, found in job.batch.items():
        end = job.words.index("+", at)
        if found:
            argv = job.words[at:end]
            place = argv.index("{}") if "{}" in argv else len(argv)
            await start(p, [*argv[:place], *found, *argv[place + 1 :]]).wait()
    return job.status
