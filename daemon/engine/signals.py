"""Signals by name or number, as Docker's clients write them."""

from __future__ import annotations

from daemon.errors import BadParameter
from daemon.runtime.signals import Signals

_NUMBERS = {s.name.removeprefix("SIG"): int(s) for s in Signals}


def parse_signal(text: str) -> int:
    """9, "9", "KILL", "SIGKILL", "sigkill". Raises BadParameter with Docker's text."""
    if text.isdigit():
        number = int(text)
        if 1 <= number <= 64:
            return number
    elif (name := text.upper().removeprefix("SIG")) in _NUMBERS:
        return _NUMBERS[name]
    raise BadParameter(f"Invalid signal: {text}")
