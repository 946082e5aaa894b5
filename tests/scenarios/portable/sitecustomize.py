"""What Python finds on a system that is no Unix, for processes that have this directory on their PYTHONPATH.

Python's own library is loaded first and keeps what it has (it is another one there); all that is imported later,
ours and third parties', finds the names gone, as it would there.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import http.client
import importlib.abc
import logging
import multiprocessing.util
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import typing

_LIBRARY = (asyncio, concurrent.futures, http.client, logging, multiprocessing.util, selectors, shutil, subprocess,
            tempfile)  # fmt: skip
_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "posix", "curses")
_SIGNALS = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGBREAK")
_GONE: tuple[tuple[typing.Any, tuple[str, ...]], ...] = (
    (socket, ("AF_UNIX", "SO_REUSEPORT", "CMSG_SPACE", "SCM_RIGHTS", "recv_fds", "send_fds")),
    (socket.socket, ("sendmsg", "recvmsg", "recvmsg_into")),
    (asyncio, ("open_unix_connection", "start_unix_server")),
    (os, ("fork", "forkpty", "geteuid", "getuid", "getgid", "getegid", "getgroups", "setsid", "getpgid", "killpg",
          "pidfd_open", "chown", "lchown", "fchown", "fchmod", "mkfifo", "mknod", "sysconf", "uname", "WNOHANG",
          "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "pread", "pwrite", "statvfs", "getloadavg",
          "sched_getaffinity", "eventfd", "memfd_create", "splice", "sendfile", "pipe2", "ttyname", "tcgetpgrp")),
    (signal, ("pidfd_send_signal", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait")),
    (select, ("poll", "epoll")),
)  # fmt: skip


class _NoModule(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name in _MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _no_signals(self: object, *_: object) -> None:
    raise NotImplementedError


def _no_unix_server(self: object, *_: object, **__: object) -> None:
    raise NotImplementedError


_pair = socket.socketpair
_FAMILY = socket.AF_UNIX


def _leave() -> None:
    socket.socketpair = lambda *_, **__: _pair(_FAMILY)  # type: ignore[assignment]  # what event loops wake up by
    for owner, names in _GONE:
        for name in names:
            with contextlib.suppress(AttributeError):
                delattr(owner, name)
    for name in [name for name in vars(signal) if name.startswith("SIG") and name not in _SIGNALS]:
        delattr(signal, name)
    for loop in (asyncio.SelectorEventLoop, asyncio.BaseEventLoop):
        loop.add_signal_handler = _no_signals  # type: ignore[assignment, method-assign, union-attr]
        loop.create_unix_server = _no_unix_server  # type: ignore[assignment, method-assign, union-attr]
        loop.create_unix_connection = _no_unix_server  # type: ignore[assignment, method-assign, union-attr]
    for name in _MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _NoModule())


_leave()
