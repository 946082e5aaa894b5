"""The story: every operation whose promise is kept on a disk, once; and what its clients were told.

Its clients are patient: who finds a host dead waits until it runs and asks again, and what was not answered may have
happened or not. What was answered must be so in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import aiohttp

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm

MANAGER, WORKER, OTHER, SPARE = "h1", "h2", "h3", "h4"
HOSTS = (MANAGER, WORKER, OTHER, SPARE)
_TRIES = 8
_PATIENCE = 30.0


class NotDone(Exception):
    """The swarm did not do what a patient client asked of it."""


@dataclass(slots=True)
class Told:
    """What clients know: acknowledged and not taken back. containers: name to host; networks by name; away: hosts that
    left or were removed."""

    containers: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    removed_networks: dict[str, None] = field(default_factory=dict)
    removed_nodes: dict[str, None] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    away: dict[str, None] = field(default_factory=dict)


class Story:
    """`play` does all of it; `step` names where it is."""

    def __init__(self, swarm: SimulatedSwarm) -> None:
        self.swarm = swarm
        self.told = Told()
        self.step = ""
        self._left = ""

    async def play(self) -> None:
        for name, act in self.acts():
            self.step = name
            await act()
            await asyncio.sleep(0.4)

    def acts(self) -> list[tuple[str, Callable[[], Coroutine[object, object, None]]]]:
        """Each with its name, in their order."""
        return [
            ("init", self._init),
            ("join h2", lambda: self._join(WORKER, "Worker")),
            ("join h3", lambda: self._join(OTHER, "Manager")),
            ("join h4", lambda: self._join(SPARE, "Worker")),
            ("create small", lambda: self._create(MANAGER, "small", "10.9.0.0/27")),
            ("create wide", lambda: self._create(OTHER, "wide", None)),
            ("run on small", lambda: self._run(MANAGER, "a1", "small")),
            ("run on small, h2", lambda: self._run(WORKER, "a2", "small")),
            ("run on small, h3", lambda: self._run(OTHER, "a3", "small")),
            ("run on wide", lambda: self._run(SPARE, "b4", "wide")),
            ("many on small", self._many),
            ("promote h2", lambda: self._role(WORKER, "manager")),
            ("demote h3", lambda: self._role(OTHER, "worker")),
            ("rm containers", self._remove_containers),
            ("create brief", lambda: self._create(MANAGER, "brief", None)),
            ("network rm brief", lambda: self._remove_network(MANAGER, "brief")),
            ("leave h4", self._leave),
            ("node rm h4", self._remove_node),
            ("create after", lambda: self._create(WORKER, "after", None)),
            ("run after", lambda: self._run(OTHER, "c3", "after")),
        ]

    # -- asking -------------------------------------------------------------------------------------------------

    async def ask(
        self, host: str, method: str, path: str, body: object = None, *, done: tuple[str, ...] = ()
    ) -> object:
        """The answer; None when an earlier try, which nobody answered, turns out to have been done: its refusal has one
        of the texts in `done`. Raises NotDone."""
        unanswered, refusal = False, ""
        for _ in range(_TRIES):
            await self.up(host)
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await self.swarm.api(host, method, path, body)
            except ApiRefused as refused:
                refusal = refused.message
                if unanswered and any(text in refusal for text in done):
                    await self._knows(host)
                    unanswered = False
                    continue
                if "internal error" in refusal:
                    raise NotDone(f"{self.step}: {host} {method} {path}: {refusal}") from refused
                if any(text in refusal for text in done):
                    return None
            except (aiohttp.ClientError, OSError):
                unanswered = True
            await asyncio.sleep(1.5)
        why = refusal or ("no answer" if unanswered else "")
        raise NotDone(f"{self.step}: {host} {method} {path}: {why}")

    async def up(self, host: str) -> None:
        await self.swarm.until(lambda: self.swarm.is_alive(host), 60, step=0.05)

    async def _knows(self, host: str) -> None:
        """Wait until a host that lost power has heard from the others what it may have forgotten."""

        def knows() -> bool:
            if not self.swarm.is_alive(host):
                return False
            gossip = self.swarm.hosts[host].engine.cluster.gossip
            return gossip is None or not gossip.in_doubt

        await self.swarm.until(knows, 60, step=0.1)

    def _active(self, host: str) -> bool:
        return host in self.swarm.hosts and self.swarm.hosts[host].engine.cluster.active

    # -- acts ---------------------------------------------------------------------------------------------------

    async def _init(self) -> None:
        body = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": self.swarm.addresses[MANAGER]}
        await self.ask(MANAGER, "POST", "/swarm/init", body, done=("already part of a swarm",))
        self.told.roles[MANAGER] = "manager"

    async def _join(self, host: str, role: str) -> None:
        """Asks the manager for the token anew: the one that answered before may be of a swarm that never came to be."""
        found = await self.ask(MANAGER, "GET", "/swarm")
        assert isinstance(found, dict)
        body = {
            "ListenAddr": "0.0.0.0:2377",
            "AdvertiseAddr": self.swarm.addresses[host],
            "RemoteAddrs": [f"{self.swarm.addresses[MANAGER]}:2377"],
            "JoinToken": found["JoinTokens"][role],
        }
        await self.ask(host, "POST", "/swarm/join", body, done=("already part of a swarm",))
        self.told.roles[host] = role.lower()
        await self._remove_ghosts(host)

    async def _remove_ghosts(self, host: str) -> None:
        """Who was admitted by a join whose answer it did not live to hear is in the roster under an id that nobody
        has: an operator removes it."""
        await self.up(host)
        node = self.swarm.hosts[host].engine.cluster.node_id
        nodes = await self.ask(MANAGER, "GET", "/nodes")
        assert isinstance(nodes, list)
        for ghost in [n["ID"] for n in nodes if n["Description"]["Hostname"] == host and n["ID"] != node]:
            if await self._is_manager(ghost):
                await self._set_role(ghost, "worker")
            await self.ask(MANAGER, "DELETE", f"/nodes/{ghost}?force=1", done=("not found",))
            self.told.removed_nodes[ghost] = None

    async def _create(self, host: str, name: str, subnet: str | None) -> None:
        body: dict[str, object] = {"Name": name, "Driver": "overlay", "Attachable": True}
        if subnet is not None:
            body["IPAM"] = {"Config": [{"Subnet": subnet}]}
        await self.ask(host, "POST", "/networks/create", body, done=("already exists",))
        self.told.networks[name] = host

    async def _run(self, host: str, name: str, network: str) -> None:
        body = {
            "Image": "alpine",
            "Cmd": ["sleep", "86400"],
            "HostConfig": {"NetworkMode": network, "RestartPolicy": {"Name": "always"}},
        }
        for _ in range(_TRIES):
            await self.ask(host, "POST", f"/containers/create?name={name}", body, done=("is already in use by",))
            started = await self.ask(host, "POST", f"/containers/{name}/start", done=("No such container",))
            if started is not None:
                break  # else a loss of power has taken it in between
        self.told.containers[name] = host

    async def _many(self) -> None:
        """More than each host's own share of the small network: ranges are given away."""
        for number in range(12):
            await self._run(WORKER, f"m{number}", "small")

    async def _role(self, host: str, role: str) -> None:
        await self._set_role(str((await self._node(MANAGER, host))["ID"]), role)
        self.told.roles[host] = role
        await self.swarm.until(
            lambda: self._active(host) and self.swarm.hosts[host].engine.cluster.is_manager == (role == "manager"), 30
        )

    async def _set_role(self, id: str, role: str) -> None:
        for _ in range(_TRIES):
            node = await self.ask(MANAGER, "GET", f"/nodes/{id}")
            assert isinstance(node, dict)
            if node["Spec"]["Role"] == role:
                return
            path = f"/nodes/{id}/update?version={node['Version']['Index']}"
            await self.ask(MANAGER, "POST", path, {**node["Spec"], "Role": role}, done=("update out of sequence",))

    async def _is_manager(self, id: str) -> bool:
        node = await self.ask(MANAGER, "GET", f"/nodes/{id}")
        return isinstance(node, dict) and node["Spec"]["Role"] == "manager"

    async def _node(self, manager: str, host: str) -> dict[str, object]:
        nodes = await self.ask(manager, "GET", "/nodes")
        assert isinstance(nodes, list)
        found = [n for n in nodes if n["Description"]["Hostname"] == host]
        if len(found) != 1:
            raise NotDone(f"{self.step}: {manager} lists {host} {len(found)} times")
        return dict(found[0])

    async def _remove_containers(self) -> None:
        for name in ("m0", "m1", "a1"):
            host = self.told.containers.pop(name)
            await self.ask(host, "DELETE", f"/containers/{name}?force=1", done=("No such container",))

    async def _remove_network(self, host: str, name: str) -> None:
        del self.told.networks[name]
        await self.ask(host, "DELETE", f"/networks/{name}", done=("not found",))
        self.told.removed_networks[name] = None

    async def _leave(self) -> None:
        await self.up(SPARE)
        node = self.swarm.hosts[SPARE].engine.cluster.node_id
        self.told.containers.pop("b4")
        await self.ask(SPARE, "POST", "/swarm/leave", done=("not part of a swarm",))
        self.told.away[SPARE] = None
        del self.told.roles[SPARE]
        self._left = node

    async def _remove_node(self) -> None:
        await self.swarm.until(lambda: self._active(MANAGER) and SPARE not in self.swarm.alive(MANAGER), 30)
        path = f"/nodes/{self._left}?force=1"
        await self.ask(MANAGER, "DELETE", path, done=("not found",))
        self.told.removed_nodes[self._left] = None
