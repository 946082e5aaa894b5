"""What the daemons themselves noticed, for the timeline: members' views, containers. It explains; it never judges."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

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
    _seen: dict[str, int] = field(default_factory=dict)
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
                    self._seen.pop(host, None)

    def _at(self, wall: object) -> float:
        """A host's own clock may be wrong; an event cannot be later than now."""
        now = self.stage.swarm.now()
        at = float(wall) - self.wall if isinstance(wall, int | float) else now
        return at if now - 30 < at <= now else now

    async def _members(self, host: str) -> None:
        entries = await self.stage.swarm.control(host, "GET", f"/v1/events?since={self._seen.get(host, 0)}")
        if entries and entries[0]["n"] == 1 and self._seen.get(host, 0) > 1:
            self._seen[host] = 0
        for entry in entries:
            self._seen[host] = entry["n"]
            if entry["type"] == "member":
                member = str(entry["member"]).rpartition("-")[0] or entry["member"]
                text = f"sees {member} {entry['event']}" + (f" ({entry['reason']})" if entry.get("reason") else "")
                details = {k: entry.get(k) for k in ("state", "incarnation", "told_by", "accused_by")}
                self._add(Event(self._at(entry["when"]), "member", text, host, details={"member": member, **details}))

    async def _containers(self, host: str) -> None:
        since = self._since.get(host, self.wall)
        until = self.wall + self.stage.swarm.now()
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
