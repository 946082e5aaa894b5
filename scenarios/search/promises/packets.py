"""Promises of the way of packets: what arrives is what was sent, whatever its size and whatever happens to it."""

from __future__ import annotations

from scenarios.search.draft import LINES, PROMPT, Container, Draft
from scenarios.search.promises.cast import SINK, guest, known, leave, meeting, served, server

_SIZES = (0, 1, 7, 500, 1172, 1173, 1372, 1373, 1421, 1422, 1423, 1444, 1472, 1473, 2844, 2960, 4000, 9000, 20000)
"""Bytes of payload: around the MTUs of links, overlays and their fragments."""
_LINE = "what-arrives-is-what-was-sent"


def _pair(draft: Draft, *, apart: bool = False, lines: int = LINES) -> tuple[Container, Container]:
    """(server, asker) who know one another."""
    at = meeting(draft, apart=apart, closed=True)
    asked, asker = server(draft, at.here, at.network.name, lines=lines), guest(draft, at.there, at.network.name)
    known(draft, asker, asked)
    served(draft, asker, asked)
    return asked, asker


def sizes(draft: Draft) -> None:
    """Packets of all sizes arrive, in pieces where they must."""
    chance = draft.chance
    asked, asker = _pair(draft)
    network = draft.networks.get(asker.networks[0])
    if network is not None and network.shared and chance.random() < 0.4:
        # Who takes the link for wider than it is, is told so by the tunnel.
        draft.add({"exec": "ip link set dev eth0 mtu 9000", "on": asker.place})
        # A datagram that tells it so is lost, and is of the family that the datagrams to be counted are of.
        draft.add({"exec": ["sh", "-c", f"yes | head -c 4000 | nc.openbsd -u -w 0.2 {asked.name} 9; true"],
                   "on": asker.place})  # fmt: skip
    for size in sorted(chance.sample(_SIZES, 5)):
        # The first of a size may be what tells its sender of a smaller link.
        draft.expect(exec=f"ping -c 3 -i 0.2 -W 1 -s {size} {asked.name}", on=asker.place,
                     matches=rf"{size + 8} bytes from", because=f"an echo of {size} bytes is answered")  # fmt: skip
    count, total = chance.randint(1, 5), 0
    for size in sorted(chance.sample(_SIZES[1:-1], 3)):
        lines = max(1, size // (len(_LINE) + 1))
        total += lines * count
        draft.add({"exec": ["sh", "-c", _datagrams(asked.name, count, lines)], "on": asker.place})
    draft.expect(exec="wc -l /udp", on=asked.place, prints=f"{total} ", within=PROMPT)
    _undamaged(draft, asked)
    leave(draft, asked, asker)


def _datagrams(target: str, count: int, lines: int) -> str:
    send = f"yes {_LINE} | head -n {lines} | nc.openbsd -u -w 0.1 {target} {SINK}"
    return f"n=0; while [ $n -lt {count} ]; do {send}; n=$((n+1)); done"


def _undamaged(draft: Draft, asked: Container) -> None:
    line = f"grep -v -x {_LINE} /udp && echo DAMAGED; true"
    draft.expect(exec=["sh", "-c", line], on=asked.place, lacks="DAMAGED")


def _echoes(asked: Container, count: int, size: int) -> str:
    """Each answer must be of who was asked, to one of the questions and the first to it, as long as it was sent, and
    have passed no router."""
    numbers = "\\|".join(str(number) for number in range(count))
    right = f"^{size + 8} bytes from $a: seq=\\({numbers}\\) ttl=64 time=[0-9.]* ms$"
    return (
        f"ping -c {count} -i 0.05 -W 1 -s {size} {asked.name} > /echoes; "
        "a=$(sed -n '1s/.*(\\(.*\\)).*/\\1/p' /echoes); "
        f'grep "bytes from" /echoes | grep -v "{right}" && echo STRANGE; true'
    )


def _whole(asked: Container, patience: int, *, failed: int = 9, lines: int = LINES) -> str:
    return (f"timeout {patience} wget -q -O /got http://{asked.name}/bulk || exit {failed}; "
            f"seq 1 {lines} | cmp - /got || echo DAMAGED")  # fmt: skip


def noise(draft: Draft) -> None:
    """Bits flip on the way: what is delivered is what was sent, or nothing."""
    chance = draft.chance
    asked, asker = _pair(draft, apart=True)
    fault = draft.fresh("noise")
    draft.add({"fault": {"corrupt": f"{chance.choice((15, 40))}%", "traffic": "vxlan", "id": fault}})
    draft.expect(exec=["sh", "-c", _echoes(asked, 30, 0)], on=asker.place, lacks="STRANGE")
    draft.expect(exec=["sh", "-c", _echoes(asked, 10, chance.choice(_SIZES[3:12]))], on=asker.place, lacks="STRANGE")
    # In one piece: of two flips in two pieces one may undo to the checksum what the other did.
    line = _datagrams(asked.name, 8, chance.choice((1, 10, 20, 38)))
    draft.add({"exec": ["sh", "-c", line], "on": asker.place})
    _undamaged(draft, asked)
    draft.add({"exec": ["sh", "-c", _whole(asked, 5, failed=0)], "on": asker.place, "never": "DAMAGED"})
    draft.add({"heal": fault})
    draft.expect(reachable=f"{asker.place} -> {asked.name}:80", within=PROMPT)
    leave(draft, asked, asker)


def copies(draft: Draft) -> None:
    """Packets come twice and out of order: a stream is as it was, and a sealed packet comes once."""
    chance = draft.chance
    asked, asker = _pair(draft, apart=True)
    what, fault = {"duplicate": "50%", "reorder": "30%", "delay": "10ms", "jitter": "10ms"}, draft.fresh("copies")
    draft.add({"fault": {**what, "traffic": "vxlan", "id": fault}})
    draft.add({"exec": ["sh", "-c", _whole(asked, 20)], "on": asker.place, "never": "DAMAGED", "within": "30s"})
    lines = chance.choice((1, 40, 110, 300))
    draft.add({"exec": ["sh", "-c", _datagrams(asked.name, 6, lines)], "on": asker.place})
    _undamaged(draft, asked)
    network = draft.networks.get(asked.networks[0])
    sealed = network is not None and "encrypted" in network.kind
    count = f"test $(wc -l < /udp) -{'eq' if sealed else 'ge'} {6 * lines}"
    draft.expect(exec=["sh", "-c", count], on=asked.place, within=PROMPT, because="each came, and if sealed once")
    if sealed:
        draft.expect(exec=f"ping -c 20 -i 0.05 -W 1 {asked.name}", on=asker.place, lacks="(DUP!)")
    draft.add({"heal": fault})
    leave(draft, asked, asker)


def losses(draft: Draft) -> None:
    """What TCP carries comes, whatever is lost, and in whatever order the rest arrives."""
    chance = draft.chance
    lines = chance.choice((LINES, 4 * LINES))
    asked, asker = _pair(draft, apart=True, lines=lines)
    fault = draft.fresh("losses")
    what = {"loss": f"{chance.choice((5, 15, 25))}%"}
    if chance.random() < 0.5:
        what |= {"reorder": "30%", "duplicate": "20%", "delay": "20ms", "jitter": "20ms"}
    draft.add({"fault": {**what, "traffic": "vxlan", "id": fault}})
    line = _whole(asked, 100, lines=lines)
    draft.add({"exec": ["sh", "-c", line], "on": asker.place, "never": "DAMAGED", "within": "110s"})
    draft.add({"heal": fault})
    leave(draft, asked, asker)


def streams(draft: Draft) -> None:
    """A long stream gets fast, waits for who reads slowly, and ends whole."""
    chance = draft.chance
    lines = chance.choice((60000, 100000))
    asked, asker = _pair(draft, lines=lines)
    draft.add({"exec": ["sh", "-c", f"timeout 3 wget -q -O /got http://{asked.name}/bulk"], "on": asker.place})
    draft.expect(exec=["sh", "-c", f"seq 1 {lines} | cmp - /got && wc -l /got"], on=asker.place, prints=f"{lines} ")
    pause = chance.choice((0.5, 2))
    line = (
        f"wget -q -O - http://{asked.name}/bulk | (sleep {pause}; md5sum) > /one; seq 1 {lines} | md5sum | cmp - /one"
    )
    draft.add({"exec": ["sh", "-c", line], "on": asker.place, "within": "10s"})
    up = f"seq 1 {lines} | nc -w 5 {asked.name} 9000"
    draft.add({"exec": ["sh", "-c", "(sleep 30 | nc -l -p 9000 > /up) & sleep 0.1"], "on": asked.place})
    draft.add({"exec": ["sh", "-c", up], "on": asker.place, "within": "10s"})
    line = f"seq 1 {lines} | cmp - /up && echo all"
    draft.expect(exec=["sh", "-c", line], on=asked.place, prints="all", within=PROMPT)
    leave(draft, asked, asker)


def closed(draft: Draft) -> None:
    """Who asks where nobody listens is told so at once."""
    asked, asker = _pair(draft)
    port = draft.chance.randint(81, 6999)
    draft.expect(exec=f"nc -w 5 {asked.name} {port} -e true", on=asker.place, exit=1, prints="refused")
    draft.expect(exec=f"nc.openbsd -u -z -w 1 {asked.name} {port}", on=asker.place, exit=1)
    leave(draft, asked, asker)


def hops(draft: Draft) -> None:
    """On a network there is no router between; outside each counts."""
    at = meeting(draft)
    asked, asker = guest(draft, at.here, at.network.name), guest(draft, at.there, at.network.name)
    known(draft, asker, asked)
    draft.expect(exec=f"ping -c 2 -W 1 -t 1 {asked.name}", on=asker.place, prints="ttl=64", within=PROMPT)
    draft.expect(exec="ping -c 2 -W 1 -t 2 192.0.2.254", on=asker.place, prints="ttl=63", within=PROMPT)
    draft.expect(exec="ping -c 1 -W 1 -t 1 192.0.2.254", on=asker.place, exit=1)
    route = r"(?s)\n 1  \d+\.\d+\.\d+\.1  .*\n 2  192\.0\.2\.254  "
    draft.expect(exec="traceroute -n -m 3 -q 1 -w 1 192.0.2.254", on=asker.place, matches=route)
    line = "b=$(ip -4 addr | sed -n 's/.* brd \\([0-9.]*\\) .*/\\1/p' | head -n 1); ping -c 1 -W 1 $b"
    draft.expect(exec=["sh", "-c", line], on=asker.place, exit=1, because="nobody answers an echo to all")
    leave(draft, asked, asker)
