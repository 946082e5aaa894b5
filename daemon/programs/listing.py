"""ls, stat, du, df, readlink, realpath: looking at files."""

from __future__ import annotations

import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, parse, program
from daemon.runtime.nodes import Stat

if TYPE_CHECKING:
    from daemon.programs.options import Options
    from daemon.runtime.context import ProcessContext

HALF_A_YEAR = 365 * 86400 // 2  # older files are shown with their year


def mode_text(stat: Stat) -> str:
    """drwxr-xr-x"""
    text = stat.kind
    for shift, special, letter in ((6, 0o4000, "s"), (3, 0o2000, "s"), (0, 0o1000, "t")):
        bits = stat.mode >> shift & 7
        text += "r" if bits & 4 else "-"
        text += "w" if bits & 2 else "-"
        run = bool(bits & 1)
        text += (letter if run else letter.upper()) if stat.mode & special else ("x" if run else "-")
    return text


@program("ls [-1AaCxdLHRFplinshrSXvctu] [-w WIDTH] [FILE]...")
async def ls(p: ProcessContext) -> int:
    """ls [-1aAdhilrRStF] [FILE]..."""
    options = parse(
        p.argv[1:],
        "1AaCxdLHRFplinshrSXvctugZw:",
        {"color": "color", "full-time": "full", "group-directories-first": "gdf"},
    )
    status = 0
    plain: list[tuple[str, Stat]] = []
    folders: list[str] = []
    for name in options.rest or ["."]:
        path = p.path(name)
        try:
            follow = "L" in options or ("l" not in options and "d" not in options)
            stat = p.files.stat(path, follow=follow or name.endswith("/"))
        except OSError as error:
            await p.error(f"ls: {name}: {error.strerror}")
            status = 1
            continue
        if stat.kind == "d" and "d" not in options:
            folders.append(name)
        else:
            plain.append((name, stat))
    if plain:
        await _show(p, options, _ordered(plain, options), "")
    titled = len(options.rest) > 1 or "R" in options
    first = not plain
    while folders:
        name = folders.pop(0)
        if titled:
            await p.print(f"{'' if first else chr(10)}{name}:")
        first = False
        path = p.path(name)
        try:
            names = p.files.listdir(path)
        except OSError as error:
            await p.error(f"ls: can't open '{name}': {error.strerror}")
            status = 1
            continue
        entries = [
            (entry, p.files.stat(f"{path}/{entry}", follow="L" in options))
            for entry in names
            if "a" in options or "A" in options or not entry.startswith(".")
        ]
        if "a" in options:
            entries = [(".", p.files.stat(path)), ("..", p.files.stat(f"{path}/..")), *entries]
        if "l" in options:
            await p.print(f"total {sum((stat.size + 1023) // 1024 for _, stat in entries if stat.kind != 'l')}")
        entries = _ordered(entries, options)
        await _show(p, options, entries, path)
        if "R" in options:
            folders[:0] = [
                f"{name.rstrip('/')}/{entry}"
                for entry, stat in entries
                if stat.kind == "d" and entry not in (".", "..")
            ]
    return status


def _ordered(entries: list[tuple[str, Stat]], options: Options) -> list[tuple[str, Stat]]:
    if "S" in options:
        entries = sorted(entries, key=lambda entry: (-entry[1].size, entry[0]))
    elif "t" in options:
        entries = sorted(entries, key=lambda entry: (-entry[1].mtime, entry[0]))
    return list(reversed(entries)) if "r" in options else entries


def _human(size: int) -> str:
    if size < 1024:
        return str(size)
    value, power = float(size), 0
    while value >= 1024 and power < 5:
        value, power = value / 1024, power + 1
    return f"{value:.1f}{'BKMGTP'[power]}"


