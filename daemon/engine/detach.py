"""The keys that take a client off a terminal and leave the process running (moby's pkg/term)."""

from __future__ import annotations

from daemon.errors import BadParameter

DEFAULT = "ctrl-p,ctrl-q"
_CONTROLS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """"ctrl-p,ctrl-q", "a": the bytes that they type. BadParameter."""
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        control = key.removeprefix("ctrl-") if key.startswith("ctrl-") else ""
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif len(control) == 1 and "a" <= control <= "z":
            keys.append(ord(control) - ord("a") + 1)
        elif control in _CONTROLS:
            keys.append(_CONTROLS[control])
        else:
            raise BadParameter(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


class Escape:
    """Watches what is typed for the keys; a beginning of them is held back until it is clear what it is."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes through to the process, and whether the keys were typed."""
        through = bytearray()
        for byte in data:
            self._held += bytes([byte])
            while self._held and not self._keys.startswith(self._held):
                through.append(self._held[0])
                self._held = self._held[1:]
            if self._held == self._keys:
                self._held = b""
                return bytes(through), True
        return bytes(through), False
