"""Images as the API shows them: the runtime's images in Docker's documents and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.engine.create import merged_config
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.filters import Filters
from daemon.engine.reference import check_reference, familiar, repository_of
from daemon.errors import Conflict, NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.images import Image

CONFIGS, LAYERS = "image-config", "image-layer"  # in the store, by image id: of those that came from outside
KIND = "images"  # in the store: image id -> its references, where a user has changed them

ACCEPTED = ("dangling", "label", "before", "since", "reference", "until")


def find_image(engine: Engine, reference: str) -> Image:
    """NotFound with Docker's text."""
    image = engine.images.resolve(reference)
    if image is None:
        raise NotFound(f"no such image: {reference}: No such image: {familiar(reference)}")
    return image


def restore_tags(engine: Engine) -> None:
    """At start: the references that users gave and took."""
    for identity, tags in engine.store.all(KIND):
        image = engine.images.resolve(identity)
        if image is not None:
            engine.images.retag(image, json.loads(tags))


def tag_image(engine: Engine, source: str, target: str) -> None:
    """`docker tag`. NotFound, BadParameter."""
    image = engine.images.resolve(source)
    if image is None:
        raise NotFound(f"No such image: {familiar(source)}")
    check_reference(target)
    name = familiar(target)
    holder = engine.images.resolve(name)
    if holder is None or holder.id != image.id:
        engine.images.retag(image, [*image.tags, name])
        keep_tags(engine, image.id)
        if holder is not None:
            keep_tags(engine, holder.id)
    engine.events.publish("image", "tag", image.id, {"name": name})


def remove_image(engine: Engine, reference: str, *, force: bool = False) -> list[JsonObject]:
    """`docker rmi`: what was untagged and deleted. NotFound, Conflict."""
    image = engine.images.resolve(reference)
    if image is None:
        raise NotFound(f"No such image: {familiar(reference)}")
    name = familiar(reference)
    going = [name] if name in image.tags else list(image.tags)
    short = image.id.removeprefix("sha256:")[:12]
    if name not in image.tags and len(image.tags) > 1 and not force:
        raise Conflict(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    left = [tag for tag in image.tags if tag not in going]
    users = [c for c in engine.containers.all() if c.image_id == image.id]
    running = next((c for c in users if c.state.running), None)
    if not left and users:
        if name in image.tags:
            if not force:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{reference}" (must force) - '
                    f"container {users[0].short_id} is using its referenced image {short}"
                )
        elif running is not None:
            raise Conflict(
                f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container "
                f"{running.short_id}"
            )
        elif not force:
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container "
                f"{users[0].short_id}"
            )
    if not left and running is not None:  # by force: untagged, and kept for whom it serves
        engine.images.retag(image, [])
        engine.images.add(replace(image, tags=()))
        engine.store.commit([(KIND, image.id, b"[]")])
        engine.events.publish("image", "untag", image.id, {"name": image.id})
        return [{"Untagged": tag} for tag in going]
    engine.images.retag(image, left)
    engine.store.commit([(KIND, image.id, json.dumps(left).encode())])
    if not left:
        engine.store.commit([(kind, image.id, None) for kind in (CONFIGS, LAYERS)])
    answer: list[JsonObject] = []
    for tag in going:
        engine.events.publish("image", "untag", image.id, {"name": image.id})
        answer.append({"Untagged": tag})
    if not left:
        engine.events.publish("image", "delete", image.id, {"name": image.id})
        answer.append({"Deleted": image.id})
    return answer


def pull_image(engine: Engine, reference: str) -> tuple[Image, bool]:
    """The image, and whether it had to be brought back from the runtime's catalogue, which stands for the registry.

    NotFound with a registry's words.
    """
    repository = repository_of(reference)
    image = engine.images.resolve(reference)
    if image is not None:
        return image, False
    offered = engine.catalogue.get(reference)
    if offered is not None:
        present = engine.images.resolve(offered.id)
        tags = [*(present.tags if present is not None else ()), reference]
        image = engine.images.retag(present or offered, tags)
        assert image is not None
        keep_tags(engine, image.id)
        return image, True
    if any(tag.rpartition(":")[0] == repository for tag in engine.catalogue):
        raise NotFound(f"manifest for {reference} not found: manifest unknown: manifest unknown")
    raise NotFound(
        f"pull access denied for {repository}, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )


def keep_tags(engine: Engine, identity: str) -> None:
    """Its references outlive the daemon."""
    image = engine.images.resolve(identity)
    tags = list(image.tags) if image is not None else []
    engine.store.commit([(KIND, identity, json.dumps(tags).encode())])


def select_images(engine: Engine, filters: Filters) -> list[Image]:
    """Newest first."""
    filters.only(ACCEPTED)
    before = [find_image(engine, ref).created for ref in filters.values("before")]
    since = [find_image(engine, ref).created for ref in filters.values("since")]
    return [
        image
        for image in sorted(engine.images.all(), key=lambda image: image.created, reverse=True)
        if filters.match_labels("label", dict(image.labels))
        and ("dangling" not in filters or filters.boolean("dangling") == (not image.tags))
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
        "ParentId": image.parent,
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
        "Parent": image.parent,
        "Comment": image.comment,
        "Created": rfc3339(image.created),
        "DockerVersion": "",
        "Author": image.author,
        "Config": config,
        "Architecture": architecture,
        "Os": "linux",
        "Size": image.size,
    }
    if version < (1, 44):
        document["VirtualSize"] = image.size
    # Not of API 1.45 and later any more, but docker-compose 1.29 reads them whatever it is told.
    document |= {"Container": image.container, "ContainerConfig": dict(image.container_config) or config}
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
            "CreatedBy": "",
            "Tags": list(image.tags),
            "Size": image.size,
            "Comment": image.comment or "built into the simulated runtime",
        }
    ]


def prune_images(engine: Engine, filters: Filters) -> tuple[list[JsonObject], int]:
    """`docker image prune`: without a name and a container; with dangling=false also named ones without a container."""
    filters.only(("dangling", "label", "label!", "until"))
    dangling_only = filters.boolean("dangling", default=True)
    until = filters.until(engine.world.wall())
    used = {c.image_id: None for c in engine.containers.all()}
    answer: list[JsonObject] = []
    freed = 0
    for image in engine.images.all():
        labels = dict(image.labels)
        if image.id in used or (dangling_only and image.tags) or not filters.match_labels("label", labels):
            continue
        if "label!" in filters and filters.match_labels("label!", labels):
            continue
        if until is not None and image.created > until:
            continue
        answer += remove_image(engine, image.id, force=True)
        freed += image.size
    engine.events.publish("image", "prune", "", {"reclaimed": str(freed)})
    return answer, freed
