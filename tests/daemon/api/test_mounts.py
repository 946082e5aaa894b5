"""Volumes, folders, tmpfs and read-only roots, with the real CLI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.runtime.folders import MachineFolders
from tests.daemon.api.conftest import Machine


async def prints(machine: Machine, command: str) -> str:
    done = await machine.shell(command, version="1.47")
    assert done.exit == 0, f"{command}: {done.stderr}"
    return done.stdout


async def refused(machine: Machine, command: str) -> str:
    done = await machine.shell(command)
    assert done.exit != 0, f"{command}: {done.stdout}"
    return done.stderr.partition("Error response from daemon: ")[2].splitlines()[0].rstrip(".")


async def test_a_volume_is_shared_and_outlives_its_containers(machine: Machine, docker_cli: str) -> None:
    await prints(machine, "docker volume create --label tier=one data")
    script = "echo one > /d/f; mkdir /d/sub; echo two > /d/sub/g"
    await prints(machine, f"docker run --rm -v data:/d alpine sh -c '{script}'")
    read = "docker run --rm --mount src=data,dst=/e,readonly alpine cat /e/f /e/sub/g"
    assert await prints(machine, read) == "one\ntwo\n"
    assert await prints(machine, "docker run --rm --mount src=data,dst=/e,volume-subpath=sub alpine ls /e") == "g\n"
    await prints(machine, "docker create --name holder -v data:/d:ro -v /anonymous --tmpfs /t alpine")
    shown = json.loads(await prints(machine, "docker inspect -f '{{json .Mounts}}' holder"))
    mounts = {mount["Destination"]: mount for mount in shown}
    assert sorted(mounts) == ["/anonymous", "/d"]
    assert (mounts["/d"]["Name"], mounts["/d"]["RW"], mounts["/d"]["Mode"]) == ("data", False, "ro")
    assert await prints(machine, "docker run --rm --volumes-from holder alpine cat /d/f") == "one\n"
    holder = (await prints(machine, "docker ps -aqf volume=data --no-trunc")).strip()
    assert await refused(machine, "docker volume rm data") == f"remove data: volume is in use - [{holder}]"
    assert len((await prints(machine, "docker volume ls -q")).split()) == 2
    await prints(machine, "docker rm -v holder")
    assert await prints(machine, "docker volume ls -qf label=tier=one") == "data\n"
    assert "data" not in await prints(machine, "docker volume prune -f")  # a named one stays
    assert "data" in await prints(machine, "docker volume prune -af")
    assert await refused(machine, "docker volume rm data") == "get data: no such volume"


async def test_an_empty_volume_gets_what_the_image_has(machine: Machine, docker_cli: str) -> None:
    await prints(machine, "docker run --rm -v html:/usr/share/nginx/html nginx true")
    assert "index.html" in await prints(machine, "docker run --rm -v html:/h alpine ls /h")
    await prints(machine, "docker run --rm -v bare:/usr/share/nginx/html:nocopy nginx true")
    assert await prints(machine, "docker run --rm -v bare:/h alpine ls /h") == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("-v 'no!:/d'", 'create no!: "no!" includes invalid characters for a local volume name, only '
         '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'),
        ("-v one:/d -v two:/d", "Duplicate mount point: /d"),
        ("-v one:/d:odd", "invalid mode: odd"),
        ("-v one:/", "invalid volume specification: 'one:/': invalid mount config for type \"volume\": invalid "
         "specification: destination can't be '/'"),
        ("--mount type=bind,src=/not/there,dst=/d",
         'invalid mount config for type "bind": bind source path does not exist: /not/there'),
        ("--volume-driver nfs -v one:/d", 'create one: error looking up volume plugin nfs: plugin "nfs" not found'),
        ("--log-opt colour=red", "unknown log opt 'colour' for json-file log driver"),
        ("--user somebody", "unable to find user somebody: no matching entries in passwd file"),
    ],
)  # fmt: skip
async def test_what_is_refused(machine: Machine, docker_cli: str, arguments: str, text: str) -> None:
    assert await refused(machine, f"docker run --rm {arguments} alpine true") == text


async def test_a_read_only_root_has_writable_places(machine: Machine, docker_cli: str) -> None:
    command = "echo x > /f; echo y > /t/f && cat /t/f; grep -c localhost /etc/hosts; df /t | tail -n1"
    out = await machine.shell(f"docker run --rm --read-only --tmpfs /t:size=64k alpine sh -c '{command}'")
    assert out.stderr == "sh: can't create /f: Read-only file system\n"
    assert out.stdout.startswith("y\n") and " 64 " in out.stdout


async def test_a_folder_of_the_machine(directory: Path, docker_cli: str) -> None:
    machine = Machine(directory)
    machine.folders = MachineFolders(directory)
    await machine.start()
    try:
        folder = directory / "folder"
        (directory / "one").write_text("alone\n")
        binds = f"-v {folder}:/m -v {directory}/one:/etc/one:ro"
        await prints(machine, f"docker run --rm {binds} alpine cp /etc/one /m/two")
        assert (folder / "two").read_text() == "alone\n"
        assert "Read-only" in (await machine.shell(f"docker run --rm -v {folder}:/m:ro alpine rm /m/two")).stderr
        await prints(machine, "docker run --rm -v kept:/d alpine touch /d/f")
        assert (directory / "volumes" / "kept" / "_data" / "f").exists()
        await machine.stop()
        await machine.start()
        assert await prints(machine, "docker run --rm -v kept:/d alpine ls /d") == "f\n"
    finally:
        await machine.stop()


async def test_log_drivers_that_cannot_work_here_say_so_at_the_start(machine: Machine, docker_cli: str) -> None:
    listed = await machine.shell("docker info --format '{{range .Plugins.Log}}{{.}} {{end}}'")
    assert len(listed.stdout.split()) == 10
    for command, text in (
        ("--log-driver nosuch", 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        ("--log-driver gelf", "gelf-address is a required parameter"),
        ("--log-driver syslog --log-opt bogus=1", "unknown log opt 'bogus' for syslog log driver"),
        ("--log-driver journald", "failed to initialize logging driver: journald is not enabled on this host"),
        ("--log-driver syslog --log-opt syslog-address=udp://192.0.2.254:514",
         "failed to initialize logging driver: syslog sends logs elsewhere, and a simulated host keeps its own "
         "(json-file, local)"),
    ):  # fmt: skip
        printed = await machine.shell(f"docker run --rm {command} alpine true")
        assert printed.exit == 125 and f"docker: Error response from daemon: {text}\n" in printed.stderr


async def test_limits_rights_and_devices_that_make_no_sense(machine: Machine, docker_cli: str) -> None:
    for flags, text in (
        ("--cap-add BOGUS", 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
        ("--cap-drop BOGUS", 'invalid CapDrop: unknown capability: "CAP_BOGUS"'),
        ("--memory 10m --memory-swap 5m", "Minimum memoryswap limit should be larger than memory limit, see usage"),
        ("--oom-score-adj 9999", "Invalid value 9999, range for oom score adj is [-1000, 1000]"),
        ("--ipc bogus", "Invalid IPC mode: bogus"),
        ("--tmpfs rel", "invalid mount path: 'rel' mount path must be absolute"),
        ("--device /dev/nosuch",
         'error gathering device information while adding custom device "/dev/nosuch": no such file or directory'),
    ):  # fmt: skip
        printed = await machine.shell(f"docker run --rm {flags} alpine true")
        assert printed.exit and f"docker: Error response from daemon: {text}\n" in printed.stderr, printed
    allowed = "--cap-add net_admin --cap-drop ALL --cap-add CAP_SYS_TIME --ipc shareable --device /dev/null --cpus 1"
    assert (await machine.shell(f"docker run --rm {allowed} alpine echo yes")).stdout == "yes\n"
