"""Runs a scenario: steps, faults, load, expectations and invariants over real processes or in simulated time."""
