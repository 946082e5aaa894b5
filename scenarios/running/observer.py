"""What the daemons themselves noticed, for the timeline: members' views, containers. It explains; it never judges."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, field
from typing import Any

from aiodocker.exceptions import DockerError

from scenarios.running.record import Event
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed

_EVERY = 1.0
_SHOWN = ("create", "start", "die", "stop", "kill", "destroy", "connect", "disconnect", "health_status", "restart")


@dataclass(slots=True)
class Observer:
    """Asks every host now and then what is new since."""

    stage: Stage
    wall: float
    _last: dict[str, dict[str, object]] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.look()

    async def look(self) -> None:
        for host in self.stage.swarm.addresses:
            if self.stage.swarm.is_up(host) and host not in self.stage.expected_down:
                try:
                    async with asyncio.timeout(2.0):
                        await self._members(host)
                        await self._containers(host)
                except (HostSilent, SwarmFailed, DockerError, TimeoutError, OSError):
                    continue  # asked again in a while

    def _at(self, wall: object) -> float:
        """A host's own clock may be wrong; an event cannot be later than now."""
        now = self.stage.swarm.now()
        at = float(wall) - self.wall if isinstance(wall, int | float) else now
        return at if now - 30 < at <= now else now

    async def _members(self, host: str) -> None:
        for entry in await self._news(host):
            self._last[host] = entry
            if entry["type"] == "member":
                member = str(entry["member"]).rpartition("-")[0] or entry["member"]
                text = f"sees {member} {entry['event']}" + (f" ({entry['reason']})" if entry.get("reason") else "")
                details = {k: entry.get(k) for k in ("state", "incarnation", "told_by", "accused_by")}
                self._add(Event(self._at(entry["when"]), "member", text, host, details={"member": member, **details}))

    async def _news(self, host: str) -> list[dict[str, Any]]:
        """What the host noticed since it was asked last. A daemon that was started again counts anew: then the entry
        that was the last is not there, or is another."""
        last = self._last.get(host)
        if last is None:
            return await self._entries(host, 0)
        found = await self._entries(host, int(str(last["n"])) - 1)
        if not found or (found[0]["n"] == last["n"] and found[0] != last):
            return await self._entries(host, 0)
        return found[1:] if found[0] == last else found

    async def _entries(self, host: str, since: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = await self.stage.swarm.control(host, "GET", f"/v1/events?since={since}")
        return entries

    async def _containers(self, host: str) -> None:
        since = self._since.get(host, self.wall)
        # Whole microseconds that have gone: asked for a moment ahead, the host would answer when that has come, and a
        # run that is looked at would be another than one that is not.
        until = math.floor((self.wall + self.stage.swarm.now()) * 1e6) / 1e6
        if until <= since:
            return
        self._since[host] = until
        client = self.stage.swarm.client(host)
        filters = json.dumps({"type": ["container", "network"]})
        async for found in client.json_lines("events", since=f"{since:.6f}", until=f"{until:.6f}", filters=filters):
            action = str(found["Action"])
            if action.split(":")[0] in _SHOWN:
                attributes = found["Actor"]["Attributes"]
                name = attributes.get("name") or found["Actor"]["ID"][:12]
                text = f"{found['Type']} {name}: {action}"
                self._add(Event(self._at(found["timeNano"] / 1e9), "container", text, host, details=dict(attributes)))

    def _add(self, event: Event) -> None:
        self.stage.record.events.append(event)
        self.stage.tell(event)
