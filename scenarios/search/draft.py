"""A scenario while it is being made: its parts, and what it means to have made so far.

What it means is a plan, not knowledge: under faults a command may fail, so whatever is done in the storm may fail, and
what must be true in the end is computed from what was acknowledged (`scenarios.oracle`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Step = dict[str, object]

PROMPT = "2s"
"""Within this, while nothing is broken, every host knows what one of them did."""

SERVER = "hostname > /index.html; seq 1 {lines} > /bulk; exec httpd -f -p 80 -h /"
LINES = 6000
"""Of /bulk: some 29 kB, more than a congestion window."""


@dataclass(slots=True)
class Network:
    """kind: a key of `networks.KINDS`. hosts: where it is; all of the swarm for an overlay."""

    name: str
    kind: str
    hosts: list[str]
    subnet: str = ""

    @property
    def shared(self) -> bool:
        return self.kind.startswith("overlay")


@dataclass(slots=True)
class Container:
    name: str
    host: str
    networks: list[str]
    running: bool = True
    paused: bool = False
    ports: list[int] = field(default_factory=list)
    restart: str = "no"

    @property
    def place(self) -> str:
        return f"{self.host}/{self.name}"


@dataclass(slots=True)
class Draft:
    """`chance` alone decides; equal seeds make equal drafts. outside: hosts that are out of the swarm now; left: that
    ever were; ruled: that ever were to be managers."""

    chance: random.Random
    hosts: list[str]
    managers: list[str]
    outside: list[str] = field(default_factory=list)
    left: dict[str, None] = field(default_factory=dict)
    ruled: dict[str, None] = field(default_factory=dict)
    features: dict[str, None] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    calm: bool = True
    ended: float = 0.0
    now: float = 0.0
    _made: dict[str, int] = field(default_factory=dict)

    def number(self, prefix: str) -> int:
        """The next of a kind, from 1."""
        self._made[prefix] = self._made.get(prefix, 0) + 1
        return self._made[prefix]

    def fresh(self, prefix: str) -> str:
        """A name. No id may begin with it: `docker rm c8` means c8d61d… where no container is called so."""
        return f"{prefix}{self.number(prefix)}"

    def has(self, feature: str) -> bool:
        return feature in self.features

    def docker(self, host: str, line: str, **more: object) -> Step:
        """A command; in the storm it may fail."""
        step: Step = {"docker": line, "on": host, **more}
        if not self.calm and "fails" not in more:
            step |= {"may_fail": True, "within": "25s"}
        return step

    def add(self, step: Step) -> None:
        self.steps.append(step)

    def expect(self, **what: object) -> None:
        self.add({"expect": what})

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.add({"wait": f"{seconds:.3g}s"})

    def members(self) -> list[str]:
        return [host for host in self.hosts if host not in self.outside]

    def running(self) -> list[Container]:
        return [c for c in self.containers.values() if c.running and not c.paused]

    def on(self, network: str) -> list[Container]:
        return [c for c in self.running() if network in c.networks]

    def reachable_networks(self, host: str) -> list[Network]:
        """Those that a container of the host can be on."""
        return [n for n in self.networks.values() if host in n.hosts or (n.shared and host in self.members())]


def document(draft: Draft, *, name: str, story: str, seed: int, hosts: Mapping[str, object], settle: float,
             invariants: Mapping[str, object], links: Sequence[object]) -> dict[str, object]:  # fmt: skip
    """The scenario as it stands in a file."""
    found: dict[str, object] = {
        "name": name, "story": story, "seed": seed, "modes": ["sim", "real"], "timeout": "600s", "hosts": dict(hosts),
        "invariants": {"settle": f"{settle:g}s", **invariants}, "steps": draft.steps,
    }  # fmt: skip
    if links:
        found["links"] = list(links)
    return found
