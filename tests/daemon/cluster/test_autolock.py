"""Autolock: a manager's membership lies sealed on its disk, and a daemon that starts on it waits for the key."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemon.cluster.vault import BadKey, key_text, parse_key
from daemon.store.sqlite import SqliteStore
from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

LOCKED = (
    503,
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
)
OVERLAY = {"Name": "ov", "Driver": "overlay", "Attachable": True}


def tell(story: Callable[[SimulatedSwarm], Awaitable[None]], *, hosts: int = 3, seed: int = 3) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, hosts) as swarm:
            await swarm.form()
            await story(swarm)

    simulate(main())


async def refused(work: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as refusal:
        await work
    return refusal.value.status, refusal.value.message


async def spec_of(swarm: SimulatedSwarm, host: str = "h1") -> tuple[dict[str, object], int]:
    found = await swarm.api(host, "GET", "/swarm")
    assert isinstance(found, dict)
    return found["Spec"], found["Version"]["Index"]


async def autolock(swarm: SimulatedSwarm, on: bool, rotate: str = "") -> str:
    spec, version = await spec_of(swarm)
    body = {**spec, "EncryptionConfig": {"AutoLockManagers": on}}
    await swarm.api("h1", "POST", f"/swarm/update?version={version}{rotate}", body)
    found = await swarm.api("h1", "GET", "/swarm/unlockkey")
    assert isinstance(found, dict)
    return str(found["UnlockKey"])


async def again(swarm: SimulatedSwarm, host: str) -> None:
    await swarm.crash(host)
    await swarm.boot(host)


async def state(swarm: SimulatedSwarm, host: str) -> dict[str, object]:
    found = await swarm.api(host, "GET", "/info")
    assert isinstance(found, dict)
    return dict(found["Swarm"])


def secrets_of(swarm: SimulatedSwarm, host: str) -> list[bytes]:
    membership = swarm.hosts[host].engine.cluster.membership
    assert membership is not None
    return [membership.key, membership.ca_key, *membership.gossip_keys]


def on_disk(swarm: SimulatedSwarm, host: str) -> bytes:
    return b"".join(value for _, value in swarm.hosts[host].store.all("swarm"))


def test_a_locked_manager_is_no_member_until_it_is_told_the_key() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        assert (await swarm.api("h1", "GET", "/swarm/unlockkey")) == {"UnlockKey": ""}
        secrets = secrets_of(swarm, "h1")
        assert all(secret in on_disk(swarm, "h1") for secret in secrets)
        key = await autolock(swarm, True)
        assert not any(secret in on_disk(swarm, "h1") for secret in secrets), "what it can do is sealed"
        await swarm.api("h1", "POST", "/networks/create", OVERLAY)
        await swarm.run("h1", "c1", ["sleep", "600"], network="ov")
        assert await refused(swarm.api("h1", "POST", "/swarm/unlock", {"UnlockKey": key})) == (
            409, "swarm is not locked",
        )  # fmt: skip
        await again(swarm, "h1")
        assert await state(swarm, "h1") == {
            "NodeID": "", "NodeAddr": "192.0.2.1", "LocalNodeState": "locked", "ControlAvailable": False,
            "Error": LOCKED[1], "RemoteManagers": None,
        }  # fmt: skip
        for path in ("/swarm", "/swarm/unlockkey", "/nodes", "/services"):
            assert await refused(swarm.api("h1", "GET", path)) == LOCKED
        assert (await refused(swarm.api("h1", "POST", "/swarm/init", {})))[1].startswith("This node is already part of")
        assert await refused(swarm.api("h1", "POST", "/swarm/leave")) == (
            503, "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.",
        )  # fmt: skip
        for wrong, answer in (
            ("nonsense", (400, "invalid key string")),
            ("", (400, "invalid key string")),
            (key_text(b"x" * 32), (401, "swarm could not be unlocked: invalid key provided")),
        ):
            assert await refused(swarm.api("h1", "POST", "/swarm/unlock", {"UnlockKey": wrong})) == answer
            assert (await state(swarm, "h1"))["LocalNodeState"] == "locked"
        await swarm.until(lambda: "h1" not in swarm.alive("h2"), 30)
        await swarm.api("h1", "POST", "/swarm/unlock", {"UnlockKey": key})
        await swarm.until(lambda: sorted(swarm.alive("h2")) == ["h1", "h2", "h3"], 10)
        assert secrets_of(swarm, "h1")[:2] == secrets[:2], "the same node"
        assert not any(secret in on_disk(swarm, "h1") for secret in secrets)
        await swarm.run("h1", "c2", ["sleep", "600"], network="ov")

    tell(story)


def test_a_new_key_takes_the_old_one_s_place_on_every_manager_and_workers_are_not_locked() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        node = await swarm.api("h1", "GET", "/nodes/h2")
        assert isinstance(node, dict)
        body = {**node["Spec"], "Role": "manager"}
        await swarm.api("h1", "POST", f"/nodes/h2/update?version={node['Version']['Index']}", body)
        await swarm.until(lambda: swarm.hosts["h2"].engine.cluster.is_manager, 5)
        old = await autolock(swarm, True)
        new = await autolock(swarm, True, "&rotateManagerUnlockKey=1")
        assert old != new
        await swarm.until(lambda: not any(secret in on_disk(swarm, "h2") for secret in secrets_of(swarm, "h2")), 5)
        await again(swarm, "h3")
        assert (await state(swarm, "h3"))["LocalNodeState"] == "active"
        await again(swarm, "h2")
        assert (await refused(swarm.api("h2", "POST", "/swarm/unlock", {"UnlockKey": old})))[0] == 401
        await swarm.api("h2", "POST", "/swarm/unlock", {"UnlockKey": new})
        assert (await state(swarm, "h2"))["LocalNodeState"] == "active"
        await swarm.until(lambda: sorted(swarm.alive("h2")) == ["h1", "h2", "h3"], 10)
        assert await autolock(swarm, False) == ""
        await swarm.until(lambda: all(secret in on_disk(swarm, "h2") for secret in secrets_of(swarm, "h2")), 5)
        await again(swarm, "h1")
        assert (await state(swarm, "h1"))["LocalNodeState"] == "active"

    tell(story)


def test_a_new_manager_is_sealed_and_a_lost_key_costs_the_node_not_the_host() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await autolock(swarm, True)
        found = await swarm.api("h1", "GET", "/swarm")
        assert isinstance(found, dict)
        await swarm.api("h3", "POST", "/swarm/leave")
        body = {"JoinToken": found["JoinTokens"]["Manager"], "RemoteAddrs": ["192.0.2.1:2377"]}
        await swarm.api("h3", "POST", "/swarm/join", body)
        assert not any(secret in on_disk(swarm, "h3") for secret in secrets_of(swarm, "h3"))
        await again(swarm, "h3")
        await swarm.api("h3", "POST", "/swarm/leave?force=1")
        assert (await state(swarm, "h3"))["LocalNodeState"] == "inactive"
        await swarm.api("h3", "POST", "/swarm/init", {"AutoLockManagers": True})
        assert (await state(swarm, "h3"))["LocalNodeState"] == "active"

    tell(story)


def test_keys_as_docker_writes_them() -> None:
    text = "SWMKEY-1-9cHxcvXzJFwBCgd5+J+ku2Qz7uF33yxsAZ39busJiWU"
    assert key_text(parse_key(f" {text}\n")) == text
    for wrong in ("", "SWMKEY-1-", "SWMKEY-1-@@@", text.removeprefix("SWMKEY-1-"), text[:-2]):
        with pytest.raises(BadKey):
            parse_key(wrong)


def test_what_was_in_the_clear_is_not_left_in_the_file(tmp_path: Path) -> None:
    secret = os.urandom(64)
    store = SqliteStore(tmp_path / "state.db")
    store.commit([("swarm", "membership", secret * 200)])
    store.commit([("swarm", "membership", b"sealed")])
    store.purge()
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir()), "while the daemon runs"
    assert store.get("swarm", "membership") == b"sealed"
    store.close()
