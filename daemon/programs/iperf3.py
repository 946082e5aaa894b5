"""iperf3: client and server of the real protocol (a control connection with states and JSON, then data streams).

TCP, forward and reverse, several streams. Retransmissions are not reported: `sender_has_retransmits` is 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.iperf3_session import (
    BLOCK,
    VERSION,
    Json,
    Stream,
    Test,
    as_number,
    document_of,
    last_interval,
    print_summary,
    report,
    results_of,
    take_results,
    transfer,
)
from daemon.programs.options import Failure, UsageError, parse, program
from daemon.runtime.process import Interrupted
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.programs.options import Options
    from daemon.runtime.process import ProcessContext
    from overlay.sandbox import TcpConnection, TcpListener

PORT = 5201
COOKIE_SIZE = 37
MAX_MESSAGE = 1 << 20
SETUP_DEADLINE = 30.0
# iperf_api.h
TEST_START, TEST_RUNNING, TEST_END = 1, 2, 4
PARAM_EXCHANGE, CREATE_STREAMS, SERVER_TERMINATE, CLIENT_TERMINATE = 9, 10, 11, 12
EXCHANGE_RESULTS, DISPLAY_RESULTS, IPERF_START, IPERF_DONE = 13, 14, 15, 16
ACCESS_DENIED, SERVER_ERROR = 255, 254
RULE = "-----------------------------------------------------------"


async def _read_state(connection: TcpConnection) -> int:
    data = await connection.read(1)
    return data[0] if data else SERVER_TERMINATE


async def _send_json(connection: TcpConnection, value: Json) -> None:
    data = json.dumps(value).encode()
    await connection.write(len(data).to_bytes(4, "big") + data)


async def _read_json(connection: TcpConnection) -> dict[str, Json]:
    size = int.from_bytes(await connection.readexactly(4), "big")
    if size > MAX_MESSAGE:
        raise Failure("error - unable to receive parameters from client")
    try:
        value = json.loads(await connection.readexactly(size))
    except ValueError:
        raise Failure("error - unable to receive parameters from client") from None
    if not isinstance(value, dict):
        raise Failure("error - unable to receive parameters from client")
    return value


def _bits(text: str) -> float:
    """Bits a second, with a suffix of the powers of 1000 (units.c); a burst behind a slash changes nothing here."""
    text = text.partition("/")[0]
    suffix = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}.get(text[-1:].lower(), 1.0)
    try:
        rate = float(text[:-1] if suffix > 1 else text) * suffix
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1e15:
        raise Failure(f"parameter error - bad bitrate {text}")
    return rate


def _amount(text: str) -> int:
    suffix = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}.get(text[-1:].lower(), 1)
    digits = text[:-1] if suffix > 1 else text
    try:
        return int(float(digits) * suffix)
    except ValueError:
        raise Failure(f"parameter error - invalid number '{text}'") from None


@program("iperf3 [-s|-c host] [options]\nTry `iperf3 --help' for more information.", busybox=False)
async def iperf3(p: ProcessContext) -> int:
    """iperf3 -s [-1] [-p PORT] | iperf3 -c HOST [-t SEC|-n BYTES] [-P N] [-R] [-p PORT] [-l LEN] [-i SEC] [-J]"""
    options = parse(
        p.argv[1:],
        "sc:p:t:n:k:P:RJ1i:l:f:B:w:M:NC:VDI:b:O:Z46vhu",
        {
            "server": "s",
            "client": "c:",
            "port": "p:",
            "time": "t:",
            "bytes": "n:",
            "parallel": "P:",
            "reverse": "R",
            "json": "J",
            "one-off": "1",
            "interval": "i:",
            "length": "l:",
            "version": "v",
            "format": "f:",
            "bind": "B:",
            "verbose": "V",
            "no-delay": "N",
            "help": "h",
            "connect-timeout": "ct:",
            "forceflush": "V",
            "window": "w:",
            "bitrate": "b:",
            "omit": "O:",
        },
    )
    if "v" in options:
        await p.print(f"iperf {VERSION} (shoal)")
        return 0
    if "u" in options:
        raise Failure("error - UDP tests are not there yet")
    if ("s" in options) == ("c" in options):
        raise UsageError(
            "parameter error - must either be a client (-c) or server (-s)"
            if "s" not in options
            else "parameter error - cannot be both server and client"
        )
    port = options.value("p", str(PORT))
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise Failure(f"parameter error - bad port number {port}")
    return await (_serve if "s" in options else _connect)(p, options, int(port))


# -- client --------------------------------------------------------------------------------------------------------


async def _connect(p: ProcessContext, options: Options, port: int) -> int:
    host = options.value("c")
    test = Test(
        server=False,
        reverse="R" in options,
        parallel=int(options.number("P", 1)),
        length=_amount(options.value("l", str(BLOCK))),
        document="J" in options,
        interval=options.number("i", 1, whole=False) or 1e9,
    )
    test.rate = _bits(options.value("b")) if "b" in options else 0.0
    test.seconds = options.number("t", 10, whole=False)
    if "n" in options:
        test.total, test.seconds = _amount(options.value("n")), 0.0
    if not 1 <= test.parallel <= 128 or not 0 < test.length <= 1 << 20:
        raise Failure(
            "parameter error - number of parallel streams too large (maximum = 128)"
            if test.parallel > 128
            else "parameter error - block size too large (maximum = 1048576 bytes)"
        )
    failure = "error - unable to connect to server: "
    address = await resolver.first(p, host)
    if address is None:
        raise Failure(
            failure.rstrip(": ") + " - server may have stopped running or use a different port,"
            " firewall issue, etc.: Name or service not known"
        )
    source = options.value("B") or None

    async def dial() -> TcpConnection:
        return p.keep(await p.sandbox.tcp_connect(address, port, source=source, timeout=SETUP_DEADLINE))

    if not test.document:
        await p.print(f"Connecting to host {host}, port {port}")
        if test.reverse:
            await p.print(f"Reverse mode, remote host {host} is sending")
    try:
        control = await dial()
    except OSError as error:
        raise Failure(failure + (error.strerror or "Connection timed out")) from None
    control.set_nodelay(True)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    cookie = "".join(p.random.choice(alphabet) for _ in range(COOKIE_SIZE - 1)).encode() + b"\0"
    try:
        await control.write(cookie)
        return await _drive(p, test, control, cookie, dial, host, port)
    except (OSError, asyncio.IncompleteReadError) as error:
        text = error.strerror if isinstance(error, OSError) else "control socket has closed unexpectedly"
        raise Failure(f"error - {text}") from None


async def _drive(
    p: ProcessContext,
    test: Test,
    control: TcpConnection,
    cookie: bytes,
    dial: Callable[[], Awaitable[TcpConnection]],
    host: str,
    port: int,
) -> int:
    """The client's side of the control connection: it does what the states say."""
    tasks: list[asyncio.Task[None]] = []
    while True:
        state = await _read_state(control)
        if state == PARAM_EXCHANGE:
            parameters: dict[str, Json] = {
                "tcp": True,
                "omit": 0,
                "time": int(test.seconds),
                "num": test.total,
                "blockcount": 0,
                **({"bandwidth": int(test.rate)} if test.rate else {}),
                "parallel": test.parallel,
                "len": test.length,
                "pacing_timer": 1000,
                "client_version": VERSION,
            }
            if test.reverse:
                parameters["reverse"] = True
            await _send_json(control, parameters)
        elif state == CREATE_STREAMS:
            for n in range(test.parallel):
                connection = await dial()
                await connection.write(cookie)
                # The real one numbers its streams 1, 3, 4, …
                stream = Stream(connection, 1 if n == 0 else n + 2, 5 + 2 * n)
                test.streams.append(stream)
                if not test.document:
                    await p.print(
                        f"[{stream.socket:3}] local {connection.local[0]} port {connection.local[1]}"
                        f" connected to {connection.peer[0]} port {connection.peer[1]}"
                    )
        elif state == TEST_START:
            test.start = p.clock()
        elif state == TEST_RUNNING:
            await _run_client(p, test, control, tasks)
        elif state == EXCHANGE_RESULTS:
            await _send_json(control, results_of(test))
            take_results(test, await _read_json(control))
        elif state == DISPLAY_RESULTS:
            await control.write(bytes([IPERF_DONE]))
            break
        elif state == ACCESS_DENIED:
            raise Failure("error - the server is busy running a test. try again later")
        elif state == SERVER_ERROR:
            raise Failure("error - the server has terminated with an error")
        elif state == SERVER_TERMINATE:
            raise Failure(
                "error - the server has terminated" if test.start else "error - control socket has closed unexpectedly"
            )
        else:
            raise Failure("error - received an unknown control message (ensure other side is iperf3 and not iperf)")
    for task in tasks:
        task.cancel()
    for stream in test.streams:
        stream.connection.close()
    if test.document:
        await p.print(json.dumps(document_of(p, test, cookie, host, port), indent="\t"))
    else:
        await print_summary(p, test)
        await p.print("\niperf Done.")
    return 0


