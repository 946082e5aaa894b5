"""Promises of networks: names, aliases, addresses that were chosen, joining and parting, what stays apart."""

from __future__ import annotations

import ipaddress

from scenarios.search import actions
from scenarios.search.draft import PROMPT, Draft, Network
from scenarios.search.promises.cast import SINK, guest, known, leave, meeting, served, server, stay


def chosen_address(draft: Draft) -> None:
    """An address that somebody chose is his alone until he goes; then it is whoever's wants it."""
    at = meeting(draft)
    kind = "overlay" if at.network.shared else "bridge"
    network = Network(draft.fresh("p"), kind, [at.here])
    subnet = ipaddress.ip_network(f"10.25.{draft.number('chosen')}.0/26")
    # Nobody gets one of the upper half unasked: each host gives from a share of its own, which may begin anywhere.
    lower = next(subnet.subnets(1))
    attachable = "--attachable " if network.shared else ""
    maker = draft.managers[0] if network.shared else at.here
    line = f"network create -d {kind} {attachable}--subnet {subnet} --ip-range {lower} {network.name}"
    draft.add(draft.docker(maker, line))
    address = str(subnet[draft.chance.randint(subnet.num_addresses // 2, subnet.num_addresses - 2)])
    own_mac = draft.chance.random() < 0.5  # else it follows from the address, and is the next one's too
    macs = [
        ["--mac-address", f"02:42:c0:00:{n:02x}:{draft.chance.randint(1, 254):02x}"] if own_mac else [] for n in (1, 2)
    ]
    first = server(draft, at.here, network.name, "--ip", address, *macs[0])
    asker = guest(draft, draft.chance.choice((at.here, at.there)), network.name)
    served(draft, asker, first, address)
    for wish in (address, str(subnet[1]), str(subnet.network_address + 2 * subnet.num_addresses)):
        name, host = draft.fresh("g"), draft.chance.choice((at.here, at.there))
        line = f"run -d --name {name} --network {network.name} --ip {wish} alpine sleep 1000"
        draft.add({"docker": line, "on": host, "fails": "ddress already in use" if wish == address else True})
        draft.add({"docker": f"rm -f {name}", "on": host, "may_fail": True})
    served(draft, asker, first, address)
    leave(draft, first)
    draft.expect(unresolved=f"{asker.place} -> {first.name}", within=PROMPT)
    draft.expect(unreachable=f"{asker.place} -> {address}")
    newcomer = guest(draft, asker.host, network.name)  # who knows no neighbour yet
    line = f"ping -c 1 -W 1 {address}; ip neigh show {address}"
    draft.expect(exec=["sh", "-c", line], on=newcomer.place, lacks="lladdr", within=PROMPT)
    leave(draft, newcomer)
    second = server(draft, at.there if draft.chance.random() < 0.7 else at.here, network.name, "--ip", address,
                    *macs[1])  # fmt: skip
    # The first packet to the MAC of before is lost.
    served(draft, asker, second, address, within="5s")
    known(draft, asker, second)
    leave(draft, asker, second)


def aliases(draft: Draft) -> None:
    """An alias is whoever's has it, all of theirs, on that network, and goes with them."""
    at = meeting(draft)
    net, alias = at.network.name, draft.fresh("alias")
    one = guest(draft, at.here, net, "--network-alias", alias)
    two = guest(draft, at.there, net)
    asker = guest(draft, draft.chance.choice((at.here, at.there)), net)
    draft.expect(resolves=f"{asker.place} -> {alias}", to=[one.place], within=PROMPT)
    draft.add(draft.docker(two.host, f"network disconnect {net} {two.name}"))
    draft.expect(unresolved=f"{asker.place} -> {two.name}", within=PROMPT)
    draft.add(draft.docker(two.host, f"network connect --alias {alias} --alias {alias}-too {net} {two.name}"))
    draft.expect(resolves=f"{asker.place} -> {alias.upper()}", to=[one.place, two.place], within=PROMPT)
    draft.expect(resolves=f"{asker.place} -> {alias}-too.{net}", to=[two.place], within=PROMPT)
    known(draft, asker, two)
    draft.add(draft.docker(two.host, f"stop -t 0 {two.name}"))
    draft.expect(resolves=f"{asker.place} -> {alias}", to=[one.place], within=PROMPT)
    draft.add(draft.docker(two.host, f"start {two.name}"))
    draft.expect(resolves=f"{asker.place} -> {alias}", to=[one.place, two.place], within=PROMPT)
    leave(draft, one)
    draft.expect(resolves=f"{asker.place} -> {alias}", to=[two.place], within=PROMPT)
    draft.add(draft.docker(two.host, f"network disconnect {net} {two.name}"))
    draft.expect(unresolved=f"{asker.place} -> {alias}", within=PROMPT)
    leave(draft, two, asker)


def renaming(draft: Draft) -> None:
    """A container has one name at a time, and a name one container of a host."""
    at = meeting(draft)
    asked, asker = server(draft, at.here, at.network.name), guest(draft, at.there, at.network.name)
    old, new = asked.name, draft.fresh("g")
    known(draft, asker, asked)
    draft.add({"docker": f"run -d --name {old} alpine sleep 1", "on": at.here, "fails": "already in use"})
    draft.add(draft.docker(at.here, f"rename {old} {new}"))
    draft.expect(resolves=f"{asker.place} -> {new}", to=[f"{at.here}/{new}"], within=PROMPT)
    other = server(draft, at.there, at.network.name, name=old if at.here == at.there else draft.fresh("g"))
    if other.name != old:  # its hostname is its alias still
        draft.expect(exec=f"wget -q -T 2 -O - http://{new}/", on=asker.place, prints=f"{old}\n", within=PROMPT)
    draft.add({"docker": f"rename {other.name} {new}" if at.here == at.there else f"rename {new} {new}",
               "on": at.here, "fails": True})  # fmt: skip
    draft.add(draft.docker(at.here, f"rm -f {new}"))
    draft.expect(unresolved=f"{asker.place} -> {new}", within=PROMPT)
    known(draft, asker, other)
    leave(draft, asker)
    stay(draft, other)


def joining(draft: Draft) -> None:
    """Who is connected to a network is there at once, and gone at once when he is disconnected; a network that
    somebody is on stays."""
    one = meeting(draft)
    other = actions.make_network(draft, "overlay", draft.fresh("p"), draft.managers[0])
    asked = server(draft, one.here, one.network.name)
    asker, left = guest(draft, one.there, other.name), guest(draft, one.there, one.network.name)
    known(draft, left, asked)
    draft.expect(unresolved=f"{asker.place} -> {asked.name}")
    draft.add(draft.docker(asked.host, f"network connect {other.name} {asked.name}"))
    served(draft, asker, asked)
    served(draft, left, asked)
    draft.add({"docker": f"network connect {other.name} {asked.name}", "on": asked.host, "fails": "already"})
    draft.add({"wait": "500ms"})
    draft.expect(docker=f"network rm {other.name}", on=draft.managers[0], exit=1, prints="in use")
    line = f"inspect -f '{{{{.NetworkSettings.Networks.{other.name}.IPAddress}}}}' {asked.name}"
    address = draft.fresh("address")
    draft.add({"docker": line, "on": asked.host, "capture": address})
    draft.expect(reachable=f"{asker.place} -> ${{{address}}}")
    draft.add(draft.docker(asked.host, f"network disconnect {other.name} {asked.name}"))
    draft.expect(unresolved=f"{asker.place} -> {asked.name}", within=PROMPT)
    draft.expect(unreachable=f"{asker.place} -> ${{{address}}}")
    draft.expect(exec="ip -4 addr", on=asked.place, lacks=f"inet ${{{address}}}/")
    served(draft, left, asked)
    leave(draft, asker, left)
    stay(draft, asked)
    draft.expect(docker=f"network rm {other.name}", on=draft.managers[0], within=PROMPT)
    del draft.networks[other.name]


def full(draft: Draft) -> None:
    """A network gives each of its addresses once, none that is spoken for, and those that come back again."""
    chance = draft.chance
    shared = chance.random() < 0.5
    host = chance.choice(draft.members() if shared else draft.hosts)
    maker = draft.managers[0] if shared else host
    name = draft.fresh("p")
    number = draft.number("full")
    subnet = ipaddress.ip_network(f"10.26.{number}.{8 * chance.randint(0, 31)}/29")
    form = chance.choice(("plain", "spoken for", "range"))
    if form == "range":  # all of it, first and last, for they are not the subnet's
        given = list(ipaddress.ip_network(f"10.26.{number}.{4 * chance.randint(1, 62)}/30"))
        subnet = ipaddress.ip_network(f"10.26.{number}.0/24")
        taken, flags = [], f"--subnet {subnet} --ip-range {given[0]}/30 --gateway {subnet[1]}"
    elif form == "spoken for":
        given, taken = list(subnet.hosts()), chance.sample(list(subnet.hosts()), 2)
        flags = f"--subnet {subnet} --gateway {taken[0]} --aux-address router={taken[1]}"
    else:
        given, taken, flags = list(subnet.hosts()), [subnet[1]], f"--subnet {subnet}"
    driver = "overlay --attachable" if shared else "bridge"
    draft.add(draft.docker(maker, f"network create -d {driver} {flags} {name}"))
    if not shared:
        draft.add({"docker": f"network create --subnet {subnet} {name}-too", "on": host, "fails": "overlaps"})
    free = [address for address in given if address not in taken]
    # Of an overlay each host that is on it has one for its balancer.
    guests = [guest(draft, host, name) for _ in (free[1:] if shared else free)]
    allowed = "|".join(str(address).replace(".", r"\.") for address in free)
    for one in guests:
        line = f"inspect -f '{{{{.NetworkSettings.Networks.{name}.IPAddress}}}}' {one.name}"
        draft.expect(docker=line, on=host, matches=f"^({allowed})$")
    draft.expect(exec=f"ping -c 2 -W 1 {guests[-1].name}", on=guests[0].place, within=PROMPT)
    more = draft.fresh("g")
    line = f"run -d --name {more} --network {name} alpine sleep 100000"
    draft.add({"docker": line, "on": host, "fails": "no available IPv4 addresses"})
    gone = guests.pop(chance.randrange(len(guests)))
    leave(draft, gone)
    draft.expect(docker=f"start {more}", on=host, within=PROMPT)
    draft.add(draft.docker(host, f"rm -f {more}"))
    leave(draft, *guests)
    draft.expect(docker=f"network rm {name}", on=maker, within=PROMPT)


def apart(draft: Draft) -> None:
    """Two networks of a host meet nowhere: not by the way out that their containers have too, nor by their gateways."""
    chance = draft.chance
    host = chance.choice(draft.members())
    kinds = [chance.choice(("overlay", "bridge", "bridge-icc")) for _ in range(2)]
    names = []
    for kind in kinds:
        name = draft.fresh("p")
        icc = "-o com.docker.network.bridge.enable_icc=false " if kind == "bridge-icc" else ""
        line = f"network create -d {kind.partition('-')[0]} {'--attachable ' if kind == 'overlay' else icc}{name}"
        draft.add(draft.docker(draft.managers[0] if kind == "overlay" else host, line))
        names.append(name)
    one, other, beside = guest(draft, host, names[0]), server(draft, host, names[1]), server(draft, host, names[0])
    addresses = draft.fresh("addresses")
    draft.add({"exec": "sh -c \"ip -4 addr | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p' | grep -v ^127 | tr '\\n' ' '\"",
               "on": other.place, "capture": addresses})  # fmt: skip
    meet = "(ping -c 1 -W 1 $a || wget -q -T 1 -O - http://$a/) > /tried 2>&1 && echo MET"
    line = f"for a in ${{{addresses}}}; do {meet}; done; true"
    draft.add({"exec": ["sh", "-c", line], "on": one.place, "never": "MET"})
    if kinds[0] == "bridge-icc":
        draft.expect(exec=f"wget -q -T 1 -O - http://{beside.name}/", on=one.place, exit=1)
        draft.expect(exec=f"ping -c 1 -W 1 {beside.name}", on=one.place, exit=1)
        # Nor by the gateway, which would send it back to where it came from.
        line = (
            f"a=$(nslookup -type=a {beside.name} | sed -n 's/^Address: //p' | tail -n 1); "
            "ip route add $a via $(ip route | sed -n 's/^default via \\([0-9.]*\\) .*/\\1/p'); "
            f"echo met | nc.openbsd -u -w 0.2 $a {SINK}; true"
        )
        draft.add({"exec": ["sh", "-c", line], "on": one.place})
        draft.expect(exec="wc -l /udp", on=beside.place, prints="0 ")
    else:
        served(draft, one, beside)
    for guest_ in (one, other):
        draft.expect(exec="ping -c 2 -W 1 192.0.2.254", on=guest_.place, within=PROMPT)
    leave(draft, one, other, beside)
    for kind, name in zip(kinds, names, strict=True):
        draft.expect(docker=f"network rm {name}", on=draft.managers[0] if kind == "overlay" else host, within=PROMPT)


def spoofing(draft: Draft) -> None:
    """Nobody sends from an address that is not his, nor takes another's."""
    at = meeting(draft, closed=True)
    victim, asker = server(draft, at.here, at.network.name), guest(draft, at.there, at.network.name)
    thief = guest(draft, draft.chance.choice((at.here, at.there)), at.network.name)
    known(draft, asker, victim)
    served(draft, asker, victim)
    known(draft, thief, asker)
    known(draft, thief, victim)
    watch = "(timeout 3 tcpdump -n -i eth0 icmp > /seen 2>&1 &); sleep 0.1"
    draft.add({"exec": ["sh", "-c", watch], "on": asker.place})
    claim = (
        "own=$(ip -4 addr show eth0 | sed -n 's/.*inet \\([0-9./]*\\) .*/\\1/p'); "
        f"stolen=$(nslookup -type=a {victim.name} | sed -n 's/^Address: //p' | tail -n 1); "
        f"there=$(nslookup -type=a {asker.name} | sed -n 's/^Address: //p' | tail -n 1); "
        "ping -c 2 -W 1 $there; ip addr del $own dev eth0; ip addr add $stolen/${own#*/} dev eth0; "
        "ping -c 2 -W 1 -s 77 $there; "
        "ip addr del $stolen/${own#*/} dev eth0; ip addr add $own dev eth0; true"
    )
    draft.add({"exec": ["sh", "-c", claim], "on": thief.place})
    draft.expect(exec="cat /seen", on=asker.place, lacks="length 85")
    served(draft, asker, victim)
    leave(draft, victim, asker, thief)


def none_and_host(draft: Draft) -> None:
    """--network none has nothing but itself; --network host is the host."""
    host = draft.chance.choice(draft.hosts)
    address = f"192.0.2.{draft.hosts.index(host) + 1}"
    alone, whole = guest(draft, host, "none"), guest(draft, host, "host")
    draft.expect(exec="ip -4 addr", on=alone.place, lacks="eth0")
    draft.expect(exec="ping -c 1 127.0.0.1", on=alone.place, prints=" 0% packet loss")
    draft.expect(unreachable=f"{alone.place} -> {address}")
    draft.expect(exec="ip -4 addr", on=whole.place, prints=f"inet {address}/24")
    draft.expect(exec="hostname", on=whole.place, prints=host)
    draft.expect(reachable=f"{whole.place} -> 192.0.2.254")
    leave(draft, alone, whole)
