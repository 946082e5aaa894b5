"""memberlist's TransmitLimitedQueue (queue.go): each message is sent a limited number of times, then never again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MULTIPLIER = 4
"""RetransmitMult of memberlist's LAN configuration, and of NetworkDB's own queues."""


@dataclass(slots=True)
class _Waiting:
    data: bytes
    sent: int = 0


@dataclass(slots=True)
class LimitedQueue:
    """A newer message about a subject takes the place of the older one."""

    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, subject: str, data: bytes) -> None:
        self._waiting.pop(subject, None)
        self._waiting[subject] = _Waiting(data)

    def take(self, overhead: int, limit: int, nodes: int) -> list[bytes]:
        """Messages for one packet, those that were sent least first; each counts as sent once more."""
        most = MULTIPLIER * math.ceil(math.log10(nodes + 1))
        taken: list[bytes] = []
        for subject, waiting in sorted(self._waiting.items(), key=lambda item: item[1].sent):
            size = len(waiting.data) + overhead
            if size > limit:
                continue
            limit -= size
            taken.append(waiting.data)
            waiting.sent += 1
            if waiting.sent >= most:
                del self._waiting[subject]
        return taken
