"""A process that is one member of this library and nothing else; driven by lines on stdin, it tells what it sees.

Each line out is a JSON array [when, name, status, tag], ``when`` on CLOCK_MONOTONIC, which the reader shares.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from random import Random

from gossip.shell import Memberlist
from gossip.sockets import SocketUnderlay
from gossip.swim.member import Address, Member, MemberEvent, MemberState
from gossip.swim.profile import Config

_STATUS = {
    MemberState.ALIVE: "alive",
    MemberState.SUSPECT: "alive",
    MemberState.DEAD: "failed",
    MemberState.LEFT: "left",
}


class Tag:
    """The least delegate: a tag that can be changed."""

    def __init__(self) -> None:
        self.value = b""

    def meta(self) -> bytes:
        return self.value

    def has_broadcasts(self) -> bool:
        return False

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        return []

    def user_message(self, data: bytes, source: Address, now: float) -> None: ...

    def local_state(self, join: bool) -> bytes:
        return b""

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None: ...


def _tell(member: Member, when: float) -> None:
    line = [when, member.name, _STATUS[member.state], member.meta.decode(errors="replace")]
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def run(name: str, address: str) -> None:
    loop = asyncio.get_running_loop()
    tag = Tag()
    members = Memberlist(
        Config(name, address),
        underlay=SocketUnderlay(address),
        delegate=tag,
        random=Random(os.urandom(8)),
        entropy=os.urandom,
    )

    def changed(event: MemberEvent) -> None:
        _tell(event.member, loop.time())

    members.subscribe(changed)
    await members.start()
    own = members.member(name)
    assert own is not None
    _tell(own, loop.time())
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        verb, _, argument = line.decode().strip().partition(" ")
        if verb == "join":
            host, _, port = argument.partition(":")
            await members.join([(host, int(port))])
        elif verb == "tag":
            tag.value = argument.encode()
            members.update_meta()
            own = members.member(name)
            assert own is not None
            _tell(own, loop.time())
    await members.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
