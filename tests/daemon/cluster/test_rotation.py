"""`docker swarm ca --rotate`: a new root CA for all, in steps that lose nobody, and not before all have come along."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemon.cluster.authority import NotOurs, X509Authority, checked_root, issued_by, vouched
from daemon.cluster.identity import Membership
from daemon.cluster.rotation import ROW, following
from daemon.cluster.spec import SWARM_TABLE
from gossip.tables.row import Row
from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate
from tests.daemon.cluster.test_joining import MANAGER, Manager, visitor


def tell(story: Callable[[SimulatedSwarm], Awaitable[None]], *, hosts: int = 3, seed: int = 5) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, hosts) as swarm:
            await swarm.form()
            await story(swarm)

    simulate(main())


async def shown(swarm: SimulatedSwarm, host: str = "h1") -> dict[str, Any]:
    found = await swarm.api(host, "GET", "/swarm")
    assert isinstance(found, dict)
    return found


async def rotate(swarm: SimulatedSwarm, host: str = "h1") -> None:
    now = await shown(swarm, host)
    config = {**now["Spec"]["CAConfig"], "ForceRotate": now["Spec"]["CAConfig"].get("ForceRotate", 0) + 1}
    body = {**now["Spec"], "CAConfig": config}
    await swarm.api(host, "POST", f"/swarm/update?version={now['Version']['Index']}", body)


async def promote(swarm: SimulatedSwarm, host: str) -> None:
    node = await swarm.api("h1", "GET", f"/nodes/{host}")
    assert isinstance(node, dict)
    path = f"/nodes/{host}/update?version={node['Version']['Index']}"
    await swarm.api("h1", "POST", path, {**node["Spec"], "Role": "manager"})
    await swarm.until(lambda: swarm.hosts[host].engine.cluster.is_manager, 5)


def member(swarm: SimulatedSwarm, host: str) -> Membership:
    found = swarm.hosts[host].engine.cluster.membership
    assert found is not None
    return found


def settled(swarm: SimulatedSwarm, hosts: list[str], old: bytes) -> bool:
    """All have one root that is not the old one, and a certificate of it."""
    members = [member(swarm, host) for host in hosts]
    root = members[0].ca
    return root != old and all(
        each.roots == (root,) and issued_by(each.certificate, root) and not each.cross
        and bool(each.ca_key) is each.is_manager and not each.next_ca_key
        for each in members
    )  # fmt: skip


def test_all_get_a_certificate_of_the_new_root_and_tokens_are_new() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await promote(swarm, "h2")
        before, hosts = await shown(swarm), ["h1", "h2", "h3"]
        old = member(swarm, "h1").ca
        await rotate(swarm)
        during = await shown(swarm)
        assert during["RootRotationInProgress"] and during["TLSInfo"]["TrustRoot"] == old.decode()
        assert during["JoinTokens"] == before["JoinTokens"]
        await swarm.until(lambda: settled(swarm, hosts, old), 20)
        after = [await shown(swarm, host) for host in ("h1", "h2")]
        root = member(swarm, "h3").ca.decode()
        for each in after:
            assert not each["RootRotationInProgress"] and each["TLSInfo"]["TrustRoot"] == root
            assert each["JoinTokens"] == after[0]["JoinTokens"] != before["JoinTokens"]
        nodes = await swarm.api("h2", "GET", "/nodes")
        assert isinstance(nodes, list)
        assert [node["Description"]["TLSInfo"]["TrustRoot"] for node in nodes] == [root] * 3
        await swarm.api("h3", "POST", "/swarm/leave")
        body = {"RemoteAddrs": ["192.0.2.2:2377"]}
        with pytest.raises(ApiRefused, match="remote CA does not match fingerprint"):
            await swarm.api("h3", "POST", "/swarm/join", {**body, "JoinToken": before["JoinTokens"]["Worker"]})
        await swarm.api("h3", "POST", "/swarm/join", {**body, "JoinToken": after[0]["JoinTokens"]["Worker"]})
        second = member(swarm, "h3").ca
        await swarm.api("h1", "DELETE", f"/nodes/{nodes[2]['ID']}")
        await rotate(swarm, "h2")
        await swarm.until(lambda: settled(swarm, hosts, second), 20)

    tell(story)


def test_it_waits_for_who_is_down_and_node_rm_ends_the_wait() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        old = member(swarm, "h1").ca
        await swarm.crash("h3")
        await rotate(swarm)
        await asyncio.sleep(60)
        assert (await shown(swarm))["RootRotationInProgress"]
        assert issued_by(member(swarm, "h2").certificate, member(swarm, "h1").next_ca)
        await swarm.boot("h3")
        await swarm.until(lambda: settled(swarm, ["h1", "h2", "h3"], old), 30)
        old = member(swarm, "h1").ca
        await swarm.crash("h3")
        await swarm.until(lambda: "h3" not in swarm.alive("h1"), 30)
        await rotate(swarm)
        await asyncio.sleep(5)
        await swarm.api("h1", "DELETE", "/nodes/h3")
        await swarm.until(lambda: settled(swarm, ["h1", "h2"], old), 30)

    tell(story)


def test_managers_that_restart_or_die_amid_it_and_a_locked_one() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await promote(swarm, "h2")
        now = await shown(swarm)
        locked = {**now["Spec"], "EncryptionConfig": {"AutoLockManagers": True}}
        await swarm.api("h1", "POST", f"/swarm/update?version={now['Version']['Index']}", locked)
        found = await swarm.api("h1", "GET", "/swarm/unlockkey")
        old = member(swarm, "h1").ca
        await rotate(swarm)
        for host in ("h1", "h2"):
            await swarm.crash(host)
            await swarm.boot(host)
            await swarm.api(host, "POST", "/swarm/unlock", found)
        await swarm.until(lambda: settled(swarm, ["h1", "h2", "h3"], old), 60)
        assert await swarm.api("h2", "GET", "/swarm/unlockkey") == found, "a new root is no new key"
        old = member(swarm, "h1").ca
        swarm.partition(["h1"], ["h2", "h3"])  # nobody gets the key of what h1 begins
        await rotate(swarm)
        swarm.heal()
        await asyncio.sleep(0.3)
        await swarm.crash("h1")
        await swarm.until(lambda: "h1" not in swarm.alive("h2"), 30)
        node = next(e for e in swarm.hosts["h2"].engine.cluster.gossip.roster.members() if e.hostname == "h1")  # type: ignore[union-attr]
        swarm.hosts["h2"].engine.cluster.gossip.roster.remove(node.node_id)  # type: ignore[union-attr]
        await rotate(swarm, "h2")
        await swarm.until(lambda: settled(swarm, ["h2", "h3"], old), 90)

    tell(story)


def brought(name: str = "mine", *, days: int = 3650, ca: bool = True) -> tuple[bytes, bytes]:
    """A CA that somebody has made."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), time.time()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(7).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.not_valid_before(datetime.fromtimestamp(now - 60, UTC))
    builder = builder.not_valid_after(datetime.fromtimestamp(now + days * 86400, UTC))
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), secret


