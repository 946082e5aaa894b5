"""Prints goodput of our stack and of the kernel's on the same link, and their ratio.

    python -m scenarios.bench.goodput [--loss 5] [--delay 5] [--rate MBIT] [--seconds 4] [--kernel bbr cubic reno]

Needs root (a TAP in a network namespace). The link is a process of ours that loses, delays and limits frames; it is the
same for both pairs. Of each congestion control of the kernel: kernel to kernel, ours to kernel, kernel to ours.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
from random import Random

from scenarios.bench.goodput.ends import Unavailable, kernel_end, stack_end
from scenarios.bench.goodput.link import Conditions, Direction, carry
from scenarios.cli.table import render

A, B = "10.9.0.1", "10.9.0.2"
_PROCESSES = multiprocessing.get_context("fork")


class End:
    """A process at one side of the link."""

    def __init__(self, kind: str, address: str, other: str) -> None:
        self.control, theirs = socket.socketpair()
        self.control.settimeout(180)
        if kind == "kernel":
            self._process = _PROCESSES.Process(target=kernel_end, args=(theirs, address, other), daemon=True)
            self._process.start()
            theirs.close()
            said, fds, _, _ = socket.recv_fds(self.control, 200, 1)
            if not fds:
                self.close()
                raise Unavailable(said.decode().removeprefix("no ").strip())
            self.wire = fds[0]
        else:
            ours, wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for each in (ours, wire):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            ours.setblocking(False)
            self._process = _PROCESSES.Process(target=stack_end, args=(theirs, wire, address, other), daemon=True)
            self._process.start()
            theirs.close()
            wire.close()
            self.wire = ours.detach()
        self._lines = self.control.makefile()

    def tell(self, line: str) -> None:
        self.control.sendall(line.encode() + b"\n")

    def hear(self) -> str:
        return self._lines.readline().strip()

    def close(self) -> None:
        self.control.close()
        self._process.terminate()
        self._process.join()


def measure(sender: tuple[str, str], receiver: tuple[str, str], conditions: Conditions, seconds: float) -> float:
    """Mbit/s of payload from one end to the other; an end is (kind, congestion control). Unavailable."""
    ends: list[End] = []
    stop, stopped = socket.socketpair()
    try:
        ends.append(End(receiver[0], A, B))
        ends.append(End(sender[0], B, A))
        far, near = ends
        random = Random(1)
        link = _PROCESSES.Process(
            target=carry,
            args=(
                (
                    Direction(near.wire, far.wire, conditions, random),
                    Direction(far.wire, near.wire, conditions, random),
                ),
                stopped.fileno(),
            ),
            daemon=True,
        )
        link.start()
        far.tell(f"listen {receiver[1]}")
        if far.hear() != "ready":
            raise RuntimeError("the receiver did not listen")
        near.tell(f"send {sender[1]} {seconds}")
        sent, _, written = near.hear().split()
        size, took, read = far.hear().split()
        if (sent, written) != (size, read):
            raise RuntimeError(f"{size} bytes arrived of {sent}, or others")
        stop.send(b"x")
        link.join(10)
        return int(size) * 8 / float(took) / 1e6
    finally:
        stop.close()
        stopped.close()
        for end in ends:
            os.close(end.wire)
            end.close()


def main() -> int:
    """Exit status 1 when the machine does not allow it."""
    parser = argparse.ArgumentParser("python -m scenarios.bench.goodput", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--loss", type=float, default=5, help="%% of frames, each direction (5)")
    parser.add_argument("--delay", type=float, default=5, help="milliseconds, each direction (5)")
    parser.add_argument("--rate", type=float, default=0, help="Mbit/s of the link (0: as fast as the machine)")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--kernel", nargs="+", default=["bbr", "cubic", "reno"], metavar="CONTROL")
    parser.add_argument("--ours", nargs="+", default=["bbr"], metavar="CONTROL")
    options = parser.parse_args()
    conditions = Conditions(options.loss / 100, options.delay / 1000, options.rate * 125000)
    rows = []
    try:
        for name in options.kernel:
            kernel = ("kernel", name)
            base = measure(kernel, kernel, conditions, options.seconds)
            rows.append([f"kernel {name}", "kernel", f"{base:.1f}", "1.00"])
            for mine in options.ours:
                ours = ("stack", mine)
                out = measure(ours, kernel, conditions, options.seconds)
                rows.append([f"ours {mine}", "kernel", f"{out:.1f}", f"{out / base:.2f}"])
            back = measure(kernel, ("stack", options.ours[0]), conditions, options.seconds)
            rows.append([f"kernel {name}", "ours", f"{back:.1f}", f"{back / base:.2f}"])
    except Unavailable as reason:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 1
    print(render(["FROM", "TO", "MBIT/S", "OF KERNEL TO KERNEL"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
