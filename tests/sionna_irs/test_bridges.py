"""Our links in Sionna's runners, Sionna's blocks in our links, Keras around both."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from link_models import FlatCIR, OFDMLink, QPSKLink
from sionna.phy import config
from sionna.phy.utils import PlotBER, sim_ber

import sionna_irs as irs
from sionna_irs import random


@pytest.fixture
def restored_precision():
    yield
    config.precision = "single"


def assert_qpsk_ber(ber, num_bits, ebno_db):
    """Within the 1 - 1e-6 interval of Q(sqrt(2 Eb/N0)); every bit is independent."""
    theory = scipy.stats.norm.sf(np.sqrt(2 * 10 ** (ebno_db / 10)))
    low, high = scipy.stats.binom.ppf([5e-7, 1 - 5e-7], num_bits, theory)
    assert low <= ber * num_bits <= high


@pytest.mark.parametrize("graph_mode", [None, "graph", "xla"])
def test_link_runs_unchanged_in_sim_ber(graph_mode):
    ber, _ = sim_ber(
        QPSKLink(),
        [2.0],
        250,
        max_mc_iter=4,
        soft_estimates=True,
        verbose=False,
        graph_mode=graph_mode,
    )
    assert_qpsk_ber(ber.numpy()[0], 4 * 250 * 64, 2.0)


def test_link_runs_unchanged_in_plot_ber():
    plot = PlotBER()
    plot.simulate(
        QPSKLink(),
        ebno_dbs=[0.0, 2.0],
        batch_size=250,
        max_mc_iter=4,
        soft_estimates=True,
        show_fig=False,
        legend="QPSK",
        verbose=False,
    )
    assert_qpsk_ber(np.asarray(plot.ber[0])[0], 4 * 250 * 64, 0.0)


def test_phases_inside_an_ofdm_channel_are_tracked_and_move_under_fit():
    link = OFDMLink()
    assert len(link.trainable_variables) == 1
    phases = link.trainable_variables[0]
    before = phases.numpy().copy()
    link.compile("adam")
    link.optimizer.learning_rate = 0.1
    history = link.fit(
        irs.uniform_ebno(0, 5), batch_size=32, steps_per_epoch=30, epochs=2, verbose=0
    )
    assert np.abs(phases.numpy() - before).max() > 0.1
    losses = history.history["loss"]
    assert losses[1] < losses[0] and all(np.isfinite(losses))


def test_link_fits_under_xla():
    link = OFDMLink()
    link.compile("adam", jit_compile=True)
    history = link.fit(irs.uniform_ebno(0, 5), batch_size=8, steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_saved_link_gives_the_same_numbers_in_a_fresh_process(tmp_path):
    link = OFDMLink(num_elements=4)
    link.compile("adam")
    link.fit(np.linspace(0, 5, 64), batch_size=32, verbose=0)
    path = tmp_path / "link.keras"
    link.save(path)
    random.reset(random.stream_key(4))
    b, llr = link(8, 3.0)
    script = (
        "import sys, numpy as np, sionna_irs as irs, link_models\n"
        "link = irs.load_model(sys.argv[1])\n"
        "irs.random.reset(irs.random.stream_key(4))\n"
        "np.savez(sys.argv[2], *link(8, 3.0))\n"
    )
    out = tmp_path / "out.npz"
    paths = [str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, "-c", script, str(path), str(out)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    found = np.load(out)
    np.testing.assert_array_equal(found["arr_0"], b)
    np.testing.assert_allclose(found["arr_1"], llr, rtol=1e-5)


def test_seed_and_precision_are_honoured(restored_precision):
    outputs = []
    for _ in range(2):
        config.seed = 42
        outputs.append(QPSKLink()(4, 1.0)[1].numpy())
    np.testing.assert_array_equal(*outputs)
    config.precision = "double"
    b, llr = QPSKLink()(4, 1.0)
    assert b.dtype == llr.dtype == tf.float64
    config.precision = "single"
    assert QPSKLink(precision="double").rdtype == tf.float64
    assert QPSKLink()(4, 1.0)[1].dtype == tf.float32


def test_eager_and_graph_count_the_same_errors():
    link = QPSKLink()
    counts = []
    for jit in (None, False, True):
        call = link if jit is None else tf.function(link, jit_compile=jit, autograph=False)
        random.reset(random.stream_key(9))
        b, llr = call(500, tf.constant(2.0))
        counts.append(int(tf.math.count_nonzero(b != tf.cast(llr > 0, b.dtype))))
    assert counts[0] == counts[1]
    assert abs(counts[2] - counts[0]) <= 2  # ties: the noise differs by rounding under XLA


def test_loss_is_the_binary_cross_entropy():
    b, llr = np.array([[0.0, 1.0]]), np.array([[2.0, -1.0]])
    expected = np.mean([np.log1p(np.exp(2.0)), np.log1p(np.exp(1.0))])
    link = QPSKLink()
    link.compile("adam")
    assert float(link.compute_loss(None, tf.constant(b), tf.constant(llr))) == pytest.approx(
        expected
    )


def test_nothing_to_fit_and_wrong_ranges_are_refused():
    link = QPSKLink()
    link.compile("adam")
    with pytest.raises(ValueError, match="no trainable weights"):
        link.fit(irs.uniform_ebno(0, 5), steps_per_epoch=1)
    with pytest.raises(ValueError, match="low_db = 5"):
        irs.uniform_ebno(5, 0)
    with pytest.raises(ValueError, match="finite"):
        irs.uniform_ebno(float("nan"), 0)
    trainable = OFDMLink()
    trainable.compile("adam")
    with pytest.raises(ValueError, match="number of steps"):
        trainable.fit(irs.uniform_ebno(0, 5))


def test_import_is_lazy():
    script = (
        "import sys, sionna_irs, link_sims\n"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_channel_layer_is_a_sionna_channel_model():
    a, tau = FlatCIR(4)(3, 5, 30e3)
    assert a.shape == (3, 1, 1, 1, 1, 1, 5) and tau.shape == (3, 1, 1, 1)
