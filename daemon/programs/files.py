"""rm, rmdir, mkdir, touch, cp, mv, ln, chmod, chown, truncate, dd: changing files."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, parse, program
from daemon.runtime.descriptor import OpenFile

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description

SUFFIXES = {
    "": 1,
    "c": 1,
    "w": 2,
    "b": 512,
    "k": 1024,
    "K": 1024,
    "kD": 1000,
    "kB": 1000,
    "M": 1 << 20,
    "MD": 10**6,
    "MB": 10**6,
    "G": 1 << 30,
    "GB": 10**9,
}


@program("rm [-irf] FILE...")
async def rm(p: ProcessContext) -> int:
    """rm [-rf] FILE..."""
    options = parse(p.argv[1:], "irfRv")
    force = "f" in options
    if not options.rest and not force:
        raise UsageError("")
    status = 0
    for name in options.rest:
        path = p.path(name)
        try:
            if name.rstrip("/").rsplit("/", 1)[-1] in (".", ".."):
                await p.error("rm: can't remove '.' or '..'")
                status = 1
                continue
            if p.files.stat(path, follow=False).kind == "d":
                if "r" not in options and "R" not in options:
                    await p.error(f"rm: '{name}' is a directory")
                    status = 1
                    continue
                p.files.remove_tree(path)
            else:
                p.files.remove(path)
        except OSError as error:
            if not (force and error.errno == 2):
                await p.error(f"rm: can't remove '{name}': {error.strerror}")
                status = 1
    return status


@program("rmdir [-p] DIRECTORY...")
async def rmdir(p: ProcessContext) -> int:
    """rmdir [-p] DIRECTORY..."""
    options = parse(p.argv[1:], "p", least=1)
    status = 0
    for name in options.rest:
        while name:
            try:
                p.files.rmdir(p.path(name))
            except OSError as error:
                await p.error(f"rmdir: '{name}': {error.strerror}")
                status = 1
                break
            name = name.rstrip("/").rpartition("/")[0] if "p" in options else ""
    return status


@program("mkdir [-m MODE] [-p] DIRECTORY...")
async def mkdir(p: ProcessContext) -> int:
    """mkdir [-p] [-m MODE] DIRECTORY..."""
    options = parse(p.argv[1:], "pm:v", least=1)
    mode = int(options.value("m"), 8) if re.fullmatch("[0-7]+", options.value("m")) else 0o777 & ~p.process.umask
    status = 0
    for name in options.rest:
        try:
            p.files.mkdir(p.path(name), parents="p" in options, mode=mode)
        except OSError as error:
            await p.error(f"mkdir: can't create directory '{name}': {error.strerror}")
            status = 1
    return status


@program("touch [-cham] [-d DATE] [-t DATE] [-r FILE] FILE...")
async def touch(p: ProcessContext) -> int:
    """touch [-c] [-r FILE] FILE..."""
    options = parse(p.argv[1:], "chamd:t:r:", least=1)
    when: float | None = None
    if "r" in options:
        when = p.files.stat(p.path(options.value("r"))).mtime
    elif options.value("d").startswith("@"):
        when = float(options.value("d")[1:])
    status = 0
    for name in options.rest:
        try:
            if p.files.exists(p.path(name)) or "c" not in options:
                if not p.files.exists(p.path(name)):
                    p.files.write(p.path(name), b"", mode=0o666 & ~p.process.umask)
                p.files.touch(p.path(name), mtime=when)
        except OSError as error:
            await p.error(f"touch: {name}: {error.strerror}")
            status = 1
    return status


def _into(p: ProcessContext, source: str, target: str, *, several: bool = False) -> str:
    """Where `source` goes: into `target` when that is a directory, or has to be one for several sources."""
    if several or p.files.is_dir(p.path(target)):
        return f"{target.rstrip('/')}/{source.rstrip('/').rsplit('/', 1)[-1]}"
    return target


@program("cp [-arPLHpfinlsTu] SOURCE... DEST")
async def cp(p: ProcessContext) -> int:
    """cp [-arf] SOURCE... DEST"""
    options = parse(p.argv[1:], "arRPLHdpfinlsTuv", least=2)
    *sources, target = options.rest
    recursive = bool({"a", "r", "R"} & set(options.given))
    status = 0
    for source in sources:
        to = target if "T" in options else _into(p, source, target, several=len(sources) > 1)
        status |= await _copy(p, source, to, recursive=recursive, links=recursive and "L" not in options)
    return status


async def _copy(p: ProcessContext, source: str, target: str, *, recursive: bool, links: bool) -> int:
    try:
        stat = p.files.stat(p.path(source), follow=not links)
    except OSError as error:
        await p.error(f"cp: can't stat '{source}': {error.strerror}")
        return 1
    try:
        if stat.kind == "d":
            if not recursive:
                await p.error(f"cp: omitting directory '{source}'")
                return 1
            if (p.path(target).rstrip("/") + "/").startswith(p.path(source).rstrip("/") + "/"):
                await p.error(f"cp: recursion detected, omitting directory '{source}'")
                return 1
            if not p.files.is_dir(p.path(target)):
                p.files.mkdir(p.path(target), mode=stat.mode & 0o777)
            status = 0
            for name in p.files.listdir(p.path(source)):
                status |= await _copy(p, f"{source}/{name}", f"{target}/{name}", recursive=True, links=links)
            return status
        if stat.kind == "l":
            if p.files.exists(p.path(target)):
                p.files.remove(p.path(target))
            p.files.symlink(p.files.readlink(p.path(source)), p.path(target))
            return 0
        if p.files.exists(p.path(target)) and p.files.stat(p.path(target)).identity == stat.identity:
            await p.error(f"cp: '{source}' and '{target}' are the same file")
            return 1
        if stat.kind == "-":
            p.files.copy(p.path(source), p.path(target))
            return 0
        reader, writer = p.open(source, read=True), p.open(target, write=True, create=True, truncate=True)
        try:
            while data := await reader.read(65536):
                await writer.write(data)
        finally:
            reader.close()
            writer.close()
        return 0
    except OSError as error:
        await p.error(f"cp: can't create '{target}': {error.strerror}")
        return 1


@program("mv [-finT] SOURCE... DEST")
async def mv(p: ProcessContext) -> int:
    """mv [-fn] SOURCE... DEST"""
    options = parse(p.argv[1:], "finTv", least=2)
    *sources, target = options.rest
    status = 0
    for source in sources:
        to = target if "T" in options else _into(p, source, target, several=len(sources) > 1)
        if "n" in options and p.files.exists(p.path(to)):
            continue
        try:
            p.files.rename(p.path(source), p.path(to))
        except OSError as error:
            await p.error(f"mv: can't rename '{source}': {error.strerror}")
            status = 1
    return status


@program("ln [-sfnbtv] [-S SUF] TARGET... LINK|DIR")
async def ln(p: ProcessContext) -> int:
    """ln [-sfn] TARGET... LINK|DIR"""
    options = parse(p.argv[1:], "sfnbtvS:T", least=1)
    *targets, link = options.rest if len(options.rest) > 1 else [*options.rest, "."]
    status = 0
    for target in targets:
        name = link if "n" in options and not p.files.is_dir(p.path(link)) else _into(p, target, link)
        try:
            if "f" in options:
                with contextlib.suppress(FileNotFoundError):
                    p.files.remove(p.path(name))
            if "s" in options:
                p.files.symlink(target, p.path(name))
            else:
                p.files.link(p.path(target), p.path(name))
        except OSError as error:
            where = target if error.errno == 2 and "s" not in options else name
            await p.error(f"ln: {where}: {error.strerror}")
            status = 1
    return status


def changed_mode(text: str, mode: int, umask: int) -> int:
    """chmod's octal or symbolic MODE applied to `mode`. Failure when it is no mode."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    for clause in text.split(","):
        match = re.fullmatch(r"([ugoa]*)([-+=])([rwxXst]*)", clause)
        if match is None:
            raise Failure(f"invalid mode '{text}'")
        who, operator, what = match.groups()
        bits = sum({"r": 4, "w": 2, "x": 1, "X": 1 if mode & 0o111 else 0}.get(letter, 0) for letter in what)
        mask = 0
        for letter in who or "a":
            shift = {"u": (6,), "g": (3,), "o": (0,), "a": (6, 3, 0)}[letter]
            mask |= sum(bits << n for n in shift)
        if not who:
            mask &= ~umask
        if "t" in what:
            mask |= 0o1000
        if "s" in what:
            mask |= (0o4000 if "u" in (who or "u") else 0) | (0o2000 if "g" in who else 0)
        if operator == "=":
            keep = sum(7 << {"u": 6, "g": 3, "o": 0}[letter] for letter in (who.replace("a", "ugo") or "ugo"))
            mode = mode & ~keep | mask
        else:
            mode = mode | mask if operator == "+" else mode & ~mask
    return mode


