"""Images by tarball, and what containers wrote, which outlives the daemon."""

from __future__ import annotations

import json

from tests.daemon.api.conftest import Machine
from tests.daemon.api.test_mounts import prints


async def test_commit_save_and_load(machine: Machine, docker_cli: str) -> None:
    await prints(machine, "docker run --name c1 alpine sh -c 'echo kept > /f; rm /bin/ls; cp /bin/echo /say'")
    assert await prints(machine, "docker diff c1") == "C /bin\nD /bin/ls\nA /f\nA /say\n"
    changes = """-c 'CMD ["cat","/f"]' -c 'ENV WHO="some body"' -c 'EXPOSE 80'"""
    made = (await prints(machine, f"docker commit -m note {changes} c1 mine:1")).strip()
    assert await prints(machine, "docker run --rm mine:1") == "kept\n"
    assert await prints(machine, "docker run --rm mine:1 sh -c '/say $WHO'") == "some body\n"
    done = await machine.shell("docker run --rm mine:1 ls")
    assert done.exit == 127
    await prints(machine, f"cd {machine.config.state_dir} && docker save -o a.tar mine:1 busybox")
    await prints(machine, "docker rm c1 && docker rmi mine:1 busybox && ! docker image inspect mine:1")
    loaded = await prints(machine, f"cd {machine.config.state_dir} && docker load -i a.tar")
    assert loaded == "Loaded image: mine:1\nLoaded image: busybox:latest\n"
    assert json.loads(await prints(machine, "docker image inspect mine:1"))[0]["Id"] == made
    await machine.stop()
    await machine.start()
    assert await prints(machine, "docker run --rm mine:1") == "kept\n"


async def test_import_of_a_root_filesystem(machine: Machine, docker_cli: str) -> None:
    root = machine.config.state_dir / "root"
    (root / "bin").mkdir(parents=True)
    for name in ("cat", "sh", "unheard-of"):
        (root / "bin" / name).write_bytes(b"\x7fELF\x02\x01\x01 a program of another world")
        (root / "bin" / name).chmod(0o755)
    (root / "script").write_text("#!/bin/sh\ncat /text\n")
    (root / "script").chmod(0o755)
    (root / "text").write_text("from a tarball\n")
    await prints(machine, f"tar -C {root} -cz . | docker import -c 'CMD /script' - mine")
    assert await prints(machine, "docker run --rm mine") == "from a tarball\n"
    done = await machine.shell("docker run --rm mine /bin/unheard-of")
    assert (done.exit, done.stderr) == (255, "exec /bin/unheard-of: exec format error\n")
    broken = await machine.shell("echo junk | docker import - other")
    assert broken.exit == 1 and "Error processing tar file" in broken.stderr
    await prints(machine, "docker export $(docker create mine) | docker import - again")
    assert await prints(machine, "docker run --rm again /script") == "from a tarball\n"
    done = await machine.shell("docker build - < /dev/null")
    assert done.exit == 1 and "building images is not implemented" in done.stderr
    pulled = await machine.shell("docker pull nobody/nothing")
    assert "pull access denied for nobody/nothing, repository does not exist" in pulled.stderr
    await prints(machine, "docker system prune -af --volumes && docker system df")
    assert await prints(machine, "docker images -q mine") == ""


async def test_logs_and_files_outlive_the_daemon(machine: Machine, docker_cli: str) -> None:
    script = "echo out; echo err >&2; echo mine > /f; rm -f /etc/os-release"
    await prints(machine, f"docker run --name c1 alpine sh -c '{script}'")
    stamped = await prints(machine, "docker logs -t c1 2>&1")
    await machine.stop()
    await machine.start()
    assert await prints(machine, "docker logs -t c1 2>&1") == stamped
    assert "D /etc/os-release" in await prints(machine, "docker diff c1")
    await prints(machine, "docker start -a c1")
    assert (await prints(machine, "docker logs c1")).split() == ["out", "out"]
    assert "mine" in await prints(machine, "docker cp c1:/f - | tar -xO")
    await prints(machine, "docker rm c1")
    assert [kind for kind, _ in machine.store._documents if kind.startswith("container")] == []
