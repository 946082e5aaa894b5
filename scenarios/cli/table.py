"""Docker's tables and templates: columns at least ten wide, three blanks between, the last one not padded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

Row = Mapping[str, str]

_ACTION = re.compile(r"{{\s*(json\s+)?(\.[\w.]*)\s*}}")


def render(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table with its heading, as text/tabwriter(10, 1, 3, ' ') lays them out."""
    table = [list(columns), *map(list, rows)]
    widths = [max(10, max(len(row[i]) for row in table) + 3) for i in range(len(columns) - 1)]
    return "\n".join("".join(c.ljust(w) for c, w in zip(row, widths, strict=False)) + row[-1] for row in table)


def look_up(document: object, path: str) -> object:
    """`.A.B` of a JSON document; raises KeyError when there is no such field."""
    for part in filter(None, path.split(".")):
        if not isinstance(document, Mapping) or part not in document:
            raise KeyError(part)
        document = document[part]
    return document


def _printed(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "<no value>"
    if isinstance(value, list):
        return "[" + " ".join(map(_printed, value)) + "]"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{k}:{_printed(v)}" for k, v in sorted(value.items())) + "]"
    return str(value)


def template(text: str, document: object) -> str:
    """The part of Go's templates that people type most: `{{.Field}}`, `{{.A.B}}`, `{{json .Field}}`, `\\t` and `\\n`.

    Raises ValueError for anything else in braces and for fields that are not there.
    """
    if text == "json":
        return json.dumps(document, separators=(",", ":"))
    if "{{" in _ACTION.sub("", text):
        raise ValueError(f"template parsing error: only {{{{.Field}}}} and {{{{json .Field}}}} are known here: {text}")

    def fill(match: re.Match[str]) -> str:
        try:
            value = look_up(document, match[2])
        except KeyError as missing:
            raise ValueError(f"template: can't evaluate field {missing.args[0]}") from None
        return json.dumps(value, separators=(",", ":")) if match[1] else _printed(value)

    return _ACTION.sub(fill, text.replace("\\t", "\t").replace("\\n", "\n"))


def listing(
    headings: Mapping[str, str], rows: Sequence[Row], *, form: str | None, quiet: str | None, default: Sequence[str]
) -> str:
    """A `ls`: the table of `default` fields, one field alone (`quiet`), or what --format asks for.

    `headings` names each field's column.
    """
    if quiet is not None:
        return "\n".join(row[quiet] for row in rows)
    if form is None or form == "table":
        return render([headings[f] for f in default], [[row[f] for f in default] for row in rows])
    if form.startswith("table "):
        fields = [match[2].lstrip(".") for match in _ACTION.finditer(form)]
        return render([headings.get(f, f.upper()) for f in fields], [[row[f] for f in fields] for row in rows])
    return "\n".join(template(form, row) for row in rows)


_STEPS: tuple[tuple[float, Callable[[int], str]], ...] = (
    (1, lambda s: "Less than a second"),
    (2, lambda s: "1 second"),
    (60, lambda s: f"{s} seconds"),
    (120, lambda s: "About a minute"),
    (3600, lambda s: f"{s // 60} minutes"),
    (7200, lambda s: "About an hour"),
    (48 * 3600, lambda s: f"{s // 3600} hours"),
    (14 * 86400, lambda s: f"{s // 86400} days"),
    (60 * 86400, lambda s: f"{s // 604800} weeks"),
    (2 * 365 * 86400, lambda s: f"{s // (30 * 86400)} months"),
)


def human_duration(seconds: float) -> str:
    """As go-units' HumanDuration: "About a minute", "3 hours"."""
    whole = int(seconds)
    for limit, text in _STEPS:
        if whole < limit:
            return text(whole)
    return f"{whole // (365 * 86400)} years"


def human_size(size: float) -> str:
    """As go-units' HumanSizeWithPrecision(…, 3): 7.8MB."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.3g}{units[0]}"


def ago(created: float | str) -> str:
    """How long ago a time of the API (seconds, or RFC 3339) was: "2 minutes ago"."""
    if isinstance(created, str):
        stem = re.sub(r"(\.\d{6})\d*", r"\1", created.replace("Z", "+00:00"))
        created = datetime.fromisoformat(stem).timestamp()
    return human_duration(max(0.0, datetime.now(UTC).timestamp() - created)) + " ago"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
