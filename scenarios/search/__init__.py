"""One scenario under many seeds: sweeps over cores and clusters, failing seeds kept, replayed and shrunk."""
