"""The streams that a listener accepted: a task each, ended together with the listener."""

from __future__ import annotations

import asyncio

from daemon.underlay.contract import Accept, Address


class AcceptedStreams:
    """Runs `accept` on each stream in a task of its own, and closes the stream after it."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._tasks: dict[asyncio.Task[None], None] = {}

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, peer))
        self._tasks[task] = None
        task.add_done_callback(lambda t: self._tasks.pop(t, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        try:
            await self._accept(reader, writer, peer)
        except (OSError, EOFError, TimeoutError):
            pass  # the peer went away: the acceptor has counted what matters to it
        finally:
            writer.close()

    async def end(self) -> None:
        """Cancel and await them all."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
