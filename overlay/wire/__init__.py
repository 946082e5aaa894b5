"""What protocols look like in bytes: one module per protocol, each with parse and emit of a plain representation.

Law: what can be constructed can be emitted, and parsing that gives the same again (tests/overlay/wire).
Nothing here keeps state, and nothing here knows interfaces or sockets.
"""
