"""What the image hello-world runs: proof that the client, the daemon and a container's output all work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

_TEXT = """
Hello from a container of shoal.

Your docker client asked the daemon of a simulated host for the image hello-world; the daemon made a container of it
and ran the program that writes these lines.

Next, a network of your own and two containers that find one another by name:
 $ docker network create mine
 $ docker run -d --name web --network mine nginx
 $ docker run --rm --network mine alpine wget -q -O - http://web/
"""


async def hello(p: ProcessContext) -> int:
    """Prints a greeting."""
    await p.print(_TEXT)
    return 0
