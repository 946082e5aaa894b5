"""A story of a swarm's life, done again and again with one host dying between two persisted steps of it."""
