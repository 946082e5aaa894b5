"""One host: the engine that joins gossip and overlay, the Docker API above, the runtimes below, the store beside."""
