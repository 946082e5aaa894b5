"""The pytest plug-in: fixtures that give a test a swarm (docs/testing.md). Nothing heavy is imported before.

`swarm` is one for each test; `module_swarm` and `session_swarm` are started once for their scope (and once for each
worker of pytest-xdist) and reset before every test that uses them. What a failed test left is kept in a directory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from scenarios.api import Swarm

_USED: pytest.StashKey[list[Swarm]] = pytest.StashKey()
_MARKED = ("hosts", "simulated", "seed", "formed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("shoal", "swarms of container hosts")
    group.addoption("--shoal-hosts", type=int, default=3, metavar="N", help="hosts of a swarm (default 3)")
    group.addoption("--shoal-simulated", action="store_true", help="swarms in simulated time")
    group.addoption("--shoal-seed", type=int, default=1, metavar="N", help="seed of simulated swarms (default 1)")
    group.addoption(
        "--shoal-keep", default="shoal-failures", metavar="DIR",
        help="where logs, inspect and packets of failed tests go (default: shoal-failures)",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "shoal(hosts=3, simulated=False, seed=1, formed=True): what the fixtures swarm, on a test, and"
        " module_swarm, on its module (pytestmark), start; options --shoal-… say it for all",
    )  # fmt: skip


def _made(node: Any, config: pytest.Config) -> Swarm:
    from scenarios.api import Swarm

    settings: dict[str, Any] = {
        "hosts": config.getoption("--shoal-hosts"),
        "simulated": config.getoption("--shoal-simulated"),
        "seed": config.getoption("--shoal-seed"),
    }
    for mark in reversed(list(node.iter_markers("shoal"))):
        if mark.args or (unknown := [key for key in mark.kwargs if key not in _MARKED]):
            given = ", ".join(map(repr, mark.args)) or ", ".join(unknown)
            raise pytest.UsageError(f"@pytest.mark.shoal takes {', '.join(_MARKED)} by name, not {given}")
        settings |= mark.kwargs
    return Swarm(**settings)


def _used(request: pytest.FixtureRequest, swarm: Swarm) -> Swarm:
    request.node.stash.setdefault(_USED, []).append(swarm)
    return swarm


@pytest.fixture
def swarm(request: pytest.FixtureRequest) -> Iterator[Swarm]:
    """A running swarm of this test's own; `@pytest.mark.shoal(hosts=2)` says what kind."""
    with _made(request.node, request.config) as made:
        yield _used(request, made)


def _shared(scope: Literal["module", "session"]) -> Callable[..., Iterator[Swarm]]:
    @pytest.fixture(scope=scope, name=f"_swarm_of_{scope}")
    def shared(request: pytest.FixtureRequest) -> Iterator[Swarm]:
        with _made(request.node, request.config) as made:
            yield made

    return shared


_of_module = _shared("module")
_of_session = _shared("session")


@pytest.fixture
def module_swarm(request: pytest.FixtureRequest, _swarm_of_module: Swarm) -> Swarm:
    """One swarm for a module, as new for each test."""
    _swarm_of_module.reset()
    return _used(request, _swarm_of_module)


@pytest.fixture
def session_swarm(request: pytest.FixtureRequest, _swarm_of_session: Swarm) -> Swarm:
    """One swarm for all tests, as new for each."""
    _swarm_of_session.reset()
    return _used(request, _swarm_of_session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Before anything is torn down: the evidence of a failure."""
    report = yield
    if report.failed and call.when in ("setup", "call"):
        swarms: list[Swarm] = item.stash[_USED] if _USED in item.stash else []  # noqa: SIM401 - mypy's types
        for number, used in enumerate(swarms):
            if not used.running:
                continue
            name = re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-")[-150:]
            directory = Path(item.config.getoption("--shoal-keep"), name + (f"-{number}" if number else ""))
            try:
                kept = used.keep(directory.absolute())
            except Exception as error:  # the test's own failure is what is to be reported
                report.sections.append(("shoal", f"nothing could be kept: {type(error).__name__}: {error}"))
            else:
                names = ", ".join(path.name for path in kept)
                report.sections.append(("shoal", f"kept in {directory}: {names}"))
    return report
