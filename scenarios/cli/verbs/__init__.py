"""Docker's verbs, by what they act on. Importing this package puts them all on `shoal on`."""

from scenarios.cli import on
from scenarios.cli.verbs import containers, engine, execution, inspecting, networks, objects, settings, swarm, volumes

__all__ = [
    "containers",
    "engine",
    "execution",
    "inspecting",
    "networks",
    "objects",
    "on",
    "settings",
    "swarm",
    "volumes",
]
