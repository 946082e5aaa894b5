"""Simulated time: whole daemons, unchanged, in one process on a virtual clock and an in-memory network."""
