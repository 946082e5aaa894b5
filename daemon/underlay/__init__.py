"""The one way in and out of a host: every datagram and stream that it exchanges with other hosts.

`contract` says what the rest may ask for; `sockets` gives it from the kernel, `faults` is a middleware with the same
shape that cuts, and `tap` one that counts and captures. Nothing above knows that faults or captures exist.
`real_ports` are the machine's sockets behind published ports.
"""

from daemon.underlay.contract import Accept, Address, Datagrams, Listener, Receive, Underlay

__all__ = ["Accept", "Address", "Datagrams", "Listener", "Receive", "Underlay"]
