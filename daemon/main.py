"""shoald: one daemon in the foreground.

Settings come from a TOML file (--config), SHOALD_* variables and flags; the later wins. SIGTERM and SIGINT drain and
stop. Exit status: 0 after a clean stop, 1 when it could not start (one line says why), 2 for a wrong setting.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from daemon.config import BadConfig, Config, load, settings
from daemon.host import Host
from daemon.logs import configure
from daemon.runtime.folders import MachineFolders
from daemon.store.sqlite import SqliteStore, StoreUnusable
from daemon.underlay.real_ports import SocketPorts
from daemon.underlay.sockets import SocketUnderlay
from daemon.underlay.uplink import SocketUplink
from daemon.world import real_world

_HELP = {
    "hostname": "the host's name (default: the machine's)",
    "address": "its IPv4 address on the LAN, which it advertises",
    "state_dir": "where all that it keeps lies",
    "api_socket": "unix socket of Docker's API (default: STATE_DIR/docker.sock)",
    "api_tcp": "HOST:PORT to serve Docker's API on as well; anyone who reaches it controls this host",
    "control_socket": "unix socket of the control API (default: STATE_DIR/control.sock)",
    "control_tcp": "HOST:PORT to serve the control API on as well",
    "unix_sockets": "false: no unix sockets, both APIs on TCP alone (for systems that have none)",
    "extra_addresses": "more addresses of this host, separated by commas",
    "on_link": "addresses outside of the LAN's subnet that are on its wire too, separated by commas",
    "localhost_ports": "true: bind published ports on 127.0.0.1 too, where free",
    "plugin_dirs": "where Docker's plug-ins are looked for after STATE_DIR/plugins, separated by commas",
    "log_level": "debug, info, warning or error",
    "icc": "false: containers on the default bridge reach each other by --link only",
    "die_with": "end when the process with this pid ends",
    "os": "the platform that this host is declared to be of: linux or windows",
    "uplink": "true: the LAN's router forwards to the machine's own network",
}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="shoald", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of these settings, and of lan and underlay")
    for name in settings():
        p.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=_HELP[name])
    return p


@contextmanager
def private_socket(path: Path) -> Iterator[None]:
    """Make a unix socket that only its owner may use. A leftover of a dead daemon is removed; a live one's is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1.0)
                try:
                    probe.connect(os.fspath(path))
                except OSError:
                    path.unlink()
                else:
                    raise OSError(f"{path}: another daemon answers there")
    except FileNotFoundError:
        pass
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


async def _ended(pid: int) -> None:
    """Returns when a process has ended; at once if there is none."""
    loop = asyncio.get_running_loop()
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        # No pidfd on this system: look twice a second.
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            except PermissionError:
                pass
            await asyncio.sleep(0.5)
    gone = asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def serve(config: Config) -> None:
    """Run until told to stop. Raises OSError or StoreUnusable when it cannot start."""
    log = structlog.get_logger("shoald")
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # not a Unix: the handler runs between two instructions of this very thread
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = SqliteStore(config.state_dir / "state.db")
    addresses = config.address_map()
    host = Host(
        config,
        real_world(),
        carrier=SocketUnderlay(config.address, addresses),
        store=store,
        real_ports=SocketPorts(config.address, addresses, localhost=config.localhost_ports),
        machine=SocketUplink() if config.uplink else None,
        folders=MachineFolders(config.state_dir),
        guard=private_socket,
    )
    launcher = asyncio.create_task(_ended(config.die_with)) if config.die_with else None
    if launcher is not None:
        launcher.add_done_callback(lambda _: stop.set())
    try:
        await host.start()
        # What start-up made lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        log.info("ready", hostname=config.hostname, address=config.address, socket=str(config.socket))
        await stop.wait()
        log.info("stopping")
    finally:
        if launcher is not None:
            launcher.cancel()
        await host.stop()
        store.close()
        for path in (config.socket, config.control) if config.unix_sockets else ():
            path.unlink(missing_ok=True)


def main() -> int:
    arguments = vars(parser().parse_args())
    try:
        config = load(arguments.pop("config"), os.environ, arguments)
    except BadConfig as error:
        print(f"shoald: {error}", file=sys.stderr)
        return 2
    configure(config.log_level)
    if sys.platform == "win32":  # its other loop cannot wait for datagram sockets
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    try:
        asyncio.run(serve(config))
    except (OSError, StoreUnusable) as error:
        print(f"shoald: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
