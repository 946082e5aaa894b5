"""`shoal up` and `shoal down`: daemons as processes, started, joined, stopped and cleaned up after.

Everything that may be left behind is written to the record before it exists; everything that is stopped is named by
pid and start time. Nothing here knows Docker beyond the three calls that make a swarm.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import scenarios
from daemon.underlay.addresses import API_OFFSET, CONTROL_OFFSET, PORTS_PER_HOST
from scenarios.launch import block, configuration, readiness, record
from scenarios.launch.block import Claim
from scenarios.launch.errors import AlreadyRunning, LaunchError, NotRunning
from scenarios.launch.localhttp import JSON, RequestFailed, request
from scenarios.launch.process import ProcessId, identify, stop
from scenarios.launch.record import Host, Swarm

START_DEADLINE = 60.0
STOP_GRACE = 4.0
"""A daemon drains and stops in under 2 s; twice that before SIGKILL."""

_SOCKET_PATH_MAX = 104
"""sun_path holds 108 bytes on Linux, 104 on macOS, the final zero included."""

_LEAN = {
    "SSL_CERT_FILE": os.devnull,
    "SSL_CERT_DIR": os.devnull,
    "PYTHONNODEBUGRANGES": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 17),
    "MALLOC_TOP_PAD_": str(1 << 14),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 17),
}
"""Memory and start-up time of the daemons. A daemon trusts its swarm's CA alone, yet importing aiohttp would read all
of the machine's certificates; columns in tracebacks and malloc's generosity cost a MB each time as well."""


def _lean() -> dict[str, str]:
    """The daemons' environment. Where `make venv` has compiled everything without docstrings they do without."""
    cache = Path(sys.prefix, "shoald-cache")
    return _LEAN | ({"PYTHONOPTIMIZE": "2", "PYTHONPYCACHEPREFIX": str(cache)} if cache.is_dir() else {})


_SINGLE = ipaddress.IPv4Network("255.255.255.255/32")
_NOBODY = ProcessId(0, "")


