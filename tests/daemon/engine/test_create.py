"""What a create request becomes; and that no body, however odd, is anything but accepted or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.api import schema
from daemon.api.body import Schema, checked
from daemon.engine import shown
from daemon.engine.create import merged_config
from daemon.engine.documents import JsonObject
from daemon.engine.filters import Filters
from daemon.engine.listing import select
from daemon.engine.reference import check_reference, familiar
from daemon.errors import ApiError, BadParameter
from daemon.runtime.images import Images
from tests.daemon.api.conftest import Machine, directory  # noqa: F401 - a fixture


@pytest_asyncio.fixture
async def machine(directory: Path) -> AsyncIterator[Machine]:  # noqa: F811
    made = Machine(directory)
    await made.start()
    yield made
    await made.stop()


def test_image_defaults_give_way_to_the_user() -> None:
    image = Images().resolve("nginx")
    assert image is not None
    plain = merged_config({"Image": "nginx"}, image)
    assert plain["Cmd"] == list(image.cmd) and plain["ExposedPorts"] == {"80/tcp": {}}
    assert plain["StopSignal"] == "SIGQUIT" and plain["Env"] == list(image.env)
    wanted = {"Image": "nginx", "Cmd": "true", "Env": ["PATH=/x", "A=1"], "Labels": {"maintainer": "me"}}
    own = merged_config(wanted, image)
    assert own["Cmd"] == ["true"] and own["Env"] == ["PATH=/x", "A=1"] and own["Labels"]["maintainer"] == "me"
    whoami = Images().resolve("traefik/whoami")
    assert merged_config({"Image": "w", "Cmd": ["-v"]}, whoami)["Entrypoint"] == ["/whoami"]
    assert merged_config({"Image": "w", "Entrypoint": [""], "Cmd": ["x"]}, whoami)["Entrypoint"] is None


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("alpine", "alpine:latest"),
        ("docker.io/library/alpine:3.19", "alpine:3.19"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
    ],
)
def test_references(written: str, name: str) -> None:
    check_reference(written)
    assert familiar(written) == name


@pytest.mark.parametrize("bad", ["", "Alpine", "a b", "-a", "a:", "a//b", "a@sha256:12", "http://x/y z"])
def test_bad_references(bad: str) -> None:
    with pytest.raises(BadParameter, match="invalid reference format"):
        check_reference(bad)


_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.sampled_from(["", "x", "80/tcp", "n1", "10.0.0.1", "a:b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["80", "n1", ""]), inner, max_size=2),
    max_leaves=4,
)


def _bodies(shape: Schema) -> st.SearchStrategy[JsonObject]:
    """Objects of a schema's fields with fitting and unfitting values."""

    def value(wanted: object) -> st.SearchStrategy[object]:
        if isinstance(wanted, tuple):
            inner = _bodies(wanted[1])
            if wanted[0].startswith("map[string][]"):
                inner = st.dictionaries(st.sampled_from(["80/tcp", "9"]), st.lists(inner, max_size=2), max_size=2)
            elif wanted[0].startswith("map[string]"):
                inner = st.dictionaries(st.sampled_from(["n1", "bridge", "default"]), inner, max_size=2)
            elif wanted[0].startswith("[]"):
                inner = st.lists(inner, max_size=2)
            return inner | _junk
        fitting: dict[object, st.SearchStrategy[object]] = {
            "string": st.sampled_from(["", "x", "container:x", "host", "none", "no", "always", "1-2", "::1"]),
            "bool": st.booleans(),
            "[]string": st.lists(st.sampled_from(["", "a", "a=b", "a:b", "/x", ":"]), max_size=2),
        }
        return fitting.get(wanted, _junk)

    return st.fixed_dictionaries({}, optional={key: value(wanted) for key, wanted in shape.items()})


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=_bodies(schema.CREATE))
async def test_any_body_is_accepted_or_refused(machine: Machine, body: JsonObject) -> None:
    engine = machine.host.engine
    try:
        fitting = checked({**body, "Image": "alpine"}, "Config", schema.CREATE)
        container, _ = engine.containers.create("", fitting, (1, 47))
    except ApiError as error:
        assert 400 <= error.status < 500, error.message
        return
    try:
        await engine.containers.lifecycle.start(container)
    except ApiError as error:
        assert error.message and not error.message.startswith("internal error")
    finally:
        select(engine, Filters({"publish": ["80"], "network": ["n1"]}), all=True)
        shown.inspect(engine, container, (1, 47))
        if container.state.status != "removing":
            await engine.containers.lifecycle.remove(container, force=True)
    assert engine.containers.all() == []
