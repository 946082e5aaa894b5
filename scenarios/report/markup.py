"""HTML as text: escaping and elements, in one place, so that no output of a program becomes markup."""

from __future__ import annotations

import html
import re

_NODE = re.compile(r"\b([A-Za-z0-9][A-Za-z0-9-]*)-[a-z0-9]{25}\b")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def text(value: object) -> str:
    """Escaped; control characters are shown as a replacement."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def plain(words: str) -> str:
    """Members are told as `hostname-nodeid`: the host is enough."""
    return _NODE.sub(r"\1", words)


def tag(name: str, *inside: str, **attributes: object) -> str:
    """An element around markup. `class_` is class, data_at is data-at; an attribute of None is left out."""
    given = "".join(f' {key.strip("_").replace("_", "-")}="{text(value)}"'
                    for key, value in attributes.items() if value is not None)  # fmt: skip
    return f"<{name}{given}>{''.join(inside)}</{name}>"


def seconds(value: float | None) -> str:
    """For people: ms below a second."""
    if value is None:
        return ""
    if value != 0 and abs(value) < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.2f} s"


def moment(value: float | None) -> str:
    """A time of the run, always in seconds: moments are compared with one another."""
    return "" if value is None else f"{value:.3f} s"


def share(at: float, whole: float) -> str:
    """A place on the axis, in percent."""
    return f"{min(100.0, max(0.0, 100 * at / whole if whole else 0.0)):.3f}%"


def ticks(whole: float, about: int = 8) -> list[float]:
    """Round moments from 0 to the end."""
    if whole <= 0:
        return [0.0]
    step = 1e-6
    for step in (m * 10**e for e in range(-6, 7) for m in (1, 2, 5)):
        if whole / step <= about:
            break
    return [n * step for n in range(int(whole / step) + 1) if n * step < 0.985 * whole]
