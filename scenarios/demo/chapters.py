"""The story, chapter by chapter. Each checks what it shows; none goes on from what did not hold if that matters."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import permutations

from aiodocker.exceptions import DockerError

from scenarios.chaos import faults
from scenarios.client import HostClient
from scenarios.demo import anchors
from scenarios.demo.capture import captured
from scenarios.demo.gossip import Rumour, rumours, sentence
from scenarios.demo.memory import resident_mb
from scenarios.demo.packet import Ping, hexdump, layers, ping_of
from scenarios.demo.stage import NETWORK, Stage
from scenarios.launch import launcher, readiness

Chapter = Callable[[Stage], Awaitable[None]]

PORT = 8080
PAGE = "hello from h2, over the overlay"

_CUT_LIMIT = 7.0
"""Seconds within which a silently cut-off host's names must be gone."""
_HEAL_LIMIT = 3.0


async def daemons(stage: Stage) -> None:
    """Three daemons, three processes"""
    began = time.monotonic()
    stage.swarm = await asyncio.to_thread(
        launcher.up, 3, directory=stage.directory, swarm=False, die_with=None if stage.keep else os.getpid()
    )
    took = time.monotonic() - began
    for host in stage.hosts:
        stage.clients[host.name] = HostClient(host.docker_api)
        stage.view.say(f"{host.name}  {host.address} (really {host.real})  pid {host.process.pid}  {host.docker_host}")
    await stage.view.watch(stage.hosts)
    pids = {host.process.pid for host in stage.hosts}
    stage.need(len(pids) == 3 and all(h.alive for h in stage.hosts), f"three processes answer after {took:.2f} s")
    modes = {oct(os.stat(f"{host.directory}/docker.sock").st_mode & 0o777) for host in stage.hosts}
    stage.check(modes == {"0o600"}, "each API socket is its owner's alone (0600)")


async def cluster(stage: Stage) -> None:
    """A swarm: h1 begins it, h2 and h3 join with its token"""
    h1, *others = stage.hosts
    api = stage.clients["h1"]
    node_id = await api.post("swarm/init", {"AdvertiseAddr": h1.address, "ListenAddr": "0.0.0.0:2377", "Spec": {}})
    token = (await api.get("swarm"))["JoinTokens"]["Worker"]
    stage.view.say(f"h1 is manager {node_id}; docker swarm join --token {token} {h1.address}:2377")
    try:
        await join(stage.clients["h2"], token[:-4] + ("aaaa" if not token.endswith("aaaa") else "bbbb"), "192.0.2.2")
        refused = ""
    except DockerError as error:
        refused = error.message
    stage.check(bool(refused), f"a wrong token is refused: {refused}")
    began = time.monotonic()
    await asyncio.gather(*(join(stage.clients[host.name], token, host.address) for host in others))
    await asyncio.to_thread(readiness.wait_for_sight, stage.hosts, time.monotonic() + 10)
    stage.check(True, f"all see all {time.monotonic() - began:.2f} s after the first join was asked for")
    nodes = {n["Description"]["Hostname"]: n["Status"]["State"] for n in await api.get("nodes")}
    stage.need(nodes == {"h1": "ready", "h2": "ready", "h3": "ready"}, f"node ls: {states(nodes)}")


async def join(client: HostClient, token: str, address: str) -> None:
    await client.post("swarm/join", {"RemoteAddrs": ["192.0.2.1:2377"], "JoinToken": token, "AdvertiseAddr": address,
                                     "ListenAddr": "0.0.0.0:2377"})  # fmt: skip


def states(nodes: dict[str, str]) -> str:
    return ", ".join(f"{name} {state}" for name, state in sorted(nodes.items()))


