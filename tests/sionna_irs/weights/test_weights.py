"""Files of weights that others have made: refused in one line, before anything is allocated."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load, save

import sionna_irs as irs
from sionna_irs.files import replacing


@pytest.fixture
def folder(tmp_path):
    irs.weights.save(irs.CDRN(1, 2, 3), tmp_path / "mine", "small", {})
    return tmp_path / "mine"


def rewrite(folder, arrays=None, card=None):
    """Other arrays, other entries of the card; the digest is made to fit."""
    file, entry = folder / "small.safetensors", json.loads((folder / "small.json").read_text())
    if arrays is not None:
        file.write_bytes(arrays if isinstance(arrays, bytes) else save(arrays))
    entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "small.json").write_text(json.dumps({**entry, **(card or {})}))


def refused(folder, words, name="small"):
    with pytest.raises(ValueError, match=words) as caught:
        irs.weights.load(name, folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def described(folder, **changes):
    layer = json.loads((folder / "small.json").read_text())["layer"]
    return {"layer": {**layer, "config": {**layer["config"], **changes}}}


def test_names_of_arrays_are_places(folder):
    arrays = dict(sorted(load((folder / "small.safetensors").read_bytes()).items()))
    for names in (["a", "b"], ["00001", "00002"], ["0", "1"], ["00000", "00000x"]):
        keys = [*names, *sorted(arrays)[2:]]
        rewrite(folder, dict(zip(keys, arrays.values(), strict=True)))
        refused(folder, "an array is called|where 00000 to")
    rewrite(folder, {key: arrays[key] for key in sorted(arrays)[:-1]})
    refused(folder, "arrays for")
    # Permuted places do not fit the shapes.
    first, second = (next(k for k, v in arrays.items() if v.ndim == n) for n in (1, 4))
    rewrite(folder, {**arrays, first: arrays[second], second: arrays[first]})
    refused(folder, "does not fit")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_that_are_not_finite(folder, value):
    arrays = load((folder / "small.safetensors").read_bytes())
    rewrite(folder, {**arrays, "00000": np.full_like(arrays["00000"], value)})
    refused(folder, "array 00000 does not consist of finite numbers")


@pytest.mark.parametrize("data", [b"", b"junk" * 9, b"\xff" * 99])
def test_files_that_hold_no_arrays(folder, data):
    rewrite(folder, data)
    refused(folder, "no file of weights")


@pytest.mark.parametrize("name", ["../mine/small", "/small", "sub/small", "..", ""])
def test_a_name_does_not_leave_the_folder(folder, name):
    (folder / "sub").mkdir()
    for file in list(folder.glob("small.*")):
        (folder / "sub" / file.name).write_bytes(file.read_bytes())
    refused(folder / "sub" if name.startswith("..") else folder, "one of", name)


@pytest.mark.parametrize(
    "key, value", [("num_filters", 10**9), ("num_layers", 10**9), ("num_blocks", 10**12)]
)
def test_sizes_that_the_file_does_not_have_are_refused_before_they_are_made(folder, key, value):
    rewrite(folder, card=described(folder, **{key: value}))
    tracemalloc.start()
    refused(folder, f"asks for {key} = {value}; at most 1000000 is permitted")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**8


def test_a_layer_of_another_size_is_never_allocated(folder, monkeypatch):
    import keras

    monkeypatch.setattr(keras.Variable, "_initialize_with_initializer", pytest.fail)
    rewrite(folder, card=described(folder, num_filters=900_000))
    refused(folder, "array 0 does not fit")
    with keras.StatelessScope():  # its end would make what was left behind
        pass


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "os", "class_name": "system", "config": "true", "registered_name": None},
        {"module": "os", "class_name": "Popen", "config": {}, "registered_name": "os>Popen"},
        {"module": "keras.layers", "class_name": "Nothing", "config": {}, "registered_name": None},
        {"module": "sionna_irs.networks.cdrn", "class_name": "CDRN", "config": {"num": {
            "module": "subprocess", "class_name": "run", "config": {}}},
         "registered_name": "sionna_irs>CDRN"},
    ],
)  # fmt: skip
def test_classes_that_nobody_registered_are_not_made(folder, layer):
    rewrite(folder, card={"layer": layer})
    refused(folder, "not registered|cannot be made|of no layer")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 10**5, '{"sha256": "x"}'])
def test_cards_that_are_none(folder, text):
    (folder / "small.json").write_text(text)
    refused(folder, "the card is missing, damaged or of no layer")


def test_saving_replaces_links_and_follows_none(folder, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    for name in ("small.safetensors", "small.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
    irs.weights.save(irs.CDRN(1, 2, 3), folder, "small", {})
    assert target.read_bytes() == b"precious"
    assert irs.weights.load("small", folder).weights


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_weights_in_sixteen_bits(tmp_path):
    """Half the size; loading gives what rounding to 11 binary digits leaves, in single."""
    layer = irs.CDRN(1, 2, 3)
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.standard_normal(weight.shape))
    irs.weights.save(layer, tmp_path, "whole", {})
    irs.weights.save(layer, tmp_path, "half", {}, half=True)
    assert irs.weights.card("half", tmp_path)["stored"] == "float16"
    sizes = [
        sum(v.nbytes for v in load((tmp_path / f"{n}.safetensors").read_bytes()).values())
        for n in ("half", "whole")
    ]
    assert sizes[0] * 2 == sizes[1]
    for found, value in zip(irs.weights.load("half", tmp_path).weights, layer.weights, strict=True):
        assert found.dtype == "float32"
        np.testing.assert_array_equal(found.numpy(), value.numpy().astype(np.float16))
    layer.weights[0].assign(np.full(layer.weights[0].shape, 7e4))
    with pytest.raises(ValueError, match="7e\\+04 is beyond the range of 16 bits"):
        irs.weights.save(layer, tmp_path, "half", {}, half=True)
