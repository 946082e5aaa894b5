"""Docker's swarm networking as its source and its users' reports describe it, under shoal's API and data path.

What is swapped is the control plane: where members, attachments, FDB, neighbours, names and addresses come from. Every
mechanism names the function or the report that it follows; docs/wounds.md has the list. Written from what they do, no
line of theirs is copied.
"""
