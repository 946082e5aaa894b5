"""What clients were told was done: the containers and networks that each host acknowledged, and their removals.

Made from the command lines of the scenario and their answers alone; no daemon is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Made:
    """An acknowledged container or network. gone: a removal was asked for (whether it came about, nobody knows until it
    is acknowledged); removed_by: the host that acknowledged it. shared: all hosts of the swarm have it."""

    kind: str
    id: str
    name: str
    host: str
    at: float
    shared: bool = False
    gone: bool = False
    removed_by: str = ""


@dataclass(slots=True)
class History:
    """By id. `vague`: hosts where something was done whose effect cannot be told from the command (a prune). `out`:
    hosts that were to be removed from the swarm and have not joined again: they may not have heard of it."""

    made: dict[str, Made] = field(default_factory=dict)
    vague: dict[str, None] = field(default_factory=dict)
    out: dict[str, None] = field(default_factory=dict)

    def asked(self, host: str, words: Sequence[str]) -> None:
        """Before a command is sent."""
        for thing in self._removals(host, words):
            thing.gone = True
        if "prune" in words or words[:2] == ("swarm", "leave"):
            self.vague[host] = None
        if words[:2] == ("node", "rm"):
            self.out |= dict.fromkeys(word for word in words[2:] if not word.startswith("-"))

    def answered(self, host: str, words: Sequence[str], code: int, output: str, at: float) -> None:
        """After it was answered."""
        lines = output.split()
        if words[:1] == ("rename",) and code == 0:
            for thing in self._named("container", host, words[1]):
                thing.name = words[2]
        if code == 0 and lines:
            if words[0] in ("run", "create") and "--rm" not in words and (words[0] == "create" or _detached(words)):
                self._add(Made("container", lines[-1], _name(words) or lines[-1][:12], host, at))
            elif tuple(words[:2]) == ("network", "create"):
                self._add(Made("network", lines[-1], words[-1], host, at, shared="overlay" in words))
        if words[:2] == ("swarm", "join") and code == 0:
            self.out.pop(host, None)
        if words[:2] == ("node", "rm"):
            for word in words[2:]:
                if word not in lines:
                    self.out.pop(word, None)
        for thing in self._removals(host, words):
            if thing.shared and sum(m.kind == thing.kind and m.name == thing.name for m in self.made.values()) > 1:
                continue  # a host that was cut off may have meant the one before
            # `rm a b` prints what it removed.
            if thing.name in lines or thing.id in lines or any(len(w) > 3 and thing.id.startswith(w) for w in lines):
                thing.removed_by = host

    def _add(self, thing: Made) -> None:
        self.made[thing.id] = thing

    def _named(self, kind: str, host: str, text: str) -> list[Made]:
        return [m for m in self.made.values() if m.kind == kind and (m.shared or m.host == host)
                and (m.name == text or (len(text) > 3 and m.id.startswith(text)))]  # fmt: skip

    def _removals(self, host: str, words: Sequence[str]) -> list[Made]:
        if words[:1] == ("rm",):
            return [m for word in words[1:] for m in self._named("container", host, word)]
        if tuple(words[:2]) in (("network", "rm"), ("network", "remove")):
            return [m for word in words[2:] for m in self._named("network", host, word)]
        return []


def _detached(words: Sequence[str]) -> bool:
    for word in words[1:]:
        if word == "--detach" or (word.startswith("-") and not word.startswith("--") and "d" in word):
            return True
    return False


def _name(words: Sequence[str]) -> str:
    for n, word in enumerate(words):
        if word == "--name" and n + 1 < len(words):
            return words[n + 1]
        if word.startswith("--name="):
            return word.removeprefix("--name=")
    return ""
