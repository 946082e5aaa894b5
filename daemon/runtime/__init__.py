"""Runtimes: what runs inside a container. `simulated` is coroutines on a user-space network stack."""
