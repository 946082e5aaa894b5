"""The swarm's networks on one host as Docker has them: on a host only when a container lands there, addresses from the
leader alone, endpoints by NetworkDB's events.

After moby's daemon/cluster/networks.go (AttachNetwork, 20 s: swarmRequestTimeout), daemon/container_operations.go
(findAndAttachNetwork), libnetwork/agent.go (handleEpTableEvent) and swarmkit's dispatcher, which tells a worker only of
networks that its tasks need (moby 36197, 25456, 41576).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from daemon.cluster.network_life import NetworkLife
from daemon.cluster.overlays import Overlays
from daemon.engine.container import Container
from daemon.engine.network import Endpoint, Network
from daemon.errors import BadParameter, ServerError
from gossip.node import GossipNode
from overlay.spec import EndpointFact
from scenarios.docker_model.directory import PatchedDirectory
from scenarios.docker_model.leader import Leader
from scenarios.docker_model.networkdb import DELETE, Event
from scenarios.docker_model.node import DockerNode

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine

ATTACH = 20.0
"""swarmRequestTimeout: seconds that an attachment may take."""
_RETRY = 0.5
_ANSWER = 5.0
_KIND = "docker-manager"
_TIMED_OUT = (
    "attaching to network failed, make sure your network options are correct and check manager logs: "
    "context deadline exceeded"
)


class _Life(NetworkLife):
    def __init__(self, engine: Engine, cluster: Cluster, overlays: DockerOverlays) -> None:
        super().__init__(engine, cluster)
        self._overlays = overlays

    async def remove(self, network: Network) -> None:
        """controlapi.RemoveNetwork: not while a task is on it, as the store says."""
        task = self._overlays.leader.in_use(network.id)
        if task:
            raise BadParameter(
                f"rpc error: code = FailedPrecondition desc = network {network.id} is in use by task {task}"
            )
        await super().remove(network)


class DockerOverlays(Overlays):
    """One manager, the leader: the one that was admitted first."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        super().__init__(engine, cluster)
        self.leader = Leader(engine.store, engine.world.swarm_id, lambda id: self._networks.get(id))
        self.life = _Life(engine, cluster, self)
        self._held: dict[tuple[str, str], str] = {}  # (network, address) -> holder

    @property
    def _node(self) -> DockerNode:
        node = self._running()
        assert isinstance(node, DockerNode)
        return node

    @property
    def _directory(self) -> PatchedDirectory:
        directory = self._engine.host_network.directory
        assert isinstance(directory, PatchedDirectory)
        return directory

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self, gossip: GossipNode) -> None:
        super().start(gossip)
        self.addresses = None
        self._node.events = self._event
        gossip.members.serve(_KIND, self._serve)
        if self._cluster.is_manager:
            self.leader.restore()
        # What containers of an earlier boot held is told to be over as soon as the leader hears.
        self._soon({"what": "keep", "node": gossip.node_id}, "agent's session")

    def stop(self) -> None:
        super().stop()
        self._held.clear()
        self._directory.clear()

    # -- which networks there are -------------------------------------------------------------------------------------

    def _visible(self, network: Network | None) -> Network | None:
        if network is None or self._cluster.is_manager or network.ingress or network.id in self._attached:
            return network
        return None

    def named(self, name: str) -> Network | None:
        return self._visible(super().named(name))

    def lookup(self, ref: str) -> Network | None:
        return self._visible(super().lookup(ref))

    async def ask_managers(self, ref: str) -> Network | None:
        """Only a manager knows, and is asked for 20 s (findAndAttachNetwork, AttachNetwork)."""
        deadline = self._running().now() + ATTACH
        while self._running().now() < deadline:
            try:
                answer = await self._ask({"what": "find", "ref": ref}, _ANSWER)
            except OSError:
                await asyncio.sleep(_RETRY)
                continue
            found = str(answer.get("network"))
            if not found:
                return None
            if found in self._networks:
                return self._networks[found]
            await self._running().pull(_RETRY)  # what the dispatcher would have sent with the task
        raise ServerError(f"Could not attach to network {ref}: context deadline exceeded")

    # -- this host on a network ---------------------------------------------------------------------------------------

    async def attach(self, network: Network) -> None:
        await super().attach(network)
        await self._node.join_network(network.id)

    def _bring_up(self, network: Network) -> None:
        new = network.id not in self._attached
        super()._bring_up(network)
        if new and network.ingress:
            self._engine.tasks.spawn(self._node.join_network(network.id), "join the ingress network")

    def _take_down(self, network: Network) -> None:
        attached = network.id in self._attached
        super()._take_down(network)
        if attached and self._gossip is not None:
            self._node.db.leave(network.id)

    async def request(self, network: Network, holder: str, wanted: str | None = None, *, version: int = 4) -> str:
        """AttachNetwork: the leader's, within 20 s."""
        gossip = self._running()
        if any(e.id == holder and e.shown_as for e in network.endpoints.values()):
            holder = f"lb-{holder}"
        deadline = gossip.now() + ATTACH
        question = {
            "what": "attach", "network": network.id, "node": gossip.node_id, "holder": holder, "version": version,
            "wanted": wanted or "",
        }  # fmt: skip
        while self._gossip is gossip and (left := deadline - gossip.now()) > 0:
            try:
                answer = await self._ask({**question, "left": left}, left)
            except OSError:
                await asyncio.sleep(min(_RETRY, left))
                continue
            address = str(answer.get("address") or "")
            if address:
                self._held[network.id, address] = holder
                return address
        self._soon({"what": "release", "node": gossip.node_id, "holder": holder, "address": ""}, "detach")
        raise ServerError(_TIMED_OUT)

    def _release(self, network: Network, cidr: str) -> None:
        if not cidr or self._gossip is None:
            return
        holder = self._held.pop((network.id, cidr), "")
        if holder:
            node = self._gossip.node_id
            self._soon({"what": "release", "node": node, "holder": holder, "address": cidr}, f"release {cidr}")

    def _put(self, network: Network, endpoint: Endpoint, container: Container) -> None:
        """addNWDBEndpoint... for both tables."""
        node = self._node
        value: dict[str, object] = {
            "node": node.node_id, "vtep": node.identity.address, "names": list(endpoint.names), "mac": endpoint.mac,
            "addresses": [address for address in (endpoint.address, endpoint.address6) if address],
        }  # fmt: skip
        node.db.put(network.id, endpoint.id, value)

    async def left(self, network: Network, endpoint: Endpoint) -> None:
        if self._gossip is not None:
            self._node.db.delete(network.id, endpoint.id)
        await super().left(network, endpoint)

    def _event(self, event: Event) -> None:
        """handleEpTableEvent and the driver's EventNotify."""
        if self._gossip is None or event.value.get("node") == self._gossip.node_id:
            return
        if event.what == DELETE:
            self._directory.remove(event.key)
            return
        value = event.value
        names, addresses = value.get("names"), value.get("addresses")
        self._directory.put(
            EndpointFact(
                event.network, event.key, str(value.get("node")), str(value.get("vtep")), str(value.get("mac")),
                tuple(map(str, addresses)) if isinstance(addresses, list) else (),
                tuple(map(str, names)) if isinstance(names, list) else (),
                super_frames=True,
            )
        )  # fmt: skip

    def learned(self, vni: int, mac: bytes, vtep: str) -> None:
        """A frame came through the tunnel."""
        for network in self._networks.values():
            if vni in network.vnis and network.id in self._attached:
                self._directory.learn(network.id, mac, vtep)

    # -- the leader, asked and asking -------------------------------------------------------------------------------

    async def _ask(self, question: dict[str, object], deadline: float) -> dict[str, object]:
        """Raises OSError when the leader does not answer."""
        gossip = self._running()
        leader = next(iter(self._cluster.nodes.managers().values()), None)
        if leader is None:
            raise ConnectionError("no leader")
        if leader == gossip.node_id:
            return await self._answer(question)
        found = json.loads(await gossip.ask(leader, _KIND, json.dumps(question).encode(), deadline=deadline))
        return dict(found)

    async def _serve(self, peer: str, payload: bytes) -> bytes:
        question = json.loads(payload)
        return json.dumps(await self._answer(dict(question))).encode()

    async def _answer(self, question: dict[str, object]) -> dict[str, object]:
        node = str(question.get("node"))
        match question.get("what"):
            case "find":
                found = super().lookup(str(question.get("ref")))
                return {"network": found.id if found is not None else ""}
            case "attach":
                try:
                    address = await self.leader.attach(
                        str(question["network"]), node, str(question["holder"]), int(str(question["version"])),
                        str(question["wanted"]), float(str(question["left"])),
                    )  # fmt: skip
                except TimeoutError:
                    address = ""
                return {"address": address}
            case "release":
                self.leader.release(node, str(question["holder"]), str(question["address"]))
            case "keep":
                holders = question.get("holders")
                self.leader.keep_only(node, list(map(str, holders)) if isinstance(holders, list) else [])
        return {}

    def _soon(self, question: dict[str, object], name: str) -> None:
        """The agent reports until it is heard."""
        self._engine.tasks.spawn(self._until_heard(question), name)

    async def _until_heard(self, question: dict[str, object]) -> None:
        gossip = self._gossip
        while gossip is not None and self._gossip is gossip:
            if question["what"] == "keep":
                question = {**question, "holders": list(self._held.values())}
            try:
                await self._ask(question, _ANSWER)
            except OSError:
                await asyncio.sleep(_RETRY)
                continue
            return
