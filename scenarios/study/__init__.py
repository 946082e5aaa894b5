"""Studies of the gossip protocol at scale: which experiments are run, and their tables and plots."""
