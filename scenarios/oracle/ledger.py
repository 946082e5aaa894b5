"""The history of a run as clients saw it: which calls were made, what was answered, which hosts died and booted.

Nothing in it comes from a daemon's own account of itself. `world.believed` folds it into what must be true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Call:
    """A docker command on a host. code: its exit status; None: no answer came. refused: the daemon said no, which is an
    answer too; without it a failure leaves open what was done. disturbed: something was broken meanwhile, and the host
    may not have known what others knew."""

    host: str
    words: tuple[str, ...]
    began: float
    ended: float | None = None
    code: int | None = None
    output: str = ""
    refused: bool = False
    disturbed: bool = False


@dataclass(frozen=True, slots=True)
class Died:
    """A host's daemon was killed."""

    host: str
    at: float


@dataclass(frozen=True, slots=True)
class Booted:
    """A host's daemon was started again. disturbed: what it needs of others may have been out of its reach."""

    host: str
    at: float
    disturbed: bool


@dataclass(frozen=True, slots=True)
class Forgot:
    """A host's disk was lost, or is an older one: what it acknowledged for itself alone may be gone. power: only what
    was not synced is, so it is the member that it was."""

    host: str
    at: float
    power: bool = False


Entry = Call | Died | Booted | Forgot


@dataclass(slots=True)
class Ledger:
    """In the order in which things ended."""

    entries: list[Entry] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)
    broken: Callable[[], bool] = lambda: False

    def asked(self, host: str, words: Sequence[str], at: float) -> Call:
        """Before a command is sent."""
        call = Call(host, tuple(words), at, disturbed=self.broken())
        self.open.append(call)
        return call

    def answered(self, call: Call, code: int, output: str, errors: str, at: float) -> None:
        """After it was answered."""
        call.ended, call.code, call.output = at, code, output
        told_no = "Error response from daemon" in errors or "Cannot connect to the Docker daemon" in errors
        call.refused = code != 0 and told_no
        call.disturbed = call.disturbed or self.broken()
        self.unanswered(call)

    def unanswered(self, call: Call) -> None:
        """Nobody waits for it any more."""
        if call in self.open:
            self.open.remove(call)
            self.entries.append(call)

    def died(self, host: str, at: float) -> None:
        self.entries.append(Died(host, at))

    def booted(self, host: str, at: float, *, disturbed: bool) -> None:
        self.entries.append(Booted(host, at, disturbed))

    def forgot(self, host: str, at: float, *, power: bool = False) -> None:
        self.entries.append(Forgot(host, at, power))

    def history(self) -> list[Entry]:
        """All of it, calls without an answer too."""
        return [*self.entries, *self.open]
