"""JSON of Docker's API as the values that templates see.

The docker command reads what the daemon answers into Go structs and executes a template on those: a label that is not
there is empty, a field that no struct has is an error, and what JSON left out is Go's zero. It tries again on the plain
JSON when that fails, if it has it. `typed` makes the first, `plain` the second. The shapes below tell only what JSON
itself does not: which objects are maps, what null stands for, and which fields may be left out. They are those of
docker's api/types, 28.x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from scenarios.gotemplate.values import MISSING, GoMap, Moment, Nil, Struct


@dataclass(frozen=True, slots=True)
class Shape:
    """A Go type. `zero`: of a plain one, where JSON has left it out; `of`: what maps and slices hold; `key`: the type
    of a map's keys."""

    kind: Literal["plain", "moment", "struct", "pointer", "map", "slice"]
    fields: Mapping[str, Shape] = field(default_factory=dict)
    zero: object = None
    of: Shape | None = None
    type_name: str = ""
    key: str = "string"


def _struct(type_name: str = "", **fields: Shape) -> Shape:
    return Shape("struct", fields, type_name=type_name)


def _pointer(type_name: str = "", **fields: Shape) -> Shape:
    return Shape("pointer", fields, type_name=type_name)


def _map(of: Shape | None = None) -> Shape:
    return Shape("map", of=of)


def _slice(of: Shape | None = None) -> Shape:
    return Shape("slice", of=of)


_TEXT, _NUMBER, _FLAG = Shape("plain", zero=""), Shape("plain", zero=0), Shape("plain", zero=False)
_TEXTS, _LABELS, _MOMENT = _slice(_TEXT), _map(_TEXT), Shape("moment")

_GO_NAMES = {
    "Id": "ID", "id": "ID", "status": "Status", "from": "From", "scope": "Scope", "time": "Time",
    "timeNano": "TimeNano", "HostIp": "HostIP", "AuxiliaryAddresses": "AuxAddress", "ApiVersion": "APIVersion",
    "CpuShares": "CPUShares", "NanoCpus": "NanoCPUs", "CpuPeriod": "CPUPeriod", "CpuQuota": "CPUQuota",
    "CpuRealtimePeriod": "CPURealtimePeriod", "CpuRealtimeRuntime": "CPURealtimeRuntime", "CpuCount": "CPUCount",
    "CpuPercent": "CPUPercent", "Dns": "DNS", "DnsOptions": "DNSOptions", "DnsSearch": "DNSSearch",
    "CpuCfsPeriod": "CPUCfsPeriod", "CpuCfsQuota": "CPUCfsQuota", "HttpProxy": "HTTPProxy", "HttpsProxy": "HTTPSProxy",
}  # fmt: skip
"""Of fields whose name in JSON is another than in Go."""

_ENDPOINT = _pointer(
    IPAMConfig=_pointer(), Links=_TEXTS, Aliases=_TEXTS, MacAddress=_TEXT, DriverOpts=_LABELS, GwPriority=_NUMBER,
    NetworkID=_TEXT, EndpointID=_TEXT, Gateway=_TEXT, IPAddress=_TEXT, IPPrefixLen=_NUMBER, IPv6Gateway=_TEXT,
    GlobalIPv6Address=_TEXT, GlobalIPv6PrefixLen=_NUMBER, DNSNames=_TEXTS,
)  # fmt: skip
_PORTS = Shape("map", of=_slice(_struct(HostIp=_TEXT, HostPort=_TEXT)), key="nat.Port")
_EXPOSED = Shape("map", of=_struct(), key="nat.Port")
_HEALTH = _pointer(Status=_TEXT, FailingStreak=_NUMBER, Log=_slice(_pointer(Output=_TEXT)))
_TEST = _pointer(Test=_TEXTS, Interval=_NUMBER, Timeout=_NUMBER, StartPeriod=_NUMBER, StartInterval=_NUMBER,
                 Retries=_NUMBER)  # fmt: skip

