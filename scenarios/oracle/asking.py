"""Which questions follow from what is believed: names, reach, isolation, published ports, the way out."""

from __future__ import annotations

import hashlib
import ipaddress
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from scenarios.oracle import questions as ask
from scenarios.oracle.questions import Question
from scenarios.oracle.seen import Seen, Spot
from scenarios.oracle.world import RUNNING, Box, Net, World

ROUTER = "192.0.2.254"
_NAMED = ("overlay", "bridge", "macvlan", "ipvlan")
_BUILT_IN = ("bridge", "host", "none", "docker_gwbridge", "ingress")
_EACH = 6
"""Targets of one kind that one container is asked about; more are sampled."""


@dataclass(slots=True)
class Asker:
    """A container from which questions are asked, with its places."""

    box: Box
    spots: list[Spot]
    questions: list[Question] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """`addresses`: of hosts on the LAN."""

    world: World
    seen: Seen
    addresses: dict[str, str]
    chance: random.Random
    spots: list[Spot] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)

    def make(self) -> list[Asker]:
        self.spots = self.seen.spots(self.world)
        for box in self.world.boxes.values():
            own = [spot for spot in self.spots if spot.box is box and not spot.paused]
            if own and box.state == RUNNING and box.endless and box.host not in self.world.vague:
                self.askers.append(Asker(box, own))
        for asker in self.askers:
            self._own(asker)
            self._names(asker)
            self._reach(asker)
            self._apart(asker)
            self._way_out(asker)
            self._ports(asker)
        return [asker for asker in self.askers if asker.questions]

    def _sample(self, items: Sequence[Spot], most: int = _EACH) -> list[Spot]:
        return list(items) if len(items) <= most else self.chance.sample(list(items), most)

    def _own(self, asker: Asker) -> None:
        wanted = [spot.own for spot in asker.spots if not spot.address.startswith("172.")]
        if all(spot.driver in ("overlay", "bridge") for spot in asker.spots):  # elsewhere a program may take others
            asker.questions.append(ask.own_addresses("own", wanted))

    # -- names --------------------------------------------------------------------------------------------------

    def _names(self, asker: Asker) -> None:
        named = [s for s in asker.spots if s.driver in _NAMED and s.network_name not in _BUILT_IN]
        if not named:
            return
        known: dict[str, None] = {}
        for spot in named:
            for other in self._on(spot):
                known |= dict.fromkeys(other.names)
        for name in self.chance.sample(list(known), min(len(known), 2 * _EACH)):
            for version in (4, 6):
                if wanted := self._truth(named, name, version):
                    asker.questions.append(ask.lookup(f"name {name} {version}", name, wanted, version=version))
        one = self.chance.choice(named)
        there = [s for s in self._on(one) if s.name not in _BUILT_IN]
        if there:
            other = self.chance.choice(there)
            wanted = [sorted(s.address for s in self._on(one) if other.name.lower() in s.names)]
            asker.questions.append(ask.lookup(f"split {other.name}", f"{other.name}.{one.network_name}", wanted))
            if sum(s.address == other.address for own in named for s in self._on(own)) == 1:
                name = f"{other.name}.{one.network_name}"
                asker.questions.append(ask.pointer(f"pointer {other.address}", other.address, [name]))
        if not self._has_way_out(asker):
            return  # nobody would say that there is no such name
        absent = [n for n in [*self.world.former_names, "never-was"] if n.lower() not in known]
        strangers = [n for s in self.spots for n in (s.name,) if n.lower() not in known]
        for name in self.chance.sample(absent, min(len(absent), 3)) + strangers[:2]:
            asker.questions.append(ask.lookup(f"absent {name}", name, [[]]))

    def _on(self, spot: Spot) -> list[Spot]:
        """All on the network; one that is a host's own has no names of elsewhere."""
        return [s for s in self.spots if s.network == spot.network]

    def _truth(self, named: Sequence[Spot], name: str, version: int) -> list[list[str]]:
        """One network's addresses: the first that knows the name; which is first is the engine's own matter."""
        found = []
        for spot in named:
            on = [s for s in self._on(spot) if name in s.names]
            addresses = sorted(s.address if version == 4 else s.address6 for s in on)
            if on:
                found.append([a for a in addresses if a])
        return found

    # -- reach --------------------------------------------------------------------------------------------------

    def _reach(self, asker: Asker) -> None:
        for own in asker.spots:
            if own.driver not in _NAMED or own.network_name in ("docker_gwbridge", "ingress"):
                continue
            others = [s for s in self._beside(own) if s.id != own.id and not s.paused]
            icc = self._net(own) is None or self._net(own).icc  # type: ignore[union-attr]
            for other in self._sample(others):
                self._one(asker, own, other, meet=icc)

    def _beside(self, own: Spot) -> list[Spot]:
        """All on one link: those of a network, and those of other hosts that have the same of the LAN."""
        found = [s for s in self.spots if s.network == own.network]
        if own.driver in ("macvlan", "ipvlan") and (net := self._net(own)) is not None:
            same = [n.id for n in self.world.nets.values()
                    if n.driver == own.driver and n.subnets == net.subnets and n.host != own.host]  # fmt: skip
            found += [s for s in self.spots if s.network in same]
        return found

    def _net(self, spot: Spot) -> Net | None:
        return self.world.nets.get(spot.network)

    def _one(self, asker: Asker, own: Spot, other: Spot, *, meet: bool) -> None:
        where = f"{other.host}/{other.name} ({other.address}) on {own.network_name}"
        must = "must" if meet else "must not"
        size = self.chance.choice((56, 1300, 3000))
        tries = 2 if meet else 1  # the first packet of all may be lost to neighbour discovery
        asker.questions.append(ask.echo(f"echo {other.id} {own.network}", other.address, size,
            f"{where} {must} answer an echo of {size} bytes", answered=meet, tries=tries))  # fmt: skip
        if other.box is not None and other.box.serves and other.box.state == RUNNING:
            asker.questions.append(ask.page(f"page {other.id} {own.network}", f"http://{other.address}/",
                [other.hostname] if meet else [""], f"{where} {must} serve its page"))  # fmt: skip
            if meet and self.chance.random() < 0.4:
                asker.questions.append(self._whole(other, where))
        if other.address6 and own.address6:
            asker.questions.append(ask.echo(f"echo6 {other.id} {own.network}", other.address6, size,
                f"{where} {must} answer at {other.address6}", answered=meet, tries=tries))  # fmt: skip

    @staticmethod
    def _whole(other: Spot, where: str) -> Question:
        assert other.box is not None
        found = re.search(r"seq 1 (\d+) > /bulk", " ".join(other.box.argv))
        lines = found[1] if found is not None else "0"
        body = "".join(f"{n}\n" for n in range(1, int(lines) + 1)).encode()
        line = f"wget -q -T 5 -O - http://{other.address}/bulk 2>/dev/null | md5sum | cut -c 1-32"
        return Question(f"whole {other.id}", line, (hashlib.md5(body).hexdigest(),), f"{where} must serve all of /bulk")

    def _apart(self, asker: Asker) -> None:
        mine = {spot.network for spot in asker.spots}
        subnets = [ipaddress.ip_interface(spot.own).network for spot in asker.spots]
        others = [
            s for s in self.spots
            if s.network not in mine and s.id != asker.box.id and s.driver in ("overlay", "bridge") and not s.paused
            and not any(o.network in mine for o in self.spots if o.id == s.id)
            and not any(ipaddress.ip_address(s.address) in subnet for subnet in subnets)
            and not (s.driver == "bridge" and any(self._route(asker, s)))
        ]  # fmt: skip
        for other in self._sample(others, 3):
            asker.questions.append(ask.echo(f"apart {other.id} {other.network}", other.address, 56,
                f"{other.host}/{other.name} ({other.address}) on {other.network_name} must not be reached",
                answered=False))  # fmt: skip

    def _route(self, asker: Asker, other: Spot) -> list[bool]:
        """Is another container at that address on the asker's own host, as its bridges know it?"""
        return [
            s.host == asker.box.host and s.address == other.address and s.id != other.id
            and any(s.network == own.network for own in asker.spots) for s in self.spots
        ]  # fmt: skip

    # -- the way out and in -------------------------------------------------------------------------------------

    def _has_way_out(self, asker: Asker) -> bool:
        for spot in asker.spots:
            net = self._net(spot)
            if spot.driver in ("overlay", "bridge") and (net is None or not net.internal):
                return True
        return False

    def _way_out(self, asker: Asker) -> None:
        if any(spot.driver not in ("overlay", "bridge") for spot in asker.spots):
            return
        out = self._has_way_out(asker)
        must = "must" if out else "must not"
        asker.questions.append(
            ask.echo("out", ROUTER, 56, f"the LAN's router {must} answer", answered=out, tries=2 if out else 1)
        )
        if out:
            asker.questions.append(ask.lookup("outside", "router.example", [[ROUTER]]))

    def _ports(self, asker: Asker) -> None:
        if not self._has_way_out(asker) or any(spot.driver not in ("overlay", "bridge") for spot in asker.spots):
            return
        held: dict[tuple[str, str], Box | None] = {}
        unsure: dict[tuple[str, str], None] = {}
        for box in self.world.boxes.values():
            for text in box.publish:
                port, _, inner = text.rpartition(":")
                document = self.seen.documents.get(box.id)
                if port.isdigit() and inner == "80" and document is not None and box.host not in self.world.vague:
                    runs = document["State"]["Status"] == "running" and box.serves and box.state == RUNNING
                    if runs or (box.host, port) not in held:
                        held[(box.host, port)] = box if runs else None
                    if document["State"]["Status"] == "running" and not runs:
                        unsure[(box.host, port)] = None
        stray = {s.host for s in self.spots if s.box is None}
        choices = list(held.items())
        for (host, port), holder in self.chance.sample(choices, min(len(choices), 4)):
            if host in self.seen.silent or host in stray or (host, port) in unsure:
                continue
            places = [s for s in self.spots if holder is not None and s.box is holder]
            if holder is not None and not (places and all(self._serves_outside(s) for s in places)):
                continue
            hostname = self.seen.documents[holder.id]["Config"]["Hostname"] if holder is not None else ""
            must = f"{holder.name}'s" if holder is not None else "closed"
            url = f"http://{self.addresses[host]}:{port}/"
            what = f"{host}'s port {port} must be {must}"
            asker.questions.append(ask.page(f"port {host} {port}", url, [hostname], what))

    def _serves_outside(self, spot: Spot) -> bool:
        net = self._net(spot)
        return spot.driver in ("overlay", "bridge") and (net is None or not net.internal)
