"""SWIM with suspicion and Lifeguard, as protocol objects that do no I/O."""
