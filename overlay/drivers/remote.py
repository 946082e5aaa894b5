"""The driver of networks that a plug-in makes: what the plug-in answered becomes an interface in the sandbox.

Talking to the plug-in is the daemon's affair (daemon/plugins). It leaves here, before an endpoint is attached, what the
plug-in's Join came to; this driver puts it in and takes it out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from overlay.drivers.driver import Offer, Plug
from overlay.port import Port
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A route that the plug-in wants; without a next hop the destination is on the link."""

    destination: str
    next_hop: str | None


@dataclass(frozen=True, slots=True)
class Wire:
    """What the plug-in gave an endpoint: the end of a cable, a way out, routes; `mtu` None is the network's."""

    port: Port
    offer: Offer
    routes: tuple[StaticRoute, ...] = ()
    mtu: int | None = None


class RemoteDriver:
    """Networks of plug-ins on one host."""

    def __init__(self) -> None:
        self._networks: dict[str, NetworkSpec] = {}
        self._prepared: dict[str, Wire] = {}
        self._plugged: dict[str, tuple[Sandbox, str, Wire]] = {}

    def prepare(self, endpoint_id: str, wire: Wire) -> None:
        """What `join` will put in."""
        self._prepared[endpoint_id] = wire

    def abandon(self, endpoint_id: str) -> None:
        """It will not be joined after all."""
        self._prepared.pop(endpoint_id, None)

    def create_network(self, spec: NetworkSpec) -> None:
        """The plug-in has made it."""
        self._networks[spec.id] = spec

    def delete_network(self, network_id: str) -> None:
        """The plug-in takes it down."""
        self._networks.pop(network_id, None)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """Put in what was prepared. NetworkError: nothing was, or the sandbox cannot have it."""
        wire = self._prepared.pop(spec.id, None)
        if wire is None:
            raise NetworkError(f"endpoint {spec.name}: its plug-in gave no interface")
        try:
            sandbox.add_interface(
                plug.interface,
                mac=spec.mac,
                mtu=wire.mtu or self._networks[spec.network_id].mtu,
                addresses=spec.all_addresses,
                port=wire.port,
                index=plug.index,
            )
        except (OSError, ValueError) as error:
            raise NetworkError(f"failed to add interface {plug.interface} to sandbox: {error}") from error
        try:
            for route in wire.routes:
                sandbox.add_route(route.destination, via=route.next_hop, interface=plug.interface)
        except (OSError, ValueError) as error:
            sandbox.remove_interface(plug.interface)
            raise NetworkError(f"failed to add static route {route.destination}: {error}") from error
        self._plugged[spec.id] = sandbox, plug.interface, wire
        return wire.offer

    def leave(self, endpoint_id: str) -> None:
        """Take the interface out, its routes with it."""
        sandbox, interface, wire = self._plugged.pop(endpoint_id)
        with suppress(KeyError):  # a sandbox that was closed has none
            sandbox.remove_interface(interface)
        wire.port.unplug()
