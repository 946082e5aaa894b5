"""A scenario as data. The JSON Schema is made from these classes, so what an editor offers is what a run accepts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from scenarios.language.quantities import Duration, Probability, Rate, Span

TRAFFIC = ("gossip", "vxlan", "lan", "cluster", "other", "udp", "tcp")
Traffic = Literal["gossip", "vxlan", "lan", "cluster", "other", "udp", "tcp"]

INVARIANTS = {
    "addresses": "no two live endpoints of a network hold one address or MAC",
    "vnis": "no two live networks hold one VNI",
    "isolation": "no packet is on a network that its sender is not on",
    "delivery": "a packet is delivered at most as often as the faults explain",
    "durability": "what was acknowledged to a client is there after crash and restart",
    "convergence": "a while after healing every daemon tells the same members and networks",
    "names": "a while after healing every name resolves to the truth",
    "model": "a while after healing, what runs, resolves and answers is what the acknowledged commands add up to",
    "logs": "no daemon logs an error that it did not explain",
    "leaks": "no task, container, socket or file is left behind at the end",
}
Invariant = Literal[
    "addresses", "vnis", "isolation", "delivery", "durability", "convergence", "names", "model", "logs", "leaks"
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


def _listed(value: object) -> object:
    """One word stands for a list of one; "h1, h2" for two."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "Names of hosts.",
        }
    ),
]
Groups = Annotated[
    list[Names],
    BeforeValidator(lambda v: v.split("/") if isinstance(v, str) else v),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "description": "h1,h2 / h3"},
                {
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                },
            ],
            "description": "Groups of hosts: h1,h2 / h3. One group alone is cut off from all others.",
        }
    ),
]
Traffics = Annotated[
    list[Traffic],
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [{"enum": list(TRAFFIC)}, {"type": "array", "items": {"enum": list(TRAFFIC)}}],
            "description": "Only this traffic: a port's kind (gossip, vxlan, lan, cluster) or a transport (udp, tcp).",
        }
    ),
]
Text = Annotated[
    str,
    BeforeValidator(lambda v: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v),
    WithJsonSchema({"type": ["string", "number"]}),
]
Way = Annotated[
    str,
    Field(
        pattern=r"^\s*\S+/\S+\s*->\s*\S+\s*$",
        description="HOST/CONTAINER -> TARGET, as in h1/c1 -> web or h1/c1 -> 10.0.1.2:80 (with a port: TCP).",
    ),
]
Place = Annotated[str, Field(pattern=r"^[^/\s]+(/[^/\s]+)?$", description="A host (h1) or a container on it (h1/web).")]


def _ports(value: object) -> object:
    """One port stands for a list of one."""
    return [value] if isinstance(value, int) and not isinstance(value, bool) else _listed(value)


Ports = Annotated[
    list[Text],
    BeforeValidator(_ports),
    WithJsonSchema(
        {
            "anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}}],
            "description": "As -p takes them: 8080:80, 8053:53/udp, 192.0.2.1:8080:80.",
        }
    ),
]


class Host(_Part):
    """A host. Without settings of its own it joins the swarm as a worker; the first is the manager."""

    labels: dict[str, Text] = Field({}, description="Labels of the node, for people and selectors.")
    join: bool = Field(True, description="false: it starts outside of the swarm.")
    role: Literal["manager", "worker"] | None = Field(None, description="The first host is the manager.")


class Link(_Part):
    """How the way between hosts is all along: latency, jitter, rate and loss."""

    between: Groups = Field(description="Two groups of hosts: h1 / h2,h3. Both ways.")
    latency: Duration = 0.0
    jitter: Duration = 0.0
    distribution: Literal["uniform", "normal", "pareto"] = "uniform"
    rate: Rate = 0.0
    loss: Probability = 0.0


class NetworkBlock(_Part):
    """A network that is made before the steps."""

    driver: str = "overlay"
    subnet: str | None = None
    gateway: str | None = None
    internal: bool = False
    attachable: bool | None = Field(None, description="Of an overlay: true unless told.")
    options: dict[str, Text] = {}
    on: str | None = Field(None, description="The host that makes it: the first for overlays, every host for others.")


