"""What the `shoal` command and scenarios ask of a daemon beside Docker's API: status, faults, events, captures.

Its socket belongs to the machine, not to the simulated network: no fault reaches it.
"""
