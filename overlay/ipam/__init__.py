"""Pools and addresses of local scope, given out in Docker's order (libnetwork's default IPAM)."""