async def _run_client(p: ProcessContext, test: Test, control: TcpConnection, tasks: list[asyncio.Task[None]]) -> None:
    enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done() -> None:
        if not enough.done():
            enough.set_result(None)

    test.start = test.reported = p.clock()
    if not test.document:
        await p.print("[ ID] Interval           Transfer     Bitrate")
    movers = [p.start(transfer(p, test, stream, done)) for stream in test.streams]
    reporter = p.start(report(p, test))
    try:
        async with asyncio.timeout(test.seconds or None):
            await p.process.interruptible(enough, (int(Signals.SIGINT),))
    except (TimeoutError, Interrupted):
        pass
    test.stop = p.clock()
    reporter.cancel()
    if test.sends:
        for task in movers:
            task.cancel()
    else:
        tasks.extend(movers)
    await last_interval(p, test)
    await control.write(bytes([TEST_END]))


# -- server --------------------------------------------------------------------------------------------------------


async def _serve(p: ProcessContext, options: Options, port: int) -> int:
    try:
        listener = p.keep(p.sandbox.tcp_listen(options.value("B", "::"), port))
    except OSError as error:
        raise Failure(f"error - unable to start listener for connections: {error.strerror}") from None
    quiet = "J" in options
    number = 0
    while True:
        number += 1
        if not quiet:
            await p.print(f"{RULE}\nServer listening on {port} (test #{number})\n{RULE}")
        control = p.keep(await listener.accept())
        test = Test(server=True, document=quiet, interval=options.number("i", 1, whole=False) or 1e9)
        try:
            await _one_test(p, test, listener, control)
        except Failure as failure:
            await p.error(f"iperf3: {failure}")
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            await p.error(
                "iperf3: error - unable to receive control message - port may not be available, the other"
                " side may have stopped running, etc."
            )
        finally:
            for stream in test.streams:
                p.drop(stream.connection)
            p.drop(control)
        if "1" in options:
            return 0


