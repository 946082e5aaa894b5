"""The wounds on real engines: each function stages one and says whether it showed, and what was seen.

They are the stories of `scenarios/wounds/*.yaml`, told with iptables and links instead of shoal's faults. A try may say
that it could not be judged (None): something else than the wound went wrong.
"""

from __future__ import annotations

import random
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.wounds.real.engines import Engines

LATE = 10.0
"""Seconds after healing within which names and packets must be right again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one try."""

    showed: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Staged:
    """`prepare` once for a set of engines, `attempt` again and again. advertise: see Engines. balanced: needs the
    kernel's IPVS, on which services' addresses and the ingress rest."""

    prepare: Callable[[Engines], None]
    attempt: Callable[[Engines, random.Random], Seen]
    advertise: dict[int, str] = field(default_factory=dict)
    balanced: bool = False

    @property
    def missing(self) -> str:
        """Why it cannot be staged on this machine; "" when it can."""
        return "this kernel has no IPVS" if self.balanced and not Path("/proc/net/ip_vs").exists() else ""


def _network(engines: Engines, name: str = "ov1", subnet: str = "10.0.1.0/24") -> None:
    engines.must(1, f"network create -d overlay --attachable --subnet {subnet} {name}")


def _containers(engines: Engines) -> None:
    _network(engines)
    for n in engines.hosts:
        engines.must(n, f"run -d --name c{n} --network ov1 alpine sleep 86400")


def _error(output: str) -> str:
    lines = [line for line in output.splitlines() if "rror" in line] or output.splitlines() or [""]
    return lines[0].strip()[:200]


def _names_after_disconnect(engines: Engines, chance: random.Random) -> Seen:
    cut = chance.uniform(10.0, 20.0)
    engines.link(3, up=False)
    time.sleep(cut)
    engines.link(3, up=True)
    start = time.monotonic()
    took: dict[int, float | None] = {}
    while len(took) < 2 and time.monotonic() - start < 75:
        for n in (1, 2):
            if n not in took and engines.docker(n, f"exec c{n} nslookup -type=a c3", within=5).ok:
                took[n] = time.monotonic() - start
        time.sleep(0.2)
    worst = max((took.get(n, 75.0) or 75.0) for n in (1, 2))
    return Seen(worst > LATE, f"cut for {cut:.0f} s; c3 has its name again after {worst:.1f} s")


def _loss(engines: Engines, n: int, share: float, *, on: bool) -> None:
    """Of the gossip that a host sends, a share is lost."""
    what = "-A" if on else "-D"
    engines.on(
        n, f"iptables {what} OUTPUT -p udp --dport 7946 -m statistic --mode random --probability {share} -j DROP"
    )


def _moved_address(engines: Engines, chance: random.Random) -> Seen:
    address = f"10.0.1.{chance.randrange(100, 250)}"
    engines.must(2, f"run -d --name moving --network ov1 --ip {address} alpine sleep 86400")
    if engines.until(1, f"exec c1 ping -c 1 -W 1 {address}", 10) is None:
        return Seen(None, "never reachable on its first host")
    _loss(engines, 2, 0.85, on=True)
    engines.must(2, "rm -f moving")
    done = engines.docker(3, f"run -d --name moved --network ov1 --ip {address} alpine sleep 86400", within=40)
    time.sleep(1.0)
    _loss(engines, 2, 0.85, on=False)
    if not done.ok:
        return Seen(None, done.out.strip())
    took = engines.until(1, f"exec c1 ping -c 1 -W 1 {address}", 60)
    engines.must(3, "rm -f moved")
    time.sleep(2.0)
    if took is None:
        return Seen(True, "not reachable for 60 s where it is now")
    return Seen(took > LATE, f"reachable where it is now after {took:.1f} s")


def _name_of_the_gone(engines: Engines, chance: random.Random) -> Seen:
    name = f"gone{chance.randrange(10_000)}"
    engines.must(2, f"run -d --name {name} --network ov1 alpine sleep 86400")
    if engines.until(1, f"exec c1 nslookup -type=a {name}", 10) is None:
        return Seen(None, "its name was never known")
    _loss(engines, 2, 0.85, on=True)
    engines.must(2, f"rm -f {name}")
    time.sleep(2.0)
    _loss(engines, 2, 0.85, on=False)
    start, took = time.monotonic(), 0.0
    while engines.docker(1, f"exec c1 nslookup -type=a {name}", within=5).ok and took < 75:
        took = time.monotonic() - start
        time.sleep(0.25)
    return Seen(took > LATE, f"its name answered for {took:.1f} s after it was gone")


def _manager_back(engines: Engines) -> None:
    _containers(engines)


def _split_gossip(engines: Engines, chance: random.Random) -> Seen:
    """The only manager is stopped in good order and started again."""
    engines.terminate(1)
    time.sleep(chance.uniform(3.0, 15.0))
    engines.start(1, wait=True)
    if engines.until(1, "start c1", 60) is None:
        return Seen(None, "its container did not start again")
    start = time.monotonic()
    took = engines.until(2, "exec c2 nslookup -type=a c1", 150)
    back = engines.until(1, "exec c1 nslookup -type=a c3", 150)
    worst = max(150.0 if took is None else took, time.monotonic() - start if back is not None else 150.0)
    return Seen(worst > 2 * LATE, f"one gossip again {worst:.1f} s after the manager's return")


def _no_manager(engines: Engines) -> None:
    _network(engines)


