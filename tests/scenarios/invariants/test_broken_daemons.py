"""Daemons with one thing broken, in the simulated harness: each is caught by the invariant that speaks of it, and the
whole ones pass the same scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import overlay.directory as directory
import overlay.vtep as vtep
from daemon.host import Host
from gossip.anti_entropy import REQUEST_TIMEOUT, AntiEntropy
from gossip.numbers.ring import Ring
from overlay.bridge import BridgePort
from overlay.vtep import Segment
from overlay.wire.vxlan import FLAG_SEALED
from scenarios.language.reading import parse
from scenarios.running.record import RunRecord
from scenarios.running.run import run_simulated
from scenarios.sim.disk import SimulatedDisk

STORY = """\
hosts: {h1: , h2: {role: manager}, h3: }
networks: {ov1: {subnet: 10.7.0.0/24}, ov2: }
containers:
  c1: {on: h1, networks: ov1}
  c2: {on: h2, networks: ov1}
  c3: {on: h3, networks: ov2}
  c4: {on: h1, networks: ov2}
steps:
  - {on: h2/c2, exec: ping -c 2 c1}
  - {on: h3/c3, exec: ping -c 2 c4}
  - {on: h1, docker: run -d --name moved --network ov1 --ip 10.7.0.77 alpine sleep 999}
  - expect: {reachable: h2/c2 -> moved, within: 2s}
  - {on: h1, docker: rm -f moved}
  - {on: h3, docker: run -d --name moved --network ov1 --ip 10.7.0.77 alpine sleep 999}
  - {on: h1, docker: run -d --name again --network ov1 alpine sleep 999}
  - expect: {reachable: h2/c2 -> again, within: 2s}
  - {on: h1, docker: rm -f again}
  - {on: h3, docker: run -d --name again --network ov1 alpine sleep 999}
  - {on: h1, docker: run -d --name gone --network ov1 alpine sleep 999}
  - expect: {resolves: h2/c2 -> gone, within: 2s}
  - {on: h1, docker: rm -f gone}
  - fault: {partition: [[h1], [h2], [h3]], for: 8s, id: cut}
  - wait: 1s
  - {on: h1, docker: network create -d overlay --attachable left}
  - {on: h2, docker: network create -d overlay --attachable right}
  - {on: h1, docker: run -d --name l1 --network ov1 alpine sleep 999}
  - {on: h2, docker: run -d --name r1 --network ov1 alpine sleep 999}
  - heal: cut
  - wait: 2s
  - kill: h1
  - restart: h1
  - wait: 3s
"""

CUT = """\
hosts: {h1: , h2: {role: manager}}
steps:
  - fault: {partition: [[h1], [h2]], for: 4s}
  - {on: h1, docker: network create -d overlay --attachable left}
  - {on: h2, docker: network create -d overlay --attachable right}
  - wait: 6s
"""

SHORTLY = """\
hosts: {h1: , h2: {role: manager}}
networks: {ov1: {subnet: 10.7.0.0/24}}
steps:
  - wait: 1300ms
  - fault: {partition: [[h1], [h2]], for: 2s}
  - {on: h1, docker: run -d --name c1 --network ov1 alpine sleep 999}
  - {on: h2, docker: run -d --name c2 --network ov1 alpine sleep 999}
  - wait: 200ms
  - {on: h1, docker: rm -f c1}
"""

SECRET = """\
hosts: {h1: , h2: {role: manager}, h3: }
networks: {ov1: {options: {encrypted: ""}}}
containers: {c1: {on: h1, networks: ov1}, c2: {on: h2, networks: ov1}}
steps:
  - {on: h2/c2, exec: ping -c 2 c1}
"""

TWO_NETWORKS = """\
hosts: 2
networks: {ov1: , ov2: }
containers:
  c1: {on: h1, networks: [ov1, ov2]}
  c2: {on: h2, networks: [ov1, ov2], aliases: [c3]}
  c3: {on: h2, networks: ov1}
