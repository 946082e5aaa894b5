"""What a container changed, as a layer, makes the same files again over the same image."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.runtime import layers
from daemon.runtime.filesystem import Filesystem
from daemon.runtime.nodes import Directory, File, Node, Symlink, Tree

_NAMES = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
_STEPS = st.one_of(
    st.tuples(st.just("write"), _PATHS, st.binary(max_size=5)),
    st.tuples(st.just("mkdir"), _PATHS, st.just(b"")),
    st.tuples(st.just("symlink"), _PATHS, st.just(b"")),
    st.tuples(st.just("remove"), _PATHS, st.just(b"")),
)


def image() -> Directory:
    return Directory({"a": Directory({"b": File(b"image"), "c": Directory({"a": File(b"x")})}), "b": File(b"y", 0o755)})


def shape(node: Node) -> object:
    if isinstance(node, File):
        return bytes(node.data), node.mode
    if isinstance(node, Symlink):
        return node.target
    assert isinstance(node, Directory)
    return {name: shape(child) for name, child in sorted(node.entries.items())}, node.mode


@given(st.lists(_STEPS, max_size=12))
def test_changes_come_back(steps: list[tuple[str, str, bytes]]) -> None:
    base = image()
    before = shape(base)
    files = Filesystem(base, wall=lambda: 1000.0)
    for what, path, data in steps:
        try:
            if what == "write":
                files.write(path, data)
            elif what == "mkdir":
                files.mkdir(path)
            elif what == "symlink":
                files.symlink("elsewhere", path)
            else:
                files.remove_tree(path)
        except OSError:
            continue
    assert shape(base) == before
    layer = layers.pack_changes(files.root, base, files.tree)
    again = Filesystem(image(), wall=lambda: 1000.0)
    if layer:
        layers.apply(io.BytesIO(layer), again.root, again.tree)
    assert shape(again.root) == shape(files.root)
    if shape(files.root) == before:
        assert layer == b""
    whole = Tree()
    root = Directory(owner=whole)
    layers.apply(io.BytesIO(layers.pack(layers.flattened(files.root))), root, whole)
    del root.entries["dev"], root.entries["proc"], root.entries["sys"]
    assert shape(root) == shape(files.root)


def test_nothing_gets_out_of_the_root_and_junk_is_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("../../up", "/abs/olute", "./here"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            tar.addfile(entry, io.BytesIO(b"x"))
    tree = Tree()
    root = Directory(owner=tree)
    layers.apply(io.BytesIO(buffer.getvalue()), root, tree)
    assert sorted(root.entries) == ["abs", "here", "up"] and tree.used == 3
    with pytest.raises(layers.BadLayer):
        layers.apply(io.BytesIO(b"no tar at all"), root, tree)
    with pytest.raises(OSError, match="No space left"):
        layers.apply(io.BytesIO(buffer.getvalue()), Directory(owner=(small := Tree(2))), small)
