"""/_ping, /version, /info, /system/df."""

from __future__ import annotations

import asyncio
import os
import platform

from aiohttp import web

from daemon.api.answers import json_answer
from daemon.api.keys import ENGINE
from daemon.api.versions import API_VERSION, MIN_API_VERSION, asked_for, text
from daemon.engine import mount_points, shown
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.images import image_summary
from daemon.engine.log_drivers import LOG_DRIVERS
from daemon.engine.network import BUILT_IN
from daemon.engine.stats import memory_total
from daemon.version import VERSION

routes = web.RouteTableDef()

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def _architecture() -> str:
    machine = platform.machine()
    return _GO_ARCHITECTURES.get(machine, machine)


@routes.get("/_ping")
async def ping(request: web.Request) -> web.Response:
    """Also for HEAD. Builder-Version 1: no BuildKit session is to be tried."""
    headers = {"Builder-Version": "1", "Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
    return web.Response(text="OK", headers=headers)


@routes.get("/version")
async def version(request: web.Request) -> web.Response:
    facts: JsonObject = {
        "Version": VERSION,
        "ApiVersion": text(API_VERSION),
        "MinAPIVersion": text(MIN_API_VERSION),
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "Os": request.app[ENGINE].config.os,
        "Arch": _architecture(),
        "KernelVersion": platform.release(),
        "BuildTime": "",
    }
    details = {
        "ApiVersion": facts["ApiVersion"],
        "Arch": facts["Arch"],
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": facts["GoVersion"],
        "KernelVersion": facts["KernelVersion"],
        "MinAPIVersion": facts["MinAPIVersion"],
        "Os": facts["Os"],
    }
    engine = {"Name": "Engine", "Version": VERSION, "Details": details}
    return json_answer({"Platform": {"Name": "shoal"}, "Components": [engine], **facts})


@routes.get("/info")
async def info(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    states = [container.state for container in engine.containers.all()]
    paused = sum(state.paused for state in states)
    running = sum(state.running for state in states)
    document: JsonObject = {
        "ID": engine.identity,
        "Containers": len(states),
        "ContainersRunning": running - paused,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running,
        "Images": len(engine.images.all()),
        "Driver": "vfs",
        "DriverStatus": None,
        "Plugins": {
            "Volume": ["local"],
            "Network": sorted({*BUILT_IN, *(network.driver for network in engine.networks.all())}),
            "Authorization": None,
            "Log": list(LOG_DRIVERS),
        },
        "MemoryLimit": False,
        "SwapLimit": False,
        "KernelMemory": False,
        "KernelMemoryTCP": False,
        "CpuCfsPeriod": False,
        "CpuCfsQuota": False,
        "CPUShares": False,
        "CPUSet": False,
        "PidsLimit": False,
        "IPv4Forwarding": True,
        "BridgeNfIptables": True,
        "BridgeNfIp6tables": True,
        "Debug": False,
        "NFd": 0,
        "OomKillDisable": False,
        "NGoroutines": len(asyncio.all_tasks()),
        "SystemTime": rfc3339(engine.world.wall()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "none",
        "CgroupVersion": "1",
        "NEventsListener": engine.events.listeners,
        "KernelVersion": platform.release(),
        "OperatingSystem": "shoal, a simulated host",
        "OSVersion": VERSION,
        "OSType": engine.config.os,
        "Architecture": platform.machine(),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "AllowNondistributableArtifactsCIDRs": [],
            "AllowNondistributableArtifactsHostnames": [],
            "InsecureRegistryCIDRs": [],
            "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": True, "Official": True}},
            "Mirrors": [],
        },
        "NCPU": os.cpu_count() or 1,
        "MemTotal": memory_total(),
        "GenericResources": None,
        "DockerRootDir": str(engine.config.state_dir),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": engine.config.hostname,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": VERSION,
        "Runtimes": {"runc": {"path": "simulated"}},
        "DefaultRuntime": "runc",
        "Swarm": engine.cluster.info(),
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": {"ID": "", "Expected": ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "SecurityOptions": [],
        "Warnings": None,
    }
    return json_answer(document)


@routes.get("/system/df")
async def disk_usage(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    images = engine.images.all()
    document: JsonObject = {
        "LayersSize": sum(image.size for image in images),
        "Images": [image_summary(engine, image, asked_for(request), used=True) for image in images],
        "Containers": [shown.summary(engine, container, size=True) for container in engine.containers.all()],
        "Volumes": [
            {
                **volume.to_api(),
                "UsageData": {
                    "RefCount": len(mount_points.users_of(engine, volume.name)),
                    "Size": engine.volumes.size(volume),
                },
            }
            for volume in engine.volumes.all()
        ],
        "BuildCache": [],
        "BuilderSize": 0,
    }
    return json_answer(document)
