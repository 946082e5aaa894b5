"""One end of a cable: the only thing that interfaces, switches, VTEPs and captures know of each other.

A `Port` is symmetrical: what one end transmits, the other end's receiver gets, at once and in the same call.
So that a burst cannot recurse through a chain of switches, *receivers only enqueue* or hand on to a switch;
work is done when the receiver's own pump runs. Wrappers (taps, faults) have the same two methods (smoltcp's
middleware devices).
"""

from __future__ import annotations

from collections.abc import Callable

Receiver = Callable[[bytes], None]


class Port:
    """One end of a cable. `gso_size` > 0 says: frames larger than the MTU are taken here, up to that many bytes
    (of the whole frame).

    Such a frame is one TCP super-segment with a right IP total length and right checksums; who takes it must
    either carry it whole or cut it with `overlay.stack.gso.segment` before it reaches a place that needs real MTU.
    A port that does not say so (0) never gets a frame larger than the MTU of the interface on it.
    """

    __slots__ = ("dropped", "gso_size", "peer", "receiver")

    def __init__(self, gso_size: int = 0) -> None:
        self.peer: Port | None = None
        self.receiver: Receiver | None = None
        self.gso_size = gso_size
        self.dropped = 0

    def transmit(self, frame: bytes) -> None:
        """Give a whole Ethernet frame (no FCS) to the other end; a frame that nobody takes is counted and gone."""
        peer = self.peer
        if peer is None or peer.receiver is None:
            self.dropped += 1
            return
        peer.receiver(frame)

    def on_receive(self, receiver: Receiver) -> None:
        """Say who takes the frames that the other end transmits. Setting it again replaces the receiver."""
        self.receiver = receiver

    def unplug(self) -> None:
        """Pull the cable out at both ends; what is transmitted afterwards is counted as dropped."""
        if self.peer is not None:
            self.peer.peer = None
            self.peer = None


def cable(gso_size: int = 0) -> tuple[Port, Port]:
    """Two ports joined: what one transmits the other receives. `gso_size` holds for both directions."""
    one, other = Port(gso_size), Port(gso_size)
    one.peer, other.peer = other, one
    return one, other


def splice(port: Port) -> tuple[Port, Port]:
    """Cut a cable in two where `port` is one end of it, and put somebody in between: the first port that comes back is
    joined to `port`, the second to what was its other end. Undone by `mend`."""
    inner, outer = Port(port.gso_size), Port(port.gso_size)
    far = port.peer
    port.peer, inner.peer = inner, port
    if far is not None:
        far.peer, outer.peer = outer, far
    return inner, outer


def mend(inner: Port, outer: Port) -> None:
    """Take out what `splice` put in; ends that were unplugged meanwhile stay so."""
    near, far = inner.peer, outer.peer
    if near is not None:
        near.peer = far
    if far is not None:
        far.peer = near
    inner.peer = outer.peer = None
