"""/dev, /proc and /sys of a container: generated at each look from its processes and its network stack."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from daemon.runtime.nodes import Device, Directory, Generated, Node, Symlink, generated

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.runtime.container import Guest
    from daemon.runtime.process import Process
    from overlay.sandbox import Interface

TCP_STATES = {
    "ESTABLISHED": 1,
    "SYN-SENT": 2,
    "SYN-RECEIVED": 3,
    "FIN-WAIT-1": 4,
    "FIN-WAIT-2": 5,
    "TIME-WAIT": 6,
    "CLOSED": 7,
    "CLOSE-WAIT": 8,
    "LAST-ACK": 9,
    "LISTEN": 10,
    "CLOSING": 11,
}  # include/net/tcp_states.h
KERNEL = "6.1.0-shoal"


def _nothing(n: int) -> bytes:
    return b""


def _swallow(data: bytes) -> None:
    return


def _full(data: bytes) -> None:
    raise OSError(28, "No space left on device")


NULL = Device(_nothing, _swallow)
ZERO = Device(bytes, _swallow)
FULL = Device(bytes, _full)


def mount(guest: Guest) -> None:
    """Put them into the guest's files."""
    entropy = Device(lambda n: guest.world.entropy(min(n, 65536)), _swallow)
    devices: dict[str, Node] = {
        "null": NULL,
        "zero": ZERO,
        "full": FULL,
        "random": entropy,
        "urandom": entropy,
        "tty": NULL,
        "stdin": Symlink("/proc/self/fd/0"),
        "stdout": Symlink("/proc/self/fd/1"),
        "stderr": Symlink("/proc/self/fd/2"),
        "shm": Directory({}, 0o1777),
        "pts": Directory(),
    }
    guest.files.place("/dev", Directory(devices, owner=guest.files.tree))
    guest.files.place("/proc", Generated(lambda: _proc(guest)))
    guest.files.place("/sys", Generated(lambda: _sys(guest)))


def _text(content: Callable[[], str]) -> Device:
    return generated(lambda: content().encode("utf-8", "surrogateescape"))


def _proc(guest: Guest) -> dict[str, Node]:
    entries: dict[str, Node] = {
        str(process.pid): Generated(lambda process=process: _process(process))  # type: ignore[misc]
        for process in guest.processes()
    }
    newest = max((process.pid for process in guest.processes()), default=0)
    up = max(0.0, guest.world.wall() - guest.booted)
    entries.update(
        {
            "net": Generated(lambda: _net(guest)),
            "sys": Generated(lambda: _sysctl(guest)),
            "uptime": _text(lambda: f"{up:.2f} {up:.2f}\n"),
            "loadavg": _text(lambda: f"0.00 0.00 0.00 1/{len(guest.processes())} {newest}\n"),
            "version": _text(lambda: f"Linux version {KERNEL} (shoal@shoal) #1 SMP\n"),
            "meminfo": _text(
                lambda: "MemTotal:        1048576 kB\nMemFree:          524288 kB\nMemAvailable:     786432 kB\n"
            ),
            "cpuinfo": _text(lambda: "processor\t: 0\nmodel name\t: simulated\n\n"),
            "mounts": _text(lambda: _mounts(guest)),
            "filesystems": _text(lambda: "nodev\tproc\nnodev\tsysfs\n\toverlay\n"),
        }
    )
    return entries


def _mounts(guest: Guest) -> str:
    def line(source: str, path: str, kind: str, read_only: bool) -> str:
        return f"{source} {path} {kind} {'ro' if read_only else 'rw'},relatime 0 0\n"

    files = guest.files
    return (
        line("overlay", "/", "overlay", files.tree.read_only)
        + "proc /proc proc rw,nosuid,nodev,noexec 0 0\nsysfs /sys sysfs ro,nosuid,nodev,noexec 0 0\n"
        + "".join(line(mount.source, path, mount.kind, mount.read_only) for path, mount in files.mounts.items())
    )


