"""Shell patterns (POSIX 2.13): what * ? [ ] match, in words and in file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.runtime.filesystem import Filesystem

#: A piece of a field: its characters, and whether they were quoted.
Piece = tuple[str, bool]

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": " \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
}


def has_magic(pieces: Sequence[Piece]) -> bool:
    return any(not quoted and any(char in "*?[" for char in text) for text, quoted in pieces)


def literal(pieces: Sequence[Piece]) -> str:
    return "".join(text for text, _ in pieces)


def regex(pieces: Sequence[Piece]) -> str:
    """A regular expression for `re` (with DOTALL) that matches what the pattern does."""
    out: list[str] = []
    for text, quoted in pieces:
        if quoted:
            out.append(re.escape(text))
            continue
        at = 0
        while at < len(text):
            char = text[at]
            at += 1
            if char == "*":
                out.append(".*")
            elif char == "?":
                out.append(".")
            elif char == "\\" and at < len(text):
                out.append(re.escape(text[at]))
                at += 1
            elif char == "[":
                bracket, at = _bracket(text, at)
                out.append(bracket)
            else:
                out.append(re.escape(char))
    return "".join(out)


def _bracket(text: str, at: int) -> tuple[str, int]:
    end = at + 1 if text[at : at + 1] in ("!", "^") else at
    end = end + 1 if text[end : end + 1] == "]" else end
    while end < len(text) and text[end] != "]":
        close = text.find(":]", end) if text.startswith("[:", end) else -1
        end = close + 2 if close > 0 else end + 1
    if end >= len(text):
        return r"\[", at
    inside = text[at:end]
    negated = inside[:1] in ("!", "^")
    inside = inside[1:] if negated else inside
    inside = inside.replace("\\", "\\\\").replace("[:", "\0").replace("[", r"\[").replace("\0", "[:")
    inside = re.sub(r"\[:(\w+):\]", lambda match: CLASSES.get(match.group(1), ""), inside)
    inside = "\\]" + inside[1:] if inside.startswith("]") else inside
    inside = "\\^" + inside[1:] if inside.startswith("^") else inside
    return f"[{'^' if negated else ''}{inside}]", end + 1


def match(pieces: Sequence[Piece], text: str) -> bool:
    return re.fullmatch(regex(pieces), text, re.DOTALL) is not None


def expand_path(files: Filesystem, cwd: str, pieces: Sequence[Piece]) -> list[str]:
    """The existing paths that the pattern names, sorted; [] when there is none."""
    components: list[list[Piece]] = [[]]
    for text, quoted in pieces:
        first, *rest = text.split("/")
        components[-1].append((first, quoted))
        components.extend([(part, quoted)] for part in rest)
    found = ["/"] if literal(components[0]) == "" and len(components) > 1 else [""]
    for depth, component in enumerate(components):
        name = literal(component)
        last = depth == len(components) - 1
        if name == "":
            if last and depth:
                found = [path for path in found if files.is_dir(_absolute(cwd, path))]
            continue
        following: list[str] = []
        for base in found:
            if not has_magic(component):
                candidates = [name]
            else:
                try:
                    entries = files.listdir(_absolute(cwd, base))
                except OSError:
                    continue
                hidden = name.startswith(".")
                candidates = [
                    entry for entry in entries if (hidden or not entry.startswith(".")) and match(component, entry)
                ]
            for candidate in candidates:
                path = base + candidate
                if not _exists(files, _absolute(cwd, path)):
                    continue
                following.append(path if last else path + "/")
        found = following
    return sorted(found)


def _absolute(cwd: str, path: str) -> str:
    return path if path.startswith("/") else f"{cwd}/{path}"


def _exists(files: Filesystem, path: str) -> bool:
    try:
        files.stat(path, follow=False)
    except OSError:
        return False
    return True
