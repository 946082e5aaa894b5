"""What a real Docker Swarm takes for the same things.

Source: measured once on a two-core Linux machine with three Docker 20.10 engines, each in network namespaces of its
own, joined into one swarm, driven by the docker command line; a host was cut off by setting its link down. Seconds
unless the name says otherwise. Not measured again by the demo: shown beside its own figures for scale.
"""

from __future__ import annotations

NETWORK_CREATE = 0.02
RUN_DETACHED = 0.80
NAME_REACHABLE = 0.061
"""From the return of `docker run` until another host's container gets an answer by the new name."""
PING_MS = 0.14
"""Round trip between containers on two hosts, milliseconds."""
OVERLAY_TCP_GBIT = 14.4
CUT_NAMES_GONE = 10.5
"""From the cut until the cut-off host's containers left DNS."""
CUT_NODE_DOWN = 11.9
HEAL_NAMES_BACK = 2.6
HEAL_NODE_READY = 6.0
MEMORY_MB = (83 + 39, 96 + 39)
"""dockerd and containerd, resident, per host: least and most."""