class ContainerBlock(_Part):
    """A container that is started before the steps, after the networks."""

    on: str = Field(description="Its host.")
    image: str = "alpine"
    command: str | list[str] | None = Field(None, description="alpine without a command sleeps.")
    networks: Names = Field([], description="The first is its --network, it is connected to the others.")
    aliases: Names = []
    ip: str | None = None
    publish: Ports = []
    environment: dict[str, Text] = {}
    restart: str = Field("no", pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$")


class PluginBlock(_Part):
    """A network or IPAM plug-in that is started beside a host's daemon before the networks are made."""

    on: Names = Field(description="Its hosts.")
    application: str = Field(
        pattern=r"^[\w.]+:\w+$",
        description="MODULE:FUNCTION: called with the socket's path, gives an aiohttp application that answers there.",
    )


class Impairing(_Part):
    """What may be wrong on a way; several at once are possible."""

    delay: Duration | None = None
    jitter: Duration | None = None
    distribution: Literal["uniform", "normal", "pareto"] | None = None
    loss: Probability | None = None
    duplicate: Probability | None = None
    reorder: Probability | None = None
    corrupt: Probability | None = None
    rate: Rate | None = None
    queue: int | None = Field(None, ge=0, le=1 << 30, description="Bytes that wait at a rate.")
    mtu: int | None = Field(None, ge=1, le=65535, description="Datagrams with more payload vanish: a black hole.")


class Flap(_Part):
    """A link that goes down and up again."""

    hosts: Names = Field(description="The hosts whose links flap.")
    down: Duration = 1.0
    up: Duration = 1.0


class Slow(_Part):
    """A process that gets only a part of its time."""

    host: str
    share: Probability = Field(0.2, description="The part of the time in which it runs.")


class Clock(_Part):
    """A wall clock that is wrong: set off by a jump, or drifting."""

    host: str
    jump: float = Field(0.0, description="Seconds, negative for the past.")
    skew: float = Field(0.0, description="Seconds gained every second, -0.5 to 0.5.", ge=-0.5, le=0.5)


class Fault(Impairing):
    """Something that breaks, and is undone at its end or at the run's end, whatever happens.

    Exactly one of: partition, islands, bridge, flap, kill, pause, slow, full_disk, power_loss, old_disk, lost_disk,
    clock; or impairments.
    """

    partition: Groups | None = Field(None, description="Groups that do not hear one another: h1,h2 / h3.")
    oneway: bool = Field(False, description="Of a partition: only the way from an earlier group to a later is cut.")
    islands: Names | None = Field(None, description="Each of these hosts is alone.")
    bridge: str | None = Field(None, description="The others are cut in halves that both still hear this host.")
    flap: Flap | None = None
    kill: Names | None = Field(None, description="SIGKILL to these daemons; at the end they are started again.")
    pause: Names | None = Field(None, description="SIGSTOP to these daemons; SIGCONT at the end.")
    slow: Slow | None = None
    full_disk: Names | None = Field(None, description="Nothing more can be written on these hosts.")
    power_loss: Names | None = Field(
        None, description="These daemons end, and with them what was not synced to their disks; they start at the end."
    )
    old_disk: Names | None = Field(
        None, description="At the end these daemons are started again on their disks as they were at the begin."
    )
    lost_disk: Names | None = Field(None, description="These daemons end; at the end they start with empty disks.")
    clock: Clock | None = None
    from_: Names = Field([], alias="from", description="Impairments: only what these hosts send.")
    to: Names = Field([], description="Impairments: only what is sent to these hosts.")
    traffic: Traffics = []
    at: Duration | None = Field(None, description="Seconds after the steps began (in `faults:`).")
    for_: Annotated[
        float | Literal["run"] | None,
        BeforeValidator(lambda v: v if v == "run" or v is None else _seconds(v)),
        WithJsonSchema({"anyOf": [{"type": ["string", "number"]}], "description": "How long: 10s, or `run`."}),
    ] = Field(None, alias="for")
    id: str | None = Field(None, description="A name for `heal:`.")


def _seconds(value: object) -> float:
    from scenarios.language.quantities import duration

    return duration(value)


class Expectation(_Part):
    """What must hold, within a deadline. Exactly one of: exec, docker, reachable, unreachable, resolves, unresolved,
    node, members, metric."""

    exec: str | list[str] | None = Field(None, description="A command in the container `on` (h1/web).")
    docker: str | None = Field(None, description="A docker command on the host `on`, without the word docker.")
    reachable: Way | None = None
    unreachable: Way | None = None
    resolves: Way | None = Field(None, description="h1/c1 -> NAME, to the addresses in `to`.")
    unresolved: Way | None = None
    node: str | None = Field(None, description="A host, as the host `on` sees it: `is` Ready or Down.")
    members: int | None = Field(
        None, description="So many hosts are alive in the eyes of `on` (all hosts if not given)."
    )
    metric: str | None = Field(
        None, description="NAME.STATISTIC OPERATOR VALUE, as in ping.p95 < 50ms, ping.loss < 1%."
    )
    on: Place | None = None
    to: Annotated[list[str], BeforeValidator(_listed), WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
         "description": "Addresses, or HOST/CONTAINER for that container's own."})] = []  # fmt: skip
    is_: Literal["Ready", "Down"] | None = Field(None, alias="is")
    prints: Text | None = Field(None, description="Its output contains this.")
    lacks: Text | None = Field(None, description="Its output does not contain this.")
    matches: str | None = Field(None, description="Its output fits this regular expression.")
    exit: int | None = Field(None, description="Its exit status; 0 unless told.")
    within: Duration | None = Field(None, description="Tried again until then, from the step's begin; else once.")
    by: Duration | None = Field(None, description="Tried again until so many seconds after the steps began.")
    for_: Duration | None = Field(None, alias="for", description="It must hold all this time.")
    because: str = Field("", description="What the reader of a failure should know.")


