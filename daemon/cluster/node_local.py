"""Networks of the swarm that every host makes for itself: any built-in driver but overlay, of swarm scope.

The swarm knows their name and driver alone, and the configuration network (`--config-from`) that each host has of its
own: its parent interface, its part of the LAN's addresses. A host makes its own of them when its first container joins
and forgets it with the last one; until then inspect shows no addresses, as in Docker. Names of macvlan and ipvlan
networks are known on all hosts, whose containers share a LAN; those of a bridge end at the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine import network_plan
from daemon.engine.network import Network, shown_pool
from daemon.errors import ApiError, ServerError

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

_FAILED = "attaching to network failed, make sure your network options are correct and check manager logs: "


def is_node_local(network: Network) -> bool:
    return network.scope == "swarm" and network.driver != "overlay"


def names_are_shared(network: Network) -> bool:
    """Whether other hosts resolve its containers' names (libnetwork's global connectivity scope)."""
    return network.driver == "overlay" or network.driver in network_plan.PARENTED


def blank(network: Network) -> None:
    """As it is where no container is on it."""
    network.ipam_driver, network.ipam_options = "", None
    network.ipam_config, network.wished_config, network.pools = [], [], ()
    network.options = {}
    network.enable_ipv6 = False
    if network.config_from:
        network.labels = {}


def make(engine: Engine, network: Network) -> None:
    """This host's own: from its configuration network, or of the defaults. Raises ServerError with the reason."""
    network.ipam_driver = "default"
    try:
        network_plan.check_single(network)
        if network.config_from:
            network_plan.inherit(network, engine.networks.resolve_or_none(network.config_from))
        if network.ipam_driver != "default":
            raise ServerError(f"IPAM driver {network.ipam_driver} has no addresses for a network of swarm scope")
        network_plan.check_options(network, engine.networks.all())
        wished = network_plan.wished_pools(network)
        engine.networks.pools.allocate(network, wished)
    except ApiError as error:
        blank(network)
        raise ServerError(_FAILED + error.message) from error
    network.ipam_options = network.ipam_options or None
    added = [] if network_plan.wishes_subnet(network, 4) else [shown_pool(network.pools[0])]
    network.ipam_config = network_plan.shown_config(network, added)


def unmake(engine: Engine, network: Network) -> None:
    """The reverse of make; nothing for one that this host has not made."""
    engine.networks.pools.give_back(network)
    blank(network)
