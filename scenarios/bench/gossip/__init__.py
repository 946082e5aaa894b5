"""serf and this library side by side: the same figures, measured in turn on the same loopback."""
