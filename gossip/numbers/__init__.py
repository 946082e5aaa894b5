"""Number spaces: rings of owned ranges, from which each host gives without asking (after Weave Net's IPAM)."""
