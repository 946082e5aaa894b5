"""Stacks joined by links with faults, on a clock made by hand: what the tests of the stack drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from overlay.stack.interface import Interface
from overlay.stack.stack import Stack
from overlay.wire.address import pack_ip, parse_cidr


@dataclass
class Link:
    """One direction's faults: shares of frames, delay in seconds, `rate` in bytes per second (0: none)."""

    delay: float = 0.005
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0
    queue: int = 200
    cut: bool = False
    busy_until: float = 0.0
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    keep: bool = False
    drop: Callable[[bytes], bool] | None = None


class Network:
    """`now` starts at 100 s. `run` goes from event to event; `programs` are called after each."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 100.0
        self.random = Random(seed)
        self.stacks: list[Stack] = []
        self.programs: list[Callable[[float], None]] = []
        self._heap: list[tuple[float, int, Stack, Interface, bytes]] = []
        self._count = 0

    def host(self) -> Stack:
        stack = Stack(Random(self.random.getrandbits(32)))
        stack.now = self.now
        self.stacks.append(stack)
        return stack

    def link(
        self, a: Stack, a_cidr: str, b: Stack, b_cidr: str, *, mtu: int = 1500, gso: int = 0, faults: Link | None = None
    ) -> tuple[Link, Link]:
        """Join two stacks by new interfaces with these addresses; both directions get copies of `faults`."""
        directions = []
        ends = []
        for stack, cidr in ((a, a_cidr), (b, b_cidr)):
            hardware = b"\x02\x42" + pack_ip(cidr.split("/")[0])[-4:]
            name = f"eth{len(stack.interfaces) - 1}"
            interface = stack.add_interface(name, hardware=hardware, mtu=mtu, transmit=lambda frame: None, gso_size=gso)
            stack.add_address(interface, *parse_cidr(cidr))
            ends.append((stack, interface))
        for (_, sender), (stack, receiver) in ((ends[0], ends[1]), (ends[1], ends[0])):
            link = Link() if faults is None else Link(**{**vars(faults), "frames": []})
            sender.transmit = self._sender(link, stack, receiver)
            directions.append(link)
        return directions[0], directions[1]

    def loopback(self, stack: Stack) -> None:
        link = Link(delay=0.0)
        stack.lo.transmit = self._sender(link, stack, stack.lo)

    def _sender(self, link: Link, stack: Stack, interface: Interface) -> Callable[[bytes], None]:
        def transmit(frame: bytes) -> None:
            random = self.random
            if link.keep:
                link.frames.append((self.now, frame))
            if link.cut or random.random() < link.loss or (link.drop is not None and link.drop(frame)):
                return
            for _ in range(2 if random.random() < link.duplicate else 1):
                when = self.now + link.delay
                if link.rate:
                    start = max(self.now, link.busy_until)
                    if (start - self.now) * link.rate > link.queue * 1500:
                        return
                    link.busy_until = start + len(frame) / link.rate
                    when = link.busy_until + link.delay
                if random.random() < link.reorder:
                    when += random.random() * 2 * link.delay
                self._count += 1
                heappush(self._heap, (when, self._count, stack, interface, frame))

        return transmit

    def step(self, limit: float) -> bool:
        """One event and all that happen at the same time; False if there is none before `limit`."""
        deadlines = [timer for stack in self.stacks if (timer := stack.next_timer()) is not None]
        if self._heap:
            deadlines.append(self._heap[0][0])
        if not deadlines or min(deadlines) > limit:
            self.now = limit
            return False
        self.now = max(self.now, min(deadlines))
        while self._heap and self._heap[0][0] <= self.now:
            _, _, stack, interface, frame = heappop(self._heap)
            stack.receive(interface, frame, self.now)
        for stack in self.stacks:
            stack.handle_timer(self.now)
            stack.flush(self.now)
        for program in self.programs:
            program(self.now)
        return True

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float = 600.0) -> bool:
        """Go on until it holds (True) or the time is over (False)."""
        limit = self.now + seconds
        for program in self.programs:
            program(self.now)
        while not until():
            if not self.step(limit):
                return until()
        return True
