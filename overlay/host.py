"""All of one host's networking behind one object: its own stack, its LAN, bridges, VTEP, names and published ports."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from overlay.attachments import Attachments
from overlay.capture import Captured
from overlay.directory import Directory
from overlay.dns.names import Names
from overlay.dns.resolver import Resolver
from overlay.drivers.bridge import BridgeDriver
from overlay.drivers.driver import Driver
from overlay.drivers.ipvlan import IpvlanDriver
from overlay.drivers.macvlan import MacvlanDriver
from overlay.drivers.null import NullDriver
from overlay.drivers.overlay import OverlayDriver
from overlay.drivers.remote import RemoteDriver
from overlay.ipam.mac import mac_from_ip
from overlay.ipam.pool import AddressPool
from overlay.lan import Lan
from overlay.namespace import Joined
from overlay.nat.gateway import Gateway
from overlay.nat.listing import RuleLine
from overlay.nursery import Nursery
from overlay.parents import Parents
from overlay.publish.publisher import Publisher
from overlay.router import Router
from overlay.sandbox import Sandbox
from overlay.seal import Sealer
from overlay.spec import (
    HOST_BINDING,
    Attached,
    EndpointFact,
    EndpointSpec,
    GatewayEndpoint,
    MachineNetwork,
    NetworkError,
    NetworkSpec,
    PortMapping,
    Published,
    RealPorts,
    Underlay,
)
from overlay.tunnel import Tunnel
from overlay.wire.address import pack_ip, pack_mac

GATEWAY_BRIDGE = "docker_gwbridge"
_NO_INTERFACE = ("host", "null")
_INGRESS = "ingress-sbox"
_LAN_PREFIX = 24
_ROUTER = 254
_CLOSING = 1024

SeeFrame = Callable[[str, NetworkSpec, Captured], None]
"""Is called with the sandbox's name (the container's id), the network, and the frame."""


class HostNetwork:
    """One host's networking. Everything but start, stop, publish and unpublish is synchronous and does no I/O.

    `attach`/`detach` keep the directory's facts of this host's own endpoints; the daemon puts those of others
    (`directory.put(fact)`, `directory.remove(endpoint_id)`); putting its own a second time does no harm.
    """

    def __init__(
        self,
        *,
        hostname: str,
        address: str,
        underlay: Underlay,
        lan_peers: Callable[[], Sequence[str]],
        real_ports: RealPorts,
        random: Random,
        entropy: Callable[[int], bytes],
        wall: Callable[[], float],
        extra_addresses: Sequence[str] = (),
        on_link: Sequence[str] = (),
        machine: MachineNetwork | None = None,
        reflective_relay: bool = False,
        directory: Directory | None = None,
        mtu_probing: bool = True,
    ) -> None:
        """`on_link`: addresses outside of the LAN's subnet that other hosts have on it. `machine`: what the LAN's
        router forwards to; without it the LAN is all there is. `reflective_relay`: the LAN's switch sends frames back
        where they came from (802.1Qbg), as vepa wants. `directory`: another than an empty one of its own.
        `mtu_probing`: as Linux's net.ipv4.tcp_mtu_probing, of containers and host."""
        self.hostname = hostname
        self.address = address
        self.directory = directory if directory is not None else Directory()
        self._mtu_probing = mtu_probing
        self._counters: Counter[str] = Counter()
        self._random = Random(random.getrandbits(64))
        self._extra = tuple(each if "/" in each else f"{each}/{_LAN_PREFIX}" for each in extra_addresses)
        self._on_link = tuple(on_link)
        lan = ipaddress.IPv4Interface(f"{address}/{_LAN_PREFIX}").network
        self._router_ip = str(lan.network_address + _ROUTER)
        router_mac = pack_mac(mac_from_ip(self._router_ip))
        self._lan = Lan(
            underlay,
            lan_peers,
            router_mac=router_mac,
            router_ip=pack_ip(self._router_ip),
            reflective_relay=reflective_relay,
            counters=self._counters,
        )
        self._router = Router(
            address=pack_ip(self._router_ip),
            mac=router_mac,
            prefix_length=_LAN_PREFIX,
            random=self._child_random(),
            machine=machine,
            counters=self._counters,
        )
        self._tunnel = Tunnel(underlay, counters=self._counters)
        self._index = 1
        self._networks: dict[str, NetworkSpec] = {}
        self._attachments = Attachments(next_index=self._next_index, entropy=entropy, counters=self._counters)
        self._resolvers: dict[Sandbox, Resolver] = {}
        self._sandboxes: dict[Sandbox, None] = {}
        self._frame_watchers: list[SeeFrame] = []
        self._ingress: Sandbox | None = None
        self._closing = Nursery(_CLOSING)
        self._started = False
        self.host = self._sandbox(hostname)
        self.host.forwarding = True
        self._gateway = Gateway(self.host.hooks, clock=_loop_time, counters=self._counters)
        self._publisher = Publisher(self.host, self._gateway, real_ports, counters=self._counters)
        bridges = self._bridges = BridgeDriver(
            self.host,
            self._gateway,
            next_index=self._next_index,
            random=self._child_random(),
            counters=self._counters,
        )
        self._sealer = Sealer(address, entropy=entropy, counters=self._counters)
        overlays = OverlayDriver(
            self._tunnel,
            self.directory,
            self._sealer,
            random=self._child_random(),
            close_later=self._close_later,
        )
        parents = Parents(self.host, next_index=self._next_index, random=self._child_random(), counters=self._counters)
        self._drivers: dict[str, Driver] = {
            "bridge": bridges,
            "overlay": overlays,
            "macvlan": MacvlanDriver(parents, counters=self._counters),
            "ipvlan": IpvlanDriver(parents, counters=self._counters),
        }
        self._null = NullDriver()
        self.remote = RemoteDriver()

    async def start(self) -> None:
        """Bind VXLAN (4789) and the LAN (4788) on the underlay; OSError if they are taken."""
        await self._lan.start()
        try:
            await self._tunnel.start()
        except OSError:
            self._lan.stop()
            raise
        mac = mac_from_ip(self.address)
        wire = self.host.add_interface(
            "eth0",
            mac=mac,
            mtu=1500,
            addresses=[f"{self.address}/{_LAN_PREFIX}", *self._extra],
            port=self._lan.plug("eth0", mac=mac),
            index=self._next_index(),
        )
        wire.beneath = ""
        self.host.enable_ipv6("eth0")
        self.host.add_route("0.0.0.0/0", via=self._router_ip, interface="eth0")
        for address in self._on_link:
            self.host.add_route(f"{address}/32", interface="eth0")
        further = tuple(each.partition("/")[0] for each in self._extra)
        self._gateway.add_uplink("eth0", self.address, further=further)
        self._router.start(self._lan)
        self._started = True

    async def stop(self) -> None:
        """Unpublish everything, end resolvers, close every sandbox of this host. Idempotent."""
        if not self._started:
            return
        self._started = False
        await self._publisher.close()
        for resolver in list(self._resolvers.values()):
            await resolver.server.stop()
        self._resolvers.clear()
        for sandbox in list(self._sandboxes):
            self._empty(sandbox)
        for network_id in list(self._networks):
            self.delete_network(network_id)
        await self._closing.close()
        for sandbox in list(self._sandboxes):
            await sandbox.close()
        self._sandboxes.clear()
        await self._router.stop()
        await self._tunnel.stop()
        self._lan.stop()

    def create_network(self, spec: NetworkSpec, addresses: AddressPool | None = None) -> None:
        """Make a network (host and null need nothing and are only noted; what is no driver of ours is a plug-in's).

        `addresses` is the pool that the network's addresses come from: the overlay driver takes from that of the
        network named docker_gwbridge; without it one is made of the spec's first pool. An overlay with `ingress`
        puts the ingress sandbox on docker_gwbridge (it takes its .2, as in Docker). Idempotent by id.
        NetworkError: the bridge name or VNI is in use.
        """
        if spec.id in self._networks:
            return
        driver = self._driver(spec.driver)
        driver.create_network(spec)
        self._networks[spec.id] = spec
        if spec.ingress:
            self._ingress = self._sandbox(_INGRESS)
            self._attachments.open_ingress(self._ingress)
        if spec.name == GATEWAY_BRIDGE:
            self._attachments.open_bridge(spec, driver, addresses or _pool_of(spec), self._ingress)

    def delete_network(self, network_id: str) -> None:
        """Take it down; NetworkError while endpoints of this host are on it; nothing for an unknown id."""
        spec = self._networks.get(network_id)
        if spec is None:
            return
        if self._attachments.active(network_id):
            raise NetworkError(f"network {spec.name} id {network_id} has active endpoints")
        if spec.ingress:
            self._drop_ingress()
        if spec.name == GATEWAY_BRIDGE:
            self._attachments.close_bridge()
        del self._networks[network_id]
        self._driver(spec.driver).delete_network(network_id)

    def watch_frames(self, see: SeeFrame) -> Callable[[], None]:
        """Calls `see` with each frame at a container's interface on a network: what really left it and what really
        came, whatever the wire between looks like. The answer ends it."""
        self._frame_watchers.append(see)
        ends = [self._watch(sandbox, see) for sandbox in self._sandboxes]

        def end() -> None:
            if see in self._frame_watchers:
                self._frame_watchers.remove(see)
            for each in ends:
                each()

        return end

    def _watch(self, sandbox: Sandbox, see: SeeFrame) -> Callable[[], None]:
        def seen(captured: Captured) -> None:
            network = self._attachments.network_of(sandbox, captured.interface)
            if network is not None and see in self._frame_watchers:
                see(sandbox.name, network, captured)

        return sandbox.watch(seen)

    def new_sandbox(self, container_id: str) -> Sandbox:
        """An empty network namespace (lo only)."""
        return self._sandbox(container_id)

    async def remove_sandbox(self, sandbox: Sandbox) -> None:
        """Detach what is still attached, end its resolver, close it."""
        self._empty(sandbox)
        resolver = self._resolvers.pop(sandbox, None)
        if resolver is not None:
            await resolver.server.stop()
        self._sandboxes.pop(sandbox, None)
        await sandbox.close()

    def attach(self, spec: EndpointSpec, sandbox: Sandbox) -> Attached:
        """Plug a sandbox into a network: next ethN, addresses, routes; the default gateway and the interface on
        docker_gwbridge are settled anew by libnetwork's rule. NetworkError for an unknown network, or an endpoint that
        is attached already."""
        network = self._networks.get(spec.network_id)
        if network is None:
            raise NetworkError(f"network {spec.network_id} not found")
        if spec.id in self._attachments:
            raise NetworkError(f"endpoint with name {spec.name} already exists in network {network.name}")
        joined = self._attachments.attach(spec, network, self._driver(network.driver), sandbox)
        fact = EndpointFact(
            spec.network_id, spec.id, self.hostname, None, spec.mac, spec.addresses, spec.names, super_frames=True
        )
        self.directory.put(fact)
        return Attached(joined.interface, joined.gateway, joined.gateway6)

    def detach(self, endpoint_id: str) -> None:
        """Undo attach; nothing for an unknown id."""
        if self._attachments.detach(endpoint_id):
            self.directory.remove(endpoint_id)

    def rename(self, endpoint_id: str, names: Sequence[str]) -> None:
        """Other DNS names for an endpoint of this host (docker rename)."""
        fact = self.directory.fact(endpoint_id)
        if fact is not None:
            self.directory.put(replace(fact, names=tuple(names)))

    def link(self, client: str, server: str, services: Sequence[tuple[str, int]]) -> None:
        """Let one endpoint of a bridge network reach services ("tcp" or "udp", port) of another although the network
        forbids it (enable_icc=false); ends with either of them."""
        self._bridges.link(client, server, services)

    def encrypt_with(self, keys: Sequence[bytes]) -> None:
        """The swarm's keys for encrypted overlays: the first one seals, all of them open; none outside of a swarm."""
        self._sealer.use(keys)

    def gateway_network(self, sandbox: Sandbox) -> str | None:
        """Id of the network whose gateway is the sandbox's default route (the one that publishes its ports)."""
        best = self._attachments.default(sandbox)
        return best.network.id if best is not None else None

    def gateway_address(self, sandbox: Sandbox) -> str | None:
        """The sandbox's own address on the network of its default route: the target for `publish`."""
        best = self._attachments.default(sandbox)
        return best.spec.addresses[0].partition("/")[0] if best is not None else None

    def gateway_endpoints(self) -> list[GatewayEndpoint]:
        """What docker_gwbridge holds, for `network inspect` (names gateway_<sandbox id>)."""
        return self._attachments.gateway_endpoints()

    def start_resolver(
        self,
        sandbox: Sandbox,
        *,
        networks: Callable[[], Sequence[str]],
        links: Mapping[str, str],
        upstream: Sequence[str],
    ) -> None:
        """Serve 127.0.0.11:53 (UDP and TCP) inside the sandbox; one that is there already is replaced. `networks`: ids
        whose names it may ask, in order; `links`: alias → container name; `upstream`: resolvers for what is not ours,
        asked from inside the sandbox (so an internal network has none, as in Docker)."""
        before = self._resolvers.pop(sandbox, None)
        if before is not None:
            before.server.cancel()
        names = Names(self.directory, networks, self._name_of, links)
        resolver = Resolver(sandbox, names, upstream, random=self._child_random())
        resolver.server.start()
        self._resolvers[sandbox] = resolver

    async def publish(self, container_id: str, mappings: Sequence[PortMapping], target_ip: str) -> list[Published]:
        """Publish ports of a container; all or none. A mapping for all addresses comes back twice, as 0.0.0.0 and ::
        (Docker shows both). PortTaken / PublishFailed carry Docker's text."""
        return await self._publisher.publish(
            container_id,
            mappings,
            target_ip,
            target_ip6=self._address6(container_id),
            default_address=self._binding(container_id),
        )

    async def unpublish(self, container_id: str) -> None:
        """Close everything that was published for the container, and its connections."""
        await self._publisher.unpublish(container_id)

    def rules(self) -> list[RuleLine]:
        """What is translated and filtered between this host's networks and the outside."""
        bridge = self._drivers["bridge"]
        names = bridge.names() if isinstance(bridge, BridgeDriver) else {}
        return self._gateway.lines(names)

    @property
    def flows(self) -> int:
        """How many flows the gateway knows."""
        return len(self._gateway.flows)

    @property
    def counters(self) -> Mapping[str, int]:
        """Packets by kind and what was dropped why: vxlan_sent, vxlan_dropped_unknown_vni, arp_answered…"""
        return self._counters

    def _driver(self, name: str) -> Driver:
        return self._null if name in _NO_INTERFACE else self._drivers.get(name, self.remote)

    def _sandbox(self, name: str) -> Sandbox:
        sandbox = Sandbox(name, random=self._child_random())
        sandbox.stack.paths.probing = self._mtu_probing
        self._sandboxes[sandbox] = None
        for see in self._frame_watchers:
            self._watch(sandbox, see)
        return sandbox

    def _child_random(self) -> Random:
        return Random(self._random.getrandbits(64))

    def _next_index(self) -> int:
        self._index += 1
        return self._index

    def _name_of(self, network_id: str) -> str:
        spec = self._networks.get(network_id)
        return spec.name if spec is not None else ""

    def _way_out(self, container_id: str) -> Joined | None:
        sandbox = next((each for each in self._sandboxes if each.name == container_id), None)
        return self._attachments.default(sandbox) if sandbox is not None else None

    def _address6(self, container_id: str) -> str | None:
        best = self._way_out(container_id)
        addresses = best.spec.addresses if best is not None else ()
        return next((each.partition("/")[0] for each in addresses if ":" in each), None)

    def _binding(self, container_id: str) -> str:
        """Where ports without an address are published: an option of the network that is the way out."""
        best = self._way_out(container_id)
        return (best.network.options.get(HOST_BINDING) if best is not None else None) or "0.0.0.0"

    def _drop_ingress(self) -> None:
        sandbox, self._ingress = self._ingress, None
        if sandbox is not None:
            self._empty(sandbox)
            self._close_later(sandbox)

    def _close_later(self, sandbox: Sandbox) -> None:
        self._sandboxes[sandbox] = None  # `stop` closes those that had no time to close themselves
        self._closing.spawn(self._close(sandbox))

    async def _close(self, sandbox: Sandbox) -> None:
        await sandbox.close()
        self._sandboxes.pop(sandbox, None)

    def _empty(self, sandbox: Sandbox) -> None:
        for endpoint_id in self._attachments.empty(sandbox):
            self.directory.remove(endpoint_id)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _pool_of(spec: NetworkSpec) -> AddressPool:
    first = spec.pools[0]
    pool = AddressPool(first.subnet, ip_range=first.ip_range)
    for address in (first.gateway, *first.auxiliary.values()):
        if address:
            pool.request(address)
    return pool
