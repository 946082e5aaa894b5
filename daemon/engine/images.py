"""Images as the API shows them: the runtime's images in Docker's documents and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.create import familiar, merged_config
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.filters import Filters
from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.images import Image

ACCEPTED = ("dangling", "label", "before", "since", "reference", "until")


def find_image(engine: Engine, reference: str) -> Image:
    """NotFound with Docker's text."""
    image = engine.images.resolve(reference)
    if image is None:
        raise NotFound(f"no such image: {reference}: No such image: {familiar(reference)}")
    return image


def select_images(engine: Engine, filters: Filters) -> list[Image]:
    """Newest first."""
    filters.only(ACCEPTED)
    before = [find_image(engine, ref).created for ref in filters.values("before")]
    since = [find_image(engine, ref).created for ref in filters.values("since")]
    return [
        image
        for image in sorted(engine.images.all(), key=lambda image: image.created, reverse=True)
        if filters.match_labels("label", dict(image.labels))
        and not filters.boolean("dangling")
        and (not before or image.created < min(before))
        and (not since or image.created > max(since))
        and filters.match_glob("reference", _references(image))
    ]


def _references(image: Image) -> list[str]:
    return [*image.tags, *(tag.rpartition(":")[0] for tag in image.tags)]


def image_summary(engine: Engine, image: Image, version: tuple[int, int], *, used: bool = False) -> JsonObject:
    """One entry of GET /images/json; `used`: count the containers made from it."""
    containers = sum(c.image_id == image.id for c in engine.containers.all()) if used else -1
    document: JsonObject = {
        "Containers": containers,
        "Created": image.created,
        "Id": image.id,
        "Labels": dict(image.labels) or None,
        "ParentId": "",
        "RepoDigests": None,
        "RepoTags": list(image.tags),
        "SharedSize": 0 if used else -1,
        "Size": image.size,
    }
    if version < (1, 44):
        document["VirtualSize"] = image.size
    return document


def image_document(image: Image, version: tuple[int, int], architecture: str) -> JsonObject:
    """GET /images/…/json."""
    config = merged_config({"Image": ""}, image)
    document: JsonObject = {
        "Id": image.id,
        "RepoTags": list(image.tags),
        "RepoDigests": [],
        "Parent": "",
        "Comment": "",
        "Created": rfc3339(image.created),
        "Container": "",
        "ContainerConfig": config,
        "DockerVersion": "",
        "Author": "",
        "Config": config,
        "Architecture": architecture,
        "Os": "linux",
        "Size": image.size,
    }
    if version < (1, 44):
        document["VirtualSize"] = image.size
    return document | {
        "GraphDriver": {"Data": None, "Name": "vfs"},
        "RootFS": {"Type": "layers", "Layers": [image.id]},
        "Metadata": {"LastTagTime": rfc3339(None)},
    }


def image_history(image: Image) -> list[JsonObject]:
    """GET /images/…/history: one layer."""
    return [
        {
            "Id": image.id,
            "Created": image.created,
            "CreatedBy": "shoal",
            "Tags": list(image.tags),
            "Size": image.size,
            "Comment": "built into the simulated runtime",
        }
    ]
