"""The five places where a packet can be changed or dropped, as in netfilter: what NAT and filters are written on.

Order for a packet from a wire:  prerouting → (route) → input → socket, or → forward → postrouting → wire.
Order for a packet of a local socket:  output → (route again if the destination changed) → postrouting → wire.
What a host sends to itself passes output and postrouting, crosses lo, then passes prerouting and input.
While a prerouting or output hook is set, fragments are put together before it (as conntrack makes Linux do);
they are cut again at the way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from overlay.wire.ipv4 import Packet

Hook = Callable[[Packet], Packet | None]


@dataclass(slots=True)
class Hooks:
    """A hook gets the packet and returns it (changed or not), another one, or None to drop it.

    `packet.in_interface` is set except in output; `packet.out_interface` in forward, output and postrouting.
    Whoever changes addresses or ports uses `Packet.rewrite`, which keeps the transport checksum right.
    None here means: nothing to ask, no cost.
    """

    prerouting: Hook | None = None
    input: Hook | None = None
    forward: Hook | None = None
    output: Hook | None = None
    postrouting: Hook | None = None
