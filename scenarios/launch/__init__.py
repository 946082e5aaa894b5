"""Starts and stops the daemons of a swarm as processes of this machine, and remembers which they are."""
