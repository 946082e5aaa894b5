"""Promises of published ports: of each form, from inside and outside, and never twice."""

from __future__ import annotations

from scenarios.search.draft import PROMPT, Container, Draft
from scenarios.search.promises.cast import SINK, guest, leave, meeting, server


def published(draft: Draft) -> None:
    """A port of a host is a container's as long as that runs, for whom it was published to, and for nobody else's."""
    chance = draft.chance
    at = meeting(draft)
    host, network = (at.here, at.network.name) if chance.random() < 0.7 else (at.here, "")
    address = f"192.0.2.{draft.hosts.index(host) + 1}"
    port = 9000 + 10 * draft.number("door")
    form, outside, inside = chance.choice((
        (f"{port}:80", True, True), (f"0.0.0.0:{port}:80", True, True), (f"{address}:{port}:80", True, False),
        (f"127.0.0.1:{port}:80", False, True), (f"{port}-{port + 1}:80-81", True, True),
    ))  # fmt: skip
    asked = server(draft, host, network, "-p", form, "-p", f"{port + 5}:{SINK}/udp")
    elsewhere = [other for other in draft.hosts if other != host]
    asker = guest(draft, chance.choice(elsewhere or [host]), "")
    own = guest(draft, host, "host")
    _page(draft, asker, f"{address}:{port}", asked, comes=outside)
    _page(draft, own, f"127.0.0.1:{port}", asked, comes=inside)
    _page(draft, own, f"{address}:{port}", asked, comes=outside)
    bound = form.split(":")[0] if form.count(":") == 2 else "0.0.0.0"
    draft.expect(docker=f"port {asked.name}", on=host, prints=f"80/tcp -> {bound}:{port}\n")
    # The first may tell only that the way behind the port is narrower.
    count = chance.choice((1, 200, 245, 290))
    send = f"for n in 1 2 3; do yes door | head -n {count} | nc.openbsd -u -w 0.2 {address} {port + 5}; done"
    draft.add({"exec": ["sh", "-c", send], "on": asker.place})
    if elsewhere:
        source = f"192.0.2.{draft.hosts.index(asker.host) + 1}"
        draft.expect(exec="cat /who", on=asked.place, prints=f"received on {source} ", within=PROMPT)
    draft.expect(exec="wc -l /udp", on=asked.place, matches=f"^({2 * count}|{3 * count}) ", within=PROMPT)
    name = draft.fresh("g")
    line = f"run -d --name {name} -p {port}:80 alpine sleep 1000"
    draft.add({"docker": line, "on": host, "fails": "already"})
    draft.add(draft.docker(host, f"rm {name}"))
    draft.add(draft.docker(host, f"stop -t 0 {asked.name}"))
    _page(draft, asker, f"{address}:{port}", asked, comes=False)
    draft.add(draft.docker(host, f"start {asked.name}"))
    _page(draft, asker, f"{address}:{port}", asked, comes=outside)
    leave(draft, asked)
    other = server(draft, host, "", "-p", f"{port}:80", "-p", f"{port + 5}:{SINK}/udp")
    _page(draft, asker, f"{address}:{port}", other, comes=True)
    leave(draft, other, asker, own)


def _page(draft: Draft, asker: Container, where: str, asked: Container, *, comes: bool) -> None:
    line = f"wget -q -T 1 -O - http://{where}/"
    if comes:
        draft.expect(exec=line, on=asker.place, prints=f"{asked.name}\n", within=PROMPT)
    else:
        draft.expect(exec=line, on=asker.place, exit=1)


def chosen_by_the_host(draft: Draft) -> None:
    """Ports that nobody chose: the host gives free ones, each to one, and tells which."""
    chance = draft.chance
    host = chance.choice(draft.hosts)
    address = f"192.0.2.{draft.hosts.index(host) + 1}"
    asker = guest(draft, chance.choice(draft.hosts), "")
    guests = []
    for flags in chance.sample((("-p", "80"), ("-P", "--expose", "80"), ("-p", "0.0.0.0::80")), 2):
        asked = server(draft, host, "", *flags)
        guests.append(asked)
        told = draft.fresh("port")
        draft.add({"docker": f"port {asked.name} 80", "on": host, "capture": told})
        line = f"p=$(echo '${{{told}}}' | head -n 1); wget -q -T 1 -O - http://{address}:${{p##*:}}/"
        draft.expect(exec=["sh", "-c", line], on=asker.place, prints=f"{asked.name}\n", within=PROMPT)
    leave(draft, asker, *guests)


def seen_as(draft: Draft) -> None:
    """Who goes out has its host's address; who comes in keeps its own."""
    chance = draft.chance
    at = meeting(draft)
    port = 9000 + 10 * draft.number("door")
    web = draft.fresh("g")
    place = f"--network {at.network.name} " if chance.random() < 0.5 else ""
    draft.add(draft.docker(at.here, f"run -d --name {web} {place}-p {port}:80 traefik/whoami"))
    asker = guest(draft, at.there, at.network.name if chance.random() < 0.5 else "")
    address, source = (f"192.0.2.{draft.hosts.index(host) + 1}" for host in (at.here, at.there))
    if at.here != at.there:
        draft.expect(exec=f"wget -q -T 2 -O - http://{address}:{port}/", on=asker.place,
                     prints=f"RemoteAddr: {source}:", within=PROMPT)  # fmt: skip
    else:
        draft.expect(exec=f"wget -q -T 2 -O - http://{address}:{port}/", on=asker.place, prints="Hostname: ",
                     within=PROMPT)  # fmt: skip
    draft.add(draft.docker(at.here, f"rm -f {web}"))
    leave(draft, asker)


def untranslated(draft: Draft) -> None:
    """Without masquerading a bridge's containers keep their addresses, to which the LAN knows no way."""
    host = draft.chance.choice(draft.hosts)
    name = draft.fresh("p")
    draft.add(draft.docker(host, f"network create -o com.docker.network.bridge.enable_ip_masquerade=false {name}"))
    one = guest(draft, host, name)
    draft.expect(exec="ping -c 1 -W 1 192.0.2.254", on=one.place, exit=1)
    draft.expect(exec=f"ping -c 1 -W 1 192.0.2.{draft.hosts.index(host) + 1}", on=one.place)
    leave(draft, one)
    draft.add(draft.docker(host, f"network rm {name}"))
