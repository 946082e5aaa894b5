"""The table of the wounds, as README has it: wound × reports × Docker's model × real engines × shoal."""

from __future__ import annotations

import re

from scenarios.wounds.keeping import Real, Results
from scenarios.wounds.sweep import Count
from scenarios.wounds.wounds import WOUNDS

BEGIN, END = "<!-- shoal wounds: begin -->", "<!-- shoal wounds: end -->"
_HEAD = "| wound | reports | Docker's model | real engines | shoal |\n|---|---|---|---|---|"


def render(results: Results) -> str:
    """Markdown, with the seeds and the version that it was counted with."""
    lines = [_HEAD]
    for wound in WOUNDS:
        counts = results.counts.get(wound.name, {})
        reports = ", ".join(wound.reports)
        cells = (
            _counted(counts.get("docker")) if wound.modelled else "–",
            _tried(results.real.get(wound.name)),
            _counted(counts.get("shoal")) + (" *" if wound.waits else ""),
        )
        where = f"staged/{wound.name}.yaml" if wound.file.exists() else "real/staged.py"
        lines.append(f"| [{wound.title}](scenarios/wounds/{where}) | {reports} | {' | '.join(cells)} |")
    waiting: dict[str, list[str]] = {}
    for wound in WOUNDS:
        if wound.waits:
            waiting.setdefault(wound.waits, []).append(wound.name)
    notes = [f"{' and '.join(names)}: waits for {what}" for what, names in waiting.items()]
    versions = sorted({c.version for models in results.counts.values() for c in models.values() if c.version})
    engines = sorted({real.engine for real in results.real.values()})
    firsts = sorted({str(c.first) for models in results.counts.values() for c in models.values()})
    told = [f"Seeds from {', '.join(firsts) or '–'} on, {'; '.join(versions) or 'nothing counted yet'}"]
    if engines:
        told.append(f"real engines: {'; '.join(engines)}")
    return "\n".join(lines) + "\n\n" + "; ".join(told) + f". * {'; '.join(notes)}.\n"


def _counted(count: Count | None) -> str:
    if count is None or not count.seeds:
        return "–"
    other = f" ({len(count.other)} failed otherwise)" if count.other else ""
    return f"{len(count.showed)} of {count.seeds}{other}"


def _tried(real: Real | None) -> str:
    return "–" if real is None or not real.tries else f"{real.showed} of {real.tries}"


def inserted(text: str, table: str) -> str:
    """A document with the table between its markers. Raises ValueError when it has none."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no {BEGIN} … {END}")
    return pattern.sub(lambda match: f"{BEGIN}\n\n{table}\n{END}", text, count=1)
