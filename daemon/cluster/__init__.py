"""The swarm: who belongs to it, how one joins, and what all hosts know in common (networks, nodes, endpoints)."""
