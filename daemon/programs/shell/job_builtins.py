"""The shell's builtins about jobs and signals: wait, jobs, fg, bg, kill, trap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs.processes import kill
from daemon.programs.shell.state import ShellError, quote_always
from daemon.runtime.context import ProcessContext
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from daemon.programs.shell.interpreter import Shell
    from daemon.programs.shell.state import Job


def signal_number(text: str) -> int:
    """A signal by number or name, 0 for EXIT. ShellError when there is none."""
    if text.isdigit() and int(text) < 65:
        return int(text)
    name = text.upper().removeprefix("SIG")
    if name == "EXIT":
        return 0
    member = Signals.__members__.get(f"SIG{name}")
    if member is None:
        raise ShellError(f"{text}: invalid signal specification", 1)
    return int(member)


async def trap(shell: Shell, argv: list[str]) -> int:
    words = [word for word in argv[1:] if word != "--"]
    if not words:
        for key, held in shell.traps.items():
            name = "EXIT" if key == "EXIT" else Signals(int(key)).name[3:]
            await shell.p.print(f"trap -- {quote_always(held)} {name}")
        return 0
    action: str | None = words[0]
    names = words[1:]
    if (action is not None and action.isdigit()) or not names:
        names, action = words, None
    elif action == "-":
        action = None
    for name in names:
        number = signal_number(name)
        key = "EXIT" if number == 0 else str(number)
        if action is None:
            shell.traps.pop(key, None)
            shell.p.process.handlers.pop(number, None)
            continue
        shell.traps[key] = action
        if number:
            shell.p.on_signal(number, shell.signal_handler(number) if action else None)
    return 0


def find_job(shell: Shell, text: str) -> Job | None:
    """%1, %%, %+ or a pid."""
    if text.startswith("%"):
        live = [job for job in shell.jobs if any(process.exit_code is None for process in job.processes)]
        if text[1:] in ("", "%", "+", "-"):
            return live[-1] if live else None
        return next((job for job in shell.jobs if str(job.number) == text[1:]), None)
    return next(
        (job for job in shell.jobs if text.isdigit() and any(process.pid == int(text) for process in job.processes)),
        None,
    )


async def wait(shell: Shell, argv: list[str]) -> int:
    if len(argv) == 1:
        targets = list(shell.jobs)
        status = 0
    else:
        targets = []
        status = 127
        for word in argv[1:]:
            job = find_job(shell, word)
            if job is not None:
                targets.append(job)
    for job in targets:
        for process in job.processes:
            if process.exit_code is None:
                number = await shell.wait_or_trap(process)
                if number:
                    await shell.check_traps()
                    return 128 + number
        if len(argv) > 1:
            await shell.report_death(job.processes[-1])
            status = job.processes[-1].exit_code or 0
        if job in shell.jobs:
            shell.jobs.remove(job)
    return status


async def jobs(shell: Shell, argv: list[str]) -> int:
    for job in list(shell.jobs):
        running = any(process.exit_code is None for process in job.processes)
        state = "Running" if running else "Done"
        text = " ".join(job.processes[-1].argv)
        await shell.p.print(f"[{job.number}]{'+' if job is shell.jobs[-1] else ' '} {state:<27}{text}")
        if not running:
            shell.jobs.remove(job)
    return 0


async def foreground(shell: Shell, argv: list[str]) -> int:
    job = find_job(shell, argv[1] if len(argv) > 1 else "%%")
    if job is None:
        raise ShellError("No current job" if len(argv) == 1 else f"No such job: {argv[1]}")
    if argv[0] == "bg":
        return 0
    await shell.p.print(" ".join(job.processes[-1].argv))
    shell.jobs.remove(job)
    return await shell.wait_foreground(job.processes)


async def kill_job(shell: Shell, argv: list[str]) -> int:
    words: list[str] = []
    for word in argv:
        job = find_job(shell, word) if word.startswith("%") else None
        words.append(str(job.processes[0].pid) if job is not None else word)
    return await kill(ProcessContext(shell.p.process, words, {**shell.p.env, "\0sh": shell.name}))
