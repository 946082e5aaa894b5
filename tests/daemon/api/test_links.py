"""--link on the default bridge: what the linking container gets to know, and that a link can be taken away."""

from __future__ import annotations

import aiohttp

from tests.daemon.api.conftest import Machine
from tests.daemon.api.test_mounts import prints


async def test_variables_of_a_link(machine: Machine, api: aiohttp.ClientSession, docker_cli: str) -> None:
    await prints(machine, "docker run -d --name db -e SECRET=x --expose 5432 --expose 53/udp alpine sleep 60")
    address = (await prints(machine, "docker inspect -f '{{.NetworkSettings.IPAddress}}' db")).strip()
    lines = (await prints(machine, "docker run --name app --link db:the-store alpine env")).split()
    assert [line for line in lines if line.startswith("THE_STORE")] == [
        "THE_STORE_NAME=/app/the-store",
        f"THE_STORE_PORT=tcp://{address}:5432",
        f"THE_STORE_PORT_5432_TCP=tcp://{address}:5432",
        f"THE_STORE_PORT_5432_TCP_ADDR={address}",
        "THE_STORE_PORT_5432_TCP_PORT=5432",
        "THE_STORE_PORT_5432_TCP_PROTO=tcp",
        f"THE_STORE_PORT_53_UDP=udp://{address}:53",
        f"THE_STORE_PORT_53_UDP_ADDR={address}",
        "THE_STORE_PORT_53_UDP_PORT=53",
        "THE_STORE_PORT_53_UDP_PROTO=udp",
        "THE_STORE_ENV_SECRET=x",
    ]
    async with api.delete("/v1.41/containers/app/the-store?link=1") as answer:
        assert answer.status == 204
    assert "THE_STORE" not in await prints(machine, "docker start -a app")


async def test_accounts_and_groups(machine: Machine, docker_cli: str) -> None:
    script = "id -u; id -g; id -G; echo $HOME"
    out = await prints(machine, f"docker run --rm --user mail --group-add 7 --group-add ftp alpine sh -c '{script}'")
    assert out.splitlines() == ["8", "12", "12 7 21", "/var/mail"]
    done = await machine.shell("docker run --rm --user 1:nobodies alpine true")
    assert "unable to find group nobodies: no matching entries in group file" in done.stderr
