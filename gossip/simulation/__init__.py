"""Thousands of members in one process: this library's protocol objects on a virtual clock and a virtual network."""
