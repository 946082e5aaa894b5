"""ip: addresses, links, routes and neighbours, with busybox's output."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, program

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext
    from overlay.sandbox import Interface, Route

USAGE = "ip [OPTIONS] address|route|link|neigh [ARGS]\n\nOPTIONS := -f[amily] inet|inet6|link | -o[neline] | -br[ief]"
OBJECTS = ("address", "route", "link", "neighbour", "neighbor")


@dataclass(slots=True)
class _View:
    """How it is to be shown."""

    family: int = 0
    oneline: bool = False
    brief: bool = False
    statistics: bool = False


@program(USAGE)
async def ip(p: ProcessContext) -> int:
    """ip [-4|-6] [-o] [-br] [-s] addr|link|route|neigh [show|add|del|get|set] …"""
    view = _View()
    words = p.argv[1:]
    while words and words[0].startswith("-"):
        flag = words.pop(0).lstrip("-")
        if flag in ("4", "6"):
            view.family = int(flag)
        elif flag in ("f", "family") and words:
            view.family = {"inet": 4, "inet6": 6, "link": -1}.get(words.pop(0), 0)
        elif flag and "oneline".startswith(flag):
            view.oneline = True
        elif flag and "brief".startswith(flag):
            view.brief = True
        elif flag and ("statistics".startswith(flag) or "stats".startswith(flag)):
            view.statistics = True
        elif flag and ("details".startswith(flag) or "color".startswith(flag) or flag == "c=never"):
            continue
        else:
            raise UsageError("")
    if not words:
        raise UsageError("")
    name = words.pop(0)
    target = next((known for known in OBJECTS if known.startswith(name)), None)
    if target is None:
        raise UsageError("")
    if target == "address":
        return await _address(p, view, words)
    if target == "link":
        return await _link(p, view, words)
    if target == "route":
        return await _route(p, view, words)
    return await _neighbours(p, view, words)


def _named(p: ProcessContext, name: str) -> Interface:
    for interface in p.sandbox.interfaces():
        if interface.name == name:
            return interface
    raise Failure(f"can't find device '{name}'")


def _flags(interface: Interface) -> str:
    words = ["LOOPBACK"] if interface.loopback else ["BROADCAST", "MULTICAST"]
    if not interface.arp:
        words.append("NOARP")
    return ",".join([*words, *(["UP", "LOWER_UP"] if interface.up else [])])


def _head(interface: Interface) -> str:
    queue = "noqueue" if interface.up else "noop"
    length = " qlen 1000" if interface.loopback else " "
    beneath = f"if{interface.index + 1}" if interface.beneath is None else interface.beneath
    shown = interface.name if interface.loopback or not beneath else f"{interface.name}@{beneath}"
    return f"{interface.index}: {shown}: <{_flags(interface)}> mtu {interface.mtu} qdisc {queue}{length}"


def _hardware(interface: Interface) -> str:
    kind = "loopback" if interface.loopback else "ether"
    broadcast = "00:00:00:00:00:00" if interface.loopback else "ff:ff:ff:ff:ff:ff"
    return f"    link/{kind} {interface.mac or '00:00:00:00:00:00'} brd {broadcast}"


def _scope(address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    if address.ip.is_loopback:
        return "host"
    return "link" if address.version == 6 and address.is_link_local else "global"


def _inet(interface: Interface, text: str) -> str:
    address = ipaddress.ip_interface(text)
    scope = _scope(address)
    if address.version == 6:
        nodad = "flags 02 " if address.ip.packed in interface.nodad else ""  # IFA_F_NODAD
        return f"    inet6 {text} scope {scope} {nodad}"
    broadcast = (
        "" if interface.loopback or address.network.prefixlen > 30 else f"brd {address.network.broadcast_address} "
    )
    return f"    inet {text} {broadcast}scope {scope} {interface.name}"


def _options(words: list[str], takes: tuple[str, ...], bare: str = "dev") -> dict[str, str]:
    """`dev eth0 scope global up`: keywords with a value; a bare first word is `bare`'s."""
    found: dict[str, str] = {}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word in takes:
            if not queue:
                raise Failure(f'argument of "{word}" is missing')
            found[word] = queue.pop(0)
        elif word in ("up", "dynamic", "permanent", "onlink", "all"):
            found[word] = ""
        elif bare not in found:
            found[bare] = word
        else:
            raise Failure(f'either "{bare}" is duplicate, or "{word}" is garbage')
    return found


def _verb(words: list[str], *verbs: str) -> str:
    if words:
        for verb in verbs:
            if verb.startswith(words[0]) and words[0] not in ("dev", "up", "to", "via", "scope"):
                words.pop(0)
                return verb
    return "show"