async def _show(p: ProcessContext, options: Options, entries: list[tuple[str, Stat]], folder: str) -> None:
    shown: list[str] = []
    for name, stat in entries:
        mark = ""
        if "F" in options or "p" in options:
            mark = (
                "/"
                if stat.kind == "d"
                else ""
                if "F" not in options
                else "@"
                if stat.kind == "l"
                else ("*" if stat.mode & 0o111 and stat.kind == "-" else "")
            )
        lead = f"{stat.identity % 10_000_000:7} " if "i" in options else ""
        if "l" not in options:
            shown.append(f"{lead}{name}{mark}")
            continue
        moment = calendar.gmtime(stat.mtime)
        if "full" in options:
            when = calendar.strftime("%Y-%m-%d %H:%M:%S +0000", moment)
        else:
            recent = 0 <= p.wall() - stat.mtime < HALF_A_YEAR
            when = calendar.strftime("%b %e %H:%M" if recent else "%b %e  %Y", moment)
        size = _human(stat.size) if "h" in options else str(stat.size)
        size = f"{'1,   3':>9}" if stat.kind == "c" else f"{size:>9}"
        owner = "0        0       " if "n" in options else "root     root    "
        link = ""
        if stat.kind == "l":
            link = f" -> {p.files.readlink(f'{folder}/{name}' if folder else p.path(name))}"
        links = 2 if stat.kind == "d" else 1
        shown.append(f"{lead}{mode_text(stat)}  {links:3} {owner} {size} {when} {name}{mark}{link}")
    if not shown:
        return
    if "l" in options or "1" in options or not p.stdout.isatty() or p.terminal is None:
        await p.print("\n".join(shown))
        return
    width = max(len(text) for text in shown) + 2
    columns = max(1, p.terminal.columns // width)
    rows = -(-len(shown) // columns)
    for row in range(rows):
        await p.print("".join(text.ljust(width) for text in shown[row::rows]).rstrip())


@program("stat [-ltf] [-c FMT] FILE...")
async def stat(p: ProcessContext) -> int:
    """stat [-L] [-c FORMAT] FILE..."""
    options = parse(p.argv[1:], "ltfLc:", least=1)
    status = 0
    for name in options.rest:
        try:
            found = p.files.stat(p.path(name), follow="L" in options)
        except OSError as error:
            await p.error(f"stat: can't stat '{name}': {error.strerror}")
            status = 1
            continue
        kinds = {
            "-": "regular file" if found.size else "regular empty file",
            "d": "directory",
            "l": "symbolic link",
            "c": "character special file",
        }
        when = calendar.strftime("%Y-%m-%d %H:%M:%S.000000000 +0000", calendar.gmtime(found.mtime))
        values = {
            "n": name,
            "s": str(found.size),
            "a": f"{found.mode & 0o7777:o}",
            "A": mode_text(found),
            "F": kinds[found.kind],
            "U": "root",
            "G": "root",
            "u": "0",
            "g": "0",
            "i": str(found.identity),
            "Y": str(int(found.mtime)),
            "y": when,
            "X": str(int(found.mtime)),
            "x": when,
            "h": "1",
            "b": str((found.size + 511) // 512),
            "B": "512",
            "N": name,
            "%": "%",
        }
        if "c" in options:
            out, shape = "", options.value("c")
            at = 0
            while at < len(shape):
                if shape[at] == "%" and at + 1 < len(shape):
                    out += values.get(shape[at + 1], "?")
                    at += 2
                else:
                    out += shape[at]
                    at += 1
            await p.print(out)
            continue
        await p.print(
            f"  File: {name}\n  Size: {found.size:<10}\tBlocks: {values['b']:<10} IO Block: 4096   "
            f"{values['F']}\nDevice: 0h/0d\tInode: {found.identity:<11} Links: 1\n"
            f"Access: ({found.mode & 0o7777:04o}/{mode_text(found)})  Uid: (    0/    root)   Gid: (    0/"
            f"    root)\nAccess: {when}\nModify: {when}\nChange: {when}"
        )
    return status


@program("du [-aHLdclsxhmk] [FILE]...")
async def du(p: ProcessContext) -> int:
    """du [-a] [-s] [-h] [-k] [FILE]..."""
    options = parse(p.argv[1:], "aHLclsxhmkd:")
    for name in options.rest or ["."]:
        for path, blocks, deep, folder in _usage(p, name, 0):
            if ("s" in options and deep) or (not folder and deep and "a" not in options):
                continue
            if "d" in options and deep > int(options.number("d", 0)):
                continue
            await p.print(f"{_human(blocks * 1024) if 'h' in options else blocks}\t{path}")
    return 0


def _usage(p: ProcessContext, name: str, depth: int) -> list[tuple[str, int, int, bool]]:
    found = p.files.stat(p.path(name), follow=False)
    if found.kind != "d":
        return [(name, (found.size + 4095) // 4096 * 4, depth, False)]
    rows: list[tuple[str, int, int, bool]] = []
    total = 4
    for entry in p.files.listdir(p.path(name)):
        inner = _usage(p, f"{name.rstrip('/')}/{entry}", depth + 1)
        total += inner[-1][1]
        rows += inner
    return [*rows, (name, total, depth, True)]


@program("df [-Pkmhaiv] [FILESYSTEM]...")
async def df(p: ProcessContext) -> int:
    """df [-h] [-k]"""
    options = parse(p.argv[1:], "PkmhaivT")
    await p.print(
        f"Filesystem           {'Size' if 'h' in options else '1K-blocks':>10}"
        f" {'Used':>9} {'Available':>9} Use% Mounted on"
    )
    trees = {"/": ("overlay", p.files.tree)}
    trees |= {path: (mount.source, mount.tree) for path, mount in p.files.mounts.items()}
    for path, (source, tree) in trees.items():
        if tree.limit is None:  # a folder of the machine's: its own df knows
            continue
        limit, used = tree.limit // 1024, tree.used // 1024
        cells = [_human(value * 1024) if "h" in options else str(value) for value in (limit, used, limit - used)]
        await p.print(f"{source:<20} {cells[0]:>10} {cells[1]:>9} {cells[2]:>9} {100 * used // (limit or 1):3}% {path}")
    return 0


@program("readlink [-fnv] FILE")
async def readlink(p: ProcessContext) -> int:
    """readlink [-f] [-n] FILE"""
    options = parse(p.argv[1:], "fnv", least=1, most=1)
    path = p.path(options.rest[0])
    try:
        target = p.files.realpath(path) if "f" in options else p.files.readlink(path)
    except OSError:
        return 1
    await p.print(target, end="" if "n" in options else "\n")
    return 0


@program("realpath FILE...")
async def realpath(p: ProcessContext) -> int:
    """realpath FILE..."""
    status = 0
    for name in p.argv[1:]:
        try:
            found = p.files.realpath(p.path(name))
            if not p.files.exists(found):
                raise FileNotFoundError(2, "No such file or directory")
        except OSError as error:
            await p.error(f"realpath: {name}: {error.strerror}")
            status = 1
            continue
        await p.print(found)
    return status


async def clear(p: ProcessContext) -> int:
    """clear"""
    await p.print("\x1b[H\x1b[J", end="")
    return 0


@program("mktemp [-dt] [-p DIR] [TEMPLATE]")
async def mktemp(p: ProcessContext) -> int:
    """mktemp [-d] [-p DIR] [TEMPLATE]"""
    options = parse(p.argv[1:], "dtqup:")
    template = options.rest[0] if options.rest else "/tmp/tmp.XXXXXX"
    if "p" in options and options.rest:
        template = f"{options.value('p')}/{template}"
    if not template.endswith("XXXXXX"):
        raise Failure(f"{template}: Invalid argument")
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    while True:
        name = template[:-6] + "".join(p.random.choice(alphabet) for _ in range(6))
        if not p.files.exists(p.path(name)):
            break
    if "d" in options:
        p.files.mkdir(p.path(name), mode=0o700)
    else:
        p.files.write(p.path(name), b"", mode=0o600)
    await p.print(name)
    return 0
