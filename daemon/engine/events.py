"""What happened on this host, for `docker events`: a bounded history and live listeners.

Events explain; nothing in the daemon decides by them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from daemon.engine.documents import JsonObject
from daemon.engine.filters import Filters

HISTORY = 256  # Docker's eventsLimit (daemon/events)
BACKLOG = 1024  # events that one listener may lag behind before it loses some


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `when` in nanoseconds since the epoch, unique and rising on this host."""

    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]
    scope: str
    when: int

    def to_api(self) -> JsonObject:
        """With the old top-level fields (status, id, from) that clients of container events still read."""
        body: JsonObject = {}
        if self.type == "container":
            body = {"status": self.action, "id": self.actor_id, "from": self.attributes.get("image", "")}
        elif self.type == "image":
            body = {"status": self.action, "id": self.actor_id}
        return body | {
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.actor_id, "Attributes": self.attributes},
            "scope": self.scope,
            "time": self.when // 1_000_000_000,
            "timeNano": self.when,
        }


class Events:
    """The host's events. `dropped` counts what slow listeners lost."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._listeners: list[asyncio.Queue[Event | None]] = []
        self._last = 0
        self.dropped = 0

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def publish(
        self, type: str, action: str, actor_id: str, attributes: dict[str, str] | None = None, scope: str = "local"
    ) -> Event:
        """Record an event and tell the listeners. Attributes as Docker's: name, image, container, type, exitCode, …"""
        self._last = max(self._last + 1, round(self._wall() * 1e9))
        event = Event(type, action, actor_id, dict(attributes or {}), scope, self._last)
        self._history.append(event)
        for queue in self._listeners:
            if queue.qsize() < BACKLOG:
                queue.put_nowait(event)
            else:
                self.dropped += 1
        return event

    async def stream(self, since: float | None, until: float | None, filters: Filters) -> AsyncGenerator[Event, None]:
        """Events from `since` (wall seconds; None: only new ones) to `until` (None: for ever), as they happen."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG + 1)
        self._listeners.append(queue)
        try:
            last = 0
            if since is not None:
                for event in list(self._history):
                    if event.when >= since * 1e9 and (until is None or event.when <= until * 1e9):
                        last = event.when
                        if wanted(event, filters):
                            yield event
            while True:
                remaining = None if until is None else until - self._wall()
                if remaining is not None and remaining <= 0:
                    return
                try:
                    async with asyncio.timeout(remaining):
                        new = await queue.get()
                except TimeoutError:
                    return
                if new is None:
                    return
                if new.when > last and wanted(new, filters):
                    yield new
        finally:
            self._listeners.remove(queue)

    def close(self) -> None:
        """End all streams."""
        for queue in self._listeners:
            queue.put_nowait(None)


def wanted(event: Event, filters: Filters) -> bool:
    """Docker's filters of events: values of one key are alternatives, keys are all needed."""
    if not filters:
        return True
    for key in filters:
        if key == "label":
            if not filters.match_labels("label", event.attributes):
                return False
        elif key == "event":
            # exec events carry the command after a colon: exec_start: ls
            if not any(event.action == v or event.action.startswith(f"{v}:") for v in filters.values(key)):
                return False
        elif key == "type":
            if event.type not in filters.values(key):
                return False
        elif key == "scope":
            if event.scope not in filters.values(key):
                return False
        elif key == "image":
            name = event.actor_id if event.type == "image" else event.attributes.get("image", "")
            bare = name.partition(":")[0]
            if not any(v in (name, bare) for v in filters.values(key)):
                return False
        elif not _is_actor(event, key, filters.values(key)):
            return False
    return True


def _is_actor(event: Event, kind: str, values: list[str]) -> bool:
    """Does one of `values` name (or begin the id of) the event's actor, which is a `kind`?"""
    if event.type != kind:
        return False
    name = event.attributes.get("name", "")
    return any(v == name or event.actor_id.startswith(v) for v in values)
