"""Files that are damaged, cut off, written by others, or being written when the process dies."""

import gc
import io
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

import sklkl
from sklkl import KLClassifier
from sklkl._utils.replacing import replace_file
from sklkl.io._archive import MOST_GROWTH, check_archive

pytest.importorskip("skops.io")

N_FLIPS, N_KILLS = 2000, 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of a file, and what is predicted by it."""
    X = np.random.RandomState(0).randn(60, 3)
    clf = KLClassifier(hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(X, X[:, 0] > 0)
    path = tmp_path_factory.mktemp("whole") / "model.skops"
    sklkl.save(clf, path)
    return path.read_bytes(), X, clf.predict_proba(X)


@pytest.fixture
def damaged(whole, tmp_path):
    """Return ``damaged(data)``: whether the file loads and is right (True), or is refused (False)."""
    path, (_, X, proba) = tmp_path / "model.skops", whole

    def loads(data):
        path.write_bytes(data)
        try:
            loaded = sklkl.load(path)
        except (ValueError, TypeError) as found:
            error = found
        else:
            error = None
        if error is not None:
            assert str(path) in str(error) + str(getattr(error, "__notes__", ""))
            return False
        assert np.array_equal(loaded.predict_proba(X), proba), "silently wrong"
        return True

    return loads


def flipped(data, place):
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def check_flips(whole, damaged, n_flips):
    """Flip bits all over the file and, as often, in its directory, where zip has no checksums."""
    data = whole[0]
    n_bits, of_directory = 8 * len(data), 8 * (len(data) - data.index(b"PK\x01\x02"))
    places = [int(n_bits * share) for share in np.linspace(0, 1, n_flips // 2, endpoint=False)]
    places += [n_bits - of_directory + int(of_directory * share) for share in np.linspace(0, 1, n_flips // 2, False)]
    loaded = sum(damaged(flipped(data, place)) for place in places)
    assert 0 < loaded < n_flips / 2  # dates and rights of members do not matter


def test_no_flipped_bit_is_silently_wrong(whole, damaged):
    check_flips(whole, damaged, 200)


@pytest.mark.faults
def test_no_flipped_bit_is_silently_wrong_of_many(whole, damaged):
    check_flips(whole, damaged, N_FLIPS)


def test_a_file_that_is_cut_off_is_refused(whole, damaged):
    data = whole[0]
    assert not any(damaged(data[:length]) for length in [*range(0, len(data), len(data) // 60), len(data) - 1])


@pytest.mark.faults
def test_a_file_that_is_cut_off_anywhere_is_refused(whole):
    data = whole[0]
    for length in range(len(data)):
        with pytest.raises(ValueError, match="BadZipFile"):
            check_archive(data[:length])


def test_damage_takes_little_memory(whole, damaged):
    data = whole[0]
    damaged(data)
    gc.freeze()  # what there is already is not looked through again
    tracemalloc.start()
    try:
        for place in range(0, 8 * len(data), 8 * len(data) // 20):
            gc.collect()
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            damaged(flipped(data, place))
            assert tracemalloc.get_traced_memory()[1] - before < MOST_GROWTH * len(data)
    finally:
        tracemalloc.stop()
        gc.unfreeze()


# Written by others


def rewritten(data, change):
    """Return a file in which ``change(name, content)`` replaces each member; its checksums are right."""
    source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            archive.writestr(member.filename, change(member.filename, source.read(member)))
    return target.getvalue()


def with_schema(data, edit):
    def change(name, content):
        if name != "schema.json":
            return content
        # without the numbers by which equal parts share a node
        schema = json.loads(content, object_hook=lambda node: {key: node[key] for key in node if key != "__id__"})
        edit(schema)
        return json.dumps(schema)

    return rewritten(data, change)


def test_a_newer_format_is_refused(whole, tmp_path):
    def edit(schema):
        schema["content"]["content"]["net_"]["content"]["format"]["content"] = "3"

    (tmp_path / "new.skops").write_bytes(with_schema(whole[0], edit))
    with pytest.raises(ValueError, match=r"stored in format 3; this version of sklkl knows formats 1 to 2"):
        sklkl.load(tmp_path / "new.skops")


@pytest.mark.parametrize("loader", ["ObjectNode", "TypeNode", "FunctionNode", "ConstructorFromReduceNode"])
def test_an_unknown_class_is_refused_by_name(whole, tmp_path, loader):
    def edit(schema):
        lent = schema["content"]["content"]["teacher"]
        lent.update(__class__="system", __module__="os", __loader__=loader, content=dict(lent))

    (tmp_path / "evil.skops").write_bytes(with_schema(whole[0], edit))
    with pytest.raises(TypeError, match=r"Untrusted types found in the file: \['os.system'\]"):
        sklkl.load(tmp_path / "evil.skops")


def test_a_network_that_does_not_fit_its_weights_is_not_made(whole, damaged):
    def edit(schema):
        params = schema["content"]["content"]["net_"]["content"]["module"]["content"]["params"]["content"]
        params["hidden_layer_sizes"]["content"][0]["content"] = str(10**12)

    assert not damaged(with_schema(whole[0], edit))


def test_an_array_that_claims_to_be_large_is_not_made(whole, damaged):
    def change(name, content):
        return content.replace(b"(4,), }        ", b"(4000000000,), ") if name.endswith(".npy") else content

    data = rewritten(whole[0], change)
    assert data != rewritten(whole[0], lambda name, content: content)
    assert not damaged(data)


def test_an_archive_that_claims_to_be_large_is_not_read(whole, damaged):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 10**7)
    assert not damaged(target.getvalue())


def lend(node):
    """Return an edit that puts a node in place of the teacher."""
    return lambda schema: schema["content"]["content"]["teacher"].update(node)


def npz(**arrays):
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def header(shape):
    target = io.BytesIO()
    np.lib.format.write_array_header_1_0(target, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return target.getvalue()


LARGE = {
    "array": ("ndarray", "numpy", "NdArrayNode", "numpy", header((10**8,))),
    "archive": ("csr_matrix", "scipy.sparse", "SparseMatrixNode", "scipy", npz(data=np.zeros(10**6))),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_claims_to_be_large_is_found_under_any_name(whole, name):
    kind, module, loader, kind_of_content, content = LARGE[name]
    node = {"__class__": kind, "__module__": module, "__loader__": loader, "type": kind_of_content, "file": "part"}
    data = io.BytesIO(with_schema(whole[0], lend(node)))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("part", content)
    with pytest.raises(ValueError, match="has not the size that its header says|times as large as the file"):
        check_archive(data.getvalue())


def test_a_history_that_claims_to_be_long_is_not_made(whole, tmp_path):
    def edit(schema):
        history = {"names": [["batches"]], "rows": [[0, 10**15]]}
        schema["content"]["content"]["net_"]["content"]["history"]["content"] = json.dumps(json.dumps(history))

    (tmp_path / "long.skops").write_bytes(with_schema(whole[0], edit))
    assert sklkl.load(tmp_path / "long.skops").history_[0]["batches"] == [{}]


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04K\x01.", b'{"a": 1}'], ids=["empty", "start", "pickle", "json"])
def test_what_is_no_such_file_is_refused(damaged, data):
    assert not damaged(data)


def test_a_file_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        sklkl.load(tmp_path / "none.skops")


# While it is written


def test_a_full_disk_keeps_the_old_file(whole, tmp_path, file_size_limit):
    path = tmp_path / "model.skops"
    path.write_bytes(b"old")
    with file_size_limit(len(whole[0]) // 2), pytest.raises(OSError, match="File too large"):
        replace_file(str(path), whole[0])
    assert [file.name for file in tmp_path.iterdir()] == ["model.skops"]
    assert path.read_bytes() == b"old"


def test_an_interruption_keeps_the_old_file(monkeypatch, tmp_path):
    path = tmp_path / "model.skops"
    path.write_bytes(b"old")

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_file(str(path), b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


# The file alone: importing all of sklkl would take a hundred times as long as the rest.
_WRITER = """
import runpy, sys
replace_file = runpy.run_path(sys.argv[1])["replace_file"]
print("ready", flush=True)
number = 0
while True:
    number += 1
    replace_file(sys.argv[2], bytes([number % 256]) * 5_000_000)
"""


@pytest.mark.faults
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path):
    path, random = tmp_path / "model.skops", np.random.RandomState(0)
    for _ in range(N_KILLS):
        path.write_bytes(b"\0" * 5_000_000)
        command = [sys.executable, "-c", _WRITER, replace_file.__code__.co_filename, str(path)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        content = path.read_bytes()
        assert len(content) == 5_000_000
        assert len(set(content)) == 1
