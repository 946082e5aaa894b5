"""What this engine calls itself, to clients and to the other nodes."""

VERSION = "0.1.0"  # as in pyproject.toml; asking importlib.metadata would cost every daemon a MB