@program("chmod [-Rcvf] MODE[,MODE]... FILE...")
async def chmod(p: ProcessContext) -> int:
    """chmod [-R] MODE FILE..."""
    words = [("\0" + word if re.fullmatch(r"-[rwxXst]+", word) else word) for word in p.argv[1:]]
    options = parse(words, "Rcvf", least=2)
    mode, *names = options.rest
    status = 0
    while names:
        name = names.pop(0)
        try:
            stat = p.files.stat(p.path(name))
            p.files.chmod(p.path(name), changed_mode(mode.lstrip("\0"), stat.mode, p.process.umask))
            if "R" in options and stat.kind == "d":
                names[:0] = [f"{name}/{entry}" for entry in p.files.listdir(p.path(name))]
        except OSError as error:
            await p.error(f"chmod: {name}: {error.strerror}")
            status = 1
    return status


@program("chown [-Rh] USER[:[GRP]] FILE...")
async def chown(p: ProcessContext) -> int:
    """chown USER FILE...: every file is root's here, so only its existence is checked."""
    options = parse(p.argv[1:], "RhcvfLHP", least=2)
    status = 0
    for name in options.rest[1:]:
        if not p.files.exists(p.path(name)):
            await p.error(f"{p.argv[0].rsplit('/', 1)[-1]}: {name}: No such file or directory")
            status = 1
    return status


