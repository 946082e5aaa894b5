"""Programs are named by module and name: each name must lead somewhere."""

from __future__ import annotations

from inspect import iscoroutinefunction

import pytest

from daemon.programs import catalogue

_ALL = {**catalogue.BUSYBOX, **catalogue.EXTRA, "nginx": catalogue.nginx_server, "whoami": catalogue.whoami_server}


@pytest.mark.parametrize("name", sorted(_ALL))
def test_every_name_is_a_program(name: str) -> None:
    program = _ALL[name]
    assert isinstance(program, catalogue._Late)
    assert iscoroutinefunction(program.load())
