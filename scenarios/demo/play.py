"""Plays the chapters, then the verdict; stops everything unless told to keep it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from aiodocker.exceptions import DockerError

from scenarios.demo.chapters import CHAPTERS
from scenarios.demo.stage import Figure, Stage, Stop
from scenarios.demo.view import LiveView, PlainView, View
from scenarios.launch import launcher
from scenarios.launch.errors import LaunchError


def main(*, step: bool, keep: bool, plain: bool, directory: Path | None) -> int:
    """Exit status: 0 when every check held, 1 otherwise, 130 after Ctrl-C."""
    own = Path(tempfile.mkdtemp(prefix="shoal-demo-")) if directory is None else directory.expanduser().absolute()
    try:
        return asyncio.run(_play(step=step, keep=keep, plain=plain, directory=own))
    except KeyboardInterrupt:
        return 130
    finally:
        if directory is None and own.is_dir() and not any(own.iterdir()):
            own.rmdir()


async def _play(*, step: bool, keep: bool, plain: bool, directory: Path) -> int:
    live = not plain and sys.stdout.isatty()
    view: View = LiveView(step=step) if live else PlainView(step=step)
    stage = Stage(directory, keep, view)
    began = time.monotonic()
    try:
        await _chapters(stage)
    finally:
        await view.close()
        for client in stage.clients.values():
            await client.close()
        if stage.swarm is not None and not keep:
            await asyncio.shield(asyncio.to_thread(launcher.down, directory))
    _verdict(stage, time.monotonic() - began)
    if keep and stage.swarm is not None:
        _what_next(stage)
    return 1 if stage.failed else 0


async def _chapters(stage: Stage) -> None:
    for number, chapter in enumerate(CHAPTERS, 1):
        if number > 1:
            await stage.view.pause()
        stage.view.chapter(number, (chapter.__doc__ or "").strip())
        try:
            await chapter(stage)
        except Stop:
            return
        except (LaunchError, DockerError) as error:
            stage.check(False, getattr(error, "message", None) or str(error))
            return


def table(figures: list[Figure]) -> str:
    """Our times beside Docker's."""
    from scenarios.cli.table import render

    def shown(value: float, unit: str) -> str:
        return (
            f"{value:.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}" if value >= 0.1 else f"{value:.3f} {unit}"
        )

    rows = [[f.what, shown(f.ours, f.unit), shown(f.docker, f.unit)] for f in figures]
    return render(["", "shoal, now", "Docker Swarm, measured"], rows)


def _verdict(stage: Stage, took: float) -> None:
    if stage.figures:
        print("\n" + table(stage.figures))
        print(
            "(Docker: three 20.10 engines in network namespaces on a two-core machine; see scenarios/demo/anchors.py)"
        )
    checks = stage.held + len(stage.failed)
    if stage.failed:
        print(f"\nFAILED: {len(stage.failed)} of {checks} checks did not hold, in {took:.1f} s: {stage.failed[0]}")
    else:
        print(f"\nPASSED: all {checks} checks held, in {took:.1f} s")


def _what_next(stage: Stage) -> None:
    print(
        "\nThe swarm is left running. What to type next:\n\n"
        f"    export SHOAL_STATE={stage.directory}\n"
        "    shoal ls\n"
        "    shoal on h1 exec c1 ping -c 3 c3\n"
        "    shoal chaos partition h1 / h2,h3\n"
        "    shoal chaos heal\n"
        '    eval "$(shoal env h1)" && docker ps        # with a docker command of your own\n'
        "    shoal down"
    )
