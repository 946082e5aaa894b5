"""Goodput of the user-space TCP against the kernel's on one lossy link (python -m scenarios.bench.goodput)."""
