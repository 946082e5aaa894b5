"""An endpoint on a switch: the cable between a sandbox's interface and a guarded port."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from overlay.bridge import Bridge, BridgePort
from overlay.drivers.driver import MAX_FRAME, Plug
from overlay.port import cable
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One that is plugged in."""

    bridge: Bridge
    port: BridgePort
    sandbox: Sandbox
    interface: str

    def unplug(self) -> None:
        """Pull the cable and take the interface out."""
        with suppress(KeyError):  # a sandbox that was closed has none
            self.sandbox.remove_interface(self.interface)
        self.bridge.remove_port(self.port)


def plug_in(
    bridge: Bridge,
    spec: EndpointSpec,
    sandbox: Sandbox,
    plug: Plug,
    *,
    mtu: int,
    isolated: bool = False,
    guarded: bool = True,
) -> Endpoint:
    """Give a sandbox an interface on a switch; one that routes for others is not `guarded`. NetworkError, and nothing
    was done, if it cannot have it."""
    theirs, ours = cable(MAX_FRAME)
    try:
        port = bridge.add_port(
            spec.id, ours, mtu=mtu, mac=spec.mac, addresses=spec.all_addresses, guarded=guarded, isolated=isolated
        )
    except ValueError as error:
        raise NetworkError(f"endpoint {spec.name}: {error}") from error
    try:
        sandbox.add_interface(
            plug.interface, mac=spec.mac, mtu=mtu, addresses=spec.all_addresses, port=theirs, index=plug.index
        )
    except (OSError, ValueError) as error:
        bridge.remove_port(port)
        raise NetworkError(f"failed to add interface {plug.interface} to sandbox: {error}") from error
    return Endpoint(bridge, port, sandbox, plug.interface)
