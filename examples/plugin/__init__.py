"""An example of a plug-in: a network driver and an IPAM driver in one process, for real engines and for shoal."""
