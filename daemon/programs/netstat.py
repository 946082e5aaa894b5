"""netstat (busybox) and ss (iproute2): the container's sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs.interfaces import print_routes
from daemon.programs.options import parse, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import SocketInfo

#: RFC words to the kernel's.
STATES = {
    "SYN-SENT": "SYN_SENT",
    "SYN-RECEIVED": "SYN_RECV",
    "FIN-WAIT-1": "FIN_WAIT1",
    "FIN-WAIT-2": "FIN_WAIT2",
    "TIME-WAIT": "TIME_WAIT",
    "CLOSE-WAIT": "CLOSE_WAIT",
    "LAST-ACK": "LAST_ACK",
    "CLOSED": "CLOSE",
}
SS_STATES = {"ESTABLISHED": "ESTAB", "SYN-RECEIVED": "SYN-RECV", "CLOSED": "UNCONN", "": "UNCONN", "LISTEN": "LISTEN"}


def _state(row: SocketInfo) -> str:
    return row.state.replace("_", "-").upper()


def _end(address: tuple[str, int] | None, six: bool) -> str:
    if address is None:
        return ":::*" if six else "0.0.0.0:*"
    return f"{address[0]}:{address[1] or '*'}"


def _ss_end(address: tuple[str, int] | None, six: bool) -> str:
    """As iproute2: brackets; :: without IPV6_V6ONLY is shown as *."""
    if address is None or address[0] == "::":
        return f"{'*' if six else '0.0.0.0'}:{address[1] if address and address[1] else '*'}"
    host = f"[{address[0]}]" if six else address[0]
    return f"{host}:{address[1] or '*'}"


def _six(row: SocketInfo) -> bool:
    return ":" in row.local[0]


def _listens(row: SocketInfo) -> bool:
    return _state(row) == "LISTEN" or (row.protocol == "udp" and row.peer is None)


@program("netstat [-ral] [-tuwx] [-en]")
async def netstat(p: ProcessContext) -> int:
    """netstat [-r] [-al] [-tuw] [-n]"""
    options = parse(p.argv[1:], "raltuwxenWp")
    if "r" in options:
        await print_routes(p, netstat=True)
        return 0
    wanted = [name for letter, name in (("t", "tcp"), ("u", "udp"), ("w", "icmp")) if letter in options]
    wanted = wanted or ([] if "x" in options else ["tcp", "udp", "icmp"])
    what = "servers and established" if "a" in options else "only servers" if "l" in options else "w/o servers"
    if wanted:
        await p.print(
            f"Active Internet connections ({what})\nProto Recv-Q Send-Q Local Address           "
            "Foreign Address         State       "
        )
    for name in wanted:
        for row in p.sandbox.sockets():
            if row.protocol != name or not ("a" in options or _listens(row) == ("l" in options)):
                continue
            state = STATES.get(_state(row), _state(row))
            await p.print(
                f"{'raw' if name == 'icmp' else name:<5} {row.receive_queue:6} {row.send_queue:6} "
                f"{_end(row.local, _six(row)):<23} {_end(row.peer, _six(row)):<23} {state:<12}"
            )
    if "x" in options or len(wanted) == 3:
        await p.print(
            f"Active UNIX domain sockets ({what})\nProto RefCnt Flags       Type       State         I-Node Path"
        )
    return 0


@program("ss [-tuwaln4]", busybox=False)
async def ss(p: ProcessContext) -> int:
    """ss [-tuwaln] [-H]"""
    options = parse(
        p.argv[1:],
        "tuwxalnpeimos46HrO",
        {"tcp": "t", "udp": "u", "all": "a", "listening": "l", "numeric": "n", "no-header": "H", "summary": "s"},
    )
    wanted = [name for letter, name in (("t", "tcp"), ("u", "udp"), ("w", "icmp")) if letter in options]
    several = len(wanted) != 1
    wanted = wanted or ["udp", "tcp"]
    table: list[list[str]] = []
    if "H" not in options:
        table.append(
            [
                *(["Netid"] if several else []),
                "State",
                "Recv-Q",
                "Send-Q",
                "Local Address:Port",
                "Peer Address:Port",
                "Process",
            ]
        )
    for name in wanted:
        for row in p.sandbox.sockets():
            if row.protocol != name or not ("a" in options or _listens(row) == ("l" in options)):
                continue
            state = "ESTAB" if name == "udp" and row.peer is not None else SS_STATES.get(_state(row), _state(row))
            send = 128 if state == "LISTEN" else row.send_queue
            table.append(
                [
                    *([name] if several else []),
                    state,
                    str(row.receive_queue),
                    str(send),
                    _ss_end(row.local, _six(row)),
                    _ss_end(row.peer, _six(row)),
                    "",
                ]
            )
    if not table:
        return 0
    widths = [max(len(line[n]) for line in table) for n in range(len(table[0]))]
    for line in table:
        cells = [
            cell.rjust(width) if n in (len(line) - 3, len(line) - 2) else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        await p.print(" ".join(cells).rstrip() + " ")
    return 0
