"""The published ports of a host's containers: all of a container's, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from overlay.nat.gateway import Gateway
from overlay.publish.allocator import PortAllocator
from overlay.publish.port import OpenPort
from overlay.sandbox import Sandbox
from overlay.spec import PortMapping, Published, PublishFailed, RealPorts

_ANY = "0.0.0.0"
_ATTEMPTS = 10
"""How many ports of a range, or ephemeral ones, are tried (libnetwork's maxAllocatePortAttempts)."""


class Publisher:
    """Opens and closes published ports, by container."""

    def __init__(self, host: Sandbox, gateway: Gateway, real_ports: RealPorts, *, counters: Counter[str]) -> None:
        self._host = host
        self._gateway = gateway
        self._real_ports = real_ports
        self._counters = counters
        self._allocator = PortAllocator()
        self._open: dict[str, list[OpenPort]] = {}

    async def publish(
        self,
        container_id: str,
        mappings: Sequence[PortMapping],
        target_ip: str,
        *,
        target_ip6: str | None = None,
        default_address: str = _ANY,
    ) -> list[Published]:
        """Open them all towards `target_ip`, or `target_ip6` for IPv6 where there is one; PortTaken / PublishFailed and
        none is open. `default_address` is for the mappings that name none; 0.0.0.0 means :: as well then."""
        published: list[Published] = []
        opened: list[OpenPort] = []
        try:
            for mapping in mappings:
                port = await self._open_one(mapping, (target_ip, target_ip6), default_address)
                opened.append(port)
                published.extend(_describe(mapping, port))
        except BaseException:  # a cancelled request must not leave ports behind either
            for port in opened:
                await self._close(port)
            raise
        if opened:
            self._open.setdefault(container_id, []).extend(opened)
        return published

    async def unpublish(self, container_id: str) -> None:
        """Close all of a container's; nothing for one that has none."""
        for port in self._open.pop(container_id, []):
            await self._close(port)

    async def close(self) -> None:
        """Close everything."""
        for container_id in list(self._open):
            await self.unpublish(container_id)

    async def _open_one(
        self, mapping: PortMapping, targets: tuple[str, str | None], default_address: str
    ) -> OpenPort:
        address = mapping.host_ip or default_address
        chosen = mapping.host_port and mapping.host_port_end <= mapping.host_port
        refused: list[OpenPort] = []
        try:
            while True:
                number = self._allocator.request(
                    address, mapping.protocol, mapping.host_port, mapping.host_port_end or mapping.host_port
                )
                port = OpenPort(
                    self._host,
                    self._gateway,
                    self._real_ports,
                    protocol=mapping.protocol,
                    address=address,
                    both=not mapping.host_ip,
                    port=number,
                    target=(targets[0], mapping.container_port),
                    target6=(targets[1], mapping.container_port) if targets[1] is not None else None,
                    counters=self._counters,
                )
                # Kept allocated until one was found, so that the next attempt is another port.
                refused.append(port)
                try:
                    await port.open()
                except PublishFailed:
                    if chosen or len(refused) >= _ATTEMPTS:
                        raise
                else:
                    return refused.pop()
        finally:
            for port in refused:
                await self._close(port)

    async def _close(self, port: OpenPort) -> None:
        await port.close()
        self._allocator.release(port.address, port.protocol, port.port)


def _describe(mapping: PortMapping, port: OpenPort) -> list[Published]:
    real = ", ".join(f"[{ip}]:{number}" if ":" in ip else f"{ip}:{number}" for ip, number in port.bound) or None
    note = "; ".join(port.refused) or None
    if real is None:
        reason = f" ({note})" if note else ""
        note = f"port {port.port}/{port.protocol} is published inside the LAN only, not on this machine{reason}"
    shown = [_ANY, "::"] if port.both else [port.address]
    return [Published(mapping, address, port.port, real, note) for address in shown]
