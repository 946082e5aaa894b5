"""--link on the default bridge when its containers may not talk to each other: a link is the exception (--icc=false).

A container may reach the exposed ports of those that it is linked to, and gets answers; nothing else. Links are looked
at again whenever either end starts, as its place on the bridge is a new one then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.container_names import split_link
from daemon.engine.published import split_port

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

_DEFAULT = "bridge"


def open_links(engine: Engine, container: Container) -> None:
    """Allow what this container's links allow, and those of others to it."""
    if engine.config.icc or _DEFAULT not in container.endpoints:
        return
    for other in engine.containers.all():
        if other is not container:
            _open(engine, container, other)
            _open(engine, other, container)


def _open(engine: Engine, client: Container, server: Container) -> None:
    linked = [split_link(link)[0] for link in client.host_config.get("Links") or []]
    if not any(engine.containers.find_or_none(target) is server for target in linked):
        return
    ours, theirs = client.endpoints.get(_DEFAULT), server.endpoints.get(_DEFAULT)
    if ours is not None and theirs is not None:
        exposed = {**(server.config.get("ExposedPorts") or {}), **(server.host_config.get("PortBindings") or {})}
        services = [(protocol, port) for port, protocol in map(split_port, exposed)]
        engine.host_network.link(ours.endpoint_id, theirs.endpoint_id, services)
