"""Simulated hosts with Docker's control plane: `shoal sim FILE --model docker`."""

from __future__ import annotations

from collections.abc import Sequence

from aiodocker.exceptions import DockerError

from daemon.cluster.control_plane import ControlPlane
from daemon.host import Host
from daemon.underlay.tap import Capture, Captured
from scenarios.docker_model.directory import PatchedDirectory, source_of
from scenarios.docker_model.node import DockerNode
from scenarios.docker_model.overlays import DockerOverlays
from scenarios.invariants.snapshot import vni
from scenarios.running.simulated import SimulatedHosts
from scenarios.sim.swarm import SimulatedSwarm

# Linux's default for net.ipv4.tcp_mtu_probing is 0, and Docker does not touch it.
CONTROL_PLANE = ControlPlane(gossip=DockerNode, overlays=DockerOverlays, directory=PatchedDirectory, mtu_probing=False)


class _Snoop(Capture):
    """The vxlan device learns where a MAC is from what arrives."""

    def __init__(self, overlays: DockerOverlays) -> None:
        super().__init__(frozenset({"vxlan"}))
        self._overlays = overlays

    def offer(self, packet: Captured) -> None:
        if packet.kind == "vxlan" and packet.direction == "in":
            source = source_of(packet.data)
            if source is not None:
                self._overlays.learned(*source, packet.source[0])


def _prepare(swarm: SimulatedSwarm) -> None:
    swarm.control_plane = CONTROL_PLANE
    swarm.on_boot = _snoop


def _snoop(host: Host) -> None:
    overlays = host.engine.cluster.overlays
    assert isinstance(overlays, DockerOverlays)
    host.tap.captures.append(_Snoop(overlays))


class DockerHosts(SimulatedHosts):
    """As SimulatedHosts."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        super().__init__(names, seed, prepare=_prepare)

    async def forge(self, source: str, target: str, data: bytes) -> None:
        """Only into encrypted networks. Of the others Docker does not promise that nobody else can send on them: the
        kernel takes a packet from any host, and refuses it only where an FDB entry says otherwise (vxlan_snoop)."""
        number = int.from_bytes(data[4:7], "big")
        try:
            networks = await self.client(target).get("networks")
        except DockerError:
            return  # it is down
        if any(vni(network) == number and "encrypted" in (network["Options"] or {}) for network in networks):
            await super().forge(source, target, data)
