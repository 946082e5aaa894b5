"""A small swarm of the real protocol objects in which everything that can happen does, in every order."""
