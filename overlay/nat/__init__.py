"""Connection tracking, address translation and the forwarding filter of a host, on its stack's hooks."""
