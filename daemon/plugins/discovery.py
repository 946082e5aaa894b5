"""Where plug-ins are: a socket, or a file that says where it listens, in one of a few directories.

NAME.sock is a unix socket; NAME.spec holds an address (unix://, tcp://, http://, https://); NAME.json has Addr and
perhaps TLSConfig. Each lies in a directory of the list, or in a directory NAME there (moby's pkg/plugins).
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ("unix", "tcp", "http", "https")
_LARGEST = 1 << 20


class BadSpec(ValueError):
    """A .spec or .json that cannot be understood; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLSConfig of a .json: paths, all optional."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """Where a plug-in listens: `socket` is a path, or host:port. `tls` is of https only."""

    scheme: str
    socket: str
    tls: Tls = field(default_factory=Tls)


class Directories:
    """The directories in which plug-ins are looked for, in that order; sockets before files."""

    def __init__(self, paths: Sequence[Path], is_socket: Callable[[Path], bool] | None = None) -> None:
        """`is_socket`: tells what is one where sockets are no files (in simulated time)."""
        self._paths = tuple(paths)
        self._is_socket = is_socket or _is_socket

    def find(self, name: str) -> Address | None:
        """None: there is none of that name. Raises BadSpec, OSError."""
        if not name or "/" in name or name.startswith("."):
            return None
        for path in self._candidates(name, ".sock"):
            if self._is_socket(path):
                return Address("unix", str(path))
        for suffix in (".spec", ".json"):
            for path in self._candidates(name, suffix):
                if path.is_file():
                    return _read(path)
        return None

    def names(self) -> list[str]:
        """Of all that lie there, whether they answer or not."""
        found: dict[str, None] = {}
        for directory in self._paths:
            for path in sorted([*directory.glob("*.*"), *directory.glob("*/*.*")]):
                alone = path.parent == directory or path.parent.name == path.stem
                if alone and (path.suffix in (".spec", ".json") or (path.suffix == ".sock" and self._is_socket(path))):
                    found[path.stem] = None
        return sorted(found)

    def _candidates(self, name: str, suffix: str) -> list[Path]:
        return [each for path in self._paths for each in (path / f"{name}{suffix}", path / name / f"{name}{suffix}")]


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _read(path: Path) -> Address:
    if path.stat().st_size > _LARGEST:
        raise BadSpec(f"{path}: too long for a plug-in's address")
    text = path.read_text(errors="replace").strip()
    if path.suffix == ".spec":
        return parse_address(text)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadSpec(f"{path}: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("Addr"), str):
        raise BadSpec(f"{path}: no Addr")
    tls = document.get("TLSConfig")
    given = tls if isinstance(tls, dict) else {}
    ca = str(given.get("CAFile") or "")
    return parse_address(
        document["Addr"],
        Tls(
            ca,
            str(given.get("CertFile") or ""),
            str(given.get("KeyFile") or ""),
            given.get("InsecureSkipVerify") is True or not ca,
        ),
    )


def parse_address(text: str, tls: Tls | None = None) -> Address:
    """unix:///path, tcp://host:port, http://host:port, https://host:port. Raises BadSpec."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BadSpec(str(error)) from None
    if not parts.scheme:
        raise BadSpec("Unknown protocol")
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.path):
        raise BadSpec(f"unsupported plug-in address {text!r}: one of unix, tcp, http, https expected")
    return Address(parts.scheme, parts.netloc or parts.path, tls or Tls())
