"""Docker's Engine API over HTTP: versions 1.24 to 1.47, one module for each group of endpoints."""
