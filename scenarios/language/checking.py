"""What the model alone cannot see: hosts that do not exist, faults without end, deadlines in the past, bad commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scenarios.cli.lines import BadLine
from scenarios.cli.lines import parse as parse_line
from scenarios.language import metrics
from scenarios.language.blocks import container_line, network_line
from scenarios.language.marks import Marked, Path
from scenarios.language.model import Churn, Expectation, Fault, Load, Scenario, Step
from scenarios.language.variables import names_in

ACTIONS = (
    "docker", "exec", "fault", "heal", "kill", "stop", "pause", "resume", "restart", "join", "expect", "wait",
    "parallel", "repeat", "note", "set",
)  # fmt: skip
KINDS = ("exec", "docker", "reachable", "unreachable", "resolves", "unresolved", "node", "members", "metric")
LOADS = ("ping", "http", "dns", "stream")
DISKS = ("power_loss", "old_disk", "lost_disk")
BREAKS = ("partition", "islands", "bridge", "flap", "kill", "pause", "slow", "full_disk", *DISKS, "clock")
IMPAIRS = ("delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "mtu")
_PUBLISHED = re.compile(r"((\S+:)?(\d+(-\d+)?)?:)?\d+(-\d+)?(/(tcp|udp|sctp))?")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def given(part: object, names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are set."""
    return [name for name in names if getattr(part, name) is not None]


def check(scenario: Scenario, marked: Marked, variables: Mapping[str, Any]) -> None:
    """Raises ScenarioError for the first thing that is wrong."""
    _Checker(scenario, marked, variables).all()


