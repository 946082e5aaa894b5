"""The types of request bodies' fields, as Go's structs have them; `body.py` says what they are for."""

from __future__ import annotations

from daemon.api.body import Schema

_HEALTHCHECK: Schema = {
    "Test": "[]string",
    "Interval": "int64",
    "Timeout": "int64",
    "StartPeriod": "int64",
    "StartInterval": "int64",
    "Retries": "int",
}

CONFIG: Schema = {
    "Hostname": "string",
    "Domainname": "string",
    "User": "string",
    "AttachStdin": "bool",
    "AttachStdout": "bool",
    "AttachStderr": "bool",
    "ExposedPorts": "map[string]struct {}",
    "Tty": "bool",
    "OpenStdin": "bool",
    "StdinOnce": "bool",
    "Env": "[]string",
    "Cmd": "strslice.StrSlice",
    "Healthcheck": ("container.HealthConfig", _HEALTHCHECK),
    "ArgsEscaped": "bool",
    "Image": "string",
    "Volumes": "map[string]struct {}",
    "WorkingDir": "string",
    "Entrypoint": "strslice.StrSlice",
    "NetworkDisabled": "bool",
    "MacAddress": "string",
    "OnBuild": "[]string",
    "Labels": "map[string]string",
    "StopSignal": "string",
    "StopTimeout": "int",
    "Shell": "strslice.StrSlice",
}

_PORT_BINDING: Schema = {"HostIp": "string", "HostPort": "string"}

_MOUNT: Schema = {
    "Type": "string",
    "Source": "string",
    "Target": "string",
    "ReadOnly": "bool",
    "BindOptions": ("mount.BindOptions", {"Propagation": "string", "CreateMountpoint": "bool"}),
    "VolumeOptions": (
        "mount.VolumeOptions",
        {
            "NoCopy": "bool",
            "Subpath": "string",
            "Labels": "map[string]string",
            "DriverConfig": ("mount.Driver", {"Name": "string", "Options": "map[string]string"}),
        },
    ),
    "TmpfsOptions": ("mount.TmpfsOptions", {"SizeBytes": "int64", "Mode": "uint"}),
}

_HOST_CONFIG: Schema = {
    "Binds": "[]string",
    "ContainerIDFile": "string",
    "LogConfig": ("container.LogConfig", {"Type": "string", "Config": "map[string]string"}),
    "NetworkMode": "string",
    "PortBindings": ("map[string][]nat.PortBinding", _PORT_BINDING),
    "RestartPolicy": ("container.RestartPolicy", {"Name": "string", "MaximumRetryCount": "int"}),
    "AutoRemove": "bool",
    "VolumeDriver": "string",
    "VolumesFrom": "[]string",
    "ConsoleSize": "[]uint",
    "CapAdd": "[]string",
    "CapDrop": "[]string",
    "CgroupnsMode": "string",
    "Dns": "[]string",
    "DnsOptions": "[]string",
    "DnsSearch": "[]string",
    "ExtraHosts": "[]string",
    "GroupAdd": "[]string",
    "IpcMode": "string",
    "Cgroup": "string",
    "Links": "[]string",
    "OomScoreAdj": "int",
    "PidMode": "string",
    "Privileged": "bool",
    "PublishAllPorts": "bool",
    "ReadonlyRootfs": "bool",
    "SecurityOpt": "[]string",
    "UTSMode": "string",
    "UsernsMode": "string",
    "ShmSize": "int64",
    "Runtime": "string",
    "Isolation": "string",
    "CpuShares": "int64",
    "Memory": "int64",
    "NanoCpus": "int64",
    "CgroupParent": "string",
    "MemoryReservation": "int64",
    "MemorySwap": "int64",
    "MemorySwappiness": "int64",
    "OomKillDisable": "bool",
    "PidsLimit": "int64",
    "Mounts": ("[]mount.Mount", _MOUNT),
    "Tmpfs": "map[string]string",
    "DeviceRequests": (
        "[]container.DeviceRequest",
        {"Driver": "string", "Count": "int", "DeviceIDs": "[]string", "Capabilities": "[][]string"},
    ),
}

ENDPOINT: Schema = {
    "IPAMConfig": (
        "network.EndpointIPAMConfig",
        {"IPv4Address": "string", "IPv6Address": "string", "LinkLocalIPs": "[]string"},
    ),
    "Links": "[]string",
    "Aliases": "[]string",
    "MacAddress": "string",
    "DriverOpts": "map[string]string",
    "GwPriority": "int",
}

UPDATE: Schema = {
    key: _HOST_CONFIG[key]
    for key in (
        "RestartPolicy", "CpuShares", "Memory", "NanoCpus", "MemoryReservation", "MemorySwap", "PidsLimit",
    )
}  # fmt: skip

CREATE: Schema = {
    **CONFIG,
    "HostConfig": ("container.HostConfig", _HOST_CONFIG),
    "NetworkingConfig": (
        "network.NetworkingConfig",
        {"EndpointsConfig": ("map[string]network.EndpointSettings", ENDPOINT)},
    ),
}

EXEC_CREATE: Schema = {
    "User": "string",
    "Privileged": "bool",
    "Tty": "bool",
    "ConsoleSize": "[]uint",
    "AttachStdin": "bool",
    "AttachStderr": "bool",
    "AttachStdout": "bool",
    "Detach": "bool",
    "DetachKeys": "string",
    "Env": "[]string",
    "WorkingDir": "string",
    "Cmd": "[]string",
}

VOLUME_CREATE: Schema = {
    "Name": "string",
    "Driver": "string",
    "DriverOpts": "map[string]string",
    "Labels": "map[string]string",
}

EXEC_START: Schema = {"Detach": "bool", "Tty": "bool", "ConsoleSize": "[]uint"}
