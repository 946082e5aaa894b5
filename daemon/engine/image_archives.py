"""Images in and out: `docker import`, `load`, `save` and `commit`. What comes in so is kept in the store."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from daemon.engine import image_config
from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.engine.images import CONFIGS, LAYERS, find_image, keep_tags
from daemon.engine.mount_points import ENGINES_OWN
from daemon.engine.reference import check_reference, familiar
from daemon.errors import BadParameter, ServerError
from daemon.runtime import layers
from daemon.runtime.images import Image
from daemon.runtime.nodes import Directory, File, Node, Tree

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """Go's name of this machine's."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def restore(engine: Engine) -> None:
    """At start: images that were imported, loaded or committed."""
    for identity, config in engine.store.all(CONFIGS):
        layer = engine.store.get(LAYERS, identity)
        if layer is not None and engine.images.resolve(identity) is None:
            tree = _extracted([layer])
            engine.images.add(image_config.image_of(config, tree, _size(tree), id=identity))


def import_rootfs(engine: Engine, archive: bytes, reference: str, changes: Sequence[str], message: str) -> Image:
    """`docker import`: a tarball of a root filesystem becomes an image. BadParameter."""
    if reference:
        check_reference(reference)
    tree = _extracted([archive])
    layer = layers.pack(tree)
    blank = Image("", (), tree, env=(), created=int(engine.world.wall()), comment=message or "Imported from -")
    config = image_config.document(blank, architecture(), [_digest(layer)])
    config["config"] = image_config.changed({}, changes)
    return _added(engine, config, layer, tree, reference, "import")


def commit(
    engine: Engine, container: Container, reference: str, body: JsonObject, changes: Sequence[str], note: JsonObject
) -> Image:
    """`docker commit`: a container's files and configuration as an image. `note`: comment and author. BadParameter."""
    if reference:
        check_reference(reference)
    guest = engine.containers.lifecycle.runs.guest(container)
    tree = layers.flattened(guest.files.root, ENGINES_OWN)
    layer = layers.pack(tree)
    section = {key: value for key, value in {**container.config, **(body or {})}.items() if value}
    if section.get("Hostname"):
        section.pop("Hostname")
    blank = Image(
        "", (), tree, created=int(engine.world.wall()), comment=note.get("comment", ""), author=note.get("author", "")
    )
    config = image_config.document(blank, architecture(), [_digest(layer)])
    config["config"] = image_config.changed(section, changes)
    config["container"], config["parent"] = container.id, container.image_id
    config["container_config"] = container.config
    image = _added(engine, config, layer, tree, reference, "")
    engine.containers.publish(
        container, "commit", {"comment": note.get("comment", ""), "imageID": image.id, "imageRef": reference}
    )
    return image


def _added(
    engine: Engine, config: JsonObject, layer: bytes, tree: Directory, reference: str, action: str, *, id: str = ""
) -> Image:
    raw = image_config.encoded(config)
    image = image_config.image_of(raw, tree, _size(tree), id=id)
    engine.store.commit([(CONFIGS, image.id, raw), (LAYERS, image.id, layer)])
    engine.images.add(image)
    if reference:
        name(engine, image.id, reference)
    if action:
        engine.events.publish("image", action, image.id, {"name": reference or image.id})
    return image


def name(engine: Engine, identity: str, reference: str) -> None:
    """Give an image one more reference, taking it from whichever had it (that one stays, without)."""
    image, holder = find_image(engine, identity), engine.images.resolve(familiar(reference))
    if holder is None or holder.id != image.id:
        engine.images.retag(image, [*image.tags, familiar(reference)])
        for changed in (image, holder):
            if changed is not None:
                keep_tags(engine, changed.id)


def load(engine: Engine, archive: bytes) -> Iterator[str]:
    """`docker load`: the lines that it prints. BadParameter, ServerError."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            manifest = _json(tar, "manifest.json")
            if not isinstance(manifest, list):
                raise ServerError("invalid archive: does not contain a manifest.json")
            for item in manifest:
                yield from _load_one(engine, tar, item)
    except (tarfile.TarError, EOFError) as error:
        raise ServerError(f"Error processing tar file(exit status 1): {error}") from error


def _load_one(engine: Engine, tar: tarfile.TarFile, item: JsonObject) -> Iterator[str]:
    raw = _member(tar, item["Config"])
    config = json.loads(raw)
    tree = _extracted([_member(tar, path) for path in item.get("Layers") or []])
    # Documents that were not written here are kept to the byte: the id is their digest.
    identity = (config.get("shoal") or {}).get("id") or image_config.identity(raw)
    image = engine.images.resolve(identity)
    if image is None or image.id != identity:
        image = image_config.image_of(raw, tree, _size(tree), id=identity)
        engine.store.commit([(CONFIGS, image.id, raw), (LAYERS, image.id, layers.pack(tree))])
        engine.images.add(image)
    for tag in item.get("RepoTags") or []:
        check_reference(tag)
        name(engine, identity, tag)
        yield f"Loaded image: {tag}\n"
    if not item.get("RepoTags"):
        yield f"Loaded image ID: {identity}\n"
    engine.events.publish("image", "load", identity, {"name": identity})


def save(engine: Engine, references: Sequence[str]) -> bytes:
    """`docker save`: an archive that `docker load` takes, here and elsewhere. NotFound."""
    chosen: dict[str, list[str]] = {}
    for reference in references:
        image = find_image(engine, reference)
        tags = chosen.setdefault(image.id, [])
        if familiar(reference) in image.tags:
            tags.append(familiar(reference))
    buffer = io.BytesIO()
    manifest: list[JsonObject] = []
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for identity, tags in chosen.items():
            image = find_image(engine, identity)
            layer = engine.store.get(LAYERS, identity) or layers.pack(image.tree)
            config = engine.store.get(CONFIGS, identity)
            if config is None:
                made = image_config.document(image, architecture(), [_digest(layer)])
                config = image_config.encoded({**made, "shoal": {"id": identity}})
            digest = _digest(layer).removeprefix("sha256:")
            config_name = f"{identity.removeprefix('sha256:')}.json"
            _put(tar, config_name, config)
            _put(tar, f"{digest}/layer.tar", layer)
            manifest.append({"Config": config_name, "RepoTags": tags or None, "Layers": [f"{digest}/layer.tar"]})
        _put(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def _put(tar: tarfile.TarFile, path: str, data: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def _member(tar: tarfile.TarFile, path: str) -> bytes:
    try:
        found = tar.extractfile(posixpath.normpath(path))
    except KeyError:
        found = None
    if found is None:
        raise ServerError(f"invalid archive: {path} is missing")
    return found.read()


def _json(tar: tarfile.TarFile, path: str) -> object:
    try:
        return json.loads(_member(tar, path))
    except (ServerError, ValueError):
        return None


def _extracted(archives: Sequence[bytes]) -> Directory:
    """Layers over one another, as a tree that nobody owns."""
    tree = Tree()
    root = Directory(owner=tree)
    try:
        for archive in archives:
            layers.apply(io.BytesIO(archive), root, tree)
    except layers.BadLayer as error:
        raise BadParameter(f"Error processing tar file(exit status 1): {error}") from error
    except OSError as error:
        raise ServerError(f"Error processing tar file(exit status 1): {error.strerror}") from error
    return layers.flattened(root)


def _digest(layer: bytes) -> str:
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


def _size(node: Node) -> int:
    if isinstance(node, File):
        return node.size
    return sum(_size(child) for child in node.entries.values()) if isinstance(node, Directory) else 0
