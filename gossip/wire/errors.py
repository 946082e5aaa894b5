"""The one error that decoders of this package raise."""

from __future__ import annotations


class WireError(Exception):
    """Bytes from the wire that are not what they should be; ``name`` is what it is counted under."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name