def _process(process: Process) -> dict[str, Node]:
    env = process.context.env
    return {
        "cmdline": _text(lambda: "".join(word + "\0" for word in process.argv)),
        "comm": _text(lambda: process.name[:15] + "\n"),
        "environ": _text(lambda: "".join(f"{name}={value}\0" for name, value in env.items())),
        "status": _text(
            lambda: (
                f"Name:\t{process.name[:15]}\nState:\t{process.state} (sleeping)\nTgid:\t{process.pid}\n"
                f"Pid:\t{process.pid}\nPPid:\t{process.ppid}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
            )
        ),
        "stat": _text(lambda: f"{process.pid} ({process.name[:15]}) {process.state} {process.ppid} {process.group}\n"),
        "cgroup": _text(lambda: "0::/\n"),
        "mounts": _text(lambda: _mounts(process.guest)),
        "cwd": Symlink(process.cwd),
        "net": Generated(lambda: _net(process.guest)),
        "fd": Generated(lambda: {str(number): Symlink(f"/dev/fd/{number}") for number in process.descriptors}),
    }


def _sysctl(guest: Guest) -> dict[str, Node]:
    ipv4: dict[str, Node] = {
        "ip_forward": _text(lambda: f"{int(guest.sandbox.forwarding)}\n"),
        "ip_local_port_range": _text(lambda: "32768\t60999\n"),
    }
    kernel: dict[str, Node] = {
        "hostname": _text(lambda: guest.hostname + "\n"),
        "osrelease": _text(lambda: KERNEL + "\n"),
        "ostype": _text(lambda: "Linux\n"),
    }
    net: dict[str, Node] = {
        "ipv4": Generated(lambda: ipv4),
        "ipv6": Generated(lambda: {"conf": Generated(lambda: _ipv6_conf(guest))}),
    }
    return {"net": Generated(lambda: net), "kernel": Generated(lambda: kernel)}


def _ipv6_conf(guest: Guest) -> dict[str, Node]:
    """Docker switches IPv6 off everywhere, then on where an interface gets an address."""
    off = {"all": True, "default": True, **{each.name: not each.ipv6 for each in guest.sandbox.interfaces()}}
    nodes: dict[str, Node] = {}
    for name, value in off.items():
        nodes[name] = Directory({"disable_ipv6": _text(lambda value=value: f"{int(value)}\n")})  # type: ignore[misc]
    return nodes


def _hex_address(address: str) -> str:
    """Words of 32 bits, each with its bytes reversed."""
    packed = ipaddress.ip_address(address).packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(word[::-1].hex().upper() for word in words)


def _net(guest: Guest) -> dict[str, Node]:
    return {
        "dev": _text(lambda: _dev(guest)),
        "route": _text(lambda: _route(guest)),
        "arp": _text(lambda: _arp(guest)),
        "tcp": _text(lambda: _sockets(guest, "tcp")),
        "udp": _text(lambda: _sockets(guest, "udp")),
        "tcp6": _text(lambda: _sockets(guest, "tcp6")),
        "udp6": _text(lambda: _sockets(guest, "udp6")),
        "if_inet6": _text(lambda: _if_inet6(guest)),
    }


def _if_inet6(guest: Guest) -> str:
    """address, interface index, prefix length, scope (0x20 link, 0x10 host), flags (permanent, no DAD), name."""
    lines = []
    for interface in guest.sandbox.interfaces():
        for address, prefix in interface.assigned:
            if len(address) == 16:
                known = ipaddress.IPv6Address(address)
                scope = 0x10 if known.is_loopback else 0x20 if known.is_link_local else 0
                flags = 0x82 if address in interface.nodad else 0x80
                lines.append(
                    f"{address.hex()} {interface.index:02x} {prefix:02x} {scope:02x} {flags:02x} {interface.name:>8}\n"
                )
    return "".join(lines)