CONTAINER = _struct(
    "container.InspectResponse",
    State=_pointer(Health=_HEALTH),
    ExecIDs=_TEXTS,
    HostConfig=_pointer(
        Binds=_TEXTS, LogConfig=_struct(Config=_LABELS), PortBindings=_PORTS, VolumesFrom=_TEXTS,
        Annotations=_LABELS, CapAdd=_TEXTS, CapDrop=_TEXTS, Dns=_TEXTS, DnsOptions=_TEXTS, DnsSearch=_TEXTS,
        ExtraHosts=_TEXTS, GroupAdd=_TEXTS, Links=_TEXTS, SecurityOpt=_TEXTS, StorageOpt=_LABELS, Tmpfs=_LABELS,
        Sysctls=_LABELS, DeviceCgroupRules=_TEXTS, DeviceRequests=_TEXTS, Mounts=_slice(), Init=_pointer(),
    ),
    GraphDriver=_struct(Data=_LABELS),
    Mounts=_slice(
        _struct(Type=_TEXT, Name=_TEXT, Source=_TEXT, Destination=_TEXT, Driver=_TEXT, Mode=_TEXT, RW=_FLAG,
                Propagation=_TEXT)
    ),
    Config=_pointer(
        ExposedPorts=_EXPOSED, Env=_TEXTS, Cmd=_TEXTS, Healthcheck=_TEST, Volumes=_map(_struct()),
        Entrypoint=_TEXTS, NetworkDisabled=_FLAG, MacAddress=_TEXT, OnBuild=_TEXTS, Labels=_LABELS, StopSignal=_TEXT,
        StopTimeout=_pointer(), Shell=_TEXTS,
    ),
    NetworkSettings=_pointer(
        Ports=_PORTS, SecondaryIPAddresses=_slice(), SecondaryIPv6Addresses=_slice(), Networks=_map(_ENDPOINT)
    ),
)  # fmt: skip

NETWORK = _struct(
    "network.Inspect",
    Created=_MOMENT,
    IPAM=_struct(
        Driver=_TEXT, Options=_LABELS,
        Config=_slice(_struct(Subnet=_TEXT, IPRange=_TEXT, Gateway=_TEXT, AuxiliaryAddresses=_LABELS)),
    ),
    Containers=_map(_struct()),
    Options=_LABELS,
    Labels=_LABELS,
    Peers=_slice(),
    Services=_map(),
)  # fmt: skip

NODE = _struct(
    "swarm.Node",
    CreatedAt=_MOMENT,
    UpdatedAt=_MOMENT,
    Spec=_struct("swarm.NodeSpec", Name=_TEXT, Labels=_LABELS),
    Description=_struct("swarm.NodeDescription", Engine=_struct("swarm.EngineDescription", Labels=_LABELS)),
    Status=_struct("swarm.NodeStatus", Message=_TEXT, Addr=_TEXT),
    ManagerStatus=_pointer(Leader=_FLAG, Reachability=_TEXT, Addr=_TEXT),
)

IMAGE = _struct(
    "image.InspectResponse",
    RepoTags=_TEXTS, RepoDigests=_TEXTS, GraphDriver=_struct(Data=_LABELS),
    Config=_pointer(
        ExposedPorts=_EXPOSED, Env=_TEXTS, Cmd=_TEXTS, Volumes=_map(_struct()), Entrypoint=_TEXTS,
        Labels=_LABELS,
    ),
)  # fmt: skip

VOLUME = _struct("volume.Volume", Labels=_LABELS, Options=_LABELS, Status=_map())

EVENT = _struct(
    "*events.Message",
    **{"status": _TEXT, "id": _TEXT, "from": _TEXT}, Type=_TEXT, Action=_TEXT,
    Actor=_struct("events.Actor", ID=_TEXT, Attributes=_LABELS), scope=_TEXT, time=_NUMBER, timeNano=_NUMBER,
)  # fmt: skip

