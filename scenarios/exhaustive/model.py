"""Every state that three hosts can come to within bounds, breadth first, each looked at.

Between the hosts are messages that may arrive in any order or never, a cut that may come and heal at any time, and
crashes at any time; a host acts when it may. What is said in packets (rings, roster, rows) arrives or does not, from
any host to any; a question and its answer are two messages that can wait while anything else happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import NamedTuple

from scenarios.exhaustive.hosts import SPACE, TABLE, Host, Known

NAMES = ("a", "b", "c")
NOBODY = -1
_LATE = 2
"""Who is admitted on the way, where the bounds say so."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often each thing may happen on one path. numbers: takes of a number; rows: removals of the shared row; olds:
    disks put back as they were in the beginning; late: whether c is admitted on the way and not from the start; size:
    of the number space."""

    donations: int = 2
    numbers: int = 2
    removals: int = 1
    rows: int = 0
    crashes: int = 1
    cuts: int = 1
    olds: int = 0
    late: bool = False
    size: int = 4


class Message(NamedTuple):
    """kind: ask, give, agree?, agreed; boot: of who waits for the answer."""

    kind: str
    source: int
    target: int
    data: int
    boot: int
    about: str


class State(NamedTuple):
    """hosts and data are numbers of interned values; left: what may still happen; held: number to host; apart: the host
    that is cut off."""

    hosts: tuple[int, ...]
    messages: tuple[Message, ...]
    apart: int
    left: tuple[int, ...]
    held: tuple[tuple[int, int], ...]
    ended: tuple[int, ...]


@dataclass(slots=True)
class Result:
    """depth: steps within which every state has been seen (complete: all there are); hosts: different states of one
    host."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = True
    hosts: int = 0
    seconds: float = 0.0
    violation: str = ""
    path: list[str] = field(default_factory=list)


DONATION, NUMBER, REMOVAL, ROW, CRASH, CUT, OLD = range(7)


