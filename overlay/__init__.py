"""Packets, the user-space stack, switches, VTEPs, drivers, addresses, names and ports. Knows nothing of gossip."""