def _dev(guest: Guest) -> str:
    lines = [
        "Inter-|   Receive                                                |  Transmit",
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls"
        " carrier compressed",
    ]
    for interface in guest.sandbox.interfaces():
        c = interface.counters
        lines.append(
            f"{interface.name:>6}: {c.rx_bytes:7} {c.rx_packets:7} {c.rx_errors:4} {c.rx_dropped:4}    0     0"
            f"          0         0 {c.tx_bytes:8} {c.tx_packets:7} {c.tx_errors:4} {c.tx_dropped:4}    0     0"
            "       0          0"
        )
    return "\n".join(lines) + "\n"


def _route(guest: Guest) -> str:
    lines = ["Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"]
    for route in guest.sandbox.routes():
        network = ipaddress.ip_network(route.destination, strict=False)
        if network.version == 6:
            continue
        flags = 1 | (2 if route.via else 0) | (4 if network.prefixlen == 32 else 0)
        lines.append(
            f"{route.interface}\t{_hex_address(str(network.network_address))}\t"
            f"{_hex_address(route.via or '0.0.0.0')}\t{flags:04X}\t0\t0\t{route.metric}\t"
            f"{_hex_address(str(network.netmask))}\t0\t0\t0"
        )
    return "\n".join(lines) + "\n"


def _arp(guest: Guest) -> str:
    lines = ["IP address       HW type     Flags       HW address            Mask     Device"]
    for neighbour in guest.sandbox.neighbours():
        if ":" in neighbour.ip:
            continue
        flags = "0x0" if neighbour.mac is None else "0x6" if neighbour.state == "PERMANENT" else "0x2"
        lines.append(
            f"{neighbour.ip:<16} 0x1         {flags}         {neighbour.mac or '00:00:00:00:00:00'}     *"
            f"        {neighbour.interface}"
        )
    return "\n".join(lines) + "\n"


def _sockets(guest: Guest, protocol: str) -> str:
    lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"]
    rows = [
        row
        for row in guest.sandbox.sockets()
        if row.protocol == protocol.rstrip("6") and (":" in row.local[0]) == protocol.endswith("6")
    ]
    for number, row in enumerate(rows):
        peer = row.peer or ("::" if protocol.endswith("6") else "0.0.0.0", 0)
        state = TCP_STATES.get(row.state.replace("_", "-"), 7)
        lines.append(
            f"{number:4}: {_hex_address(row.local[0])}:{row.local[1]:04X} {_hex_address(peer[0])}:{peer[1]:04X}"
            f" {state:02X} {row.send_queue:08X}:{row.receive_queue:08X} 00:00000000 00000000     0        0"
            f" {1000 + number}"
        )
    return "\n".join(lines) + "\n"


def _sys(guest: Guest) -> dict[str, Node]:
    net: dict[str, Node] = {
        "net": Generated(
            lambda: {
                interface.name: Generated(lambda interface=interface: _interface(interface))  # type: ignore[misc]
                for interface in guest.sandbox.interfaces()
            }
        )
    }
    return {"class": Generated(lambda: net)}


def _interface(interface: Interface) -> dict[str, Node]:
    counters = interface.counters
    statistics: dict[str, Node] = {
        name: _text(lambda name=name: f"{getattr(counters, name)}\n")  # type: ignore[misc]
        for name in (
            "rx_packets",
            "rx_bytes",
            "rx_errors",
            "rx_dropped",
            "tx_packets",
            "tx_bytes",
            "tx_errors",
            "tx_dropped",
        )
    }
    loopback = interface.loopback
    return {
        "mtu": _text(lambda: f"{interface.mtu}\n"),
        "address": _text(lambda: f"{interface.mac or '00:00:00:00:00:00'}\n"),
        "operstate": _text(lambda: ("unknown" if loopback else "up" if interface.up else "down") + "\n"),
        "carrier": _text(lambda: f"{int(interface.up)}\n"),
        "ifindex": _text(lambda: f"{interface.index}\n"),
        "iflink": _text(lambda: f"{interface.index if loopback else interface.index + 1}\n"),
        "type": _text(lambda: "772\n" if loopback else "1\n"),
        "flags": _text(lambda: "0x9\n" if loopback else "0x1003\n"),
        "tx_queue_len": _text(lambda: "1000\n" if loopback else "0\n"),
        "statistics": Generated(lambda: statistics),
    }