async def overlay(stage: Stage) -> None:
    """An overlay network, and a container on each host"""
    began = time.monotonic()
    await stage.clients["h1"].post("networks/create", {"Name": NETWORK, "Driver": "overlay", "Attachable": True})
    took = time.monotonic() - began
    stage.figure("create an overlay network", took, anchors.NETWORK_CREATE)
    times = []
    for number, host in enumerate(stage.hosts, 1):
        began = time.monotonic()
        address = await stage.run(host.name, f"c{number}")
        times.append(time.monotonic() - began)
        stage.view.say(f"{host.name}$ docker run -d --name c{number} --network {NETWORK} alpine   -> {address}")
    stage.figure("docker run -d", sorted(times)[1], anchors.RUN_DETACHED)
    addresses = [await stage.address(f"c{n}") for n in (1, 2, 3)]
    stage.need(len(set(addresses)) == 3, f"three containers, three addresses: {', '.join(addresses)}")

    async def reachable() -> bool:
        return await stage.ping("c1", "c3") is not None

    found = await stage.seconds_until(reachable, since=time.monotonic(), limit=5)
    stage.need(found is not None, "the last one answers by its name from another host")
    stage.figure("new name answers from another host", found or 0.0, anchors.NAME_REACHABLE)


async def pings(stage: Stage) -> None:
    """They ping each other by name, across hosts"""
    trips: list[float] = []
    for source, target in permutations(("c1", "c2", "c3"), 2):
        trip = await stage.ping(source, target)
        if trip is None:
            stage.check(False, f"{source} > {target}: no answer")
        else:
            trips.append(trip)
            stage.view.say(f"{stage.where[source]}/{source} > {stage.where[target]}/{target}: {trip:.3f} ms")
    median = sorted(trips)[len(trips) // 2] if trips else float("nan")
    stage.need(len(trips) == 6, f"6 of 6 pings by name answered, median {median:.2f} ms")
    stage.figure("ping between hosts", median, anchors.PING_MS, "ms")


async def page(stage: Stage) -> None:
    """A page: served on h2, fetched from h3, and by a plain process outside"""
    serve = f"mkdir -p /www && echo '{PAGE}' > /www/index.html && exec httpd -f -p 80 -h /www"
    port = await free_port(stage)
    await stage.run("h2", "web", ["sh", "-c", serve], publish=[f"{port}:80"])
    stage.view.say(f"h2$ docker run -d --name web --network {NETWORK} -p {port}:80 alpine sh -c 'httpd …'")

    async def fetched() -> bool:
        done = await stage.clients["h3"].execute("c3", ["wget", "-q", "-O", "-", "http://web/"])
        return done.exit_code == 0 and done.text.strip() == PAGE

    took = await stage.seconds_until(fetched, since=time.monotonic(), limit=5)
    stage.check(took is not None, "h3/c3 fetches http://web/ by name")
    real = stage.hosts[1].real.partition(":")[0]
    url = f"http://{real}:{port}/"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import urllib.request as u; print(u.urlopen({url!r}, timeout=5).read().decode())",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    stage.check(out.decode().strip() == PAGE, f"a plain process outside fetches {url}: {out.decode().strip()!r}")


async def free_port(stage: Stage) -> int:
    """A port that nobody on the machine holds at h2's real address, 8080 when that is free."""
    import socket

    for port in range(PORT, PORT + 200):
        with socket.socket() as probe:
            try:
                probe.bind((stage.hosts[1].real.partition(":")[0], port))
            except OSError:
                continue
            return port
    return PORT


async def one_packet(stage: Stage) -> None:
    """One ping's packet, as h1 really wrote it to its socket"""
    (source_ip, source_mac), (target_ip, target_mac) = await stage.inspect("c1"), await stage.inspect("c2")
    network = await stage.clients["h1"].get(f"networks/{NETWORK}")
    vni = int(network["Options"]["com.docker.network.driver.overlay.vxlanid_list"].split(",")[0])
    found: Ping | None = None
    async with captured(stage.hosts[0], "vxlan") as queue:
        await stage.ping("c1", "c2")
        try:
            async with asyncio.timeout(2):
                while found is None:
                    datagram = await queue.get()
                    found = ping_of(datagram) if datagram.direction == "out" else None
        except TimeoutError:
            pass
    if found is None:
        stage.check(False, "no echo request was seen in h1's VXLAN")
        return
    stage.view.say("\n".join([*layers(found), *hexdump(found.outer.data)]))
    outer = (found.outer.source[0], found.outer.target)
    stage.check(outer == ("192.0.2.1", ("192.0.2.2", 4789)), "from h1's advertised address to h2's VTEP, UDP 4789")
    stage.check(found.outer.data[0] == 0x08 and found.outer.data[1:4] == bytes(3) and found.outer.data[7] == 0,
                "VXLAN: the I flag alone, reserved bits zero")  # fmt: skip
    stage.check(found.vni == vni, f"VNI {found.vni} is the network's")
    stage.check((found.source_ip, found.target_ip) == (source_ip, target_ip),
                f"inner addresses are those of docker inspect: {source_ip} > {target_ip}")  # fmt: skip
    stage.check((found.source_mac, found.target_mac) == (source_mac, target_mac),
                f"inner MACs too: {source_mac} > {target_mac}")  # fmt: skip


async def who_told(stage: Stage) -> None:
    """Gossip: who told whom"""
    told = {host.name: await asyncio.to_thread(rumours, host) for host in stage.hosts}
    for heard in told.values():
        for rumour in heard:
            stage.view.say(sentence(rumour))
    for host in stage.hosts:
        others = {other.name for other in stage.hosts} - {host.name}
        known = {rumour.member for rumour in told[host.name]}
        stage.check(others <= known, f"{host.name} learnt of {' and '.join(sorted(others))}")


async def cut(stage: Stage) -> None:
    """A partition: h3 is cut off from h1 and h2"""
    assert stage.swarm is not None
    await stage.run("h3", "c3b")
    await stage.run("h1", "c1b")
    stream = asyncio.create_task(stage.clients["h1"].execute("c1", ["ping", "-i", "0.2", "-c", "40", "c2"]))
    await asyncio.sleep(0.3)
    wall, began = time.time(), time.monotonic()
    await asyncio.to_thread(faults.partition, stage.swarm, ["h1,h2", "/", "h3"])
    stage.view.say("shoal chaos partition h1,h2 / h3   (gossip, VXLAN, LAN and 2377 dropped; no process is told)")

    async def gone(source: str, name: str) -> bool:
        return not await stage.resolve(source, name)

    async def down() -> bool:
        nodes = await stage.clients["h1"].get("nodes")
        return any(n["Description"]["Hostname"] == "h3" and n["Status"]["State"] == "down" for n in nodes)

    watched = [("c1", "c3"), ("c2", "c3"), ("c3", "c1"), ("c3", "c2")]
    *times, node = await asyncio.gather(
        *(stage.seconds_until(lambda s=s, n=n: gone(s, n), since=began, limit=20) for s, n in watched),  # type: ignore[misc]
        stage.seconds_until(down, since=began, limit=20),
    )
    for (source, name), took in zip(watched, times, strict=True):
        shown = "never" if took is None else f"{took:.2f} s"
        stage.check(took is not None and took <= _CUT_LIMIT,
                    f"on {stage.where[source]} the name {name} is gone: {shown} (goal {_CUT_LIMIT:.0f} s)")  # fmt: skip
    known = [t for t in times if t is not None]
    stage.figure("cut: names of the lost host gone", max(known, default=float("nan")), anchors.CUT_NAMES_GONE)

    stage.check(node is not None, f"node ls on h1 shows h3 Down after {node or 0:.2f} s")
    stage.figure("cut: node shown Down", node or float("nan"), anchors.CUT_NODE_DOWN)
    for host in stage.hosts:
        for rumour in await asyncio.to_thread(rumours, host, since=wall):
            stage.view.say(f"+{rumour.when - wall:5.2f} s  {sentence(rumour)}")
    stage.check(stage.hosts[2].alive and await answers(stage, "h3"), "h3's process runs on and its API answers")
    stage.check(await stage.ping("c3", "c3b") is not None, "on h3 local containers still talk: c3 > c3b")
    stage.check(await stage.ping("c1", "c1b") is not None, "on h1 too: c1 > c1b")
    stage.check(await stage.ping("c1", "c2") is not None, "between h1 and h2 all works: c1 > c2")
    stage.check(await stage.ping("c1", await stage.address("c3")) is None, "across the cut nothing: c1 > c3's address")
    done = await stream
    lost = next((line for line in done.text.splitlines() if "packet loss" in line), done.text[-200:])
    stage.check(", 0% packet loss" in lost, f"c1 > c2 all through the cut: {lost.strip()}")


async def answers(stage: Stage, host: str) -> bool:
    try:
        return bool(await stage.clients[host].get("_ping") == "OK")
    except DockerError:
        return False


async def both_sides(stage: Stage) -> None:
    """Containers are created on both sides of the cut, on the same network"""
    made = [("h1", "left1"), ("h3", "right1"), ("h2", "left2"), ("h3", "right2"), ("h1", "left3"), ("h3", "right3")]
    for host, name in made:
        began = time.monotonic()
        address = await stage.run(host, name)
        stage.view.say(f"{host}$ docker run -d --name {name} … -> {address}  ({time.monotonic() - began:.2f} s)")
    stage.check(True, "docker run works on both sides")
    await unique(stage)
    stage.check(await stage.ping("c3", "right2") is not None, "the new ones answer on h3's side: c3 > right2")
    stage.check(await stage.ping("c2", "left1") is not None, "and on the other: c2 > left1")


async def unique(stage: Stage) -> None:
    addresses = {name: await stage.address(name) for name in stage.where}
    doubles = sorted(a for a in set(addresses.values()) if list(addresses.values()).count(a) > 1)
    stage.check(not doubles, f"{len(addresses)} containers, {len(addresses)} addresses, none shared"
                if not doubles else f"addresses given twice: {', '.join(doubles)}")  # fmt: skip


async def heal(stage: Stage) -> None:
    """The cut is healed"""
    assert stage.swarm is not None
    wall, began = time.time(), time.monotonic()
    await asyncio.to_thread(faults.heal, stage.swarm)
    observers = {"h1": "c1", "h2": "c2", "h3": "c3"}
    expected = {name: await stage.address(name) for name in stage.where}

    async def whole(observer: str) -> bool:
        for name, address in expected.items():
            if await stage.resolve(observer, name) != [address]:
                return False
        return True

    async def ready() -> bool:
        nodes = await stage.clients["h1"].get("nodes")
        return all(n["Status"]["State"] == "ready" for n in nodes)

    *times, node = await asyncio.gather(
        *(stage.seconds_until(lambda o=o: whole(o), since=began, limit=20) for o in observers.values()),  # type: ignore[misc]
        stage.seconds_until(ready, since=began, limit=20),
    )
    for host, took in zip(observers, times, strict=True):
        shown = "never" if took is None else f"after {took:.2f} s"
        stage.check(took is not None and took <= _HEAL_LIMIT,
                    f"on {host} all {len(expected)} names are right {shown} (goal {_HEAL_LIMIT:.0f} s)")  # fmt: skip
    stage.figure("heal: names work again", max((t for t in times if t is not None), default=float("nan")),
                 anchors.HEAL_NAMES_BACK)  # fmt: skip
    stage.check(node is not None, f"all nodes Ready after {node or 0:.2f} s")
    stage.figure("heal: node Ready", node or float("nan"), anchors.HEAL_NODE_READY)
    told: list[Rumour] = []
    for one in stage.hosts:
        told += await asyncio.to_thread(rumours, one, since=wall)
    for rumour in sorted(told, key=lambda r: r.when):
        stage.view.say(f"+{rumour.when - wall:5.2f} s  {sentence(rumour)}")
    crossings = [("c1", "right1"), ("right1", "left1"), ("left2", "right3"), ("c3", "left3"), ("c3", "c1")]
    answered = [pair for pair in crossings if await stage.ping(*pair, wait=2) is not None]
    stage.check(answered == crossings, f"{len(answered)} of {len(crossings)} pings between the former sides answered")
    await unique(stage)


async def memory(stage: Stage) -> None:
    """What it costs"""
    sizes = {host.name: resident_mb(host.process.pid) for host in stage.hosts}
    known = [size for size in sizes.values() if size is not None]
    if known:
        stage.view.say("resident memory: " + ", ".join(f"{n} {s:.0f} MB" for n, s in sizes.items() if s is not None))
        stage.figure("memory of a host", max(known), anchors.MEMORY_MB[0], "MB")


CHAPTERS: tuple[Chapter, ...] = (
    daemons, cluster, overlay, pings, page, one_packet, who_told, cut, both_sides, heal, memory,
)  # fmt: skip
