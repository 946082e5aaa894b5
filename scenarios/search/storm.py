"""What breaks in a made scenario: one fault at a time or several, each with an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scenarios.search.draft import Draft, Step

_PARTS: tuple[str, ...] = ("gossip", "vxlan", "cluster", "lan")


def _split(draft: Draft) -> list[list[str]]:
    shuffled = draft.chance.sample(draft.hosts, len(draft.hosts))
    cut = draft.chance.randint(1, len(shuffled) - 1)
    return [sorted(shuffled[:cut]), sorted(shuffled[cut:])]


def _some(draft: Draft) -> list[str]:
    return sorted(draft.chance.sample(draft.hosts, draft.chance.randint(1, max(1, len(draft.hosts) // 2))))


def _several(draft: Draft) -> list[str]:
    """Now and then all of them."""
    return list(draft.hosts) if draft.chance.random() < 0.15 else _some(draft)


def _long(draft: Draft) -> float:
    """Most are short; some outlast what the swarm bears with before it gives a member up."""
    chance = draft.chance
    return round(chance.choice((chance.uniform(0.5, 3.0), chance.uniform(3.0, 12.0), chance.uniform(12.0, 30.0))), 1)


def _partition(draft: Draft) -> Step:
    fault: Step = {"partition": _split(draft)}
    if draft.chance.random() < 0.3:
        fault["oneway"] = True
    if draft.chance.random() < 0.25:
        fault["traffic"] = draft.chance.choice(_PARTS)
    return fault


def _islands(draft: Draft) -> Step:
    return {"islands": _some(draft)}


def _bridge(draft: Draft) -> Step:
    return {"bridge": draft.chance.choice(draft.hosts)} if len(draft.hosts) > 2 else _partition(draft)


def _impaired(draft: Draft) -> Step:
    chance = draft.chance
    every: dict[str, object] = {
        "loss": f"{chance.choice((5, 20, 50))}%", "duplicate": f"{chance.choice((10, 50))}%",
        "reorder": f"{chance.choice((10, 40))}%", "corrupt": f"{chance.choice((3, 15))}%",
        "delay": f"{chance.choice((20, 100, 400))}ms", "jitter": f"{chance.choice((5, 80))}ms",
        "mtu": chance.choice((600, 1400)), "rate": f"{chance.choice((1, 10))}mbit",
    }  # fmt: skip
    fault: Step = {name: every[name] for name in sorted(chance.sample(list(every), chance.choice((1, 1, 2, 3))))}
    if chance.random() < 0.4:
        fault["from"] = _some(draft)
    if chance.random() < 0.3:
        fault["traffic"] = chance.choice(_PARTS)
    return fault


def _kill(draft: Draft) -> Step:
    return {"kill": _several(draft)}


def _pause(draft: Draft) -> Step:
    return {"pause": _some(draft)}


def _slow(draft: Draft) -> Step:
    return {"slow": {"host": draft.chance.choice(draft.hosts), "share": f"{draft.chance.choice((10, 40))}%"}}


def _flap(draft: Draft) -> Step:
    down, up = (round(draft.chance.uniform(0.3, 3.0), 1) for _ in range(2))
    return {"flap": {"hosts": _some(draft), "down": f"{down}s", "up": f"{up}s"}}


def _clock(draft: Draft) -> Step:
    chance = draft.chance
    skew = chance.choice((0.0, 0.1, -0.1))
    return {"clock": {"host": chance.choice(draft.hosts), "jump": chance.choice((-86400, -30, 30, 3600)), "skew": skew}}


def _full(draft: Draft) -> Step:
    return {"full_disk": [draft.chance.choice(draft.hosts)]}


def _power(draft: Draft) -> Step:
    draft.gone.clear()  # whose name it was may be back
    return {"power_loss": _several(draft)}


def _old(draft: Draft) -> Step:
    """A host's disk as it was; perhaps from before what it is now in the swarm."""
    host = draft.chance.choice(draft.hosts)
    draft.gone.clear()
    if draft.has("membership") or draft.has("roles"):
        host = draft.chance.choice([h for h in draft.hosts if h != draft.managers[0]])
        draft.left[host] = None
    return {"old_disk": [host]}


def _lost(draft: Draft) -> Step:
    """Never of a manager: with the last one goes the swarm."""
    workers = [h for h in draft.hosts if h not in draft.managers and h not in draft.ruled]
    if not workers:
        return _kill(draft)
    host = draft.chance.choice(workers)
    draft.left[host] = None
    if host not in draft.outside:
        draft.outside.append(host)
    for name in [c.name for c in draft.containers.values() if c.host == host]:
        del draft.containers[name]
    return {"lost_disk": [host]}


FAULTS: dict[str, Callable[[Draft], Step]] = {
    "partitions": _partition, "islands": _islands, "bridges": _bridge, "impairments": _impaired, "kills": _kill,
    "pauses": _pause, "slow": _slow, "flaps": _flap, "clocks": _clock, "full-disks": _full, "power-losses": _power,
    "old-disks": _old, "lost-disks": _lost,
}  # fmt: skip
"""Each a feature that a scenario has or has not."""


def strike(draft: Draft, kinds: Sequence[str]) -> None:
    """Something breaks now, for a while."""
    if not kinds or len(draft.hosts) < 2:
        return
    kind = draft.chance.choice(list(kinds))
    lasting = min(_long(draft), 6.0) if kind == "full-disks" else _long(draft)
    fault = FAULTS[kind](draft)
    draft.add({"fault": {**fault, "for": f"{lasting}s"}})
    draft.ended = max(draft.ended, draft.now + lasting)
