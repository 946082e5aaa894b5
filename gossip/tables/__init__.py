"""Replicated tables: owned rows, shared rows, the roster, and how they spread and are repaired."""
