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
    return {"kill": _some(draft)}


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
    return {"power_loss": [draft.chance.choice(draft.hosts)]}


FAULTS: dict[str, Callable[[Draft], Step]] = {
    "partitions": _partition, "islands": _islands, "bridges": _bridge, "impairments": _impaired, "kills": _kill,
    "pauses": _pause, "slow": _slow, "flaps": _flap, "clocks": _clock, "full-disks": _full, "power-losses": _power,
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