async def _address(p: ProcessContext, view: _View, words: list[str]) -> int:
    verb = _verb(words, "show", "list", "add", "del", "delete", "flush")
    if verb in ("add", "del", "delete"):
        given = _options(words, ("dev", "brd", "broadcast", "scope", "label"), bare="local")
        if "dev" not in given or "local" not in given:
            raise Failure('not enough information: "dev" argument is required')
        interface = _named(p, given["dev"])
        whole = "/128" if ":" in given["local"] else "/32"
        text = given["local"] if "/" in given["local"] else given["local"] + whole
        try:
            ipaddress.ip_interface(text)
        except ValueError:
            raise Failure(f"invalid argument '{given['local']}' to 'ip'") from None
        if ":" in text and not interface.ipv6:
            raise Failure("RTNETLINK answers: Permission denied", 2)  # disable_ipv6, as Docker sets it
        try:
            if verb == "add":
                p.sandbox.add_address(interface.name, text)
            else:
                p.sandbox.remove_address(interface.name, text)
        except OSError as error:
            raise Failure(f"RTNETLINK answers: {error.strerror}", 2) from None
        return 0
    given = _options(words, ("dev", "scope", "to", "label"))
    chosen = [_named(p, given["dev"])] if "dev" in given else p.sandbox.interfaces()
    for interface in chosen:
        addresses = [
            text
            for text in interface.addresses
            if view.family in (0, ipaddress.ip_interface(text).version)
            and given.get("scope") in (None, _scope(ipaddress.ip_interface(text)))
        ]
        if (view.family or "scope" in given) and not addresses:
            continue
        if verb == "flush":
            for text in addresses:
                p.sandbox.remove_address(interface.name, text)
            continue
        if view.brief:
            state = "UNKNOWN" if interface.loopback else "UP" if interface.up else "DOWN"
            name = interface.name if interface.loopback else f"{interface.name}@if{interface.index + 1}"
            await p.print(f"{name:<16} {state:<14} {' '.join(addresses)} ")
            continue
        if view.oneline:
            for text in addresses:
                await p.print(
                    f"{interface.index}: {interface.name}{_inet(interface, text)}\\       valid_lft forever"
                    " preferred_lft forever"
                )
            continue
        await p.print(_head(interface))
        if not view.family:
            await p.print(_hardware(interface))
        for text in addresses:
            await p.print(f"{_inet(interface, text)}\n       valid_lft forever preferred_lft forever")
    return 0


async def _link(p: ProcessContext, view: _View, words: list[str]) -> int:
    verb = _verb(words, "show", "list", "set", "add", "del", "delete")
    if verb in ("add", "del", "delete"):
        raise Failure("RTNETLINK answers: Operation not permitted", 2)
    if verb == "set":
        given = _options([word for word in words if word not in ("up", "down")], ("dev", "mtu", "name", "address"))
        if "dev" not in given:
            raise Failure('not enough information: "dev" argument is required')
        interface = _named(p, given["dev"])
        if "mtu" in given:
            if not given["mtu"].isdigit() or not 68 <= int(given["mtu"]) <= 65536:
                raise Failure("RTNETLINK answers: Invalid argument", 2)
            interface.mtu = int(given["mtu"])
        if "up" in words or "down" in words:
            p.sandbox.set_up(interface.name, "up" in words)
        return 0
    given = _options(words, ("dev",))
    for interface in [_named(p, given["dev"])] if "dev" in given else p.sandbox.interfaces():
        if view.brief:
            state = "UNKNOWN" if interface.loopback else "UP" if interface.up else "DOWN"
            name = interface.name if interface.loopback else f"{interface.name}@if{interface.index + 1}"
            await p.print(f"{name:<16} {state:<14} {interface.mac or '00:00:00:00:00:00'} <{_flags(interface)}> ")
            continue
        await p.print(_head(interface) + ("\\" if view.oneline else "\n") + _hardware(interface))
        if view.statistics:
            c = interface.counters
            await p.print(
                "    RX: bytes  packets  errors  dropped overrun mcast   \n"
                f"    {c.rx_bytes:<10} {c.rx_packets:<8} {c.rx_errors:<7} {c.rx_dropped:<7} 0       0      \n"
                "    TX: bytes  packets  errors  dropped carrier collsns \n"
                f"    {c.tx_bytes:<10} {c.tx_packets:<8} {c.tx_errors:<7} {c.tx_dropped:<7} 0       0      "
            )
    return 0


def _route_line(route: Route, view: _View) -> str:
    default = route.destination in ("0.0.0.0/0", "::/0")
    parts = ["default" if default else route.destination.removesuffix("/128" if ":" in route.destination else "/32")]
    if route.via:
        parts.append(f"via {route.via}")
    parts.append(f"dev {route.interface} ")
    line = " ".join(parts)
    if route.via is None and ":" not in route.destination:
        line += "scope link "
    if route.source:
        line += f" src {route.source} "
    if route.metric:
        line += f" metric {route.metric} "
    return line


