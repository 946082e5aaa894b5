"""What is asked from inside containers, and what the answer must be.

All questions to one container go in one script and one exec; each answer is what stands between two marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MARK = "@@"


@dataclass(frozen=True, slots=True)
class Question:
    """script: a shell line. wanted: any of these outputs is right, compared after `read`. what: for people."""

    key: str
    script: str
    wanted: tuple[str, ...]
    what: str
    kind: str = ""


def script(questions: Sequence[Question]) -> list[str]:
    """A command that asks them all, a few at a time."""
    lines = [f"echo {MARK}{n}; {question.script}" for n, question in enumerate(questions)]
    return ["sh", "-c", "\n".join([*lines, f"echo {MARK}end"])]


def answers(output: str) -> dict[int, str]:
    """By the number of the question. Those that were not reached are missing."""
    found: dict[int, str] = {}
    parts = re.split(rf"^{MARK}(\d+|end)\n", output, flags=re.MULTILINE)
    for n in range(1, len(parts) - 1, 2):
        if parts[n] != "end":
            found[int(parts[n])] = parts[n + 1]
    return found if MARK + "end" in output else {}


def read(question: Question, answer: str) -> str:
    """An answer in the form in which it is compared."""
    match question.kind:
        case "addresses":
            _, _, told = answer.partition("Name:")
            found = re.findall(r"Address[^:\n]*: (\S+)", told)
            return " ".join(sorted(dict.fromkeys(found)))
        case "pointer":
            names = re.findall(r"name = (\S+)", answer)
            return " ".join(sorted(names))
        case _:
            return answer.strip()


def right(question: Question, answer: str) -> bool:
    return read(question, answer) in question.wanted


def lookup(key: str, name: str, wanted: Sequence[Sequence[str]], *, version: int = 4) -> Question:
    """`wanted`: sets of addresses, of which one must be the answer; an empty one: there must be none."""
    kind = "a" if version == 4 else "aaaa"
    texts = tuple(" ".join(sorted(each)) for each in wanted)
    said = " or ".join(text.replace(" ", ", ") or "nothing" for text in texts)
    line = f"nslookup -type={kind} {name} 2>&1"
    return Question(key, line, texts, f"{name} must resolve to {said}", "addresses")


def pointer(key: str, address: str, wanted: Sequence[str]) -> Question:
    return Question(key, f"nslookup {address} 2>&1", tuple(wanted), f"{address} is {' or '.join(wanted)}", "pointer")


def echo(key: str, address: str, size: int, what: str, *, answered: bool = True, tries: int = 1) -> Question:
    """An ICMP echo with so many bytes."""
    line = f"ping -c {tries} -W 1 -s {size} {address} >/dev/null 2>&1 && echo yes || echo no"
    return Question(key, line, ("yes" if answered else "no",), what)


def page(key: str, url: str, wanted: Sequence[str], what: str) -> Question:
    """The first line of a page; "" when none is to be had."""
    return Question(key, f"wget -q -T 2 -O - {url} 2>/dev/null | head -n 1", tuple(wanted), what)


def own_addresses(key: str, wanted: Sequence[str]) -> Question:
    """Its IPv4 addresses, but those of lo and of the way out (172.16/12)."""
    line = "ip -4 addr | grep inet | grep -v ' lo$' | grep -v 'inet 172.' | sed 's/.*inet \\([^ ]*\\) .*/\\1/' | sort"
    texts = ("\n".join(sorted(wanted)),)
    return Question(key, line, texts, f"its own addresses must be {', '.join(sorted(wanted)) or 'none'}")
