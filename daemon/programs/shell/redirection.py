"""The shell's redirections: what `< > >> <> << <& >&` open (POSIX 2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.runtime.descriptor import DeviceFile

if TYPE_CHECKING:
    from daemon.programs.shell.interpreter import Shell
    from daemon.programs.shell.syntax import Redirect
    from daemon.runtime.descriptor import Description


async def open_redirects(shell: Shell, redirects: list[Redirect]) -> dict[int, Description | None] | None:
    """Open them in order: descriptor → description (None: closed). None after a failure that was told."""
    changes: dict[int, Description | None] = {}
    for redirect in redirects:
        target = await shell.expand.text(redirect.target)
        try:
            stream = _target(shell, redirect.operator, target, changes)
        except OSError as error:
            for opened in changes.values():
                if opened is not None:
                    opened.close()
            creating = redirect.operator not in ("<", "<&")
            text = error.strerror
            if error.errno in (2, 20):
                text = "nonexistent directory" if creating else "no such file"
            verb = "create" if creating else "open"
            await shell.complain(
                str(error.args[1])
                if redirect.operator in ("<&", ">&") and error.errno == 9
                else f"can't {verb} {target}: {text}"
            )
            return None
        old = changes.get(redirect.descriptor)
        if old is not None:
            old.close()
        changes[redirect.descriptor] = stream
    return changes


def _target(shell: Shell, operator: str, target: str, changes: dict[int, Description | None]) -> Description | None:
    if operator == "<<":
        data = target.encode("utf-8", "surrogateescape")
        reader = iter((data,))
        return DeviceFile(lambda n: next(reader, b""), lambda written: None)
    if operator in ("<&", ">&"):
        if target == "-":
            return None
        if target.isdigit():
            number = int(target)
            source = changes[number] if number in changes else shell.p.process.descriptors.get(number)
            if source is None:
                raise OSError(9, f"{target}: Bad file descriptor")
            return source.duplicate()
    if operator == "<":
        return shell.p.open(target, read=True)
    if operator == "<>":
        return shell.p.open(target, read=True, write=True, create=True)
    if operator == ">" and shell.option("C") and shell.files.is_file(shell.p.path(target)):
        raise FileExistsError(17, "File exists")
    return shell.p.open(target, write=True, create=True, append=operator == ">>", truncate=operator != ">>")
