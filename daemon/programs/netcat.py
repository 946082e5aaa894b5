"""nc (busybox) and netcat (OpenBSD): the network on standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import Failure, UsageError, parse, program
from daemon.runtime.process import PermissionDenied, ProgramNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.programs.options import Options
    from daemon.runtime.process import ProcessContext
    from overlay.sandbox import TcpConnection, UdpSocket

CHUNK = 65536
SERVICES = {"http": 80, "https": 443, "ssh": 22, "domain": 53, "smtp": 25, "ftp": 21, "telnet": 23}
NC_USAGE = """nc [-iN] [-wN] [-l] [-p PORT] [-f FILE|IPADDR PORT] [-e PROG]

Open a pipe to IP:PORT or FILE

\t-l\tListen mode, for inbound connects
\t\t(use -ll with -e for persistent server)
\t-p PORT\tLocal port
\t-w SEC\tConnect timeout
\t-i SEC\tDelay interval for lines sent
\t-f FILE\tUse file (ala /dev/ttyS0) instead of network
\t-e PROG\tRun PROG after connect"""


def _port(text: str, complaint: str = "bad port '{0}'") -> int:
    if text in SERVICES:
        return SERVICES[text]
    if not text.isdigit() or int(text) > 65535:
        raise Failure(complaint.format(text))
    return int(text)


@program(NC_USAGE)
async def nc(p: ProcessContext) -> int:
    """nc [-l] [-p PORT] [-w SEC] [-e PROG] [HOST PORT]"""
    words = list(p.argv[1:])
    prog: list[str] = []
    if "-e" in words:
        at = words.index("-e")
        words, prog = words[:at], words[at + 1 :]
    options = parse(words, "lp:w:i:f:")
    timeout = options.number("w", 0, whole=False) or None
    local = _port(options.value("p", "0"))
    if "l" in options:
        try:
            listener = p.keep(p.sandbox.tcp_listen("::", local))
        except OSError as error:
            raise Failure(f"bind: {error.strerror}") from None
        if not local:
            await p.error(f"nc: listening on [::]:{listener.local[1]} ...")
        while True:
            try:
                async with asyncio.timeout(timeout):
                    connection = p.keep(await listener.accept())
            except TimeoutError:
                raise Failure("timed out") from None
            if options.given["l"] == [""]:
                p.drop(listener)
                return await _serve_one(p, connection, prog)
            await _serve_one(p, connection, prog)
            p.drop(connection)
    if len(options.rest) != 2:
        raise UsageError("")
    host = options.rest[0]
    address = await resolver.first(p, host)
    if address is None:
        raise Failure(f"bad address '{host}'")
    port = _port(options.rest[1])
    try:
        connection = p.keep(await p.sandbox.tcp_connect(address, port, source_port=local, timeout=timeout))
    except TimeoutError:
        raise Failure("timed out") from None
    except OSError as error:
        raise Failure(f"can't connect to remote host ({address}): {error.strerror}") from None
    return await _serve_one(p, connection, prog)


async def _serve_one(p: ProcessContext, connection: TcpConnection, prog: list[str]) -> int:
    if not prog:
        await relay(p, connection, half_close=True, stay=True)
        return 0
    return await run_on(p, connection, prog)


async def run_on(p: ProcessContext, connection: TcpConnection, argv: list[str]) -> int:
    """Run a program whose standard input and output are the connection."""
    from daemon.runtime.descriptor import PipeReader, PipeWriter
    from daemon.runtime.pipe import Pipe

    inward, outward = Pipe(), Pipe()
    reader, writer = PipeReader(inward), PipeWriter(outward)
    try:
        child = p.spawn(argv, streams={0: reader, 1: writer})
    except ProgramNotFound:
        raise Failure(f"can't execute '{argv[0]}': No such file or directory", 127) from None
    except PermissionDenied:
        raise Failure(f"can't execute '{argv[0]}': Permission denied", 126) from None
    finally:
        reader.close()
        writer.close()

    async def feed() -> None:
        try:
            while data := await connection.read(CHUNK):
                await inward.write(data)
        except OSError:
            pass
        inward.close_write()

    task = p.start(feed())
    try:
        while data := await outward.read(CHUNK):
            await connection.write(data)
    except OSError:
        outward.close_read()
    code = await child.wait()
    connection.shutdown_write()
    task.cancel()
    return code


async def relay(
    p: ProcessContext,
    connection: TcpConnection,
    *,
    half_close: bool,
    stay: bool,
    both: bool = False,
    linger: float | None = None,
    idle: float | None = None,
    read_stdin: bool = True,
) -> None:
    """Copy both ways until the peer ends.

    `half_close`: our end of file is sent as FIN. Without `stay` it ends with standard input; `linger` seconds after
    it; `both`: only when standard input has ended too; `idle`: seconds of silence after which it ends.
    """
    stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    last = p.clock()
    ended = {"in": False, "out": not read_stdin}

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    async def outward() -> None:
        nonlocal last
        try:
            while data := await p.stdin.read(CHUNK):
                last = p.clock()
                await connection.write(data)
        except OSError:
            stop()
            return
        if half_close:
            connection.shutdown_write()
        ended["out"] = True
        if linger is not None:
            await asyncio.sleep(linger)
            stop()
        elif not stay or ended["in"]:
            stop()

    async def inward() -> None:
        nonlocal last
        try:
            while data := await connection.read(CHUNK):
                last = p.clock()
                await p.stdout.write(data)
        except OSError:
            stop()
        ended["in"] = True
        if ended["out"] or not both:
            stop()

    async def silence() -> None:
        assert idle is not None
        while (left := last + idle - p.clock()) > 0:  # noqa: ASYNC110 - traffic moves the deadline on
            await asyncio.sleep(left)
        stop()

    tasks = [p.start(inward())]
    if read_stdin:
        tasks.append(p.start(outward()))
    if idle is not None:
        tasks.append(p.start(silence()))
    try:
        await stopped
    finally:
        for task in tasks:
            task.cancel()


NETCAT_USAGE = (
    "nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-p source_port] [-q seconds]\n"
    "\t  [-s sourceaddr] [-W recvlimit] [-w timeout] [destination] [port]"
)


@program(NETCAT_USAGE, busybox=False)
async def netcat(p: ProcessContext) -> int:
    """netcat [-ulkzvnN] [-p PORT] [-s ADDR] [-w SEC] [-q SEC] [HOST] PORT"""
    options = parse(p.argv[1:], "46bCDdFhI:i:klM:m:NnO:P:p:q:rS:s:T:tUuV:vW:w:X:x:Zz")
    if "h" in options:
        raise UsageError("")
    timeout = options.number("w", 0, whole=False) or None
    if "l" in options:
        words = options.rest
        port_text = options.value("p") or (words[-1] if words else "")
        if not port_text:
            raise UsageError("")
        everywhere = "::" if "6" in options else "0.0.0.0"
        bind = words[0] if len(words) > 1 or ("p" in options and words) else options.value("s", everywhere)
        return await _listen(
            p, options, await _address(p, options, bind), _port(port_text, "port number invalid: {0}"), timeout
        )
    if len(options.rest) != 2:
        raise UsageError("")
    host, ports = options.rest
    address = await _address(p, options, host)
    first, dash, last = ports.partition("-")
    numbers = range(
        _port(first, "port number invalid: {0}"), _port(last if dash else first, "port number invalid: {0}") + 1
    )
    status = 1
    for port in numbers:
        if "u" in options:
            status = min(status, await _send_udp(p, options, host, address, port, timeout))
            continue
        try:
            connection = p.keep(
                await p.sandbox.tcp_connect(
                    address,
                    port,
                    source=options.value("s") or None,
                    source_port=_port(options.value("p", "0")),
                    timeout=timeout,
                )
            )
        except OSError as error:
            if "v" in options:
                text = (
                    "timed out: Operation now in progress"
                    if isinstance(error, TimeoutError)
                    else f"failed: {error.strerror}"
                )
                await p.error(f"nc: connect to {host}{_paren(host, address)} port {port} (tcp) {text}")
            continue
        status = 0
        if "v" in options:
            await p.error(f"Connection to {host}{_paren(host, address)} {port} port [tcp/{_service(port)}] succeeded!")
        if "z" not in options:
            await relay(
                p,
                connection,
                half_close="N" in options,
                stay="q" not in options,
                both=True,
                idle=timeout,
                linger=options.number("q", 0, whole=False) if options.number("q", -1) >= 0 else None,
                read_stdin="d" not in options,
            )
        p.drop(connection)
    return status


def _paren(host: str, address: str) -> str:
    return "" if host == address else f" ({address})"


def _service(port: int) -> str:
    return next((name for name, number in SERVICES.items() if number == port), "*")


async def _address(p: ProcessContext, options: Options, host: str) -> str:
    if "n" in options and not resolver.is_address(host):
        raise Failure(f'getaddrinfo for host "{host}" port: Name or service not known')
    found = await resolver.first(p, host, 6 if "6" in options else 4 if "4" in options else 0)
    if found is None:
        raise Failure(f'getaddrinfo for host "{host}" port: Name or service not known')
    return found


async def _listen(p: ProcessContext, options: Options, address: str, port: int, timeout: float | None) -> int:
    if "u" in options:
        return await _listen_udp(p, options, address, port)
    try:
        listener = p.keep(p.sandbox.tcp_listen(address, port))
    except OSError as error:
        raise Failure(error.strerror or "bind") from None
    if "v" in options:
        await p.error(f"Listening on {address} {port}")
    while True:
        connection = p.keep(await listener.accept())
        if "v" in options:
            await p.error(f"Connection received on {connection.peer[0]} {connection.peer[1]}")
        if "k" not in options:
            p.drop(listener)
        await relay(p, connection, half_close="N" in options, stay=True, idle=timeout, read_stdin="d" not in options)
        p.drop(connection)
        if "k" not in options:
            return 0


async def _listen_udp(p: ProcessContext, options: Options, address: str, port: int) -> int:
    try:
        socket = p.keep(p.sandbox.udp_open(address, port))
    except OSError as error:
        raise Failure(error.strerror or "bind") from None
    if "v" in options:
        await p.error(f"Bound on {address} {port}")
    data, peer = await socket.recvfrom()
    if "k" not in options:
        socket.connect(peer)
    if "v" in options:
        await p.error(f"Connection received on {peer[0]} {peer[1]}")
    await p.stdout.write(data)
    if "k" not in options:
        p.start(_from_stdin(p, lambda chunk: _async_send(socket, chunk)))
    while True:
        try:
            data, _ = await socket.recvfrom()
        except ConnectionRefusedError:
            continue
        await p.stdout.write(data)


async def _async_send(socket: UdpSocket, chunk: bytes) -> None:
    with contextlib.suppress(OSError):
        socket.sendto(chunk)


async def _from_stdin(p: ProcessContext, send: Callable[[bytes], Awaitable[None]]) -> None:
    while data := await p.stdin.read(16384):
        await send(data)


async def _send_udp(
    p: ProcessContext, options: Options, host: str, address: str, port: int, timeout: float | None
) -> int:
    socket: UdpSocket = p.keep(p.sandbox.udp_open(options.value("s", "0.0.0.0"), _port(options.value("p", "0"))))
    socket.connect((address, port))
    try:
        if "z" in options or "v" in options:
            # As the real one: probe with a few bytes; silence counts as success.
            try:
                for _ in range(4):
                    socket.sendto(b"X")
                    async with asyncio.timeout(0.25):
                        await socket.recvfrom()
            except TimeoutError:
                pass
            except OSError:
                return 1
            if "v" in options:
                await p.error(
                    f"Connection to {host}{_paren(host, address)} {port} port [udp/{_service(port)}] succeeded!"
                )
            if "z" in options:
                return 0
        last = p.clock()

        async def outward(data: bytes) -> None:
            nonlocal last
            last = p.clock()
            socket.sendto(data)

        ended = p.start(_from_stdin(p, outward))
        while True:
            wait = None if timeout is None else max(0.0, last + timeout - p.clock())
            try:
                async with asyncio.timeout(wait):
                    data, _ = await socket.recvfrom()
            except TimeoutError:
                if ended.done() and p.clock() >= last + (timeout or 0):
                    return 0
                if timeout is not None and not ended.done():
                    last = p.clock()
                continue
            except OSError:
                return 1
            last = p.clock()
            await p.stdout.write(data)
    finally:
        p.drop(socket)
