"""Three real Docker engines on this machine, each a host of its own: network, mount and UTS namespaces, one bridge.

Root and `dockerd` are needed. Nothing of the machine's own network is touched: the hosts are 192.0.2.1 to .3 on a
bridge in a namespace without a way out. `Engines` ends whatever it started, by pid.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

_UP = 40.0  # seconds for an engine to answer
_DOWN = 15.0
_HOLDER = (
    "mount -t tmpfs tmpfs /run && mkdir -p /run/docker /run/netns && hostname {name} "
    "&& echo nameserver 192.0.2.254 > {resolv} && mount --bind {resolv} /etc/resolv.conf "
    "&& echo ready && exec sleep 86400"
)


class EnginesFailed(Exception):
    """The engines could not be started or asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    code: int
    out: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def missing() -> str:
    """Why there can be no engines here; "" when there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "root is needed for namespaces"
    for program in ("dockerd", "docker", "ip", "nsenter", "unshare", "busybox"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


def run(*words: str | Path, within: float = 60.0, stdin: bytes | None = None) -> Done:
    """A command's exit status and both outputs; 124 when it took too long."""
    try:
        done = subprocess.run(
            [str(word) for word in words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=within, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return Done(124, (error.stdout or b"").decode(errors="replace"))
    return Done(done.returncode, done.stdout.decode(errors="replace"))


@dataclass(slots=True)
class Engines:
    """`with Engines() as engines:` three engines in one swarm, the first is its manager. Hosts are 1, 2, 3."""

    count: int = 3
    advertise: dict[int, str] = field(default_factory=dict)
    """Another address than 192.0.2.N that a host has and tells the swarm."""
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="shoal-engines-")))
    _holders: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _daemons: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Engines:
        try:
            self._wires()
            for n in self.hosts:
                self._hold(n)
                self.start(n)
            image = _image()
            for n in self.hosts:
                self._wait(n)
                done = run(*self._docker(n), "import", "-c", 'CMD ["sh"]', "-", "alpine:latest", stdin=image)
                if not done.ok:
                    raise EnginesFailed(f"host {n} took no image: {done.out}")
            self._swarm()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def hosts(self) -> range:
        return range(1, self.count + 1)

    @property
    def hub(self) -> str:
        """The namespace of the bridge, and of whoever is outside of the swarm: 192.0.2.254."""
        return f"wound{os.getpid()}-hub"

    def namespace(self, n: int) -> str:
        return f"wound{os.getpid()}-{n}"

    # -- asking ---------------------------------------------------------------------------------------------------

    def docker(self, n: int, line: str, *, within: float = 60.0) -> Done:
        """A docker command on a host."""
        return run(*self._docker(n), *shlex.split(line), within=within)

    def must(self, n: int, line: str, *, within: float = 60.0) -> str:
        """As docker, its output; raises EnginesFailed when it fails."""
        done = self.docker(n, line, within=within)
        if not done.ok:
            raise EnginesFailed(f"host {n}: docker {line}: {done.out.strip()}")
        return done.out.strip()

    def on(self, n: int, line: str, *, within: float = 60.0) -> Done:
        """A command in the network of a host; 0 is the hub."""
        return run("ip", "netns", "exec", self.namespace(n) if n else self.hub, *shlex.split(line), within=within)

    def until(self, n: int, line: str, within: float) -> float | None:
        """Seconds until a docker command succeeds; None when it does not in time."""
        start = time.monotonic()
        while (left := within - (time.monotonic() - start)) > 0:
            if self.docker(n, line, within=min(left, 5.0)).ok:
                return time.monotonic() - start
            time.sleep(0.25)
        return None

    # -- breaking -------------------------------------------------------------------------------------------------

    def link(self, n: int, *, up: bool) -> None:
        """The host's port of the bridge: the host itself keeps its carrier."""
        self.on(0, f"ip link set p{n} {'master sw' if up else 'nomaster'}")

    def kill(self, n: int) -> None:
        """SIGKILL to the engine; its containers are left alone."""
        self._daemons[n].kill()
        self._daemons.pop(n).wait()

    def terminate(self, n: int) -> None:
        """SIGTERM to the engine, to its end."""
        self._daemons[n].terminate()
        self._daemons.pop(n).wait(_DOWN * 2)

    def start(self, n: int, *, wait: bool = False) -> None:
        """The engine on the disk that it had."""
        folder = self.directory / f"d{n}"
        holder = self._holders[n].pid
        (folder / "pid").unlink(missing_ok=True)
        with (folder / "log").open("ab") as log:
            self._daemons[n] = subprocess.Popen(
                ["nsenter", "-t", str(holder), "-m", "-u", f"--net=/run/netns/{self.namespace(n)}",
                 "nice", "-n", "10", "dockerd", "--data-root", str(folder / "data"), "--exec-root", "/run/docker",
                 "-p", str(folder / "pid"), "-H", f"unix://{folder}/docker.sock", "-s", "vfs",
                 "--exec-opt", "native.cgroupdriver=cgroupfs"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait:
            self._wait(n)

    def log(self, n: int) -> str:
        return (self.directory / f"d{n}" / "log").read_text(errors="replace")

    # -- life -----------------------------------------------------------------------------------------------------

    def _docker(self, n: int) -> list[str]:
        return ["docker", "-H", f"unix://{self.directory}/d{n}/docker.sock"]

    def _wires(self) -> None:
        hub = self.hub
        lines = [f"ip netns add {hub}", f"ip -n {hub} link set lo up", f"ip -n {hub} link add sw type bridge",
                 f"ip -n {hub} addr add 192.0.2.254/24 dev sw", f"ip -n {hub} link set sw up"]  # fmt: skip
        for n in self.hosts:
            space = self.namespace(n)
            lines += [
                f"ip netns add {space}", f"ip -n {space} link set lo up",
                f"ip link add eth0 netns {space} type veth peer name p{n} netns {hub}",
                f"ip -n {space} addr add 192.0.2.{n}/24 dev eth0", f"ip -n {space} link set eth0 up",
                f"ip -n {hub} link set p{n} master sw", f"ip -n {hub} link set p{n} up",
                f"ip -n {space} route add default via 192.0.2.254",
                f"ip netns exec {space} sysctl -qw net.ipv4.ip_forward=1",
            ]  # fmt: skip
            if n in self.advertise:
                lines.append(f"ip -n {space} addr add {self.advertise[n]}/24 dev eth0")
        for line in lines:
            done = run(*shlex.split(line))
            if not done.ok:
                raise EnginesFailed(f"{line}: {done.out.strip()}")

    def _hold(self, n: int) -> None:
        """A process whose mount and UTS namespaces an engine can be started in again."""
        folder = self.directory / f"d{n}"
        folder.mkdir(parents=True)
        script = _HOLDER.format(name=f"d{n}", resolv=shlex.quote(str(folder / "resolv.conf")))
        holder = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._holders[n] = holder
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != b"ready":
            raise EnginesFailed(f"no namespaces for host {n}")

    def _wait(self, n: int) -> None:
        if self.until(n, "version", _UP) is None:
            raise EnginesFailed(f"the engine of host {n} does not answer:\n{self.log(n)[-2000:]}")

    def _swarm(self) -> None:
        self.must(1, f"swarm init --advertise-addr {self.advertise.get(1, '192.0.2.1')}")
        token = self.must(1, "swarm join-token -q worker")
        for n in self.hosts[1:]:
            address = self.advertise.get(n, f"192.0.2.{n}")
            self.must(
                n, f"swarm join --advertise-addr {address} --token {token} {self.advertise.get(1, '192.0.2.1')}:2377"
            )

    def stop(self) -> None:
        """Containers, engines, namespaces; nothing is left."""
        for n in list(self._daemons):
            found = self.docker(n, "ps -aq", within=_DOWN).out.split() if self._daemons[n].poll() is None else []
            if found:
                self.docker(n, f"rm -f {' '.join(found)}", within=_DOWN)
        for daemon in self._daemons.values():
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(_DOWN)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        for space in [self.hub, *map(self.namespace, self.hosts)]:
            for pid in run("ip", "netns", "pids", space).out.split():
                if pid.isdigit():
                    _kill(int(pid))
            run("ip", "netns", "del", space)
        for holder in self._holders.values():
            _kill(holder.pid)
            holder.wait()
            if holder.stdout is not None:
                holder.stdout.close()
        self._holders.clear()
        shutil.rmtree(self.directory, ignore_errors=True)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _image() -> bytes:
    """A tar with a static busybox and its names."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    names = run(busybox, "--list").out.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(busybox, "bin/busybox")
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        data = b"root:x:0:0:root:/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
