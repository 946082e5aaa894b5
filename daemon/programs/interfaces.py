"""ifconfig, route and arp, with busybox's output."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import Failure, parse, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import Interface


@program("ifconfig [-a] [INTERFACE] [ADDRESS] [netmask ADDRESS] [mtu NN] [up|down] ...")
async def ifconfig(p: ProcessContext) -> int:
    """ifconfig [-a] [INTERFACE [ADDRESS] [netmask MASK] [mtu N] [up|down]]"""
    words = [word for word in p.argv[1:] if word != "-a"]
    interfaces = p.sandbox.interfaces()
    if words:
        interfaces = [interface for interface in interfaces if interface.name == words[0]]
        if not interfaces:
            raise Failure(f"{words[0]}: error fetching interface information: Device not found")
    if len(words) > 1:
        _configure(p, interfaces[0], words[1:])
        return 0
    # The kernel lists them in the order they came up; busybox sorts lo last.
    for interface in sorted(interfaces, key=lambda one: (one.loopback, one.name)):
        if interface.up or words or "-a" in p.argv:
            await p.print(_block(interface))
    return 0


def _configure(p: ProcessContext, interface: Interface, words: list[str]) -> None:
    queue = list(words)
    address = mask = ""
    while queue:
        word = queue.pop(0)
        if word in ("up", "down"):
            p.sandbox.set_up(interface.name, word == "up")
        elif word in ("netmask", "mtu", "broadcast", "hw") and queue:
            value = queue.pop(0)
            if word == "netmask":
                mask = value
            elif word == "mtu":
                if not value.isdigit() or not 68 <= int(value) <= 65536:
                    raise Failure("SIOCSIFMTU: Invalid argument")
                interface.mtu = int(value)
        elif resolver.is_address(word.split("/")[0]):
            address = word
        else:
            raise Failure(f"bad address '{word}'")
    if address:
        text = address if "/" in address else f"{address}/{mask or '255.255.255.0'}"
        try:
            parsed = ipaddress.ip_interface(text)
        except ValueError:
            raise Failure(f"bad address '{address}'") from None
        for old in list(interface.addresses):
            p.sandbox.remove_address(interface.name, old)
        p.sandbox.add_address(interface.name, f"{parsed.ip}/{parsed.network.prefixlen}")


def _units(count: int) -> str:
    value, unit = float(count), "B"
    for name in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, name
    return f"{value:.1f} {unit}"


def _block(interface: Interface) -> str:
    counters = interface.counters
    pad = " " * 10
    kind = "Local Loopback  " if interface.loopback else f"Ethernet  HWaddr {interface.mac.upper()}  "
    rows = [f"{interface.name:<9} Link encap:{kind}"]
    for text in interface.addresses:
        address = ipaddress.ip_interface(text)
        if address.version == 6:
            scope = "Host" if address.is_loopback else "Link" if address.is_link_local else "Global"
            rows.append(f"{pad}inet6 addr: {text} Scope:{scope}")
        else:
            broadcast = "" if interface.loopback else f"  Bcast:{address.network.broadcast_address}"
            rows.append(f"{pad}inet addr:{address.ip}{broadcast}  Mask:{address.netmask}")
    flags = ["UP"] if interface.up else []
    flags += ["LOOPBACK"] if interface.loopback else ["BROADCAST"]
    flags += ["RUNNING"] if interface.up else []
    flags += [] if interface.loopback else ["MULTICAST"]
    c = counters
    return "\n".join(
        [
            *rows,
            f"{pad}{' '.join(flags)}  MTU:{interface.mtu}  Metric:1",
            f"{pad}RX packets:{c.rx_packets} errors:{c.rx_errors} dropped:{c.rx_dropped} overruns:0 frame:0",
            f"{pad}TX packets:{c.tx_packets} errors:{c.tx_errors} dropped:{c.tx_dropped} overruns:0 carrier:0",
            f"{pad}collisions:0 txqueuelen:{1000 if interface.loopback else 0} ",
            f"{pad}RX bytes:{c.rx_bytes} ({_units(c.rx_bytes)})  TX bytes:{c.tx_bytes} ({_units(c.tx_bytes)})",
            "",
        ]
    )


async def print_routes(p: ProcessContext, *, netstat: bool) -> None:
    """The kernel's table as route and netstat -r show it."""
    columns = "  MSS Window  irtt" if netstat else "Metric Ref    Use"
    await p.print(f"Kernel IP routing table\nDestination     Gateway         Genmask         Flags {columns} Iface")
    for route in p.sandbox.routes():
        network = ipaddress.ip_network(route.destination, strict=False)
        if network.version == 6:
            continue
        flags = "U" + ("G" if route.via else "") + ("H" if network.prefixlen == 32 else "")
        middle = "    0 0          0" if netstat else f"{route.metric:<6} 0        0"
        await p.print(
            f"{network.network_address!s:<15} {route.via or '0.0.0.0':<15} {network.netmask!s:<15} {flags:<5} "
            f"{middle} {route.interface}"
        )


