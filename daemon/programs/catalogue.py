"""Which programs exist, by the name they have in an image. Names that are not here are Docker's "not found".

A program's module is imported when it first runs: a daemon whose containers sleep does not carry them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext, Program

__all__ = ["BUSYBOX", "EXTRA", "hello", "nginx_server", "whoami_server"]


class _Late:
    """A program by its module (below daemon.programs) and name there."""

    __slots__ = ("_module", "_name", "_program")

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._program: Program | None = None

    def load(self) -> Program:
        """The program itself; imports its module the first time."""
        if self._program is None:
            self._program = cast("Program", getattr(import_module(f"daemon.programs.{self._module}"), self._name))
        return self._program

    async def __call__(self, p: ProcessContext) -> int:
        return await self.load()(p)


hello: Program = _Late("hello", "hello")
nginx_server: Program = _Late("http_server", "nginx_server")
whoami_server: Program = _Late("http_server", "whoami_server")

#: /bin of every image.
BUSYBOX: dict[str, Program] = {
    "[": _Late("conditions", "test"),
    "[[": _Late("conditions", "test"),
    "arp": _Late("interfaces", "arp"),
    "ash": _Late("shell.main", "sh"),
    "awk": _Late("awk", "awk"),
    "base64": _Late("digests", "base64"),
    "basename": _Late("basic", "basename"),
    "cat": _Late("text", "cat"),
    "chgrp": _Late("files", "chown"),
    "chmod": _Late("files", "chmod"),
    "chown": _Late("files", "chown"),
    "clear": _Late("listing", "clear"),
    "cmp": _Late("digests", "cmp"),
    "cp": _Late("files", "cp"),
    "cut": _Late("text", "cut"),
    "date": _Late("identity", "date"),
    "dd": _Late("files", "dd"),
    "df": _Late("listing", "df"),
    "dirname": _Late("basic", "dirname"),
    "du": _Late("listing", "du"),
    "echo": _Late("basic", "echo"),
    "egrep": _Late("grep", "grep"),
    "env": _Late("identity", "env"),
    "expr": _Late("conditions", "expr"),
    "false": _Late("basic", "false"),
    "fgrep": _Late("grep", "grep"),
    "find": _Late("find", "find"),
    "grep": _Late("grep", "grep"),
    "hd": _Late("digests", "hexdump"),
    "head": _Late("text", "head"),
    "hexdump": _Late("digests", "hexdump"),
    "hostname": _Late("identity", "hostname"),
    "httpd": _Late("http_server", "httpd"),
    "id": _Late("identity", "id_"),
    "ifconfig": _Late("interfaces", "ifconfig"),
    "ip": _Late("iproute", "ip"),
    "kill": _Late("processes", "kill"),
    "killall": _Late("processes", "killall"),
    "ln": _Late("files", "ln"),
    "ls": _Late("listing", "ls"),
    "md5sum": _Late("digests", "digest"),
    "mkdir": _Late("files", "mkdir"),
    "mktemp": _Late("listing", "mktemp"),
    "mv": _Late("files", "mv"),
    "nl": _Late("text", "nl"),
    "nc": _Late("netcat", "nc"),
    "netstat": _Late("netstat", "netstat"),
    "nohup": _Late("running", "nohup"),
    "nproc": _Late("identity", "nproc"),
    "nslookup": _Late("nslookup", "nslookup"),
    "od": _Late("digests", "od"),
    "paste": _Late("text", "paste"),
    "pidof": _Late("processes", "pidof"),
    "ping": _Late("ping", "ping"),
    "ping6": _Late("ping", "ping"),
    "printenv": _Late("identity", "printenv"),
    "printf": _Late("formatting", "printf"),
    "ps": _Late("processes", "ps"),
    "pwd": _Late("basic", "pwd"),
    "readlink": _Late("listing", "readlink"),
    "realpath": _Late("listing", "realpath"),
    "rev": _Late("text", "rev"),
    "rm": _Late("files", "rm"),
    "rmdir": _Late("files", "rmdir"),
    "route": _Late("interfaces", "route"),
    "sed": _Late("sed", "sed"),
    "seq": _Late("basic", "seq"),
    "sh": _Late("shell.main", "sh"),
    "sha1sum": _Late("digests", "digest"),
    "sha256sum": _Late("digests", "digest"),
    "sha512sum": _Late("digests", "digest"),
    "sleep": _Late("basic", "sleep"),
    "sort": _Late("sorting", "sort"),
    "stat": _Late("listing", "stat"),
    "tac": _Late("text", "tac"),
    "tail": _Late("text", "tail"),
    "tee": _Late("text", "tee"),
    "test": _Late("conditions", "test"),
    "time": _Late("running", "time"),
    "timeout": _Late("running", "timeout"),
    "top": _Late("processes", "top"),
    "touch": _Late("files", "touch"),
    "tr": _Late("text", "tr"),
    "traceroute": _Late("traceroute", "traceroute"),
    "traceroute6": _Late("traceroute", "traceroute"),
    "true": _Late("basic", "true"),
    "truncate": _Late("files", "truncate"),
    "tty": _Late("identity", "tty"),
    "uname": _Late("identity", "uname"),
    "uniq": _Late("sorting", "uniq"),
    "uptime": _Late("identity", "uptime"),
    "usleep": _Late("basic", "usleep"),
    "watch": _Late("running", "watch"),
    "wc": _Late("text", "wc"),
    "wget": _Late("wget", "wget"),
    "which": _Late("identity", "which"),
    "whoami": _Late("identity", "whoami"),
    "xargs": _Late("running", "xargs"),
    "xxd": _Late("digests", "xxd"),
    "yes": _Late("basic", "yes"),
}

#: /usr/bin of every image: what busybox has not, and the anchors' image had.
EXTRA: dict[str, Program] = {
    "curl": _Late("curl", "curl"),
    "dig": _Late("dig", "dig"),
    "iperf3": _Late("iperf3", "iperf3"),
    "nc.openbsd": _Late("netcat", "netcat"),
    "netcat": _Late("netcat", "netcat"),
    "shoal-relay": _Late("relay", "relay"),
    "ss": _Late("netstat", "ss"),
    "tcpdump": _Late("tcpdump", "tcpdump"),
}
