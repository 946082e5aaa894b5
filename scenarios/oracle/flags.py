"""What `docker run`, `create`, `network create` and `network connect` lines ask for, as the model needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_SWITCHES = {
    "--detach", "--interactive", "--tty", "--rm", "--publish-all", "--privileged", "--init", "--attachable",
    "--internal", "--ipv6", "--ingress", "--force", "--volumes", "--all", "--quiet", "--read-only", "--config-only",
}  # fmt: skip
_LONG = {
    "-d": "--detach", "-i": "--interactive", "-t": "--tty", "-p": "--publish", "-P": "--publish-all", "-e": "--env",
    "-v": "--volume", "-l": "--label", "-h": "--hostname", "-w": "--workdir", "-u": "--user", "-f": "--force",
    "--net": "--network", "--net-alias": "--network-alias", "--opt": "-o",
}  # fmt: skip


@dataclass(slots=True)
class Flags:
    """Options by their long name, with each of their values; then what is left."""

    options: dict[str, list[str]] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    def one(self, name: str, default: str = "") -> str:
        return self.options.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        return self.options.get(name, [])

    def has(self, name: str) -> bool:
        return name in self.options


def read(words: Sequence[str], *, driver: bool = False, times: bool = False, interspersed: bool = True) -> Flags:
    """`driver`: -d is --driver, as in `network create`. `times`: -t has a value, as in `stop`. Without `interspersed`
    the first word that is no option ends them."""
    found = Flags()
    n = 0
    while n < len(words):
        word = words[n]
        n += 1
        if not word.startswith("-") or word == "-":
            found.rest.append(word)
            if not interspersed:
                found.rest += words[n:]
                return found
            continue
        if not word.startswith("--") and len(word) > 2 and word[2] != "=":
            n = _cluster(found, word[1:], words, n)
            continue
        name, equals, value = word.partition("=")
        if driver and name == "-d":
            name = "--driver"
        elif times and name == "-t":
            name = "--time"
        else:
            name = _LONG.get(name, name)
        if not equals and name not in _SWITCHES and n < len(words):
            value = words[n]
            n += 1
        found.options.setdefault(name, []).append(value)
    return found


def _cluster(found: Flags, letters: str, words: Sequence[str], n: int) -> int:
    """Of `-dit`, `-dp 8080:80` and `-p8080:80`: the first letter that is no switch has what follows it for a value, or
    the next word. Where to read on."""
    for place, letter in enumerate(letters, 1):
        name = _LONG.get(f"-{letter}", f"-{letter}")
        if name in _SWITCHES:
            found.options.setdefault(name, []).append("")
            continue
        value = letters[place:]
        if not value and n < len(words):
            value = words[n]
            n += 1
        found.options.setdefault(name, []).append(value)
        break
    return n
