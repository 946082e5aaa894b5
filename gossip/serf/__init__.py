"""serf's layer on top of memberlist, as far as a member that is no serf agent must speak it to be a good neighbour."""