def size_of(text: str) -> int:
    """dd's and truncate's sizes: a number with a suffix. Failure when it is none."""
    match = re.fullmatch(r"(\d+)([a-zA-Z]*)", text)
    if match is None or match.group(2) not in SUFFIXES:
        raise Failure(f"invalid number '{text}'")
    return int(match.group(1)) * SUFFIXES[match.group(2)]


@program("truncate [-c] -s SIZE FILE...")
async def truncate(p: ProcessContext) -> int:
    """truncate -s SIZE FILE..."""
    options = parse(p.argv[1:], "cs:")
    if "s" not in options or not options.rest:
        raise UsageError("")
    size = size_of(options.value("s"))
    for name in options.rest:
        if not p.files.exists(p.path(name)) and "c" in options:
            continue
        data = p.files.read(p.path(name)) if p.files.exists(p.path(name)) else b""
        p.files.write(p.path(name), (data[:size] + bytes(max(0, size - len(data)))))
    return 0


@program("dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=notrunc|sync] [status=none]")
async def dd(p: ProcessContext) -> int:
    """dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=notrunc]"""
    given: dict[str, str] = {}
    for word in p.argv[1:]:
        name, equals, value = word.partition("=")
        if not equals or name not in (
            "if",
            "of",
            "bs",
            "ibs",
            "obs",
            "count",
            "skip",
            "seek",
            "conv",
            "status",
            "iflag",
            "oflag",
        ):
            raise Failure(f"invalid argument '{word}' to 'dd'")
        given[name] = value
    block = size_of(given.get("bs", given.get("ibs", "512")))
    if block == 0:
        raise Failure("invalid number '0'")
    count = size_of(given["count"]) if "count" in given else None
    keep = "notrunc" in given.get("conv", "")
    try:
        source = p.keep(p.open(given["if"], read=True)) if "if" in given else p.stdin
    except OSError as error:
        raise Failure(f"can't open '{given['if']}': {error.strerror}") from None
    seek = size_of(given.get("seek", "0")) * block
    try:
        target = (
            p.keep(p.open(given["of"], write=True, create=True, truncate=not keep and not seek))
            if "of" in given
            else p.stdout
        )
    except OSError as error:
        raise Failure(f"can't open '{given['of']}': {error.strerror}") from None
    if seek and isinstance(target, OpenFile):
        target.position = seek
    start = p.clock()
    for _ in range(size_of(given.get("skip", "0"))):
        await _block(source, block)
    full = partial = total = 0
    problem = ""
    while count is None or full + partial < count:
        data = await source.read(block)
        if not data:
            break
        full, partial = (full + 1, partial) if len(data) == block else (full, partial + 1)
        try:
            await target.write(data)
        except OSError as error:
            problem = f"dd: {given.get('of', 'standard output')}: {error.strerror}"
            break
        total += len(data)
    if problem:
        await p.error(problem)
    if given.get("status") != "none":
        seconds = max(p.clock() - start, 1e-6)
        await p.error(f"{full}+{partial} records in\n{full}+{partial} records out")
        if given.get("status") != "noxfer":
            await p.error(
                f"{total} bytes ({total / 2**20:.1f}MB) copied, {seconds:.6f} seconds,"
                f" {total / seconds / 2**20:.1f}MB/s"
            )
    return 1 if problem else 0


async def _block(source: Description, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := await source.read(size - len(data))):
        data += part
    return data
