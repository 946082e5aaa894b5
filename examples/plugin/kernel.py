"""A network in the kernel: a bridge with a gateway's address, and a veth pair for each endpoint (needs root)."""

from __future__ import annotations

from contextlib import suppress

from pyroute2 import IPRoute, NetlinkError


class KernelNetwork:
    """The engine moves the pair's far end into its container. Every method blocks: call it in a thread."""

    def __init__(self, network_id: str, gateways: list[str]) -> None:
        self._bridge = f"ex-{network_id[:11]}"
        self._gateways = gateways

    def plug(self, endpoint_id: str, mac: str) -> str:
        """The name of the interface that is the container's. The bridge is made for the first one."""
        ours, theirs = f"ex{endpoint_id[:11]}", f"eg{endpoint_id[:11]}"
        with IPRoute() as ip:
            if not ip.link_lookup(ifname=self._bridge):
                self._make_bridge(ip)
            ip.link("add", ifname=ours, kind="veth", peer={"ifname": theirs, "address": mac})
            bridge = ip.link_lookup(ifname=self._bridge)[0]
            ip.link("set", index=ip.link_lookup(ifname=ours)[0], master=bridge, state="up")
        return theirs

    def _make_bridge(self, ip: IPRoute) -> None:
        ip.link("add", ifname=self._bridge, kind="bridge")
        index = ip.link_lookup(ifname=self._bridge)[0]
        for gateway in self._gateways:
            address, _, length = gateway.partition("/")
            ip.addr("add", index=index, address=address, prefixlen=int(length))
        ip.link("set", index=index, state="up")

    def unplug(self, endpoint_id: str) -> None:
        """The pair goes, wherever its far end is."""
        self._delete(f"ex{endpoint_id[:11]}")

    def close(self) -> None:
        self._delete(self._bridge)

    @staticmethod
    def _delete(name: str) -> None:
        with IPRoute() as ip, suppress(NetlinkError):
            for index in ip.link_lookup(ifname=name):
                ip.link("del", index=index)
