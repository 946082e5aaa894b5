"""The scenario language: a YAML file becomes a typed model, or one clear message with file, line and expectation."""
