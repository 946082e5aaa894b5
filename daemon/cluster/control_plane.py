"""What a host's swarm is made of: who is a member, where things are, who gives addresses.

The daemon has one. It is handed in, so that a model of another system's control plane can stand under the same API and
above the same data path (scenarios/docker_model).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.cluster.overlays import Overlays
from gossip.node import GossipNode
from overlay.directory import Directory

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """gossip: takes what GossipNode takes. directory: where the data path reads FDB, neighbours and names. mtu_probing:
    whether TCP looks for paths that swallow large packets."""

    gossip: Callable[..., GossipNode] = GossipNode
    overlays: Callable[[Engine, Cluster], Overlays] = Overlays
    directory: Callable[[], Directory] = Directory
    mtu_probing: bool = True