async def _route(p: ProcessContext, view: _View, words: list[str]) -> int:
    verb = _verb(words, "show", "list", "get", "add", "del", "delete", "replace", "change", "append", "flush")
    if verb == "get":
        return await _route_get(p, words)
    given = _options(
        [word for word in words if word != "to"],
        ("dev", "via", "src", "metric", "scope", "proto", "table", "type"),
        bare="to",
    )
    if verb in ("add", "del", "delete", "replace", "change", "append"):
        return _change_route(p, verb, given, six=view.family == 6)
    wanted = {"default": "0.0.0.0/0" if view.family != 6 else "::/0"}.get(given.get("to", ""), given.get("to"))
    for route in p.sandbox.routes():
        version = 6 if ":" in route.destination else 4
        if version != (view.family if view.family > 0 else 4):
            continue
        if (
            (wanted is not None and route.destination != wanted)
            or given.get("dev", route.interface) != route.interface
            or given.get("via", route.via) != route.via
        ):
            continue
        if verb == "flush":
            p.sandbox.remove_route(route.destination, via=route.via, interface=route.interface)
            continue
        await p.print(_route_line(route, view))
    return 0


def _change_route(p: ProcessContext, verb: str, given: dict[str, str], *, six: bool) -> int:
    text = given.get("to", "")
    six = six or ":" in given.get("via", "")
    try:
        destination = str(ipaddress.ip_network(("::/0" if six else "0.0.0.0/0") if text == "default" else text))
        for address in (given.get("via"), given.get("src")):
            if address is not None:
                ipaddress.ip_address(address)
    except ValueError:
        raise Failure(f"invalid argument '{text}' to 'ip'") from None
    if "dev" in given:
        _named(p, given["dev"])
    try:
        if verb in ("del", "delete", "replace", "change"):
            try:
                p.sandbox.remove_route(
                    destination,
                    via=None if verb in ("replace", "change") else given.get("via"),
                    interface=given.get("dev"),
                )
            except OSError:
                if verb in ("del", "delete"):
                    raise
        if verb not in ("del", "delete"):
            p.sandbox.add_route(
                destination,
                via=given.get("via"),
                interface=given.get("dev"),
                source=given.get("src"),
                metric=int(given.get("metric", "0")),
            )
    except OSError as error:
        raise Failure(f"RTNETLINK answers: {error.strerror}", 2) from None
    return 0


async def _route_get(p: ProcessContext, words: list[str]) -> int:
    if not words:
        raise Failure("need at least destination address")
    try:
        target = ipaddress.ip_address(words[0])
    except ValueError:
        raise Failure(f"invalid argument '{words[0]}' to 'ip'") from None
    for interface in p.sandbox.interfaces():
        for text in interface.addresses:
            local = ipaddress.ip_interface(text)
            if local.ip == target or (interface.loopback and target in local.network):
                await p.print(f"local {target} dev lo  src {target} ")
                return 0
    fitting = [route for route in p.sandbox.routes() if target in ipaddress.ip_network(route.destination, strict=False)]
    if not fitting:
        raise Failure("RTNETLINK answers: Network is unreachable", 2)
    best = max(
        fitting, key=lambda route: (ipaddress.ip_network(route.destination, strict=False).prefixlen, -route.metric)
    )
    source = best.source or next(
        (
            text.split("/")[0]
            for interface in p.sandbox.interfaces()
            if interface.name == best.interface
            for text in interface.addresses
            if (":" in text) == (target.version == 6)
        ),
        "",
    )
    via = f"via {best.via} " if best.via else ""
    await p.print(f"{target} {via}dev {best.interface}  src {source} ")
    return 0


async def _neighbours(p: ProcessContext, view: _View, words: list[str]) -> int:
    verb = _verb(words, "show", "list", "add", "del", "delete", "flush", "replace")
    given = _options([word for word in words if word != "to"], ("dev", "lladdr", "nud"), bare="to")
    if verb in ("add", "replace"):
        if not {"to", "dev", "lladdr"} <= set(given):
            raise Failure("Device and destination are required arguments.")
        p.sandbox.add_neighbour(given["to"], given["lladdr"], _named(p, given["dev"]).name)
        return 0
    if verb in ("del", "delete"):
        p.sandbox.remove_neighbour(given.get("to", ""), _named(p, given.get("dev", "")).name)
        return 0
    for neighbour in p.sandbox.neighbours():
        if (
            given.get("dev", neighbour.interface) != neighbour.interface
            or given.get("to", neighbour.ip) != neighbour.ip
        ):
            continue
        if view.family and view.family != (6 if ":" in neighbour.ip else 4):
            continue
        if verb == "flush":
            if neighbour.state != "PERMANENT":
                p.sandbox.remove_neighbour(neighbour.ip, neighbour.interface)
            continue
        hardware = f"lladdr {neighbour.mac} " if neighbour.mac else " "
        await p.print(f"{neighbour.ip} dev {neighbour.interface} {hardware}ref 1 used 0/0/0 probes 0 {neighbour.state}")
    return 0