def _network_not_found(engines: Engines, chance: random.Random) -> Seen:
    """The manager is cut off for a while; a worker starts a container on a network that it has not used."""
    away = chance.uniform(2.0, 40.0)
    engines.link(1, up=False)
    start = time.monotonic()
    done = engines.docker(2, "run -d --name late --network ov1 alpine sleep 86400", within=max(60.0, away))
    time.sleep(max(0.0, away - (time.monotonic() - start)))
    engines.link(1, up=True)
    engines.docker(2, "rm -f late")
    time.sleep(12.0)
    return Seen(not done.ok, f"manager away for {away:.0f} s; docker run: {_error(done.out)}")


_PAGE = (
    "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho Content-type: text/plain; echo; echo $REMOTE_ADDR\\n' "
    "> /www/cgi-bin/who; chmod +x /www/cgi-bin/who; head -c 200000 /dev/zero > /www/big; exec httpd -f -p 80 -h /www"
)


def _ingress(engines: Engines) -> None:
    engines.must(
        1, f"service create -d --name web --publish 8080:80 --constraint node.role==worker --no-resolve-image "
           f"alpine:latest sh -c {shlex.quote(_PAGE)}", within=60,
    )  # fmt: skip


_ASK = "import urllib.request as u; print(u.urlopen('http://192.0.2.{}:8080/cgi-bin/who', timeout=5).read().decode())"


def _client_address(engines: Engines, chance: random.Random) -> Seen:
    """A client on the LAN asks a service who it is."""
    start = time.monotonic()
    while time.monotonic() - start < 30:
        host = chance.randrange(1, 4)
        done = engines.on(0, f"{sys.executable} -c {shlex.quote(_ASK.format(host))}", within=15)
        if done.ok and done.out.strip():
            return Seen(done.out.strip() != "192.0.2.254", f"192.0.2.254 asked host {host} and was {done.out.strip()}")
        time.sleep(1.0)
    return Seen(None, f"the service never answered: {done.out.strip()[:120]}")


def _black_hole(engines: Engines) -> None:
    _network(engines)
    engines.must(1, f"run -d --name server --network ov1 alpine sh -c {shlex.quote(_PAGE)}")
    engines.must(2, "run -d --name client --network ov1 alpine sleep 86400")


def _mtu(engines: Engines, chance: random.Random) -> Seen:
    """A link on the way, not a host's own, is narrower than 1500 bytes."""
    width = chance.randrange(1300, 1460)
    if engines.until(2, "exec client wget -q -O /dev/null http://server/big", 20) is None:
        return Seen(None, "the page does not come even without the narrow link")
    engines.on(0, f"ip link set p2 mtu {width}")
    small = engines.docker(2, "exec client ping -c 1 -W 2 -s 100 server", within=10).ok
    big = engines.docker(2, "exec client wget -q -T 10 -O /dev/null http://server/big", within=15).ok
    engines.on(0, "ip link set p2 mtu 1500")
    if not small:
        return Seen(None, "small packets do not pass either")
    return Seen(not big, f"link of {width} bytes: ping passes, the page {'comes' if big else 'hangs'}")


def _wrong_source(engines: Engines, chance: random.Random) -> Seen:
    name = f"ov{chance.randrange(10_000, 99_999)}"
    _network(engines, name, f"10.{chance.randrange(50, 200)}.{chance.randrange(250)}.0/24")
    a, b = chance.sample(range(1, 4), 2)
    for n in (a, b):
        engines.must(n, f"run -d --name p{n} --network {name} alpine sleep 86400")
    time.sleep(2.0)
    passed = engines.docker(a, f"exec p{a} ping -c 3 -W 1 p{b}", within=15).ok
    for n in (a, b):
        engines.docker(n, f"rm -f p{n}")
    return Seen(not passed, f"d{a} to d{b}, each advertising its second address: {'passes' if passed else 'no packet'}")


def _balanced(engines: Engines) -> None:
    _network(engines)
    engines.must(
        1, "service create -d --name echo --network ov1 --no-resolve-image alpine:latest "
           "sh -c 'while true; do nc -l -p 9000 -e cat; done'",
    )  # fmt: skip
    engines.must(1, "run -d --name caller --network ov1 alpine sleep 86400")


IDLE = 930
"""Seconds: a little more than the 15 minutes after which IPVS forgets a connection."""


def _idle(engines: Engines, chance: random.Random) -> Seen:
    """A connection to a service's address says nothing for 15.5 minutes, then something."""
    engines.until(1, "exec caller sh -c 'echo hello | nc -w 2 echo 9000 | grep hello'", 30)
    time.sleep(3.0)
    line = f"exec caller sh -c '(echo first; sleep {IDLE}; echo second; sleep 20) | nc -w {IDLE + 60} echo 9000'"
    done = engines.docker(1, line, within=IDLE + 90)
    if "first" not in done.out:
        return Seen(None, f"it did not work at first: {done.out.strip()[:120]}")
    return Seen(
        "second" not in done.out,
        f"after {IDLE} s of silence the echo {'came' if 'second' in done.out else 'did not come'}",
    )


STAGED = {
    "stale-fdb": Staged(_containers, _moved_address),
    "names-after-disconnect": Staged(_containers, _names_after_disconnect),
    "split-gossip": Staged(_manager_back, _split_gossip),
    "name-of-the-gone": Staged(_containers, _name_of_the_gone),
    "client-address": Staged(_ingress, _client_address, balanced=True),
    "idle-connection": Staged(_balanced, _idle, balanced=True),
    "mtu-black-hole": Staged(_black_hole, _mtu),
    "wrong-source": Staged(lambda engines: None, _wrong_source, {n: f"192.0.2.{n + 100}" for n in (1, 2, 3)}),
    "network-not-found": Staged(_no_manager, _network_not_found),
}