INFO = _struct(
    "system.dockerInfo",
    GenericResources=_slice(), Warnings=_TEXTS, DriverStatus=_slice(), SystemStatus=_slice(),
    Runtimes=_map(_struct()), Labels=_TEXTS, SecurityOptions=_TEXTS,
    Plugins=_struct(Volume=_TEXTS, Network=_TEXTS, Authorization=_TEXTS, Log=_TEXTS),
    RegistryConfig=_pointer(IndexConfigs=_map()),
    Swarm=_struct(
        NodeID=_TEXT, NodeAddr=_TEXT, LocalNodeState=_TEXT, ControlAvailable=_FLAG, Error=_TEXT,
        RemoteManagers=_slice(), Nodes=_NUMBER, Managers=_NUMBER,
        Cluster=_pointer(CreatedAt=_MOMENT, UpdatedAt=_MOMENT, Spec=_struct(Labels=_LABELS)),
    ),
)  # fmt: skip

VERSION = _struct("system.versionInfo", Client=_struct("system.clientVersion"), Server=_pointer("*types.Version"))


def _zero(shape: Shape | None) -> object:
    if shape is None:
        return MISSING
    match shape.kind:
        case "plain":
            return shape.zero
        case "moment":
            return Moment("0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC")
        case "struct":
            return typed({}, shape)
        case kind:
            return Nil(kind)


def typed(document: object, shape: Shape | None = None) -> object:
    """What the docker command's own types make of it."""
    if document is None:
        return Nil(shape.kind) if shape and shape.kind in ("map", "slice") else Nil("pointer")
    if isinstance(document, list):
        of = shape.of if shape else None
        return [typed(each, of) for each in document]
    if isinstance(document, dict):
        if shape and shape.kind == "map":
            return GoMap({key: typed(each, shape.of) for key, each in document.items()}, _zero(shape.of), shape.key)
        return _fields(document, shape or Shape("struct"))
    if shape and shape.kind == "moment" and isinstance(document, str):
        return Moment(document, go_moment(document))
    return document


def _fields(document: Mapping[str, object], shape: Shape) -> Struct:
    """In the order of Go's struct as far as shape and document tell it."""
    fields: dict[str, object] = {}
    known = list(shape.fields)
    for name, value in document.items():
        if name in known:  # those before it that JSON has left out
            for absent in known[: known.index(name)]:
                if absent not in document:
                    fields.setdefault(_GO_NAMES.get(absent, absent), _zero(shape.fields[absent]))
        fields[_GO_NAMES.get(name, name)] = typed(value, shape.fields.get(name))
    for absent in known:
        fields.setdefault(_GO_NAMES.get(absent, absent), _zero(shape.fields[absent]))
    return Struct(fields, {name: _GO_NAMES.get(name, name) for name in document}, shape.type_name)


def plain(document: object) -> object:
    """JSON as it is: every object is a map, null is nothing."""
    if document is None:
        return MISSING
    if isinstance(document, list):
        return [plain(each) for each in document]
    if isinstance(document, dict):
        return GoMap({key: plain(each) for key, each in document.items()})
    return document


_RFC3339 = re.compile(r"(\d+-\d+-\d+)T(\d+:\d+:\d+)(\.\d+)?(Z|[+-]\d+:\d+)$")


def go_moment(text: str) -> str:
    """An RFC 3339 time as Go prints it."""
    match = _RFC3339.match(text)
    if match is None:
        return text
    zone = "+0000 UTC" if match[4] == "Z" else f"{match[4].replace(':', '')} {match[4].replace(':', '')}"
    return f"{match[1]} {match[2]}{(match[3] or '').rstrip('0').rstrip('.')} {zone}"


def go_time(at: datetime) -> str:
    """As Go prints a time of a whole second."""
    return f"{at:%Y-%m-%d %H:%M:%S %z} {at.tzname()}"
