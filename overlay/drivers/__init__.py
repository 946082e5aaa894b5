"""Network drivers behind one protocol, as libnetwork's: what a network is made of, and how an endpoint joins it."""
