"""The Python API: a swarm for somebody's own programs and tests. See docs/testing.md."""

from scenarios.api.lines import Printed
from scenarios.api.relay import Listening
from scenarios.api.swarm import CommandFailed, Swarm

__all__ = ["CommandFailed", "Listening", "Printed", "Swarm"]
