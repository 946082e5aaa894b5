"""The memberlist wire format: bytes in, messages out, and back. Nothing here knows time, members or sockets."""
