"""Docker's tables, and its words for sizes and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def tabulate(text: str) -> str:
    """Lines of cells between tabs, as Go's text/tabwriter(10, 1, 3, ' ') lays them out: columns at least ten wide,
    three blanks between, the last cell of a line not padded. A column goes on as long as lines have it."""
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    for column in range(max(map(len, lines)) - 1):
        begin = 0
        while begin < len(lines):
            end = begin
            while end < len(lines) and len(lines[end]) > column + 1:
                end += 1
            width = max(10, *(len(cells[column]) + 3 for cells in lines[begin:end])) if end > begin else 0
            for i in range(begin, end):
                widths[i].append(width)
            begin = max(end, begin + 1)
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(cells, wide, strict=False)) + cells[-1]
        for cells, wide in zip(lines, widths, strict=True)
    )


def render(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table with its heading."""
    return tabulate("\n".join("\t".join(cells) for cells in (columns, *rows)))


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


def ago(created: float, now: float) -> str:
    """How long ago a time of the API (seconds) was: "2 minutes ago"."""
    return human_duration(max(0.0, now - created)) + " ago"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
