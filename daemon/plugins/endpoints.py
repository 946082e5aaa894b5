"""Endpoints of containers on plug-ins' networks: the calls that a place on such a network takes, in libnetwork's order.

The engine's own steps (daemon/engine/endpoints.py) call these around them; for networks of built-in drivers they do
nothing but watch through which network a container's way out goes: a plug-in is told when that begins or ends to be
its own (ProgramExternalConnectivity, RevokeExternalConnectivity).
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from daemon.engine.container import Container, EndpointSettings
from daemon.engine.network import Endpoint, Network
from daemon.errors import ApiError, ServerError
from daemon.plugins.drivers import Given, JoinAnswer, NetworkDriver
from daemon.plugins.frame_link import FrameLink
from daemon.plugins.ports import PORT_MAP, endpoint_options, port_options
from overlay.drivers.driver import Offer
from overlay.drivers.remote import StaticRoute, Wire

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

log = structlog.get_logger("plugins")

_KIND = "plugin-endpoint"  # in the store
_DEFAULT = ("0.0.0.0/0", "::/0")


@dataclass(slots=True)
class _Place:
    """How far an endpoint has come with its plug-in."""

    network: Network
    endpoint: Endpoint
    driver: NetworkDriver
    joined: bool = False
    link: FrameLink | None = None


class RemoteEndpoints:
    """Of this host's running containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._places: dict[str, _Place] = {}  # endpoint id
        self._ways_out: dict[str, str] = {}  # container id -> endpoint id

    async def clear_leftovers(self) -> None:
        """Endpoints that a daemon which was killed has left with its plug-ins; each is tried once."""
        for endpoint_id, data in self._engine.store.all(_KIND):
            left = json.loads(data)
            network = self._engine.networks.resolve_or_none(left["network"])
            self._engine.store.commit([(_KIND, endpoint_id, None)])
            if network is None:
                continue
            try:
                driver = await self._engine.remote.plugins.network_driver(network.driver)
                await driver.leave(network.id, endpoint_id)
                await driver.delete_endpoint(network.id, endpoint_id)
            except ApiError as error:
                log.warning("endpoint of a former run not removed", endpoint=endpoint_id, error=error.message)
            if network.ipam_driver != "default":
                for address in left["addresses"]:
                    await self._engine.remote.pools.release(network, address)

    # -- joining ------------------------------------------------------------------------------------------------

    async def join(
        self, network: Network, endpoint: Endpoint, container: Container, settings: EndpointSettings
    ) -> None:
        """CreateEndpoint and Join; the interface is ready to be put in. Raises Docker's errors; `leave` and `remove`
        undo as much as was done."""
        if not network.remote:
            return
        driver = await self._engine.remote.plugins.network_driver(network.driver)
        asked = Given(endpoint.address, endpoint.address6, endpoint.mac)
        ports = not network.internal and not self._published_elsewhere(container)
        options = endpoint_options(container, settings, ports=ports)
        given = await driver.create_endpoint(network.id, endpoint.id, asked, options)
        place = self._places[endpoint.id] = _Place(network, endpoint, driver)
        endpoint.address = endpoint.address or given.address
        endpoint.address6 = endpoint.address6 or given.address6
        endpoint.mac = endpoint.mac or given.mac
        kept = {"network": network.id, "addresses": [a for a in (endpoint.address, endpoint.address6) if a]}
        self._engine.store.commit([(_KIND, endpoint.id, json.dumps(kept).encode())])
        key = f"/run/docker/netns/{container.sandbox_id[:12]}"
        answer = await driver.join(network.id, endpoint.id, key, port_options(container))
        place.joined = True
        endpoint.prefix = answer.prefix
        await self._wire(place, answer)

    async def _wire(self, place: _Place, answer: JoinAnswer) -> None:
        if answer.frames is None:
            what = f"the kernel's interface {answer.source}" if answer.source else "no interface"
            raise ServerError(
                f'plug-in "{place.driver.name}" gave {what} and no frame socket; the simulated runtime takes only '
                "frame sockets (docs/plugins.md)"
            )
        link = place.link = FrameLink(
            answer.frames, place.endpoint.name, self._engine.tasks, super_frames=answer.super_frames
        )
        try:
            await link.connect()
        except OSError as error:
            reason = error.strerror or str(error) or "timed out"
            where = answer.frames.socket
            raise ServerError(f"failed to connect to the frame socket {where}: {reason.lower()}") from error
        routes = tuple(StaticRoute(*route) for route in answer.routes if route[0] not in _DEFAULT)
        wire = Wire(link.port, _offer(answer), routes, answer.mtu)
        self._engine.host_network.remote.prepare(place.endpoint.id, wire)
        if not (wire.offer.gateway or wire.offer.direct or place.network.internal or wire.offer.closed):
            self._engine.networks.gateway_bridge()

    async def look(self, container: Container) -> None:
        """EndpointOperInfo of all that the container has, its way out first, up to the one that publishes its ports
        (moby's getPortMapInfo). What comes of it nobody reads."""
        if not self._places or self._published_elsewhere(container) or self._through_bridge(container):
            return
        way_out = self._ways_out.get(container.id)
        mine = [place for place in self._places.values() if place.endpoint.container_id == container.id]
        for place in sorted(mine, key=lambda place: place.endpoint.id != way_out):
            await self._look_at(place)

    def _published_elsewhere(self, container: Container) -> bool:
        """Whether a network of a built-in driver publishes the container's ports."""
        way_out = self._way_out(container)
        return way_out is not None and way_out not in self._places and bool(port_options(container)[PORT_MAP])

    async def joined(self, endpoint: Endpoint, container: Container) -> None:
        """The interface is in."""
        await self._settle(container, joining=True)
        place = self._places.get(endpoint.id)
        if place is not None and not container.ports and not self._through_bridge(container):
            await self._look_at(place)
        await self.look(container)

    def _through_bridge(self, container: Container) -> bool:
        """Whether its way out is docker_gwbridge: that is then asked in place of its networks."""
        return any(each.container_id == container.id for each in self._engine.host_network.gateway_endpoints())

    @staticmethod
    async def _look_at(place: _Place) -> None:
        try:
            await place.driver.oper_info(place.network.id, place.endpoint.id)
        except ApiError as error:
            log.debug("no operational info", endpoint=place.endpoint.id, error=error.message)

    # -- leaving ------------------------------------------------------------------------------------------------

    async def leave(self, endpoint: Endpoint) -> None:
        """Before the interface is taken out."""
        place = self._places.get(endpoint.id)
        if place is None or not place.joined:
            return
        if self._ways_out.get(endpoint.container_id) == endpoint.id:
            del self._ways_out[endpoint.container_id]
            await self._revoke(place)
        await _once(place.driver.leave(place.network.id, endpoint.id), place, "Leave")
        if place.link is not None:
            place.link.close()

    async def left(self, endpoint: Endpoint, *, look: bool) -> None:
        """After it was taken out, or never came in."""
        container = self._engine.containers.find_or_none(endpoint.container_id) if endpoint.container_id else None
        if container is not None:
            if self._ways_out.get(container.id) == endpoint.id:
                del self._ways_out[container.id]
            await self._settle(container, joining=False)
            place = self._places.pop(endpoint.id, None)
            if look:
                await self.look(container)
        else:
            place = self._places.pop(endpoint.id, None)
            self._ways_out.pop(endpoint.container_id, None)
        if place is None:
            return
        self._engine.host_network.remote.abandon(endpoint.id)
        if place.link is not None:
            place.link.close()
        if await _once(place.driver.delete_endpoint(place.network.id, endpoint.id), place, "DeleteEndpoint"):
            self._engine.store.commit([(_KIND, endpoint.id, None)])

    # -- the way out --------------------------------------------------------------------------------------------

    async def _settle(self, container: Container, *, joining: bool) -> None:
        """Tell plug-ins whether the container's way out is theirs now."""
        if not self._places:
            return
        before = self._ways_out.get(container.id)
        after = self._way_out(container)
        if after == before:
            return
        if after is None:
            del self._ways_out[container.id]
        else:
            self._ways_out[container.id] = after
        old, new = self._places.get(before or ""), self._places.get(after or "")
        if old is not None:
            await self._revoke(old)
        if new is not None and not (joining and new.network.internal):
            options = port_options(container)
            try:
                await new.driver.program_external_connectivity(new.network.id, new.endpoint.id, options)
            except ApiError as error:
                if joining:
                    raise ServerError(
                        f"driver failed programming external connectivity on endpoint {container.name} "
                        f"({new.endpoint.id}): {error.message}"
                    ) from error
                log.warning("external connectivity not programmed", endpoint=new.endpoint.id, error=error.message)

    def _way_out(self, container: Container) -> str | None:
        if container.sandbox is None:
            return None
        network_id = self._engine.host_network.gateway_network(container.sandbox)
        network = next((n for n in self._engine.networks.all() if n.id == network_id), None)
        endpoint = network.endpoint_of(container.id) if network is not None else None
        return endpoint.id if endpoint is not None else network_id

    @staticmethod
    async def _revoke(place: _Place) -> None:
        call = place.driver.revoke_external_connectivity(place.network.id, place.endpoint.id)
        await _once(call, place, "RevokeExternalConnectivity")


async def _once(call: Coroutine[None, None, None], place: _Place, what: str) -> bool:
    """What ends something: a plug-in that is gone cannot keep it from ending. Whether it was told."""
    try:
        await call
    except ApiError as error:
        log.warning("plug-in call failed", call=what, endpoint=place.endpoint.id, error=error.message)
        return False
    return True


def _offer(answer: JoinAnswer) -> Offer:
    """The plug-in's gateway, or what its default static route says."""
    gateway, gateway6, direct = answer.gateway, answer.gateway6, False
    for destination, hop in answer.routes:
        if destination == _DEFAULT[0]:
            gateway, direct = gateway or hop, hop is None
        elif destination == _DEFAULT[1]:
            gateway6 = gateway6 or hop
    return Offer(gateway, direct, gateway6, closed=answer.no_gateway_service)