@dataclass(slots=True)
class _Checker:
    scenario: Scenario
    marked: Marked
    variables: Mapping[str, Any]
    ids: dict[str, Path] = field(default_factory=dict)
    healed: list[str] = field(default_factory=list)

    def all(self) -> None:
        s = self.scenario
        if not s.hosts:
            raise self.marked.error(("hosts",), "hosts: at least one expected")
        for name in s.hosts:
            if not _HOSTNAME.fullmatch(name):
                raise self.marked.error(("hosts", name), f"hosts: letters, digits and hyphens expected, not {name!r}")
        first = next(iter(s.hosts))
        if s.hosts[first].role == "worker" or not s.hosts[first].join:
            raise self.marked.error(("hosts", first), f"hosts.{first}: the first host is the manager")
        for n, link in enumerate(s.links):
            self.groups(("links", n, "between"), link.between, exactly=2)
        for name, network in s.networks.items():
            if network.on is not None:
                self.host(("networks", name, "on"), network.on)
        for name, container in s.containers.items():
            self.host(("containers", name, "on"), container.on)
            for network_name in container.networks:
                if s.networks and network_name not in (*s.networks, "bridge", "host", "none"):
                    raise self.marked.error(("containers", name, "networks"),
                        f"containers.{name}: no network {network_name!r} among {', '.join(s.networks)}")  # fmt: skip
                made_on = s.networks[network_name].on if network_name in s.networks else None
                local = made_on is not None and s.networks[network_name].driver != "overlay"
                if local and made_on != container.on and "${" not in f"{made_on}{container.on}":
                    raise self.marked.error(("containers", name, "networks"),
                        f"containers.{name}: the network {network_name} is made on {made_on} only, and {name} is on "
                        f"{container.on}")  # fmt: skip
            self._block(("containers", name), container_line(name, container))
            for text in container.publish:
                if "${" not in text and not _PUBLISHED.fullmatch(text):
                    raise self.marked.error(("containers", name, "publish"),
                        f"containers.{name}: publish: a port such as 8080:80 expected, not {text!r}")  # fmt: skip
            if container.ip and not container.networks:
                raise self.marked.error(("containers", name, "ip"), f"containers.{name}: an `ip` needs a network")
        for name, network in s.networks.items():
            self._block(("networks", name), network_line(name, network))
        for name, plugin in s.plugins.items():
            for host in plugin.on:
                self.host(("plugins", name, "on"), host)
        self.healed = _healed(s.steps)
        for n, fault in enumerate(s.faults):
            path: Path = ("faults", n)
            if fault.at is None:
                raise self.marked.error(path, "faults: `at` missing: when does it begin?")
            self.fault(path, fault)
            self.moment((*path, "at"), fault.at)
        for n, churn in enumerate(s.churn):
            self.churn(("churn", n), churn)
        for n, load in enumerate(s.load):
            self.load(("load", n), load)
        self.steps(("steps",), s.steps, 0.0)

    def _block(self, path: Path, line: str) -> None:
        """What stands in it must be what docker takes."""
        if not names_in(line):
            try:
                parse_line(line)
            except BadLine as error:
                raise self.marked.error(path, f"{path[0]}.{path[1]}: docker {line}: {error}") from None

    def steps(self, path: Path, steps: list[Step], since: float | None) -> None:
        """since: the latest `at` until here; None where the clock is not known (in a repetition)."""
        for n, step in enumerate(steps):
            here = (*path, n)
            found = given(step, ACTIONS)
            if len(found) != 1:
                what = "none" if not found else " and ".join(found)
                raise self.marked.error(here, f"one action expected in a step ({', '.join(ACTIONS)}), found {what}")
            if step.at is not None:
                if since is None:
                    raise self.marked.error((*here, "at"), "at: not within `repeat`; use its `every`, or `wait`")
                if step.at < since:
                    raise self.marked.error((*here, "at"),
                        f"at: {step.at:g}s is in the past: an earlier step is at {since:g}s")  # fmt: skip
                self.moment((*here, "at"), step.at)
                since = step.at
            self.step(here, step, since)

    def step(self, here: Path, step: Step, since: float | None) -> None:
        if step.capture is not None and step.docker is None and step.exec is None:
            raise self.marked.error((*here, "capture"), "capture: only the output of docker or exec can be captured")
        if step.fails is not False and step.docker is None and step.exec is None:
            raise self.marked.error((*here, "fails"), "fails: only docker or exec can be expected to fail")
        if step.never is not None and step.docker is None and step.exec is None:
            raise self.marked.error((*here, "never"), "never: only for docker and exec")
        if step.may_fail and ((step.docker is None and step.exec is None) or step.fails is not False):
            raise self.marked.error((*here, "may_fail"), "may_fail: only for docker and exec, and not beside `fails`")
        if step.on is not None and step.docker is None and step.exec is None:
            raise self.marked.error((*here, "on"), "on: only for docker and exec")
        if step.docker is not None:
            self.docker((*here, "docker"), step.docker, step.on, (*here, "on"))
        if step.exec is not None:
            self.container((*here, "on"), step.on)
        if step.fault is not None:
            if step.fault.at is not None:
                raise self.marked.error((*here, "fault", "at"), "at: stands beside `fault`, not in it")
            self.fault((*here, "fault"), step.fault)
        for action in ("kill", "stop", "pause", "resume", "restart", "join"):
            for name in getattr(step, action) or ():
                self.host((*here, action), name)
        for one in step.heal or ():
            if one != "all" and one not in self.ids:
                known = ", ".join(self.ids) or "none"
                raise self.marked.error(
                    (*here, "heal"), f"heal: no fault with the id {one!r} before; ids: {known}, all"
                )
        if step.expect is not None:
            self.expectation((*here, "expect"), step.expect, since)
        if step.parallel is not None:
            for n, inner in enumerate(step.parallel):
                self.steps((*here, "parallel"), [inner], since) if n == 0 else self._one(
                    (*here, "parallel"), n, inner, since
                )
        if step.repeat is not None:
            self.steps((*here, "repeat", "steps"), step.repeat.steps, None)

    def _one(self, path: Path, n: int, step: Step, since: float | None) -> None:
        found = given(step, ACTIONS)
        if len(found) != 1:
            raise self.marked.error((*path, n), f"one action expected in a step ({', '.join(ACTIONS)})")
        if step.at is not None and since is not None and step.at < since:
            raise self.marked.error(
                (*path, n, "at"), f"at: {step.at:g}s is in the past: an earlier step is at {since:g}s"
            )
        self.step((*path, n), step, since)

    def moment(self, path: Path, at: float) -> None:
        if at >= self.scenario.timeout:
            raise self.marked.error(
                path, f"{path[-1]}: {at:g}s is after the run's end (timeout: {self.scenario.timeout:g}s)"
            )

    def host(self, path: Path, name: str) -> None:
        if "${" in name:
            return
        if name not in self.scenario.hosts:
            raise self.marked.error(path, f"no host {name!r}; there are {', '.join(self.scenario.hosts)}")

    def container(self, path: Path, place: str | None) -> None:
        if place is None or "/" not in place:
            raise self.marked.error(path, "on: HOST/CONTAINER expected, as in h1/web")
        self.host(path, place.partition("/")[0])

    def docker(self, path: Path, line: str, on: str | None, on_path: Path) -> None:
        if on is None:
            if len(self.scenario.hosts) > 1:
                raise self.marked.error(on_path, "on: a host expected, as in h1")
        elif "/" in on:
            raise self.marked.error(on_path, f"on: a host expected for docker, not the container {on!r}")
        else:
            self.host(on_path, on)
        if names_in(line):
            return  # what a capture will bring is not known yet
        try:
            parse_line(line)
        except BadLine as error:
            raise self.marked.error(path, str(error)) from None

    def groups(self, path: Path, groups: list[list[str]], exactly: int | None = None) -> None:
        if exactly is not None and len(groups) != exactly:
            raise self.marked.error(path, f"{path[-1]}: {exactly} groups expected, as in h1 / h2,h3")
        names = [name for group in groups for name in group]
        if not groups or not all(groups):
            raise self.marked.error(path, f"{path[-1]}: a group is empty; expected: h1,h2 / h3")
        for name in names:
            self.host(path, name)
            if names.count(name) > 1:
                raise self.marked.error(path, f"{path[-1]}: {name} stands in two groups")
        if len(groups) == 1 and len(names) == len(self.scenario.hosts):
            raise self.marked.error(path, f"{path[-1]}: all hosts are in one group: nothing would be cut")

    def fault(self, path: Path, fault: Fault) -> None:
        breaks, impairs = given(fault, BREAKS), given(fault, IMPAIRS)
        if len(breaks) + bool(impairs) != 1:
            found = " and ".join(breaks + impairs) or "none"
            raise self.marked.error(path,
                f"one of {', '.join(BREAKS)} expected, or impairments ({', '.join(IMPAIRS)}); "
                f"found {found}")  # fmt: skip
        for name in ("from_", "to"):
            if getattr(fault, name) and not impairs:
                key = name.strip("_")
                what = f"{key}: only impairments have a direction; a partition has `oneway`"
                raise self.marked.error((*path, key), what)
            for host in getattr(fault, name):
                self.host((*path, name.strip("_")), host)
        if fault.oneway and fault.partition is None:
            raise self.marked.error((*path, "oneway"), "oneway: only for a partition")
        if fault.partition is not None:
            self.groups((*path, "partition"), fault.partition)
        for name in ("islands", "kill", "pause", "full_disk", *DISKS):
            for host in getattr(fault, name) or ():
                self.host((*path, name), host)
        for name, host in (("bridge", fault.bridge), ("slow", fault.slow and fault.slow.host),
                           ("clock", fault.clock and fault.clock.host)):  # fmt: skip
            if host:
                self.host((*path, name), host)
        for host in fault.flap.hosts if fault.flap else ():
            self.host((*path, "flap", "hosts"), host)
        if fault.bridge is not None and len(self.scenario.hosts) < 3:
            raise self.marked.error((*path, "bridge"), "bridge: needs three hosts or more")
        if fault.for_ is not None and fault.for_ != "run" and float(fault.for_) <= 0:
            raise self.marked.error((*path, "for"), "for: longer than nothing expected")
        if fault.id is not None:
            if fault.id in self.ids or fault.id == "all":
                raise self.marked.error((*path, "id"), f"id: {fault.id!r} is another fault's, or means all")
            self.ids[fault.id] = path
        if fault.for_ is None and fault.id not in self.healed and "all" not in self.healed:
            raise self.marked.error(
                path, "a fault without end: give `for: 10s`, an `id` that a later step heals, or `for: run`"
            )

    def expectation(self, path: Path, e: Expectation, since: float | None) -> None:
        found = given(e, KINDS)
        if len(found) != 1:
            raise self.marked.error(path, f"one of {', '.join(KINDS)} expected, found {' and '.join(found) or 'none'}")
        kind = found[0]
        if e.within is not None and e.by is not None:
            raise self.marked.error((*path, "by"), "by: one of `within` and `by` expected, not both")
        if e.by is not None:
            if since is not None and e.by <= since:
                raise self.marked.error((*path, "by"),
                    f"by: a deadline in the past: {e.by:g}s, and the step is not before {since:g}s")  # fmt: skip
            self.moment((*path, "by"), e.by)
        if e.within is not None and e.within <= 0:
            raise self.marked.error((*path, "within"), "within: a deadline in the past: longer than nothing expected")
        for name in ("prints", "lacks", "matches", "exit"):
            if getattr(e, name) is not None and kind not in ("exec", "docker"):
                raise self.marked.error((*path, name), f"{name}: only for exec and docker")
        if e.matches is not None:
            try:
                re.compile(e.matches)
            except re.error as error:
                raise self.marked.error((*path, "matches"), f"matches: not a regular expression: {error}") from None
        if e.to and kind not in ("resolves",):
            raise self.marked.error((*path, "to"), "to: only for resolves")
        if kind == "exec":
            self.container((*path, "on"), e.on)
        if kind == "docker":
            self.docker((*path, "docker"), str(e.docker), e.on, (*path, "on"))
        if kind in ("reachable", "unreachable", "resolves", "unresolved"):
            self.way((*path, kind), getattr(e, kind))
        if kind == "node":
            self.host((*path, "node"), str(e.node))
            if e.is_ is None:
                raise self.marked.error(path, "node: `is: Ready` or `is: Down` expected beside it")
        if kind == "metric":
            try:
                metrics.parse(str(e.metric))
            except ValueError as error:
                raise self.marked.error((*path, "metric"), f"metric: {error}") from None
            name = metrics.parse(str(e.metric)).series
            known = [load_name(load) for load in self.scenario.load]
            if name not in known:
                raise self.marked.error(
                    (*path, "metric"), f"metric: no load {name!r}; there are {', '.join(known) or 'none'}"
                )
        if e.on is not None and kind in ("node", "members"):
            self.host((*path, "on"), e.on.partition("/")[0])

    def way(self, path: Path, way: str) -> None:
        self.host(path, way.partition("/")[0].strip())

    def load(self, path: Path, load: Load) -> None:
        found = given(load, LOADS)
        if len(found) != 1:
            raise self.marked.error(path, f"one of {', '.join(LOADS)} expected, found {' and '.join(found) or 'none'}")
        self.way((*path, found[0]), getattr(load, found[0]))
        if load.every <= 0:
            raise self.marked.error((*path, "every"), "every: longer than nothing expected")
        if load.rate is not None and (load.stream is None or load.rate <= 0):
            raise self.marked.error((*path, "rate"), "rate: of a stream only, and more than nothing")
        self.moment((*path, "at"), load.at)
        names = [load_name(other) for other in self.scenario.load]
        if names.count(load_name(load)) > 1:
            raise self.marked.error(path, f"two loads are called {load_name(load)!r}: give them a `name`")

    def churn(self, path: Path, churn: Churn) -> None:
        kinds = ("kill", "pause", "partition", "join", "restart_containers")
        found = given(churn, kinds)
        if len(found) != 1:
            raise self.marked.error(path, f"one of {', '.join(kinds)} expected, found {' and '.join(found) or 'none'}")
        for name in getattr(churn, found[0]):
            if churn.partition and "/" in name:
                raise self.marked.error(
                    (*path, "partition"), "partition: hosts expected, as in h1, h2, h3; the seed draws the sides"
                )
            self.host((*path, found[0]), name.partition("/")[0])
        if next(iter(self.scenario.hosts)) in (churn.join or ()):
            raise self.marked.error((*path, "join"), "join: the first host is the manager, and stays")
        if churn.join and not self.scenario.swarm:
            raise self.marked.error((*path, "join"), "join: there is no swarm to join (`swarm: false`)")
        if churn.every <= 0:
            raise self.marked.error((*path, "every"), "every: longer than nothing expected")


def load_name(load: Load) -> str:
    return load.name or given(load, LOADS)[0]


def _healed(steps: list[Step]) -> list[str]:
    found: list[str] = []
    for step in steps:
        found += step.heal or []
        found += _healed(step.parallel or [])
        found += _healed(step.repeat.steps if step.repeat else [])
    return found
