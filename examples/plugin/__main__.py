"""python -m examples.plugin --socket DIR/example.sock [--record FILE]"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import IO

from aiohttp import web

from examples.plugin.service import Service


async def serve(socket: Path, record: IO[str] | None, scope: str) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(Service(socket.parent, record, scope).app(), access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    print("ready", flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="its name is the plug-in's")
    parser.add_argument("--record", type=argparse.FileType("a"), metavar="FILE", help="a line of JSON for each call")
    parser.add_argument("--scope", choices=("local", "global"), default="local", help="of its networks")
    arguments = parser.parse_args()
    socket: Path = arguments.socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    asyncio.run(serve(socket, arguments.record, arguments.scope))
    socket.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