steps: [{wait: 1s}]
"""

Break = Callable[[pytest.MonkeyPatch], None]


def story(text: str = STORY) -> RunRecord:
    (source,) = parse(text)
    return run_simulated(source)


def rings_without_owners(patch: pytest.MonkeyPatch) -> None:
    """Every host gives from the whole ring."""
    patch.setattr(Ring, "ranges", lambda ring, owner: [(ring.start, ring.end)])


def fdb_that_keeps_what_it_has(patch: pytest.MonkeyPatch) -> None:
    """An address that moves stays where it was."""
    whole = directory._compute_mac

    def stale(index: directory._Index, view: directory.NetworkView, mac: bytes) -> None:
        if mac not in view.fdb:
            whole(index, view, mac)

    patch.setattr(directory, "_compute_mac", stale)


def names_that_keep_what_they_have(patch: pytest.MonkeyPatch) -> None:
    whole = directory._compute_name

    def stale(index: directory._Index, view: directory.NetworkView, name: str) -> None:
        if name not in view.names:
            whole(index, view, name)

    patch.setattr(directory, "_compute_name", stale)


def every_frame_twice(patch: pytest.MonkeyPatch) -> None:
    whole = Segment._transmit

    def twice(self: Segment, prefix: bytes, frame: bytes, remote: vtep.RemoteVtep, flow: int) -> None:
        whole(self, prefix, frame, remote, flow)
        whole(self, prefix, frame, remote, flow)

    patch.setattr(Segment, "_transmit", twice)


def delivered_twice(patch: pytest.MonkeyPatch) -> None:
    whole = Segment.decapsulate

    def twice(self: Segment, data: bytes, source: str) -> None:
        whole(self, data, source)
        whole(self, data, source)

    patch.setattr(Segment, "decapsulate", twice)


def one_vni_for_all(patch: pytest.MonkeyPatch) -> None:
    """Whatever network it is, its packets leave under the first one's number."""
    whole = Segment._transmit

    def mislabelled(self: Segment, prefix: bytes, frame: bytes, remote: vtep.RemoteVtep, flow: int) -> None:
        whole(self, prefix[:4] + (4097).to_bytes(3, "big") + prefix[7:], frame, remote, flow)

    patch.setattr(Segment, "_transmit", mislabelled)


def plain_where_it_should_be_sealed(patch: pytest.MonkeyPatch) -> None:
    """What comes in the clear into an encrypted network is taken."""
    whole = Segment._opened

    def lax(self: Segment, data: bytes, vtep: str) -> bytes | None:
        return whole(self, data, vtep) if data[0] & FLAG_SEALED else data[8:]

    patch.setattr(Segment, "_opened", lax)


def put_in_twice(patch: pytest.MonkeyPatch) -> None:
    """What no capture between hosts can see: the copy is made behind the seal."""
    whole = BridgePort.deliver

    def twice(self: BridgePort, frame: bytes, source: BridgePort | None) -> None:
        whole(self, frame, source)
        whole(self, frame, source)

    patch.setattr(BridgePort, "deliver", twice)


def containers_that_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    whole = SimulatedDisk.commit

    def forgetful(self: SimulatedDisk, changes: list[tuple[str, str, bytes | None]]) -> None:
        whole(self, [change for change in changes if change[0] != "containers"])

    patch.setattr(SimulatedDisk, "commit", forgetful)


def no_repair(patch: pytest.MonkeyPatch) -> None:
    """What was not heard when it was said is asked for only by newcomers, and where a command wants it."""
    whole = AntiEntropy.repair_with

    async def seldom(self: AntiEntropy, node: str, deadline: float) -> bool:
        is_wanted = self._replica.newcomer or deadline != REQUEST_TIMEOUT
        return await whole(self, node, deadline) if is_wanted else True

    patch.setattr(AntiEntropy, "repair_with", seldom)


def an_error_in_the_log(patch: pytest.MonkeyPatch) -> None:
    import structlog

    whole = Host.start

    async def noisy(self: Host) -> None:
        await whole(self)
        structlog.get_logger("engine").error("something went wrong", what="and nobody knows why")

    patch.setattr(Host, "start", noisy)


def a_task_that_stays(patch: pytest.MonkeyPatch) -> None:
    whole = Host.start

    async def leaking(self: Host) -> None:
        await whole(self)
        self.leaked = asyncio.create_task(asyncio.sleep(1e6))  # type: ignore[attr-defined]

    patch.setattr(Host, "__slots__", (), raising=False)
    patch.setattr(Host, "start", leaking)


@pytest.mark.parametrize("text", [STORY, SHORTLY, SECRET, TWO_NETWORKS], ids=["all", "shortly", "secret", "two"])
def test_whole_daemons_pass(text: str) -> None:
    record = story(text)
    assert record.passed, record.failures


@pytest.mark.parametrize(
    ("broken", "caught_by", "text"),
    [
        (rings_without_owners, "addresses", STORY),
        (rings_without_owners, "addresses", SHORTLY),
        (rings_without_owners, "vnis", CUT),
        (fdb_that_keeps_what_it_has, "names", STORY),
        (names_that_keep_what_they_have, "names", STORY),
        (every_frame_twice, "delivery", STORY),
        (delivered_twice, "delivery", STORY),
        (put_in_twice, "delivery", SECRET),
        (one_vni_for_all, "isolation", STORY),
        (plain_where_it_should_be_sealed, "isolation", SECRET),
        (containers_that_are_not_written_down, "durability", STORY),
        (no_repair, "convergence", STORY),
        (an_error_in_the_log, "logs", STORY),
        (a_task_that_stays, "leaks", STORY),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.partition("\n")[0] if "\n" in value else value,
)
def test_a_broken_daemon_is_caught(
    broken: Break, caught_by: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    # Only this invariant may speak: that another catches it as well proves nothing of this one.
    record = story(text + f"invariants: {{only: [{caught_by}]}}\n")
    told = [failure for failure in record.failures if failure.what.startswith(f"invariant {caught_by}:")]
    assert told, record.failures
    assert told[0].when is not None and told[0].leading, "it says when, and what led to it"
