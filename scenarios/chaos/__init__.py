"""Faults, live: what the control socket of each daemon is told to break, and to mend."""