class Model:
    """`explore` searches; it stops at the first violation."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._hosts: list[Host] = []
        self._known: list[Known] = []
        self._frozen: list[bytes] = []
        self._ids: dict[tuple[object, ...], int] = {}
        self._data: list[bytes] = []
        self._data_ids: dict[bytes, int] = {}
        self._done: dict[tuple[object, ...], tuple[tuple[int, ...], object]] = {}

    # -- values --------------------------------------------------------------------------------------------------

    def _intern(self, host: Host) -> int:
        key = host.key()
        if (known := self._ids.get(key)) is None:
            known = self._ids[key] = len(self._hosts)
            self._hosts.append(host)
            self._known.append(host.known())
            self._frozen.append(host.frozen())
        return known

    def _datum(self, data: bytes) -> int:
        if (known := self._data_ids.get(data)) is None:
            known = self._data_ids[data] = len(self._data)
            self._data.append(data)
        return known

    def _do(
        self, what: str, act: Callable[..., object], *hosts: int, about: object = ""
    ) -> tuple[tuple[int, ...], object]:
        """What becomes of copies of hosts when something is done with them: their numbers, and the result."""
        key = (what, hosts, about)
        if (found := self._done.get(key)) is None:
            copies = [Host.thawed(self._frozen[number]) for number in hosts]
            result = act(*copies)
            found = self._done[key] = tuple(self._intern(host) for host in copies), result
        return found

    def _see(self, what: str, look: Callable[[Host], object], host: int, about: object = "") -> object:
        """What a host says of itself, which changes nothing."""
        key = (what, (host,), about)
        if (found := self._done.get(key)) is None:
            found = self._done[key] = (), look(self._hosts[host])
        return found[1]

    def first(self) -> State:
        """Three members (or two, and one that is not admitted yet); a owns all numbers; a row that all have."""
        hosts = [Host(name) for name in NAMES]
        admitted = NAMES[:2] if self._bounds.late else NAMES
        for name in admitted:
            hosts[0].roster.admit(name, name, "manager", "192.0.2.1")
        hosts[0].allocator.define(SPACE, 0, self._bounds.size, ["a"])
        if self._bounds.rows:
            hosts[0].replica.write(TABLE, "row", {})
        for host in hosts[: len(admitted)]:
            for kind in ("roster", "ring", "row"):
                host.hear(hosts[0].told(kind))
            host.flush()
            host.repair_with(hosts[0] if host is not hosts[0] else hosts[1])
        for host in hosts:
            host.back_up()
        b = self._bounds
        left = (b.donations, b.numbers, b.removals, b.rows, b.crashes, b.cuts, b.olds)
        return State(tuple(self._intern(host) for host in hosts), (), NOBODY, left, (), ())

    # -- the search ----------------------------------------------------------------------------------------------

    def explore(self, most: int = 0) -> Result:
        """most: states after which the search ends, not complete (0: none)."""
        start = self.first()
        came: dict[State, tuple[State, str] | None] = {start: None}
        depth = {start: 0}
        queue = deque([start])
        result = Result()
        while queue:
            state = queue.popleft()
            if most and len(came) > most:
                result.complete = False
                break
            result.depth = depth[state]
            for step, after, wrong in self._steps(state):
                result.steps += 1
                wrong = wrong or (self._wrong(after) if after not in came else "")
                if after not in came:
                    came[after] = (state, step)
                    depth[after] = depth[state] + 1
                    queue.append(after)
                if wrong:
                    result.violation, result.path = wrong, [*self._path(came, state), step]
                    queue.clear()
                    break
        result.states, result.hosts = len(came), len(self._hosts)
        return result

    @staticmethod
    def _path(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
        path: list[str] = []
        while (before := came[state]) is not None:
            state, step = before
            path.append(step)
        return path[::-1]

    # -- what can happen -----------------------------------------------------------------------------------------

    def _steps(self, s: State) -> Iterator[tuple[str, State, str]]:
        """(what happens, the state after it, what is wrong with it by itself)."""
        for x, y in permutations(range(len(NAMES)), 2):
            # Whoever is not admitted by anybody has no key.
            if s.apart not in (x, y) and not (_LATE in (x, y) and self._unknown(s)):
                yield from self._talk(s, x, y)
        for n, message in enumerate(s.messages):
            if s.apart not in (message.source, message.target):
                yield from self._arrival(s, n, message)
        for x in range(len(NAMES)):
            yield from self._alone(s, x)
        if s.apart != NOBODY:
            yield "the cut heals", s._replace(apart=NOBODY), ""
        elif s.left[CUT]:
            for x in range(len(NAMES)):
                yield f"{NAMES[x]} is cut off", self._spend(s, CUT)._replace(apart=x), ""

    def _unknown(self, s: State) -> bool:
        """Whether nobody ever admitted c."""
        return not any(NAMES[_LATE] in self._hosts[host].replica.roster() for host in s.hosts)

    @staticmethod
    def _spend(s: State, what: int) -> State:
        return s._replace(left=tuple(n - (at == what) for at, n in enumerate(s.left)))

    def _with(self, s: State, changes: dict[int, int]) -> State:
        return s._replace(hosts=tuple(changes.get(at, host) for at, host in enumerate(s.hosts)))

    def _hears(self, s: State, x: int, y: int) -> bool:
        """Whether y takes anything from x: members drop what removed ids say, and who knows that it was removed is
        silent and deaf."""
        known = [self._known[s.hosts[at]].removed for at in (x, y)]
        return NAMES[x] not in (*known[0], *known[1]) and NAMES[y] not in known[1]

    def _talk(self, s: State, x: int, y: int) -> Iterator[tuple[str, State, str]]:
        if not self._hears(s, x, y):
            return
        for kind in ("ring", "roster", "row"):
            if kind == "row" and not self._bounds.rows:
                continue
            if kind != "roster" and not self._hosts[s.hosts[y]].roster.contains(NAMES[y]):
                continue  # whoever is not admitted yet, as far as it knows, takes only the roster from packets
            told = self._see("told", _told(kind), s.hosts[x], about=kind)
            (after,), _ = self._do("hear", lambda host, told=told: host.hear(told), s.hosts[y], about=told)
            if after != s.hosts[y]:
                yield f"{NAMES[y]} hears the {kind} of {NAMES[x]}", self._with(s, {y: after}), ""
        asker = self._hosts[s.hosts[x]]
        # Once in step it asks members of its roster alone; before, whoever lives.
        if self._hears(s, y, x) and (not asker.gates.is_synced or asker.roster.contains(NAMES[y])):
            (one, two), _ = self._do("repair", lambda p, q: p.repair_with(q), s.hosts[x], s.hosts[y])
            if (one, two) != (s.hosts[x], s.hosts[y]):
                after_both = self._with(s, {x: one, y: two})
                yield f"{NAMES[x]} repairs with {NAMES[y]}", after_both, ""
        if s.left[DONATION] and asker.gates.may_give():
            data = self._see("question", lambda host: host.question(NAMES[y]), s.hosts[x], about=y)
            message = Message("ask", x, y, self._datum(bytes(data)), asker.boots, "")  # type: ignore[call-overload]
            yield f"{NAMES[x]} asks {NAMES[y]} for numbers", self._sent(self._spend(s, DONATION), message), ""
        for removed in asker.inheritance.due():
            missing = self._see("missing", _missing(removed), s.hosts[x], about=removed)
            waiting = [m for m in s.messages if m.about == removed and {m.source, m.target} == {x, y}]
            if NAMES[y] in missing and not waiting:  # type: ignore[operator]
                data = asker.inheritance.question(removed)
                message = Message("agree?", x, y, self._datum(data), asker.boots, removed)
                yield f"{NAMES[x]} asks {NAMES[y]} to agree that it inherits {removed}", self._sent(s, message), ""

    @staticmethod
    def _sent(s: State, message: Message) -> State:
        return s._replace(messages=tuple(sorted((*s.messages, message))))

    def _arrival(self, s: State, n: int, m: Message) -> Iterator[tuple[str, State, str]]:
        s = s._replace(messages=s.messages[:n] + s.messages[n + 1 :])
        x, y = m.source, m.target
        if not self._hears(s, x, y):
            yield f"{NAMES[y]} takes nothing from {NAMES[x]}, which was removed", s, ""
            return
        data = self._data[m.data]
        if m.kind in ("ask", "agree?"):
            (after,), answer = self._do(m.kind, lambda h: h.asked(m.kind, NAMES[x], data), s.hosts[y],
                                        about=(x, m.data))  # fmt: skip
            s = self._with(s, {y: after})
            if isinstance(answer, bytes):
                back = Message("give" if m.kind == "ask" else "agreed", y, x, self._datum(answer), m.boot, m.about)
                s = self._sent(s, back)
            yield f"{NAMES[y]} hears the question of {NAMES[x]} ({m.kind}{m.about})", s, ""
        elif self._hosts[s.hosts[y]].boots == m.boot:
            if m.kind == "give":
                (after,), _ = self._do("given", lambda h: h.answered(NAMES[x], data), s.hosts[y], about=(x, m.data))
            else:
                (after,), _ = self._do("agreed", lambda h: h.inheritance.receive(m.about, NAMES[x], data), s.hosts[y],
                                       about=(x, m.about, m.data))  # fmt: skip
            yield f"{NAMES[y]} hears the answer of {NAMES[x]} ({m.kind})", self._with(s, {y: after}), ""
        else:
            yield f"the answer of {NAMES[x]} finds {NAMES[y]} in another boot", s, ""

    def _alone(self, s: State, x: int) -> Iterator[tuple[str, State, str]]:
        host, name = self._hosts[s.hosts[x]], NAMES[x]
        if host.roster.removed(name):
            return
        if s.left[NUMBER] and host.gates.may_give():
            (after,), number = self._do("take", lambda h: h.take(), s.hosts[x])
            if isinstance(number, int):
                wrong = "" if number not in dict(s.held) else f"{number} is given twice, now by {name}"
                taken = self._spend(self._with(s, {x: after}), NUMBER)
                yield f"{name} gives {number}", taken._replace(held=tuple(sorted((*s.held, (number, x))))), wrong
        if s.left[CRASH] and not host.replica.newcomer:  # who ends as a newcomer joins again under another id
            (after,), _ = self._do("crash", lambda h: h.crash(), s.hosts[x])
            yield f"{name} crashes and starts", self._spend(self._with(s, {x: after}), CRASH), ""
        if s.left[OLD]:
            (after,), _ = self._do("put back", lambda h: h.put_back(), s.hosts[x])
            # Its containers are gone with the disk that knew them.
            old = self._spend(self._with(s, {x: after}), OLD)._replace(held=tuple(h for h in s.held if h[1] != x))
            yield f"{name} starts on its disk of before", old, ""
        if host.doubts():
            (after,), _ = self._do("outlast", lambda h: h.outlast_answers(), s.hosts[x])
            left = tuple(m for m in s.messages if m.source != x or m.kind not in ("give", "agreed"))
            yield f"{name} has run for a while", self._with(s, {x: after})._replace(messages=left), ""
        (flushed,), _ = self._do("flush", lambda h: h.flush(), s.hosts[x])
        if flushed != s.hosts[x]:
            yield f"{name} writes down what it heard", self._with(s, {x: flushed}), ""
        if s.apart == x and not host.gates.may_give():
            (after,), _ = self._do("lonely", lambda h: h.be_lonely(), s.hosts[x])
            if after != s.hosts[x]:
                yield f"{name} has been lonely for long", self._with(s, {x: after}), ""
        for removed in host.inheritance.due():
            (after,), took = self._do("inherit", lambda h, r=removed: h.inheritance.take(r), s.hosts[x], about=removed)
            if took:
                yield f"{name} inherits {removed}", self._with(s, {x: after}), self._unagreed(s, x, removed)
        if not host.roster.contains(name):
            return
        if s.left[ROW] and self._known[s.hosts[x]].row == "live":
            (after,), _ = self._do("rm row", lambda h: h.replica.remove(TABLE, "row"), s.hosts[x])
            yield f"{name} removes the row", self._spend(self._with(s, {x: after}), ROW), ""
        if self._unknown(s):
            late = NAMES[_LATE]
            (after,), _ = self._do("admit", lambda h: h.admit(late), s.hosts[x])
            roster = self._see("told", _told("roster"), after, about="roster")
            (begun,), _ = self._do("begin", lambda h: h.begin(roster), s.hosts[_LATE], about=roster)
            admitted = self._with(s, {x: after, _LATE: begun})
            yield f"{name} admits {late}", self._ended(admitted, _LATE) if x in s.ended else admitted, ""
        for z in range(len(NAMES)):
            if s.left[REMOVAL] and z != x and host.roster.contains(NAMES[z]):
                (after,), _ = self._do("remove", lambda h, z=z: h.roster.remove(NAMES[z]), s.hosts[x], about=z)
                gone = self._ended(self._spend(self._with(s, {x: after}), REMOVAL), z)
                if self._admitted_by(s) == NAMES[z] and NAMES[_LATE] not in host.replica.roster():
                    gone = self._ended(gone, _LATE)
                yield f"{name} removes {NAMES[z]}", gone, ""

    @staticmethod
    def _ended(s: State, z: int) -> State:
        """Its containers lose their addresses when it hears of it; forced while it cannot: node rm says so."""
        return s._replace(
            held=tuple(h for h in s.held if h[1] != z), ended=tuple(sorted({*s.ended, z})),
        )  # fmt: skip

    def _admitted_by(self, s: State) -> str:
        """Who admitted c on the way; "" where nobody did."""
        if not self._bounds.late:
            return ""
        rosters = [self._hosts[host].replica.roster() for host in s.hosts]
        return next((roster[NAMES[_LATE]].by for roster in rosters if NAMES[_LATE] in roster), "")

    # -- what must be so -----------------------------------------------------------------------------------------

    def _wrong(self, s: State) -> str:
        """What is wrong with a state; "" for nothing."""
        known = [self._known[host] for host in s.hosts]
        giver: dict[int, int] = {}
        for x, view in enumerate(known):
            for name in view.removed:
                if NAMES.index(name) not in s.ended:
                    return f"{NAMES[x]} holds {name} removed, which nobody wanted"
            if self._kept_along(s, x):
                return f"{NAMES[x]} holds {NAMES[_LATE]} for a member, whose admitter was removed unheard"
            if x in s.ended:
                continue  # whoever was removed may not know it yet; nobody takes anything from it
            if view.conflict:
                return f"{NAMES[x]} sees equal versions with different owners"
            for number in view.gives:
                if number in giver:
                    return f"{NAMES[giver[number]]} and {NAMES[x]} may both give {number}"
                giver[number] = x
        if self._bounds.rows:
            return self._wrong_row(s, known)
        return ""

    def _kept_along(self, s: State, x: int) -> bool:
        """Whether a host does not draw the conclusion from a removal and an admission that it both knows."""
        late, admitter, known = NAMES[_LATE], self._admitted_by(s), self._known[s.hosts[x]]
        heard = admitter in known.removed and late in self._hosts[s.hosts[x]].replica.roster()
        return heard and self._bounds.removals == 1 and _LATE in s.ended and late not in known.removed

    def _wrong_row(self, s: State, known: list[Known]) -> str:
        """A tombstone is forgotten only when nobody is left who could bring the row back."""
        members = [x for x in range(len(NAMES)) if self._hosts[s.hosts[x]].roster.contains(NAMES[x])]
        removed = [x for x in members if known[x].row == "removed"]
        forgotten = [x for x in removed if not self._hosts[s.hosts[x]].replica.held_tombstones()]
        for x in members:
            if forgotten and known[x].row == "live" and x not in s.ended:
                return f"{NAMES[forgotten[0]]} has forgotten the tombstone and {NAMES[x]} still has the row"
        return ""

    def _unagreed(self, s: State, heir: int, removed: str) -> str:
        """An heir takes only what every other member has on disk as removed."""
        for x, host in enumerate(s.hosts):
            if x == heir or NAMES[x] == removed or x in s.ended or not self._hosts[host].roster.contains(NAMES[x]):
                continue
            if removed not in self._known[host].removed:
                return f"{NAMES[heir]} inherits {removed}, and {NAMES[x]} does not know of the removal"
        return ""


def _told(kind: str) -> Callable[[Host], object]:
    return lambda host: host.told(kind)


def _missing(removed: str) -> Callable[[Host], object]:
    return lambda host: host.inheritance.missing(removed)
