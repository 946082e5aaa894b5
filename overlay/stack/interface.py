"""An interface of a stack: what it is called, which addresses it has, and where its frames go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from overlay.wire.address import ip_text, is_link_local, mac_text

LOOPBACK_MTU = 65536


@dataclass(slots=True)
class Counters:
    """What /proc/net/dev counts."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(slots=True, eq=False)
class Interface:
    """`transmit` takes whole Ethernet frames and must not call back into the stack.

    `gso_size`: the largest IP packet that `transmit` takes although it is above the MTU (0: none), TCP only.
    Without `arp` nobody is asked for a MAC: every frame goes to the interface's own, whoever is behind it sorts them.
    `assigned` are (packed address, prefix length) in Linux's order: IPv4 as they were added; IPv6 behind them, by
    scope, the newest first. `ipv6`: it takes IPv6 at all (Linux's disable_ipv6 is the reverse). `nodad`: addresses
    that were added without asking whether another has them. `beneath`: what it stands on, as `ip` shows it behind the
    @: the name of an interface of the same namespace ("eth0"), one of another by its index ("if7"), or nothing ("");
    None is a veth, whose other end was made right after it.
    """

    name: str
    index: int
    hardware: bytes
    mtu: int
    transmit: Callable[[bytes], None]
    gso_size: int = 0
    loopback: bool = False
    arp: bool = True
    up: bool = True
    ipv6: bool = False
    beneath: str | None = None
    assigned: list[tuple[bytes, int]] = field(default_factory=list)
    nodad: list[bytes] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    @property
    def mac(self) -> str:
        """The MAC as text."""
        return mac_text(self.hardware)

    @property
    def addresses(self) -> list[str]:
        """The addresses as text with prefix length: "10.0.1.2/24"."""
        return [f"{ip_text(address)}/{prefix}" for address, prefix in self.assigned]

    def assign(self, address: bytes, prefix: int) -> None:
        """Put an address where Linux lists it."""
        place = len(self.assigned)
        if len(address) == 16:
            reach = _reach(address)
            place = next(
                (n for n, (held, _) in enumerate(self.assigned) if len(held) == 16 and _reach(held) <= reach), place
            )
        else:
            place = next((n for n, (held, _) in enumerate(self.assigned) if len(held) == 16), place)
        self.assigned.insert(place, (address, prefix))

    def has(self, address: bytes) -> bool:
        """Whether the address is this interface's."""
        return any(held == address for held, _ in self.assigned)

    def send(self, frame: bytes) -> None:
        """Count and transmit; a downed interface drops."""
        counters = self.counters
        if not self.up:
            counters.tx_dropped += 1
            return
        counters.tx_packets += 1
        counters.tx_bytes += len(frame)
        self.transmit(frame)


def _reach(address: bytes) -> int:
    """How far an IPv6 address means something: a link's less than a global one."""
    return 0 if is_link_local(address) else 1
