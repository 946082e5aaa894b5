"""Faults of a run: begun, and always undone. All cuts and impairments in force are one document for every daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scenarios.language.checking import IMPAIRS, given
from scenarios.language.model import Fault, Link
from scenarios.running.record import ERROR, Event
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed

_SLICE = 0.1
"""Seconds of a slow process' turn: it runs for its share of each."""

_AFTERMATH = 6.0
"""Seconds after which a probe that began under a fault has ended."""

_AGAIN = 1.0
_HEARD = 10.0
"""Seconds after the last fault's end until which a host may not know what others did in it."""

Undo = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Active:
    event: Event
    undo: Undo
    timer: asyncio.Task[None] | None = None
    ends_by_itself: bool = False


@dataclass(slots=True)
class Breaker:
    """The faults in force."""

    stage: Stage
    _cuts: dict[str, dict[str, object]] = field(default_factory=dict)
    _impairments: dict[str, dict[str, object]] = field(default_factory=dict)
    _active: dict[str, _Active] = field(default_factory=dict)
    _made: int = 0
    _explained_until: dict[str, float] = field(default_factory=dict)
    _mended: float = -1e9
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage.ledger.broken = lambda: bool(self._active) or self.stage.swarm.now() < self._mended + _HEARD

    @property
    def network_faults(self) -> bool:
        """Is anything broken between hosts now, beside what the links are like?"""
        return bool(self._cuts) or any(not name.startswith("link-") for name in self._impairments)

    @property
    def active(self) -> list[str]:
        return list(self._active)

    def explains_copies(self) -> bool:
        """Does a fault duplicate packets now, or did it a moment ago?"""
        return self._explains("duplicate")

    def explains_damage(self) -> bool:
        """Does a fault flip bits now, or did it a moment ago?"""
        return self._explains("corrupt")

    def _explains(self, what: str) -> bool:
        if not self._impairments and what not in self._explained_until:
            return False
        now = self.stage.swarm.now()
        if any(entry.get(what) for entry in self._impairments.values()):
            self._explained_until[what] = now + _AFTERMATH
        return now < self._explained_until.get(what, 0.0)

    async def links(self, links: Sequence[Link]) -> None:
        """What the ways between hosts are like all along."""
        for n, link in enumerate(links, 1):
            amounts = {
                "delay": link.latency, "jitter": link.jitter, "distribution": link.distribution, "rate": link.rate,
                "loss": link.loss,
            }  # fmt: skip
            if not (link.latency or link.jitter or link.rate or link.loss):
                continue
            for way, (source, target) in enumerate((link.between, reversed(link.between)), 1):
                self._impairments[f"link-{n}-{way}"] = {
                    "id": f"link-{n}-{way}", "from": self._addresses(source), "to": self._addresses(target), **amounts,
                }  # fmt: skip
        if self._impairments:
            await self._apply()

    async def begin(self, fault: Fault, line: int = 0) -> str:
        """Its id. Raises SwarmFailed when it cannot be done here."""
        self._made += 1
        name = fault.id or f"fault-{self._made}"
        text, host = describe(fault)
        self.stage.disturb()
        event = self.stage.event("fault", text, host=host, line=line, id=name,
                                 settings=fault.model_dump(exclude_defaults=True))  # fmt: skip
        try:
            undo = await self._do(name, fault)
        except (SwarmFailed, HostSilent) as error:
            event.ok = False
            self.stage.end(event)
            raise SwarmFailed(f"the fault ({text}) could not be begun: {error}") from None
        active = self._active[name] = _Active(event, undo)
        if isinstance(fault.for_, float):
            active.timer = asyncio.create_task(self._end_after(name, fault.for_))
        return name

    async def _end_after(self, name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._active[name].timer = None
        try:
            await self.end(name)
        except SwarmFailed as error:
            self.stage.fail(f"the end of {name} failed: {error}", outcome=ERROR)

    async def end(self, name: str) -> None:
        """Undoes a fault; nothing if it has ended."""
        active = self._active.pop(name, None)
        if active is None:
            return
        if active.timer is not None:
            active.timer.cancel()
            await asyncio.gather(active.timer, return_exceptions=True)
        try:
            await active.undo()
        except HostSilent as error:
            self.stage.event("note", f"the end of {name} could not be told: {error}", ok=False)
        finally:
            self._mended = self.stage.swarm.now()
            self.stage.end(active.event)
            self.stage.disturb()

    async def end_all(self) -> list[str]:
        """Undoes everything, whatever fails on the way; what failed."""
        failed = []
        # A full disk first: hosts that others killed cannot start on it.
        for name in sorted(self._active, key=lambda name: not _fills_a_disk(self._active[name])):
            try:
                await self.end(name)
            except Exception as error:  # every other fault is still to be undone
                failed.append(f"{name}: {error}")
        return failed

    async def _apply(self) -> None:
        async with self._lock:
            await self.stage.swarm.set_faults(
                {"partitions": list(self._cuts.values()), "impairments": list(self._impairments.values())}
            )

    def _addresses(self, hosts: Sequence[str]) -> list[str]:
        return [self.stage.swarm.addresses[host] for host in hosts]

    async def cut(self, name: str, groups: Sequence[Sequence[str]], fault: Fault | None = None) -> Undo:
        """A partition; one group alone is cut off from all others."""
        if len(groups) == 1:
            groups = [groups[0], [host for host in self.stage.swarm.addresses if host not in groups[0]]]
        self._cuts[name] = {
            "id": name, "groups": [self._addresses(g) for g in groups if g], "since": 0,
            "oneway": fault.oneway if fault else False, "traffic": list(fault.traffic) if fault else [],
        }  # fmt: skip
        await self._apply()

        async def undo() -> None:
            self._cuts.pop(name, None)
            await self._apply()

        return undo

    async def _do(self, name: str, fault: Fault) -> Undo:
        swarm = self.stage.swarm
        hosts = list(swarm.addresses)
        if fault.partition is not None:
            return await self.cut(name, fault.partition, fault)
        if fault.islands is not None:
            rest = [host for host in hosts if host not in fault.islands]
            return await self.cut(name, [*([host] for host in fault.islands), rest], fault)
        if fault.bridge is not None:
            others = [host for host in hosts if host != fault.bridge]
            half = (len(others) + 1) // 2
            return await self.cut(name, [others[:half], others[half:]], fault)
        if given(fault, IMPAIRS):
            return await self._impair(name, fault)
        if fault.flap is not None:
            flap = fault.flap
            return self._repeatedly(
                lambda: self._flapping(name, flap.hosts, flap.down, flap.up, fault), lambda: self._mend(name)
            )
        if fault.kill is not None:
            return await self.kill(fault.kill)
        if fault.pause is not None:
            return await self.pause(fault.pause)
        if fault.slow is not None:
            host, share = fault.slow.host, fault.slow.share
            return self._repeatedly(lambda: self._slowing(host, share), lambda: swarm.resume(host))
        if fault.full_disk is not None:
            return await self._fill(fault.full_disk)
        if fault.power_loss is not None or fault.lost_disk is not None:
            return await self._lose(fault.power_loss or fault.lost_disk or (), whole=fault.lost_disk is not None)
        if fault.old_disk is not None:
            return await self._old_disk(fault.old_disk)
        assert fault.clock is not None
        clock = fault.clock
        await swarm.set_clock(clock.host, jump=clock.jump, skew=clock.skew)
        return lambda: swarm.set_clock(clock.host, jump=0.0, skew=0.0)

    async def _impair(self, name: str, fault: Fault) -> Undo:
        amounts = {key: getattr(fault, key) for key in (*IMPAIRS, "distribution", "queue")}
        if not any(amounts[key] for key in IMPAIRS):
            return lambda: self._mend(name)  # loss: 0%, one choice of a matrix
        self._impairments[name] = {
            "id": name, "from": self._addresses(fault.from_), "to": self._addresses(fault.to),
            "traffic": list(fault.traffic), **{k: v for k, v in amounts.items() if v is not None},
        }  # fmt: skip
        try:
            await self._apply()
        except SwarmFailed:
            del self._impairments[name]
            raise
        return lambda: self._mend(name)

    async def _mend(self, name: str) -> None:
        self.explains_copies()
        self.explains_damage()
        self._cuts.pop(name, None)
        self._impairments.pop(name, None)
        await self._apply()

    async def kill(self, hosts: Sequence[str]) -> Undo:
        """SIGKILL; undone, they run again."""
        for host in hosts:
            async with self._turn(host):
                self.stage.expected_down[host] = None
                await self.stage.swarm.kill(host)
                self.stage.ledger.died(host, self.stage.swarm.now())

        async def undo() -> None:
            for host in hosts:
                async with self._turn(host):
                    if not self.stage.swarm.is_up(host):
                        await self._restarted(host)
                    self.stage.expected_down.pop(host, None)

        return undo

    def _turn(self, host: str) -> asyncio.Lock:
        """Whoever ends or starts a host's daemon does it to the end: two faults may have killed one host, and a start
        that waits for room on its disk takes its time."""
        return self._turns.setdefault(host, asyncio.Lock())

    async def stop(self, hosts: Sequence[str]) -> None:
        """SIGTERM, to their end."""
        for host in hosts:
            async with self._turn(host):
                self.stage.expected_down[host] = None
                await self.stage.swarm.end(host)
                self.stage.ledger.died(host, self.stage.swarm.now())

    async def restart(self, host: str) -> None:
        """Whether it runs or not."""
        async with self._turn(host):
            self.stage.expected_down[host] = None
            if self.stage.swarm.is_up(host):
                self.stage.ledger.died(host, self.stage.swarm.now())
            await self.stage.swarm.restart(host)
            await self._apply()  # its disk may have been full when these began or ended
            self.booted(host)
            self.stage.expected_down.pop(host, None)

    async def _lose(self, hosts: Sequence[str], *, whole: bool) -> Undo:
        """The daemons end, with what was not synced, or with all that their disks had; undone, they run again."""
        again = await self.kill(hosts)
        for host in hosts:
            await (self.stage.swarm.lose_disk(host) if whole else self.stage.swarm.lose_power(host))
            self._forgets(host, power=not whole)

        async def undo() -> None:
            await self._apply()  # what is cut now is written where they will find it
            await again()
            await self._apply()  # an empty disk had no place for it

        return undo

    async def _old_disk(self, hosts: Sequence[str]) -> Undo:
        """Undone, their disks are what they are now."""
        for host in hosts:
            await self.stage.swarm.copy_disk(host)

        async def undo() -> None:
            again = await self.kill(hosts)
            for host in hosts:
                await self.stage.swarm.put_disk_back(host)
                self._forgets(host)
            await self._apply()
            await again()

        return undo

    def _forgets(self, host: str, *, power: bool = False) -> None:
        """What this host acknowledged for itself alone may be gone."""
        if self.stage.history is not None:
            self.stage.history.vague[host] = None
        self.stage.ledger.forgot(host, self.stage.swarm.now(), power=power)

    async def _restarted(self, host: str) -> None:
        """A daemon whose disk is full cannot start: then as soon as it is not."""
        while True:
            try:
                await self.stage.swarm.restart(host)
                break
            except (OSError, SwarmFailed):
                if not any(map(_fills_a_disk, self._active.values())):
                    raise
                await asyncio.sleep(_AGAIN)
        await self._apply()  # the disk may have been full when these began or ended
        self.booted(host)

    def booted(self, host: str) -> None:
        """A daemon was started again: now its restart policies hold."""
        alone = self.network_faults or len(self.stage.expected_down) > 1 or len(self._active) > 1
        self.stage.ledger.booted(host, self.stage.swarm.now(), disturbed=alone)

    async def pause(self, hosts: Sequence[str]) -> Undo:
        """SIGSTOP; undone, SIGCONT."""
        for host in hosts:
            self.stage.expected_down[host] = None
            await self.stage.swarm.pause(host)

        async def undo() -> None:
            for host in hosts:
                await self.stage.swarm.resume(host)
                if self.stage.swarm.is_up(host):  # it may have been killed meanwhile
                    self.stage.expected_down.pop(host, None)

        return undo

    async def _fill(self, hosts: Sequence[str]) -> Undo:
        done: list[str] = []

        async def undo() -> None:
            for host in done:
                await self.stage.swarm.fill_disk(host, False)

        for host in hosts:
            await self.stage.swarm.fill_disk(host, True)
            done.append(host)
        return undo

    def _repeatedly(self, work: Callable[[], Awaitable[None]], after: Callable[[], Awaitable[None]]) -> Undo:
        async def forever() -> None:
            while True:
                await work()

        task = asyncio.create_task(forever())

        async def undo() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await after()

        return undo

    async def _flapping(self, name: str, hosts: Sequence[str], down: float, up: float, fault: Fault) -> None:
        await self.cut(
            name, [*([host] for host in hosts), [h for h in self.stage.swarm.addresses if h not in hosts]], fault
        )
        await asyncio.sleep(down)
        await self._mend(name)
        await asyncio.sleep(up)

    async def _slowing(self, host: str, share: float) -> None:
        await self.stage.swarm.pause(host)
        await asyncio.sleep(_SLICE * (1 - share))
        await self.stage.swarm.resume(host)
        await asyncio.sleep(_SLICE * share)


def _fills_a_disk(active: _Active) -> bool:
    return active.event.text.startswith("full disk")


def describe(fault: Fault) -> tuple[str, str]:
    """A fault in words, and the host that it is about, if one alone."""
    among = f" ({', '.join(fault.traffic)} only)" if fault.traffic else ""
    if fault.partition is not None:
        arrow = " -> " if fault.oneway else " / "
        return f"partition {arrow.join(','.join(g) for g in fault.partition)}{among}", ""
    hosts: list[str] | None
    several = {
        "islands": fault.islands, "kill": fault.kill, "pause": fault.pause, "full disk": fault.full_disk,
        "power loss": fault.power_loss, "old disk": fault.old_disk, "lost disk": fault.lost_disk,
        "flapping link": fault.flap.hosts if fault.flap else None,
    }  # fmt: skip
    for word, hosts in several.items():
        if hosts:
            return f"{word} {', '.join(hosts)}{among}", hosts[0] if len(hosts) == 1 else ""
    if fault.bridge is not None:
        return f"partition with {fault.bridge} as the bridge{among}", fault.bridge
    if fault.slow is not None:
        return f"slow process: {fault.slow.host} runs {fault.slow.share:.0%} of its time", fault.slow.host
    if fault.clock is not None:
        return (
            f"clock of {fault.clock.host}: {fault.clock.jump:+g} s, {fault.clock.skew:+g} s a second",
            fault.clock.host,
        )
    amounts = ", ".join(f"{name} {getattr(fault, name):g}" for name in given(fault, IMPAIRS))
    way = (f" from {','.join(fault.from_)}" if fault.from_ else "") + (f" to {','.join(fault.to)}" if fault.to else "")
    return f"{amounts}{way}{among}", fault.from_[0] if len(fault.from_) == 1 else ""


def faults_of(document: Mapping[str, object]) -> int:
    """How many faults a daemon tells of."""
    return sum(len(found) for found in document.values() if isinstance(found, list))