@program("route [{add|del|delete}] [-net|-host] TARGET [gw GW] [netmask MASK] [dev IF]")
async def route(p: ProcessContext) -> int:
    """route [-n] | route add|del [-net|-host] TARGET [netmask MASK] [gw GW] [dev IF]"""
    words = [word for word in p.argv[1:] if word not in ("-n", "-e", "-net", "-host")]
    if not words:
        await print_routes(p, netstat=False)
        return 0
    verb, *rest = words
    given: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        if word in ("gw", "netmask", "dev", "metric") and rest:
            given[word] = rest.pop(0)
        else:
            given["target"] = word
    try:
        target = given.get("target", "")
        destination = (
            "0.0.0.0/0"
            if target == "default"
            else str(ipaddress.ip_network(f"{target}/{given['netmask']}" if "netmask" in given else target))
        )
        if verb == "add":
            p.sandbox.add_route(
                destination, via=given.get("gw"), interface=given.get("dev"), metric=int(given.get("metric", "0"))
            )
        elif verb in ("del", "delete"):
            p.sandbox.remove_route(destination, via=given.get("gw"), interface=given.get("dev"))
        else:
            raise Failure(f"bad command '{verb}'")
    except ValueError:
        raise Failure(f"can't resolve '{given.get('target', '')}'") from None
    except OSError as error:
        raise Failure(f"SIOC{'ADD' if verb == 'add' else 'DEL'}RT: {error.strerror}") from None
    return 0


@program("arp [-vn] [-i IF] -a [HOSTNAME]\n[-v] [-i IF] -d HOSTNAME\n[-v] [-i IF] -s HOSTNAME HWADDR")
async def arp(p: ProcessContext) -> int:
    """arp [-n] [-i IF] [-a] [HOST] | arp -d HOST | arp -s HOST HWADDR"""
    options = parse(p.argv[1:], "vnai:dsH:t:DA:p:")
    known = [
        entry
        for entry in p.sandbox.neighbours()
        if options.value("i", entry.interface) == entry.interface and ":" not in entry.ip
    ]
    if "d" in options or "s" in options:
        if not options.rest:
            raise Failure("need host name")
        address = await resolver.first(p, options.rest[0])
        if address is None:
            raise Failure(f"bad address '{options.rest[0]}'")
        if "s" in options:
            if len(options.rest) < 2:
                raise Failure("need hardware address")
            device = options.value("i") or next(
                (
                    r.interface
                    for r in p.sandbox.routes()
                    if r.via is None and ipaddress.ip_address(address) in ipaddress.ip_network(r.destination)
                ),
                "eth0",
            )
            p.sandbox.add_neighbour(address, options.rest[1], device)
            return 0
        found = [entry for entry in known if entry.ip == address]
        if not found:
            raise Failure(f"No ARP entry for {address}")
        p.sandbox.remove_neighbour(address, found[0].interface)
        return 0
    wanted = None
    if options.rest:
        wanted = await resolver.first(p, options.rest[0])
        if wanted is None:
            raise Failure(f"bad address '{options.rest[0]}'")
    shown = 0
    for entry in known:
        if wanted not in (None, entry.ip):
            continue
        shown += 1
        name = (
            "?"
            if "n" in options
            else next((names[0] for address, names in resolver.hosts(p) if address == entry.ip), "?")
        )
        hardware = f"{entry.mac} [ether] " if entry.mac else "<incomplete> "
        if entry.state == "PERMANENT":
            hardware += "PERM "
        await p.print(f"{name} ({entry.ip}) at {hardware} on {entry.interface}")
    if wanted is not None and not shown:
        await p.print(f"arp: in {len(known)} entries no match found")
    return 0
