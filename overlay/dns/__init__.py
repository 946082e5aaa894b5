"""DNS inside the swarm: the embedded resolver of each container, and the shell that serves any answerer."""
