"""The images of the simulated runtime, and how a Python coroutine becomes one.

An image is a shared tree of files, some of which are programs, and the defaults that `docker inspect` shows.

    async def greeter(p: ProcessContext) -> int:
        listener = p.keep(p.sandbox.tcp_listen("0.0.0.0", 7))
        while True:
            connection = await listener.accept()
            await connection.write(f"hello from {p.hostname}\\n".encode())
            connection.close()

    images.register("greeter", greeter, exposed_ports=("7/tcp",))     # docker run -d -p 7:7 greeter

The coroutine is the image's entrypoint; the rest of the image is busybox, so `docker exec … sh` works in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from daemon.programs.catalogue import BUSYBOX, EXTRA, hello, nginx_server, whoami_server
from daemon.runtime.nodes import Directory, File, Node, Symlink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.runtime.context import Program

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREATED = 1_700_000_000  # seconds since 1970; fixed, so that image ids and listings are the same everywhere
ALPINE_VERSIONS = tuple(f"3.{minor}" for minor in range(10, 23))
ACCOUNTS = (
    "root:x:0:0:root:/root:/bin/sh",
    "bin:x:1:1:bin:/bin:/sbin/nologin",
    "daemon:x:2:2:daemon:/sbin:/sbin/nologin",
    "mail:x:8:12:mail:/var/mail:/sbin/nologin",
    "postgres:x:70:70::/var/lib/postgresql:/bin/sh",
    "ftp:x:21:21::/var/lib/ftp:/sbin/nologin",
    "www-data:x:33:33:www-data:/var/www:/sbin/nologin",
    "ntp:x:123:123:NTP:/var/empty:/sbin/nologin",
    "nginx:x:101:101:nginx:/var/lib/nginx:/sbin/nologin",
    "guest:x:405:100:guest:/dev/null:/sbin/nologin",
    "nobody:x:65534:65534:nobody:/:/sbin/nologin",
)  # of /etc/passwd; each has a group of its own name
DOCKER_IO = "docker.io/"


@dataclass(frozen=True, slots=True)
class Image:
    """What a container is made from.

    `id` is `sha256:…`; `tags` full references (`alpine:latest`); `created` seconds since 1970; `size` bytes as shown
    by `docker images`; `exposed_ports` like `80/tcp`; `tree` the shared files.
    """

    id: str
    tags: tuple[str, ...]
    tree: Directory
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = (f"PATH={PATH}",)
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    created: int = CREATED
    size: int = 7_330_000
    volumes: tuple[str, ...] = ()
    healthcheck: Mapping[str, object] = field(default_factory=dict)
    author: str = ""
    comment: str = ""
    parent: str = ""  # id of the image that it was committed over
    container: str = ""  # id of the container that it was committed from
    container_config: Mapping[str, object] = field(default_factory=dict)  # and that container's configuration
    programs: Mapping[str, Program] = field(default_factory=dict, compare=False)  # what its executables may be


def _normal(reference: str) -> str:
    """`docker.io/library/alpine` and `alpine` are `alpine:latest`."""
    name = reference.removeprefix("index.").removeprefix(DOCKER_IO).removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def _directory(children: Mapping[str, Node], mode: int = 0o755) -> Directory:
    return Directory(dict(children), mode, CREATED)


def _text(content: str, mode: int = 0o644) -> File:
    return File(content.encode(), mode, CREATED)


def _program(name: str, program: Program) -> File:
    return File(f"\x7fELF {name}\n".encode(), 0o755, CREATED, None, program)


def _tree(programs: Mapping[str, Program], files: Mapping[str, Node], release: str) -> Directory:
    """The files every image has, `programs` in /usr/bin and `files` (absolute paths) on top."""
    binaries: dict[str, Node] = {"busybox": _program("busybox", BUSYBOX["sh"])}
    binaries.update({name: _program(name, program) for name, program in BUSYBOX.items()})
    local = {name: _program(name, program) for name, program in {**EXTRA, **programs}.items()}
    root = _directory(
        {
            "bin": _directory(binaries),
            "dev": _directory({}),
            "etc": _directory(
                {
                    "passwd": _text("".join(f"{account}\n" for account in ACCOUNTS)),
                    "group": _text("".join(f"{a.split(':')[0]}:x:{a.split(':')[3]}:\n" for a in ACCOUNTS)),
                    "nsswitch.conf": _text("hosts: files dns\n"),
                    "os-release": _text(release),
                }
            ),
            "home": _directory({}),
            "lib": _directory({}),
            "mnt": _directory({}),
            "opt": _directory({}),
            "proc": _directory({}, 0o555),
            "root": _directory({}, 0o700),
            "run": _directory({}),
            "sbin": _directory({}),
            "srv": _directory({}),
            "sys": _directory({}, 0o555),
            "tmp": _directory({}, 0o1777),
            "usr": _directory(
                {
                    "bin": _directory(local),
                    "sbin": _directory({}),
                    "lib": _directory({}),
                    "local": _directory({"bin": _directory({}), "sbin": _directory({})}),
                    "share": _directory({}),
                }
            ),
            "media": _directory({}),
            "var": _directory(
                {
                    **{name: _directory({}) for name in ("cache", "empty", "lib", "local", "log", "opt", "spool")},
                    "run": Symlink("/run", CREATED),
                    "tmp": _directory({}, 0o1777),
                }
            ),
        }
    )
    for path, node in files.items():
        here = root
        *parents, name = [part for part in path.split("/") if part]
        for parent in parents:
            step = here.entries.setdefault(parent, _directory({}))
            assert isinstance(step, Directory)
            here = step
        here.entries[name] = node
    return root


class Images:
    """The images of one engine. Starts with alpine, busybox, nginx, traefik/whoami and hello-world."""

    def __init__(self) -> None:
        self._images: list[Image] = []
        self._by_reference: dict[str, Image] = {}
        # All that the runtime can run, by name: an executable that came in a tarball is one of these or none.
        servers: dict[str, Program] = {"hello": hello, "nginx": nginx_server, "whoami": whoami_server}
        self._programs: dict[str, Program] = {**BUSYBOX, **EXTRA, **servers}
        release = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID={0}.0\nPRETTY_NAME="Alpine Linux v{0}"\n'
        alpine = _tree({}, {"/etc/alpine-release": _text("3.19.0\n")}, release.format("3.19"))
        self._add(
            "alpine", alpine, ("alpine:latest", *(f"alpine:{v}" for v in ALPINE_VERSIONS), "alpine:edge"), cmd=("sh",)
        )
        self._add(
            "busybox",
            _tree({}, {}, 'NAME="BusyBox"\nID=busybox\n'),
            ("busybox:latest", "busybox:1.35", "busybox:1.36", "busybox:stable", "busybox:musl"),
            cmd=("sh",),
            size=4_860_000,
        )
        self._add(
            "nginx",
            _tree({"nginx": nginx_server}, NGINX_FILES, 'NAME="Debian GNU/Linux"\nID=debian\n'),
            ("nginx:latest", "nginx:alpine", "nginx:stable", "nginx:mainline", "nginx:1.25", "nginx:1.27"),
            cmd=("nginx", "-g", "daemon off;"),
            exposed_ports=("80/tcp",),
            size=187_000_000,
            labels={"maintainer": "NGINX Docker Maintainers <docker-maint@nginx.com>"},
            stop_signal="SIGQUIT",
        )
        self._add(
            "whoami",
            _tree({}, {"/whoami": _program("whoami", whoami_server)}, 'NAME="scratch"\nID=scratch\n'),
            ("traefik/whoami:latest", "traefik/whoami:v1.10", "containous/whoami:latest"),
            entrypoint=("/whoami",),
            exposed_ports=("80/tcp",),
            size=6_610_000,
        )

        self._add(
            "hello-world",
            _directory({"hello": _program("hello", hello)}),
            ("hello-world:latest", "hello-world:linux"),
            cmd=("/hello",),
            size=13_300,
        )

    def resolve(self, reference: str) -> Image | None:
        """By reference (`alpine`, `docker.io/library/alpine:3.19`), id or unique id prefix; None when unknown."""
        image = self._by_reference.get(_normal(reference))
        if image is not None:
            return image
        digest = reference.removeprefix("sha256:")
        if len(digest) >= 4 and all(c in "0123456789abcdef" for c in digest):
            found = [image for image in self._images if image.id[7:].startswith(digest)]
            if len(found) == 1:
                return found[0]
        return None

    def all(self) -> list[Image]:
        """Every image, in the order it came."""
        return list(self._images)

    def register(
        self,
        reference: str,
        program: Program,
        *,
        cmd: Sequence[str] = (),
        env: Sequence[str] = (),
        exposed_ports: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        programs: Mapping[str, Program] | None = None,
    ) -> Image:
        """Make `reference` an image whose entrypoint is the coroutine `program` (see the module's example).

        `cmd` are its default arguments; `programs` are further coroutines by name, found on the PATH. An image of
        the same reference is replaced. The program's name is the last part of the reference.
        """
        tag = _normal(reference)
        name = tag.rsplit("/", 1)[-1].split(":")[0]
        tree = _tree({**(programs or {}), name: program}, {}, 'NAME="shoal"\nID=shoal\n')
        self._programs.update({**(programs or {}), name: program})
        old = self._by_reference.get(tag)
        if old is not None:
            self._images.remove(old)
            for other in old.tags:
                self._by_reference.pop(other, None)
        return self._add(
            name,
            tree,
            (tag,),
            cmd=tuple(cmd),
            entrypoint=(name,),
            env=(f"PATH={PATH}", *env),
            exposed_ports=tuple(exposed_ports),
            labels=labels or {},
        )

    def retag(self, image: Image, tags: Sequence[str]) -> Image | None:
        """Give `image` exactly these references, taking them from images that have them (these stay, perhaps without
        any); without any it is gone itself."""
        wanted = [_normal(tag) for tag in tags]
        for tag in wanted:
            other = self._by_reference.get(tag)
            if other is not None and other.id != image.id:
                self._put(other, tuple(t for t in other.tags if t != tag), stays=True)
        return self._put(image, tuple(wanted))

    def add(self, image: Image) -> Image:
        """One more image, whatever references it has."""
        added = self._put(replace(image, programs=self._programs), image.tags, stays=True)
        assert added is not None
        return added

    def _put(self, image: Image, tags: tuple[str, ...], *, stays: bool = False) -> Image | None:
        for tag in image.tags:
            self._by_reference.pop(tag, None)
        changed = replace(image, tags=tags)
        self._images = [each for each in self._images if each.id != image.id]
        if not tags and not stays:
            return None
        self._images.append(changed)
        self._by_reference.update(dict.fromkeys(tags, changed))
        return changed

    def _add(
        self,
        name: str,
        tree: Directory,
        tags: tuple[str, ...],
        *,
        cmd: tuple[str, ...] = (),
        entrypoint: tuple[str, ...] = (),
        env: tuple[str, ...] = (f"PATH={PATH}",),
        exposed_ports: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        size: int = 7_330_000,
        stop_signal: str = "",
    ) -> Image:
        digest = hashlib.sha256(" ".join((name, *tags, *cmd, *entrypoint)).encode()).hexdigest()
        image = Image(
            f"sha256:{digest}",
            tags,
            tree,
            cmd,
            entrypoint,
            env,
            exposed_ports,
            labels or {},
            size=size,
            stop_signal=stop_signal,
            programs=self._programs,
        )
        self._images.append(image)
        self._by_reference.update({tag: image for tag in tags})
        return image


NGINX_PAGE = """<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page is served by the simulated runtime's nginx: a small web server that serves
/usr/share/nginx/html on port 80.</p>
</body>
</html>
"""

NGINX_FILES: dict[str, Node] = {
    "/usr/share/nginx/html/index.html": _text(NGINX_PAGE),
    "/etc/nginx/nginx.conf": _text("# served: /usr/share/nginx/html on port 80\n"),
}
