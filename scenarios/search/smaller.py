"""Scenarios that are a little smaller than a given one, as documents: candidates for shrinking, most daring first."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scenarios.language.quantities import duration
from scenarios.language.reading import Source
from scenarios.language.variables import filled
from scenarios.running.record import RunRecord

Document = dict[str, Any]
"""A scenario as its YAML says it."""

_LISTS = ("churn", "faults", "load", "links")
_TIMES = ("wait", "for", "at", "until", "down", "up")
"""Deadlines are not among them: with a shorter one anything fails."""
_BREAKS = ("fault", "kill", "stop", "pause")
_MENDS = ("heal", "restart", "resume", "wait")
_SHORTEST = 0.05
"""Seconds below which a time is not halved any more."""


def size(document: Document) -> tuple[int, int]:
    """Steps, those inside of others too, and faults, of which a plan of churn is one."""
    steps = list(_all_steps(document.get("steps") or []))
    faults = sum(any(word in step for word in _BREAKS) for step in steps)
    return len(steps), faults + len(document.get("faults") or []) + len(document.get("churn") or [])


def chosen(document: Document, variables: Mapping[str, Any]) -> Document:
    """With the variables' values in their places, and without a matrix."""

    def inside(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: inside(part) for key, part in value.items()}
        if isinstance(value, list):
            return [inside(part) for part in value]
        return filled(value, variables, later=lambda name: True) if isinstance(value, str) else value

    return {key: inside(value) for key, value in document.items() if key not in ("matrix", "variables", "story")}


def until_line(document: Document, source: Source, line: int) -> Document:
    """Without the steps after the one at a line of the file."""
    steps = document.get("steps") or []
    last = max((n for n in range(len(steps)) if source.line("steps", n) <= line), default=len(steps))
    return {**document, "steps": steps[: last + 1]}


def still_mended(document: Document, before: Document) -> bool:
    """Does a smaller document mend as much, and wait as long, after what it breaks? Else it breaks less."""
    return _mends(document) == _mends(before) or size(document)[1] < size(before)[1]


def _mends(document: Document) -> float:
    """Steps that mend, and seconds that are waited, once something was broken."""
    steps = list(_all_steps(document.get("steps") or []))
    if not (document.get("faults") or document.get("churn")):
        first = next((n for n, step in enumerate(steps) if any(word in step for word in _BREAKS)), len(steps))
        steps = steps[first:]
    count = sum(any(word in step for word in _MENDS) for step in steps)
    return count + sum(seconds for path, seconds in _times(steps, ()) if path[-1] == "wait")


def calm(document: Document) -> Document:
    """Without all that breaks or mends anything."""

    def calmed(steps: Sequence[Document]) -> list[Document]:
        found = []
        for step in steps:
            if any(word in step for word in (*_BREAKS, *_MENDS[:-1])):
                continue
            if isinstance(step.get("parallel"), list):
                step = {**step, "parallel": calmed(step["parallel"])}
            elif isinstance(step.get("repeat"), dict):
                step = {**step, "repeat": {**step["repeat"], "steps": calmed(step["repeat"]["steps"])}}
            found.append(step)
        return found

    kept = {key: value for key, value in document.items() if key not in ("faults", "churn")}
    return {**kept, "steps": calmed(document.get("steps") or [])}


def _all_steps(steps: Sequence[Document]) -> Iterator[Document]:
    for step in steps:
        inner = step.get("parallel") or (step.get("repeat") or {}).get("steps")
        if isinstance(inner, list):
            yield from _all_steps(inner)
        else:
            yield step


def explicit(document: Document, record: RunRecord) -> Document:
    """With the faults that churn made in a run instead of the churn."""
    began = next((event.at for event in record.events if event.text == "the steps begin"), 0.0)
    made = []
    for event in record.events:
        settings = event.details.get("settings")
        if event.kind == "fault" and isinstance(settings, dict) and str(event.details["id"]).startswith("churn-"):
            fault = {key: value for key, value in settings.items() if key not in ("id", "for")}
            lasted = (event.until if event.until is not None else record.duration) - event.at
            made.append({**fault, "at": round(event.at - began, 3), "for": round(max(lasted, 0.001), 3)})
    found = {key: value for key, value in document.items() if key != "churn"}
    return {**found, "faults": [*(found.get("faults") or []), *made]}