class Repeat(_Part):
    """Steps that are done again and again. `${n}` counts from 1."""

    times: int = Field(2, ge=1, le=100_000)
    every: Duration = Field(0.0, description="From begin to begin; without, one after the other.")
    steps: list[Step]


class Step(_Part):
    """One action (docker, exec, fault, heal, kill, stop, pause, resume, restart, expect, wait, parallel, repeat, note,
    check) and when, where and how it is done."""

    docker: str | None = Field(None, description="A docker command on the host `on`, without the word docker.")
    exec: str | list[str] | None = Field(None, description="A command in the container `on` (h1/web).")
    fault: Fault | None = None
    heal: Names | None = Field(None, description="Ids of faults, or all.")
    kill: Names | None = Field(None, description="SIGKILL to daemons; `restart` starts them again.")
    pause: Names | None = Field(None, description="SIGSTOP to daemons.")
    resume: Names | None = Field(None, description="SIGCONT to daemons.")
    stop: Names | None = Field(None, description="SIGTERM to daemons: they end in good order.")
    restart: Names | None = Field(None, description="Starts killed daemons; others are killed first.")
    join: Names | None = Field(None, description="Hosts with `join: false` join the swarm now.")
    expect: Expectation | None = None
    wait: Span | None = None
    parallel: list[Step] | None = None
    repeat: Repeat | None = None
    note: str | None = Field(None, description="A remark in the timeline.")
    set: dict[str, Text] | None = Field(None, description="Variables.")
    on: Place | None = Field(None, description="A host, or a container on it: h1, h1/web.")
    at: Duration | None = Field(None, description="Not before so many seconds after the steps began.")
    capture: str | None = Field(None, description="A variable that gets the output, without the last newline.")
    fails: bool | Text = Field(False, description="It must fail; as a text: with this in its message.")
    may_fail: bool = Field(False, description="It may fail or be left without an answer: what was acknowledged counts.")
    never: Text | None = Field(None, description="Its output must not have this, not even where it may fail.")
    stdin: str | None = None
    within: Duration | None = Field(None, description="It must be done in this time (60s unless told).")