def up(
    hosts: int = 3, *, directory: Path, prefix: str = "h", swarm: bool = True, addresses: str = "loopback",
    host_addresses: Mapping[str, Sequence[str]] | None = None, die_with: int | None = None, log_level: str = "info",
    tcp: bool = False, uplink: bool = False, systems: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> Swarm:  # fmt: skip
    """Starts `hosts` daemons and returns when each sees all others (with `swarm`) or all answer (without).

    `tcp`: the APIs on loopback TCP instead of unix sockets (only where hosts have ports of their own). `systems`: the
    platforms that hosts are declared to be of, by name. `names`: the hosts', instead of a number and prefix. Raises
    AlreadyRunning when the directory holds a running swarm, LaunchError for everything else that the user can mend;
    whatever was started by then is stopped and removed.
    """
    names = _names(hosts, prefix) if names is None else list(names)
    hosts = len(names)
    extra = dict(host_addresses or {})
    for option, given in (("--host-address", list(extra)), ("--os", list(systems or {}))):
        for name in given:
            if name not in names:
                raise LaunchError(f"{option}: no host {name!r} among {', '.join(names)}")
    _check_extra(extra)
    if tcp and addresses != "ports":
        raise LaunchError("--api tcp takes its ports from the hosts' own: use it with --addresses ports")
    if die_with is not None and identify(die_with) is None:
        raise LaunchError(f"--die-with: there is no process {die_with}")
    if not tcp:
        _check_path(directory, names)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(
            f"cannot make the state directory {directory}: {error.strerror}; choose another with --state or SHOAL_STATE"
        ) from error
    if hasattr(os, "geteuid") and directory.stat().st_uid != os.geteuid():
        raise LaunchError(f"the state directory {directory} belongs to another user; choose another with --state")
    with record.locked(directory):
        _clear_leftovers(directory, names)
        with block.claim(hosts) if addresses == "loopback" else block.claim_ports(hosts) as claim:
            where = claim.where
            planned = Swarm(str(directory), addresses, where, swarm, tuple(
                Host(name, configuration.lan_address(n), _real(addresses, where, n), _NOBODY, str(directory / name),
                     _api_ports(where, n) if tcp else None)
                for n, name in enumerate(names, 1)
            ))  # fmt: skip
            record.save(planned)
            try:
                started = _start_all(planned, extra, claim, die_with, log_level, uplink, systems or {})
                if swarm:
                    _make_swarm(started.hosts)
                return started
            except BaseException:
                _stop_and_remove(record.load(directory) or planned)
                raise


def down(directory: Path) -> Swarm:
    """Stops the daemons of a state directory and removes what they left. Raises NotRunning when there is no swarm."""
    if not directory.is_dir():
        raise NotRunning(f"no swarm in {directory}")
    with record.locked(directory):
        swarm = record.load(directory)
        if swarm is None:
            raise NotRunning(f"no swarm in {directory}")
        _stop_and_remove(swarm)
    return swarm


def restart(directory: Path, name: str, *, die_with: int | None = None) -> Swarm:
    """Starts a host's daemon again with its own state, after a crash or a kill. Raises LaunchError if it still runs."""
    with record.locked(directory):
        swarm = record.running(directory)
        host = swarm.host(name)
        if host.alive:
            raise LaunchError(f"{name} is running (pid {host.process.pid})")
        swarm, claim = _reclaim(swarm)
        with claim if claim is not None else contextlib.nullcontext():
            process = _spawn(host, claim, die_with)
        swarm = swarm.with_process(name, process)
        record.save(swarm)
    host = swarm.host(name)
    readiness.wait_for_apis([host], time.monotonic() + START_DEADLINE)
    return swarm


def _names(hosts: int, prefix: str) -> list[str]:
    if not 1 <= hosts <= configuration.MAX_HOSTS:
        raise LaunchError(f"{hosts} hosts: between 1 and {configuration.MAX_HOSTS} are possible")
    if not prefix or not prefix.replace("-", "a").isalnum() or not prefix.isascii() or not prefix[0].isalpha():
        raise LaunchError(f"--prefix {prefix!r}: hostnames are made of letters, digits and '-' and begin with a letter")
    return [f"{prefix}{n}" for n in range(1, hosts + 1)]


def _check_path(directory: Path, names: Sequence[str]) -> None:
    longest = max((str(directory / name / "control.sock") for name in names), key=len)
    if len(os.fsencode(longest)) >= _SOCKET_PATH_MAX:
        raise LaunchError(
            f"the state directory's path is too long: a socket's path has at most {_SOCKET_PATH_MAX - 1} bytes, "
            f"{longest} has {len(os.fsencode(longest))}; choose a shorter one with --state"
        )


def _real(addresses: str, where: int, number: int) -> str:
    if addresses == "loopback":
        return block.real_address(where, number)
    return f"127.0.0.1:{where + PORTS_PER_HOST * number}"


def _check_extra(extra: Mapping[str, Sequence[str]]) -> None:
    """An address that a host is given is its alone, and none of the LAN's own."""
    seen: dict[str, str] = {}
    for name, given in extra.items():
        for address in given:
            if address.startswith(f"{configuration.LAN}."):
                raise LaunchError(f"--host-address {name}={address}: the hosts' own LAN is {configuration.LAN}.0/24")
            ip = ipaddress.IPv4Address(address)
            if ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip in _SINGLE:
                raise LaunchError(f"--host-address {name}={address}: not an address that a host can be given")
            if address in seen:
                raise LaunchError(f"--host-address {name}={address}: {seen[address]} has it already")
            seen[address] = name


def _api_ports(base: int, number: int) -> tuple[int, int]:
    first = base + PORTS_PER_HOST * number
    return first + API_OFFSET, first + CONTROL_OFFSET


def _clear_leftovers(directory: Path, names: Sequence[str]) -> None:
    old = record.load(directory)
    if old is None:
        for name in names:
            if (directory / name).exists():
                raise LaunchError(f"{directory / name} is in the way, and no swarm of shoal's is recorded there")
        return
    if alive := old.alive:
        dead = [host.name for host in old.hosts if not host.alive]
        raise AlreadyRunning(
            f"a swarm is running in {directory} ({', '.join(host.name for host in alive)})"
            + (f", with {', '.join(dead)} dead (`shoal chaos restart` starts one again)" if dead else "")
            + ": `shoal down` stops it, --state chooses another directory"
        )
    _remove(old)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _start_all(
    swarm: Swarm, extra: Mapping[str, Sequence[str]], claim: Claim, die_with: int | None, log_level: str, uplink: bool,
    systems: Mapping[str, str],
) -> Swarm:  # fmt: skip
    names = [host.name for host in swarm.hosts]
    underlay = (
        {"mode": "loopback", "block": swarm.where}
        if swarm.mode == "loopback"
        else {"mode": "ports", "base": swarm.where}
    )
    for number, host in enumerate(swarm.hosts, 1):
        Path(host.directory).mkdir(mode=0o700)
        host.config.write_text(configuration.toml(configuration.daemon_config(
            name=host.name, number=number, directory=Path(host.directory), names=names, underlay=underlay,
            extra_addresses=extra, log_level=log_level, tcp=host.tcp, uplink=uplink,
            system=systems.get(host.name, "linux"))))  # fmt: skip
    for host in swarm.hosts:
        swarm = swarm.with_process(host.name, _spawn(host, claim, die_with))
        record.save(swarm)
    readiness.wait_for_apis(swarm.hosts, time.monotonic() + START_DEADLINE)
    return swarm


def _spawn(host: Host, claim: Claim | None, die_with: int | None) -> ProcessId:
    """Starts one daemon, in a session of its own so that a Ctrl-C in the terminal does not reach it."""
    root = str(Path(scenarios.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "daemon", "--config", str(host.config)]
    if die_with is not None:
        command += ["--die-with", str(die_with)]
    with host.log.open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=host.directory, start_new_session=True,
            pass_fds=() if claim is None or host.tcp else claim.descriptors(),
            env={**os.environ, **_lean(), "PYTHONPATH": path},
        )  # fmt: skip
    process = identify(child.pid)
    child.returncode = 0  # it outlives this object by design: no warning about it
    return process if process is not None else ProcessId(child.pid, "ended at once")


def _reclaim(swarm: Swarm) -> tuple[Swarm, Claim | None]:
    """The block's claim again when all its daemons are dead; None while another daemon holds it.

    The kernel freed the block with the last daemon: if another swarm has taken it since, this one moves to a new block.
    Its hosts keep their addresses on the LAN, and nothing but their configuration knows the machine's.
    """
    if swarm.alive:
        return swarm, None
    if swarm.mode != "loopback":
        return swarm, block.claim_ports(len(swarm.hosts), only=swarm.where)
    try:
        return swarm, block.claim(len(swarm.hosts), only=swarm.where)
    except LaunchError:
        claim = block.claim(len(swarm.hosts))
    hosts = []
    for number, host in enumerate(swarm.hosts, 1):
        path = host.config
        path.write_text(path.read_text().replace(f'"block" = {swarm.where}\n', f'"block" = {claim.where}\n'))
        hosts.append(replace(host, real=_real("loopback", claim.where, number)))
    return replace(swarm, where=claim.where, hosts=tuple(hosts)), claim


def _make_swarm(hosts: Sequence[Host]) -> None:
    """h1 becomes the manager, the others join with its worker token."""
    manager, *workers = hosts
    try:
        request(manager.docker_api, "POST", "/swarm/init", {
            "AdvertiseAddr": manager.address, "ListenAddr": "0.0.0.0:2377", "Spec": {},
        }, timeout=START_DEADLINE)  # fmt: skip
        if workers:
            swarm = request(manager.docker_api, "GET", "/swarm", timeout=START_DEADLINE)
            assert isinstance(swarm, dict) and isinstance(swarm["JoinTokens"], dict)
            body: dict[str, JSON] = {
                "RemoteAddrs": [f"{manager.address}:2377"],
                "JoinToken": swarm["JoinTokens"]["Worker"],
                "ListenAddr": "0.0.0.0:2377",
            }
            with ThreadPoolExecutor(max_workers=min(16, len(workers))) as pool:
                list(pool.map(lambda worker: request(
                    worker.docker_api, "POST", "/swarm/join", {**body, "AdvertiseAddr": worker.address},
                    timeout=START_DEADLINE), workers))  # fmt: skip
    except RequestFailed as error:
        raise LaunchError(f"the daemons run but would not become a swarm: {error.message}") from error
    except OSError as error:
        raise LaunchError(f"the daemons run but would not become a swarm: {error}") from error
    readiness.wait_for_sight(hosts, time.monotonic() + START_DEADLINE)


def _stop_and_remove(swarm: Swarm) -> None:
    try:
        stop([host.process for host in swarm.hosts], grace=STOP_GRACE)
    except PermissionError as error:
        raise LaunchError(f"the swarm in {swarm.directory} belongs to another user") from error
    _remove(swarm)


def _remove(swarm: Swarm) -> None:
    """What the daemons and the launcher wrote; the directory itself only when nothing of others is in it."""
    for host in swarm.hosts:
        shutil.rmtree(host.directory, ignore_errors=True)
    directory = Path(swarm.directory)
    for name in (record.FILE, "swarm.new"):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()
