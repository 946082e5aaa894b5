"""`${name}` in a scenario. Variables and the matrix are known before a run, captures only while it goes on.

`$${name}` stays `${name}`, for shells inside containers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_NAME = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_.-]*)\}")


class UnknownVariable(KeyError):
    """`args[0]` is its name."""


def names_in(text: str) -> list[str]:
    return [match[2] for match in _NAME.finditer(text) if not match[1]]


def filled(text: str, known: Mapping[str, Any], *, later: Callable[[str], bool] | None = None) -> Any:
    """The text with its variables' values; a text that is one variable alone becomes the value itself.

    `later`: which names stay as they are, to be filled in while the run goes on (with `$${` kept too). Raises
    UnknownVariable.
    """
    whole = _NAME.fullmatch(text.strip())
    if whole and not whole[1] and whole[2] in known:
        return known[whole[2]]

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return match[0] if later is not None else match[0][1:]
        if match[2] in known:
            return str(known[match[2]])
        if later is not None and later(match[2]):
            return match[0]
        raise UnknownVariable(match[2])

    return _NAME.sub(one, text)


def combinations(matrix: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every choice of one value for each variable; one empty choice when there is no matrix."""
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))
