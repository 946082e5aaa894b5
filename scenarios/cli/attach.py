"""`shoal attach HOST --network NETWORK -- CMD`: a native program whose connections go into a container network."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence

from aiodocker.exceptions import DockerError

from scenarios.api import relay
from scenarios.api.proxy import Proxy
from scenarios.client import HostClient
from scenarios.launch.record import Host

_NOT_FOUND, _NOT_EXECUTABLE, _DAEMON = 127, 126, 125


def attach(host: Host, network: str, command: Sequence[str]) -> int:
    """Runs the command; its exit status, 128 and its signal, or 125 when the daemon refuses. Without a command the
    proxy stays until Ctrl-C."""
    return asyncio.run(_attach(host, network, command))


async def _attach(host: Host, network: str, command: Sequence[str]) -> int:
    async with HostClient(host.docker_api) as client:
        try:
            helper = await relay.place_helper(client, network, f"shoal-relay-{secrets.token_hex(4)}")
        except DockerError as error:
            prefix = "" if error.status == 900 else "Error response from daemon: "
            print(f"{prefix}{error.message}", file=sys.stderr)
            return _DAEMON
        try:
            async with Proxy(lambda name, port: relay.connect(host.docker_api, helper, name, port)) as proxy:
                return await _run(command, proxy)
        finally:
            await relay.remove_helper(client, helper)


async def _run(command: Sequence[str], proxy: Proxy) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    if not command:
        for name, value in proxy.environment().items():
            print(f"export {name}={value}", flush=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await ended.wait()
        return 0
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **proxy.environment()})
    except OSError as error:
        print(f"shoal: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
    # Ctrl-C reaches the program by itself; what is sent to this process alone is passed on.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, process.terminate)
    code = await process.wait()
    return code if code >= 0 else 128 - code
