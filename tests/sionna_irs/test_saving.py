"""Links and models come back whole, or loading says in one line what did not."""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from saved_links import KINDS, DrawnLink, NetLink, Scale, state, train
from sionna.phy import config

import sionna_irs as irs

KINDS_OF_KERAS = ("dense", "own", "sequential", "built")
MATRIX = list(itertools.product(KINDS_OF_KERAS, (False, True), (False, True), (False, True)))
# Every kind once with and once without a call: two of them trained, one within a block.
FEW = [
    ("dense", True, True, True),
    ("sequential", False, True, True),
    ("own", True, False, True),
    ("built", False, False, True),
    *[(kind, kind in ("own", "dense"), kind != "own", False) for kind in KINDS_OF_KERAS],
]


def same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def compiled(kind="dense", in_block=False, **kwargs):
    link = NetLink(kind, in_block)
    link.compile("adam", **kwargs)
    return link


@pytest.mark.parametrize(
    "cases", [pytest.param(MATRIX, marks=pytest.mark.slow, id="all"), pytest.param(FEW, id="few")]
)
def test_links_come_back_whole_in_a_fresh_process(tmp_path, cases):
    loaded, resumed = {}, {}
    for index, (kind, in_block, with_optimizer, called) in enumerate(cases):
        path = tmp_path / f"{index:02d}.keras"
        # Steps run eagerly, since tracing takes most of the time.
        link = (
            compiled(kind, in_block, run_eagerly=True)
            if with_optimizer
            else NetLink(kind, in_block)
        )
        if called and in_block or called and not with_optimizer:
            link(4, 3.0)
        if called and with_optimizer:  # else the first call is that of fit
            train(link)
        link.save(path)
        loaded[path] = state(link)
        if called and with_optimizer:
            train(link, stream=2)
            resumed[path] = state(link)
    paths = [str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    script = "import sys, pathlib, saved_links; saved_links.resume(pathlib.Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-W", "error:Skipping", "-c", script, str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert (len(loaded), len(resumed)) == ((32, 8) if cases is MATRIX else (8, 2))
    for suffix, expected in ((".loaded.npz", loaded), (".resumed.npz", resumed)):
        for path, values in expected.items():
            with np.load(path.with_suffix(suffix)) as found:
                same(values, [found[name] for name in found.files])


@pytest.mark.parametrize("kind, in_block", [("own", True), ("late", False)])
def test_ten_steps_save_load_ten_steps_are_twenty(tmp_path, kind, in_block):
    results = []
    for saved in (False, True):
        keras.utils.set_random_seed(1)
        config.seed = 1
        link = compiled(kind, in_block)
        train(link)
        if saved:
            link.save(tmp_path / "link.keras")
            link = irs.load_model(tmp_path / "link.keras")
        train(link)
        results.append(state(link))
    assert len(results[0]) >= 8
    same(*results)


def test_loss_metrics_and_frozen_parts_come_back(tmp_path):
    loss = keras.losses.MeanSquaredError()
    link = compiled("own", loss=loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    link.net.hidden.trainable = False
    link.save(tmp_path / "uncalled.keras")
    assert not irs.load_model(tmp_path / "uncalled.keras").net.hidden.trainable
    train(link, 2)
    link.save(tmp_path / "link.keras")
    again = irs.load_model(tmp_path / "link.keras")
    same(state(link), state(again))
    assert len(again.trainable_weights) == 2 and len(again.weights) == 4
    assert isinstance(again.loss, keras.losses.MeanSquaredError)
    values = [
        m.evaluate(np.array([3.0]), batch_size=1, return_dict=True, verbose=0)
        for m in (link, again)
    ]
    assert values[0].keys() == values[1].keys() == {"loss", "binary_accuracy"}


def test_layers_in_a_block_in_a_layer_are_trained_and_come_back(tmp_path):
    link = compiled("held")
    link(4, 3.0)
    (start, _) = state(link)[:2]
    train(link, 2)
    assert np.any(state(link)[0] != start) and len(link.trainable_weights) == 2
    link.save(tmp_path / "link.keras")
    same(state(link), state(irs.load_model(tmp_path / "link.keras")))


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    DrawnLink().save(tmp_path / "link.keras")
    irs.random.reset(irs.random.stream_key(5))
    expected = irs.random.normal([3])
    irs.random.reset(irs.random.stream_key(5))
    irs.load_model(tmp_path / "link.keras")
    np.testing.assert_array_equal(irs.random.normal([3]), expected)


def one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    for part in parts:
        assert part in text


def test_a_class_that_was_not_imported_is_named_with_its_module(tmp_path):
    link = NetLink()
    link(2, 0.0)
    path = tmp_path / "link.keras"
    link.save(path)
    registered = keras.saving.get_custom_objects()
    name = keras.saving.get_registered_name(NetLink)
    del registered[name]
    try:
        with pytest.raises(ValueError) as error:
            irs.load_model(path)
        one_line(error, "NetLink of saved_links", "import its module")
        same(state(link), state(irs.load_model(path, custom_objects={"NetLink": NetLink})))
    finally:
        registered[name] = NetLink


def test_weights_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    link = NetLink()
    link(2, 0.0)
    link.save(tmp_path / "link.keras")
    link.save_weights(tmp_path / "link.weights.h5")
    monkeypatch.setitem(KINDS, "dense", lambda: keras.layers.Dense(3))
    with pytest.raises(ValueError) as error:
        irs.load_model(tmp_path / "link.keras")
    one_line(error, "weights do not fit", "dense")
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(ValueError) as error:
        irs.load_model(tmp_path / "text.keras")
    one_line(error, "not a .keras file")


def test_weights_alone(tmp_path):
    link, other = compiled("own"), NetLink("own")
    path = tmp_path / "link.weights.h5"
    for method in (link.save_weights, other.load_weights):
        with pytest.raises(ValueError) as error:
            method(path)
        one_line(error, "gets its weights at the first call")
    train(link, 2)
    link.save_weights(path)
    other(2, 0.0)
    other.load_weights(path)
    same([w.numpy() for w in link.weights], [w.numpy() for w in other.weights])
    built, again = NetLink("built", True), NetLink("built", True)
    built.save_weights(path)
    again.load_weights(path)
    same([w.numpy() for w in built.weights], [w.numpy() for w in again.weights])
    with pytest.raises(ValueError) as error:
        other.load_weights(path)
    one_line(error, "weights do not fit")


def as_earlier(path):
    """The file as earlier versions wrote it: nothing about the first call."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    settings = json.loads(parts["config.json"])
    del settings["build_config"]
    parts["config.json"] = json.dumps(settings).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_files_of_earlier_versions_are_loaded_or_refused(tmp_path):
    for kind in ("scale", "dense"):
        link = compiled(kind)
        train(link, 2)
        link.save(tmp_path / f"{kind}.keras")
        as_earlier(tmp_path / f"{kind}.keras")
        if kind == "scale":
            same(state(link), state(irs.load_model(tmp_path / "scale.keras")))
    with pytest.raises(ValueError) as error:
        irs.load_model(tmp_path / "dense.keras")
    one_line(error, "found no place", "load_weights")
    other = NetLink()
    other(2, 0.0)
    other.load_weights(tmp_path / "dense.keras")
    same([w.numpy() for w in link.weights], [w.numpy() for w in other.weights])


class Kept(keras.Model):
    """A plain model with state that Keras does not restore."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.second = keras.layers.Dense(2), keras.optimizers.Adam()

    def call(self, x):
        return self.dense(x)


def test_plain_models_with_our_layers(tmp_path):
    x = keras.Input([2])
    model = keras.Model(x, Scale()(x))
    model.compile("adam", loss="mse")
    inputs, outputs = np.ones([8, 2], np.float32), np.zeros([8, 2], np.float32)
    model.fit(inputs, outputs, verbose=0)
    model.save(tmp_path / "model.keras")
    same(state(model), state(irs.load_model(tmp_path / "model.keras")))
    assert len(keras.models.clone_model(model).weights) == 2
    model.layers[1].net.trainable = False
    model.save(tmp_path / "frozen.keras")
    with pytest.raises(ValueError, match="call compile again after setting trainable"):
        irs.load_model(tmp_path / "frozen.keras")
    model.compile("adam", loss="mse")
    model.save(tmp_path / "frozen.keras")
    assert len(irs.load_model(tmp_path / "frozen.keras").trainable_weights) == 1
    model = Kept()
    model(inputs)
    model.second.build(model.trainable_variables)
    model.save(tmp_path / "kept.keras")
    with pytest.raises(ValueError) as error:
        irs.load_model(tmp_path / "kept.keras", custom_objects={"Kept": Kept})
    one_line(error, "found no place", "second 2")


def test_frozen_wants_weights():
    link = NetLink()
    with pytest.raises(ValueError, match="call net_link.* once before it is frozen"):
        irs.frozen(link)
    b, llr = link(2, 0.0)
    deployed = irs.frozen(link)
    irs.random.reset(irs.random.stream_key(1))
    expected = link(2, 0.0)
    link.net.kernel.assign(tf.zeros_like(link.net.kernel))
    irs.random.reset(irs.random.stream_key(1))
    np.testing.assert_allclose(deployed(2, 0.0)[1], expected[1], rtol=1e-6)