class Load(_Part):
    """Traffic in the background, measured all along. Exactly one of: ping, http, dns, stream."""

    ping: Way | None = Field(None, description="Latency and loss of echoes.")
    http: Way | None = Field(None, description="GETs; TARGET may be name:port/path.")
    dns: Way | None = Field(None, description="Look-ups of a name.")
    stream: Way | None = Field(None, description="Bytes over TCP to an iperf3 server at TARGET; throughput.")
    name: str | None = Field(None, description="Of its measurements, for `metric` and plots.")
    rate: Rate | None = Field(None, description="Of a stream: not faster than this.")
    every: Duration = 0.5
    timeout: Duration = 1.0
    at: Duration = 0.0
    for_: Duration | None = Field(None, alias="for")


class Churn(_Part):
    """Random faults from the run's seed: each at intervals of about `every`, lasting about `for`."""

    kill: Names | None = None
    pause: Names | None = None
    partition: Names | None = Field(None, description="Random cuts among these hosts; the seed draws the sides.")
    join: Names | None = Field(
        None, description="These hosts (of `join: false`, or members but the first) leave and join: in for about `for`."
    )
    restart_containers: Annotated[list[str] | None, BeforeValidator(_listed)] = Field(
        None, description="HOST/CONTAINER…"
    )
    every: Duration = Field(5.0, description="About so long from one to the next.")
    for_: Duration = Field(2.0, alias="for", description="About so long each lasts.")
    at: Duration = Field(0.0, description="Seconds after the steps began: the first comes about `every` later.")
    until: Duration | None = Field(None, description="No new one after that; without, until the steps are done.")
    most: int = Field(1, ge=1, description="So many hosts at once.")


class Invariants(_Part):
    """All are watched unless `off` names them, or `only` names others."""

    off: list[Invariant] = []
    only: list[Invariant] | None = None
    settle: Duration = Field(10.0, description="The bound after healing within which all must agree.")
    allow_logs: list[str] = Field([], description="Regular expressions of log lines that are expected.")

    def watched(self) -> list[str]:
        names = list(INVARIANTS) if self.only is None else [n for n in INVARIANTS if n in self.only]
        return [name for name in names if name not in self.off]


def _hosts(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number of hosts, a list of names, or a mapping of names to settings expected")
    if isinstance(value, int):
        if not 1 <= value <= 199:
            raise ValueError(f"1 to 199 hosts expected, not {value}")
        return {f"h{n}": {} for n in range(1, value + 1)}
    if isinstance(value, list):
        if len(dict.fromkeys(map(str, value))) != len(value):
            raise ValueError("two hosts have one name")
        return {str(name): {} for name in value}
    if isinstance(value, dict):
        return {name: {} if settings is None else settings for name, settings in value.items()}
    raise ValueError("a number of hosts, a list of names, or a mapping of names to settings expected")


Hosts = Annotated[
    dict[str, Host],
    BeforeValidator(_hosts),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 199},
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "additionalProperties": {"anyOf": [{"title": "Host"}, {"type": "null"}]}},
            ],
            "description": "How many (h1, h2, …), their names, or names with settings.",
        }
    ),
]


def _blocks(value: object) -> object:
    if isinstance(value, list):
        return {str(name): {} for name in value}
    if isinstance(value, dict):
        return {name: {} if settings is None else settings for name, settings in value.items()}
    return value


class Scenario(_Part):
    """A scenario: hosts, what they do, what goes wrong, and what must hold."""

    name: str | None = None
    story: str = Field("", description="What happens and why, for people.")
    seed: int = 1
    timeout: Duration = Field(300.0, description="The whole run ends by then.")
    modes: list[Literal["real", "sim"]] = Field(["real", "sim"], description="Where it can run.")
    hosts: Hosts
    swarm: bool = Field(True, description="The hosts are made one swarm before the steps.")
    links: list[Link] = []
    variables: dict[str, Any] = {}
    matrix: dict[str, list[Any]] = Field({}, description="One run for each combination of these variables.")
    plugins: dict[str, PluginBlock] = Field({}, description="By the name of the driver.")
    networks: Annotated[dict[str, NetworkBlock], BeforeValidator(_blocks)] = {}
    containers: Annotated[dict[str, ContainerBlock], BeforeValidator(_blocks)] = {}
    load: list[Load] = []
    faults: list[Fault] = []
    churn: list[Churn] = []
    invariants: Invariants = Field(default_factory=lambda: Invariants.model_validate({}))
    steps: list[Step] = []


Repeat.model_rebuild()
Step.model_rebuild()
