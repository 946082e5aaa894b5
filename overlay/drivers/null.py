"""The drivers host and null: nothing to make, and nothing to join (a host container *is* in the host's sandbox)."""

from __future__ import annotations

from overlay.drivers.driver import Offer, Plug
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkSpec


class NullDriver:
    """Networks that are a name only."""

    def create_network(self, spec: NetworkSpec) -> None:
        """Nothing to make."""

    def delete_network(self, network_id: str) -> None:
        """Nothing was made."""

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """No interface comes of it."""
        return Offer()

    def leave(self, endpoint_id: str) -> None:
        """None was there."""
