"""A stack's tables as an administrator reads them: what ip route, ip neigh, ss and netstat print from."""

from __future__ import annotations

from dataclasses import dataclass

from overlay.sockets import SocketInfo
from overlay.stack.stack import Stack
from overlay.wire.address import ip_text, mac_text


@dataclass(frozen=True, slots=True)
class Route:
    """One line of `ip route`. `via` and `source` are None where there is none; `kernel`: came with an address."""

    destination: str
    via: str | None
    interface: str
    source: str | None
    metric: int = 0
    kernel: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One line of `ip neigh`. `state`: REACHABLE, STALE, DELAY, PROBE, INCOMPLETE, FAILED, PERMANENT; `mac` None
    when it is not known."""

    ip: str
    mac: str | None
    interface: str
    state: str


def routes_of(stack: Stack) -> list[Route]:
    """The default routes first, then by destination."""
    entries = sorted(
        stack.routes.entries, key=lambda entry: (entry.prefix > 0, entry.network, entry.prefix, entry.metric)
    )
    return [
        Route(
            entry.destination,
            None if entry.via is None else ip_text(entry.via),
            entry.interface.name,
            None if entry.source is None else ip_text(entry.source),
            entry.metric,
            entry.kernel,
        )
        for entry in entries
        if entry.interface.up
    ]


def neighbours_of(stack: Stack) -> list[Neighbour]:
    """In the order in which they were met."""
    cache = stack.neighbours
    return [
        Neighbour(
            ip_text(entry.ip),
            None if entry.mac is None else mac_text(entry.mac),
            entry.interface.name,
            cache.state_of(entry).value,
        )
        for entry in cache.entries.values()
    ]


def sockets_of(stack: Stack) -> list[SocketInfo]:
    """Listeners, connections, then UDP and raw ICMP."""
    out: list[SocketInfo] = []
    for group in stack.tcp.listeners.values():
        for listener in group:
            local = (ip_text(listener.local_ip), listener.local_port)
            out.append(SocketInfo("tcp", "LISTEN", local, None, len(listener.ready), listener.backlog))
    for conn in stack.tcp.connections.values():
        out.append(
            SocketInfo(
                "tcp",
                conn.state.value,
                (_shown(conn.local_ip, conn.dual), conn.local_port),
                (_shown(conn.remote_ip, conn.dual), conn.remote_port),
                conn.inbox.held,
                len(conn.buffer),
            )
        )
    for endpoints in stack.udp.by_port.values():
        for endpoint in endpoints:
            peer = None if endpoint.peer is None else (ip_text(endpoint.peer[0]), endpoint.peer[1])
            out.append(SocketInfo("udp", "", (ip_text(endpoint.local_ip), endpoint.local_port), peer, endpoint.held, 0))
    for raw in stack.icmp.endpoints:
        waiting = sum(len(arrival.packet.payload) for arrival in raw.queue)
        out.append(SocketInfo("icmp", "", ("0.0.0.0", 1), None, waiting, 0))
    return out


def _shown(ip: bytes, dual: bool) -> str:
    """An IPv4 address as a socket of both families has it."""
    return f"::ffff:{ip_text(ip)}" if dual and len(ip) == 4 else ip_text(ip)