def test_a_root_of_ones_own_and_what_is_none() -> None:
    certificate, key = brought()
    mine = checked_root(certificate, key, os.urandom, time.time())
    old = X509Authority.create(os.urandom, time.time())
    assert vouched(old.vouch(mine.certificate), mine.certificate, old.certificate)
    assert not vouched(old.vouch(mine.certificate), brought()[0], old.certificate)
    assert not vouched(mine.certificate, mine.certificate, old.certificate)
    for wrong, reason in (
        ((key, key), "Failed to parse certificate"),
        ((certificate, certificate), "Failed to parse private key"),
        ((certificate, brought()[1]), "certificate key mismatch"),
        (brought(days=30), "CA certificate expires too soon"),
        (brought(ca=False), "not a CA certificate"),
    ):
        with pytest.raises(NotOurs, match=reason):
            checked_root(*wrong, os.urandom, time.time())


async def test_who_has_not_heard_of_the_next_root_trusts_it_by_the_old_one_s_word(tmp_path: Path) -> None:
    manager, guest = Manager(tmp_path), visitor(tmp_path)
    await manager.door.open()
    joined = (await guest.join(MANAGER, manager.token("w" * 25), "192.0.2.2")).membership
    await manager.door.close()
    certificate, key = brought()
    coming = checked_root(certificate, key, os.urandom, time.time())
    await manager.turn_to(coming)
    try:
        renewed = await guest.renew(MANAGER, joined)
        assert issued_by(renewed.certificate, coming.certificate)
        assert renewed.roots == (joined.ca, coming.certificate)
        again = await guest.renew(MANAGER, renewed)
        assert issued_by(again.certificate, coming.certificate)
        newcomer = (await visitor(tmp_path, 3).join(MANAGER, manager.token("w" * 25), "192.0.2.3")).membership
        assert newcomer.roots == renewed.roots and issued_by(newcomer.certificate, coming.certificate)
        stranger = X509Authority.create(os.urandom, time.time())
        with pytest.raises(OSError):
            await guest.renew(MANAGER, replace(renewed, ca=stranger.certificate, next_ca=b"", cross=b""))
    finally:
        await manager.door.close()


def test_a_row_that_names_a_root_which_nobody_vouches_for_changes_nothing(tmp_path: Path) -> None:
    me = Manager(tmp_path).membership
    stranger = X509Authority.create(os.urandom, time.time())
    ours = X509Authority(me.ca, me.ca_key, os.urandom)

    def row(root: bytes, coming: bytes, cross: bytes) -> Row:
        return Row(SWARM_TABLE, ROW, "", {"root": root, "next": coming, "cross": cross}, 1)

    forged = stranger.vouch(stranger.certificate)
    for wrong in (row(me.ca, stranger.certificate, forged), row(stranger.certificate, b"", b""), row(b"", b"x", b"")):
        assert following(me, wrong) == me
    on = following(me, row(me.ca, stranger.certificate, ours.vouch(stranger.certificate)))
    assert on.roots == (me.ca, stranger.certificate)
    assert following(on, row(stranger.certificate, b"", b"")).roots == (stranger.certificate,)
