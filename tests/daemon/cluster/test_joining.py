"""Joining over real TLS on loopback: the CA is proved before the secret is told, and roles are what the token says."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cluster import tls
from daemon.cluster.authority import (
    NodeName,
    NotOurs,
    X509Authority,
    issued_by,
    name_in,
    new_key,
    public_part,
    validity,
)
from daemon.cluster.identity import Membership
from daemon.cluster.joining import CLUSTER_PORT, REMOVED, Door, KeysKnown, Secrets, Visitor
from daemon.cluster.rpc import Refused
from daemon.cluster.tokens import JoinToken, digest_of
from daemon.underlay.addresses import Loopback
from daemon.underlay.sockets import SocketUnderlay

CLUSTER = "c" * 25
MANAGER = ("192.0.2.1", CLUSTER_PORT)


def loopback(host: int) -> SocketUnderlay:
    block = 100 + os.getpid() % 100
    return SocketUnderlay(f"192.0.2.{host}", Loopback(block, f"192.0.2.{host}"))


class Manager:
    """A door, and what it noted in its tables."""

    def __init__(self, folder: Path) -> None:
        self.wall = time.time
        self.authority = X509Authority.create(os.urandom, self.wall())
        key = new_key(os.urandom)
        certificate = self.authority.issue(public_part(key), NodeName("m" * 25, "manager", CLUSTER), self.wall())
        self.membership = Membership(
            node_id="m" * 25, cluster_id=CLUSTER, role="manager", address="192.0.2.1", ca=self.authority.certificate,
            certificate=certificate, key=key, gossip_keys=(b"g" * 32,), seeds=(), ca_key=self.authority.key,
        )  # fmt: skip
        self.admitted: dict[str, tuple[str, str, str]] = {}
        self.roles: dict[str, str] = {}
        self.heard: list[KeysKnown] = []
        self._count = 0
        self._folder = folder / "manager"
        self.door = self._door(self.authority)

    def _door(self, authority: X509Authority) -> Door:
        return Door(
            underlay=loopback(1), folder=self._folder, authority=authority, membership=self.membership,
            wall=self.wall, new_id=self.new_id, secrets=lambda: Secrets("w" * 25, "x" * 25),
            seeds=lambda: ["192.0.2.1"], admit=self.admit, roster=lambda: [b"a", b"b"], role_of=self.roles.get,
            keys=lambda: KeysKnown(self.membership.gossip_keys, (7, "s")), compare=self.heard.append,
            removed=lambda node_id: self.roles.get(node_id) == "removed", introduce=self.introduce, use_tls=True,
        )  # fmt: skip

    async def turn_to(self, coming: X509Authority) -> None:
        """Open the door again as a manager that is on its way to another root CA."""
        name = NodeName("m" * 25, "manager", CLUSTER)
        self.membership = replace(
            self.membership, next_ca=coming.certificate, next_ca_key=coming.key,
            cross=self.authority.vouch(coming.certificate),
            certificate=coming.issue(public_part(self.membership.key), name, self.wall()),
        )  # fmt: skip
        self.door = self._door(coming)
        await self.door.open()

    def introduce(self, node_id: str, role: str, admission: bytes) -> None:
        assert (role, admission) == ("worker", b"by one who was removed")
        self.roles[node_id] = "removed"

    def new_id(self) -> str:
        self._count += 1
        return f"{self._count:025d}"

    def admit(self, node_id: str, hostname: str, role: str, address: str) -> None:
        self.admitted[node_id] = (hostname, role, address)
        self.roles[node_id] = role

    def token(self, secret: str) -> JoinToken:
        return JoinToken(digest_of(self.authority.certificate), secret)


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    found = Manager(tmp_path)
    await found.door.open()
    yield found
    await found.door.close()


def visitor(folder: Path, host: int = 2, admission: bytes = b"") -> Visitor:
    return Visitor(
        underlay=loopback(host), folder=folder / f"h{host}", entropy=os.urandom, hostname=f"h{host}", use_tls=True,
        admission=lambda: admission,
    )  # fmt: skip


async def test_a_worker_gets_its_identity_and_no_secret_of_managers(manager: Manager, tmp_path: Path) -> None:
    admission = await visitor(tmp_path).join(MANAGER, manager.token("w" * 25), "192.0.2.2")
    joined = admission.membership
    assert admission.roster == (b"a", b"b")
    assert manager.admitted == {joined.node_id: ("h2", "worker", "192.0.2.2")}
    assert (joined.cluster_id, joined.role, joined.ca_key) == (CLUSTER, "worker", b"")
    assert joined.gossip_keys == (b"g" * 32,)
    assert joined.seeds == ("192.0.2.1",)
    assert issued_by(joined.certificate, joined.ca)
    assert name_in(joined.certificate) == NodeName(joined.node_id, "worker", CLUSTER)


async def test_a_managers_token_brings_the_cas_key(manager: Manager, tmp_path: Path) -> None:
    joined = (await visitor(tmp_path).join(MANAGER, manager.token("x" * 25), "192.0.2.2")).membership
    assert joined.role == "manager"
    again = X509Authority(joined.ca, joined.ca_key, os.urandom)
    signed = again.issue(public_part(joined.key), NodeName("n" * 25, "worker", CLUSTER), manager.wall())
    assert issued_by(signed, manager.authority.certificate)
    assert name_in(signed).node_id == "n" * 25


async def test_a_wrong_secret_is_refused(manager: Manager, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        await visitor(tmp_path).join(MANAGER, manager.token("z" * 25), "192.0.2.2")
    assert str(refusal.value) == (
        "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster"
    )
    assert manager.admitted == {}


async def test_the_secret_is_not_told_to_a_ca_that_the_token_does_not_name(manager: Manager, tmp_path: Path) -> None:
    stranger = X509Authority.create(os.urandom, manager.wall())
    with pytest.raises(NotOurs, match="remote CA does not match fingerprint"):
        await visitor(tmp_path).join(MANAGER, JoinToken(digest_of(stranger.certificate), "w" * 25), "192.0.2.2")
    assert manager.door.counters["asked_join"] == 0


async def test_a_new_role_needs_a_members_certificate(manager: Manager, tmp_path: Path) -> None:
    guest = visitor(tmp_path)
    joined = (await guest.join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    manager.roles[joined.node_id] = "manager"
    renewed = await guest.renew(MANAGER, joined)
    assert renewed.role == "manager"
    assert renewed.ca_key == manager.authority.key

    stranger = X509Authority.create(os.urandom, manager.wall())
    forged = stranger.issue(public_part(joined.key), NodeName(joined.node_id, "manager", CLUSTER), manager.wall())
    with pytest.raises(OSError):
        await guest.renew(MANAGER, replace(joined, certificate=forged))


async def test_a_removed_node_is_told_so(manager: Manager, tmp_path: Path) -> None:
    guest = visitor(tmp_path)
    joined = (await guest.join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    manager.roles[joined.node_id] = "removed"
    with pytest.raises(Refused) as refusal:
        await guest.renew(MANAGER, joined)
    assert refusal.value.code == REMOVED


async def test_a_stranger_shows_who_admitted_it(manager: Manager, tmp_path: Path) -> None:
    guest = visitor(tmp_path)
    joined = (await guest.join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    del manager.roles[joined.node_id]
    with pytest.raises(Refused, match="is not a member"):
        await guest.renew(MANAGER, joined)
    guest = visitor(tmp_path, admission=b"by one who was removed")
    with pytest.raises(Refused, match="was removed from this swarm"):
        await guest.renew(MANAGER, joined)


async def test_the_gossip_keys_are_for_members_only(manager: Manager, tmp_path: Path) -> None:
    us = visitor(tmp_path / "h2")
    me = (await us.join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    ours = KeysKnown((b"o" * 32,), (5, "s"))
    assert await us.keys(MANAGER, me, ours) == KeysKnown((b"g" * 32,), (7, "s"))
    assert manager.heard == [ours], "whose are newer, the manager must find out too"
    manager.roles[me.node_id] = "removed"
    with pytest.raises(Refused, match="was removed from this swarm"):
        await us.keys(MANAGER, me, ours)
    stranger = X509Authority.create(os.urandom, manager.wall())
    key = new_key(os.urandom)
    name = NodeName(me.node_id, "worker", CLUSTER)
    forged = replace(me, key=key, certificate=stranger.issue(public_part(key), name, manager.wall()))
    with pytest.raises((Refused, OSError)):
        await us.keys(MANAGER, forged, ours)
    assert manager.heard == [ours]


def test_a_certificate_says_how_long_it_is_good() -> None:
    authority = X509Authority.create(os.urandom, 1e9)
    key = new_key(os.urandom)
    signed = authority.issue(public_part(key), NodeName("n" * 25, "worker", CLUSTER), 1e9, 7200.0)
    assert validity(signed) == (1e9, 1e9 + 7200)


async def test_garbage_is_counted_and_the_door_stays_open(manager: Manager, tmp_path: Path) -> None:
    for noise in (b"", b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"):
        _, writer = await loopback(3).connect(MANAGER, deadline=1.0)
        writer.write(noise)
        writer.write_eof()
        writer.close()
    reader, writer = await loopback(3).connect(MANAGER, deadline=1.0, tls=tls.first_contact())
    writer.write(b"\x00\x00\x00\x02\xc1\xc1")
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    assert manager.door.counters["bad_requests"] >= 1
    joined = (await visitor(tmp_path).join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    assert joined.role == "worker"


async def test_a_nodes_key_lies_on_disk_for_its_owner_alone(manager: Manager, tmp_path: Path) -> None:
    key = tmp_path / "manager" / "swarm-node.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