async def _accept_stream(p: ProcessContext, listener: TcpListener, cookie: bytes) -> TcpConnection:
    """The next data connection of this test; others are told that the server is busy."""
    while True:
        connection = p.keep(await listener.accept())
        if await connection.readexactly(COOKIE_SIZE) == cookie:
            return connection
        await connection.write(bytes([ACCESS_DENIED]))
        p.drop(connection)


async def _refuse(p: ProcessContext, listener: TcpListener) -> None:
    while True:
        connection = p.keep(await listener.accept())
        with contextlib.suppress(OSError):
            await connection.write(bytes([ACCESS_DENIED]))
        p.drop(connection)


async def _one_test(p: ProcessContext, test: Test, listener: TcpListener, control: TcpConnection) -> None:
    control.set_nodelay(True)
    async with asyncio.timeout(SETUP_DEADLINE):
        cookie = await control.readexactly(COOKIE_SIZE)
        await control.write(bytes([PARAM_EXCHANGE]))
        parameters = await _read_json(control)
        if parameters.get("udp") or parameters.get("sctp") or parameters.get("bidirectional"):
            await control.write(bytes([SERVER_ERROR]) + (115).to_bytes(4, "big") + bytes(4))
            raise Failure("error - only TCP tests in one direction are there")
        test.reverse = bool(parameters.get("reverse"))
        test.parallel = min(max(as_number(parameters.get("parallel"), 1), 1), 128)
        test.length = min(max(as_number(parameters.get("len"), BLOCK), 1), 1 << 20)
        test.total = as_number(parameters.get("num")) if test.reverse else 0
        test.rate = float(max(0, as_number(parameters.get("bandwidth"))))
        await control.write(bytes([CREATE_STREAMS]))
        for n in range(test.parallel):
            connection = await _accept_stream(p, listener, cookie)
            test.streams.append(Stream(connection, 1 if n == 0 else n + 2, 5 if n == 0 else 6 + 2 * n))
    if not test.document:
        await p.print(f"Accepted connection from {control.peer[0]}, port {control.peer[1]}")
        for stream in test.streams:
            local, peer = stream.connection.local, stream.connection.peer
            await p.print(f"[{stream.socket:3}] local {local[0]} port {local[1]} connected to {peer[0]} port {peer[1]}")
        await p.print("[ ID] Interval           Transfer     Bitrate")
    await control.write(bytes([TEST_START, TEST_RUNNING]))
    test.start = test.reported = p.clock()
    tasks = [p.start(transfer(p, test, stream, lambda: None)) for stream in test.streams]
    tasks += [p.start(report(p, test)), p.start(_refuse(p, listener))]
    try:
        state = await _read_state(control)
    finally:
        for task in tasks:
            task.cancel()
    test.stop = p.clock()
    await last_interval(p, test)
    if state != TEST_END:
        raise Failure("error - the client has terminated")
    await control.write(bytes([EXCHANGE_RESULTS]))
    async with asyncio.timeout(SETUP_DEADLINE):
        take_results(test, await _read_json(control))
        await _send_json(control, results_of(test))
        await control.write(bytes([DISPLAY_RESULTS]))
        await _read_state(control)
    if not test.document:
        await print_summary(p, test)