def fewer(document: Document) -> Iterator[Document]:
    """With a part taken away."""
    hosts = document.get("hosts")
    names = [f"h{n}" for n in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts or [])
    for name in reversed(names[1:]):
        yield without_host(document, names, name)
    for part in _LISTS:
        for kept in _chunks(document.get(part) or []):
            yield _with(document, part, kept)
    for path in list(_step_lists(document)):
        steps = _at(document, path)
        for kept in _chunks(steps):
            if kept or len(path) == 1:
                yield _set(document, path, kept)
    for path in list(_step_lists(document)):
        for n, step in enumerate(_at(document, path)):
            inner = step.get("parallel") or (step.get("repeat") or {}).get("steps")
            if isinstance(inner, list):
                steps = _at(document, path)
                yield _set(document, path, [*steps[:n], *inner, *steps[n + 1 :]])
    for part in ("containers", "networks"):
        for name in list(document.get(part) or []):
            entries = document[part]
            kept_entries = (
                {key: value for key, value in entries.items() if key != name}
                if isinstance(entries, dict)
                else [entry for entry in entries if entry != name]
            )
            yield _with(document, part, kept_entries)


def shorter(document: Document) -> Iterator[tuple[str, Document]]:
    """With one time halved, and what identifies that time: what could not be halved once is not tried for ever."""
    for path, seconds in _times(document, ()):
        if seconds > _SHORTEST:
            half = seconds / 2
            text = round(half) if half >= 2 else round(half, 1) if half >= 0.2 else round(half, 3)
            yield "/".join(map(str, path)), _set(document, path, text)


def without_host(document: Document, names: Sequence[str], name: str) -> Document:
    """Without a host and all that is on it or tells of it alone."""
    found = copy.deepcopy(document)
    hosts = document["hosts"]
    found["hosts"] = (
        {key: value for key, value in hosts.items() if key != name}
        if isinstance(hosts, dict)
        else [other for other in names if other != name]
    )
    if isinstance(found.get("containers"), dict):
        found["containers"] = {k: v for k, v in found["containers"].items() if (v or {}).get("on") != name}
    for part in ("links", "load", "faults", "churn", "steps"):
        if isinstance(found.get(part), list):
            kept = [_less(entry, name, len(names)) for entry in found[part]]
            found[part] = [entry for entry in kept if entry is not None]
    return {key: value for key, value in found.items() if value not in ([], {})}


def _less(entry: Any, name: str, hosts: int) -> Any:
    """An entry that does not tell of a host; None when nothing of it is left."""
    if isinstance(entry, dict):
        found = {}
        for key, value in entry.items():
            if key == "members" and value == hosts:
                found[key] = value - 1
                continue
            if (less := _less(value, name, hosts)) is None and value is not None:
                return None
            found[key] = less
        return found
    if isinstance(entry, list):
        kept = [less for part in entry if (less := _less(part, name, hosts)) is not None]
        return kept or None
    if isinstance(entry, str):
        if entry == name or entry.startswith(f"{name}/"):
            return None
        if "/" in entry and "->" not in entry and all(part.strip() for part in entry.replace("/", ",").split(",")):
            groups = [[word.strip() for word in group.split(",")] for group in entry.split("/")]
            if any(name in group for group in groups):
                left = [[word for word in group if word != name] for group in groups]
                return " / ".join(",".join(group) for group in left) if all(left) else None
        words = [word.strip() for word in entry.split(",")]
        if name in words:
            return ", ".join(word for word in words if word != name) or None
    return entry


def _chunks(entries: Sequence[Any]) -> Iterator[list[Any]]:
    """All but a half, all but a quarter, … all but one; the last ones first, for what follows depends on what is before
    it."""
    length = len(entries)
    if length:
        yield []
    width = (length + 1) // 2
    while width and length > 1:
        for start in reversed(range(0, length, width)):
            yield [*entries[:start], *entries[start + width :]]
        width = width // 2 if width > 1 else 0


def _step_lists(document: Document) -> Iterator[tuple[str | int, ...]]:
    """The paths of the list of steps and of all lists inside."""

    def inside(path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        yield path
        for n, step in enumerate(_at(document, path)):
            if isinstance(step.get("parallel"), list):
                yield from inside((*path, n, "parallel"))
            elif isinstance(step.get("repeat"), dict):
                yield from inside((*path, n, "repeat", "steps"))

    if document.get("steps"):
        yield from inside(("steps",))


def _times(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], float]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        if key in _TIMES and isinstance(part, str | int | float):
            try:
                yield (*path, key), duration(part)
            except ValueError:
                continue  # `for: run`, a variable
        else:
            yield from _times(part, (*path, key))


def _at(document: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        document = document[key]
    return document


def _set(document: Document, path: Sequence[str | int], value: Any) -> Document:
    found = copy.deepcopy(document)
    _at(found, path[:-1])[path[-1]] = value
    return found


def _with(document: Document, part: str, value: Any) -> Document:
    return {**document, part: value} if value else _without(document, part)


def _without(document: Document, part: str) -> Document:
    return {key: value for key, value in document.items() if key != part}
