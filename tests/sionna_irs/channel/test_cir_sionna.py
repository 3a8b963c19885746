"""The surface in Sionna's links: 3GPP hops, OFDM and time domain, prefix, training."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.channel import (
    ChannelModel,
    CIRDataset,
    GenerateOFDMChannel,
    OFDMChannel,
    RayleighBlockFading,
    TimeChannel,
    cir_to_ofdm_channel,
    subcarrier_frequencies,
)
from sionna.phy.channel.tr38901 import CDL, TDL, PanelArray, UMa, UMi
from sionna.phy.mapping import BinarySource, Demapper, Mapper
from sionna.phy.ofdm import ResourceGrid
from sionna.phy.utils import sim_ber

import sionna_irs as irs
from sionna_irs import random

CARRIER = 3.5e9
GRID = ResourceGrid(num_ofdm_symbols=3, fft_size=12, subcarrier_spacing=30e3)
PANEL = irs.UPA(2, 3)


@pytest.fixture(autouse=True)
def portable():
    random.install()
    random.reset(random.stream_key(31))


def array(rows, cols, **kwargs):
    return PanelArray(rows, cols, "single", "V", "omni", CARRIER, **kwargs)


def cdl(model, ut, bs, spread=30e-9, **kwargs):
    """Uplink: from ``ut`` to ``bs``, (rows, cols) each."""
    precision = kwargs.get("precision")
    ends = (array(*n, precision=precision) for n in (ut, bs))
    return CDL(model, spread, CARRIER, *ends, "uplink", **kwargs)


def cdl_hops(rows=2, cols=3, num_rx_ant=2, **kwargs):
    return {
        "tx>s1": cdl("A", (1, 1), (rows, cols), **kwargs),
        "s1>rx": cdl("D", (rows, cols), (1, num_rx_ant), **kwargs),
    }


def cell(model, batch, users=1, bs=(2, 3), **kwargs):
    """UMi or UMa uplink from users on the ground to a panel."""
    settings = {"enable_pathloss": False, "enable_shadow_fading": False, **kwargs}
    channel = model(CARRIER, "low", array(1, 1), array(*bs), "uplink", **settings)
    zero = np.zeros([batch, users, 3], np.float32)
    places = zero + np.float32([60, 0, 1.5]) + np.arange(users, dtype=np.float32)[:, None]
    base = zero[:, :1] + np.float32([0, 0, 10])
    channel.set_topology(places, base, zero, zero[:, :1], zero, np.zeros([batch, users], bool))
    return channel


def surface(trainable=False, panel=PANEL, **kwargs):
    start = np.arange(float(panel.num_ant)) ** 2
    return {"s1": irs.IdealPhases(panel, trainable, start, **kwargs)}


def hops_of(name):
    last = RayleighBlockFading(1, 2, 1, 6)
    if name in ("UMi", "UMa"):
        return {"tx>s1": cell({"UMi": UMi, "UMa": UMa}[name], 4), "s1>rx": last}
    if name == "CDL":
        return {"tx>s1": cdl("A", (1, 1), (2, 3), min_speed=3.0), "s1>rx": last}
    if name == "TDL":
        first = TDL("A", 1e-7, CARRIER, num_rx_ant=6)
        return {"tx>s1": first, "s1>rx": TDL("D", 1e-7, CARRIER, num_rx_ant=2, num_tx_ant=6)}
    return {"tx>s1": RayleighBlockFading(1, 6, 1, 1), "s1>rx": last}


# UMa is UMi with other numbers, and both are slow to compile.
ALL, PLAIN = (None, False, True), (None, False)


@pytest.mark.parametrize(
    "name, modes",
    [
        ("CDL", ALL),
        ("TDL", ALL),
        ("UMi", PLAIN),
        pytest.param("UMi", ALL, marks=pytest.mark.slow),
        ("UMa", PLAIN),
        ("Rayleigh", ALL),
    ],
)
def test_models_as_hops_agree_in_eager_graph_and_xla(name, modes):
    channel = GenerateOFDMChannel(irs.SurfaceCIR(hops_of(name), surface()), GRID)
    results = []
    for jit in modes:
        call = channel if jit is None else tf.function(channel, jit_compile=jit, autograph=False)
        random.reset(random.stream_key(8))
        results.append(call(4).numpy())
    assert results[0].shape == (4, 1, 2, 1, 1, 3, 12)
    for other in results[1:]:
        assert np.abs(results[0] - other).max() < 1e-5 * np.abs(results[0]).max()


def test_ofdm_response_at_the_carrier_is_the_sum_over_paths():
    hops = {**cdl_hops(), "tx>rx": cdl("C", (1, 1), (1, 2))}
    cir = irs.SurfaceCIR(hops, surface())
    assert isinstance(cir, ChannelModel)
    cirs = cir.draw(5, 14, 30e3)
    assert cirs["tx>s1"].a.shape[6] == 1  # nothing moves: one time step
    a, tau = cir.compose(cirs, cir.reflect())
    assert a.shape == (5, 1, 2, 1, 1, 23 * 13 + 24, 1)
    h = cir_to_ofdm_channel(subcarrier_frequencies(76, 30e3), a, tau).numpy()[:, 0, :, 0, :, 0]
    into, out, direct = (cirs[n].a.numpy()[..., 0].sum(5) for n in ("tx>s1", "s1>rx", "tx>rx"))
    theta = cir.reflect()["s1"].numpy()
    expected = direct[:, 0, :, 0] + (out[:, 0, :, 0] * theta) @ into[:, 0, :, 0]
    assert np.abs(h[..., 38] - expected).max() < 1e-6 * np.abs(expected).max()


def test_what_a_topology_shares_is_told_once():
    """One drop for a batch; drops that stay from batch to batch; nothing where they are new."""

    def warned(cell, calls, batch_size=4):
        cir = irs.SurfaceCIR({"tx>s1": cell, "s1>rx": hops_of("Rayleigh")["s1>rx"]}, surface())
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for call in calls:
                call(cir, batch_size)
        found = [str(w.message) for w in found if "UMi" in str(w.message)]
        return cir.shares_channel, found

    def draw(cir, batch_size):
        return cir(batch_size, 1, 1.0)

    def traced(cir, batch_size):
        hop = cir.hops["tx>s1"]  # all draws of a graph have the topology that it was traced with
        call = tf.function(lambda: hop.draw(batch_size, 1, 1.0), autograph=False)
        return call.get_concrete_function()

    def redraw(cir, batch_size):
        zero = np.zeros([batch_size, 1, 3], np.float32)
        cir.hops["tx>s1"].model.set_topology(zero + np.float32([40, 9, 1.5]))

    one, several = "UMi gives one channel to all 4 examples", "UMi keeps its 4 drops"
    shares, found = warned(cell(UMi, 1), [draw, draw])
    assert shares and len(found) == 1 and found[0].startswith(one)
    for calls in ([draw, draw, draw], [traced]):
        shares, found = warned(cell(UMi, 4), calls)
        assert not shares and len(found) == 1 and found[0].startswith(several)
    assert warned(cell(UMi, 1), [draw, draw], batch_size=1) == (True, [])
    assert warned(cell(UMi, 4), [draw, redraw, draw]) == (False, [])
    # A model may say itself what its drops are.
    said = hops_of("Rayleigh")["tx>s1"]
    assert not irs.CIRHop(said).shares_channel
    said.shares_channel = True
    assert irs.CIRHop(said).shares_channel


def test_elements_move_to_our_order_at_the_border():
    cir = irs.SurfaceCIR(cdl_hops(3, 4), surface(panel=irs.UPA(3, 4)))
    order = irs.sionna_order(irs.UPA(3, 4))
    random.reset(random.stream_key(4))
    cirs = cir.draw(2)
    random.reset(random.stream_key(4))
    into, _ = cir.hops["tx>s1"].model(2, 1, 1.0)
    out, _ = cir.hops["s1>rx"].model(2, 1, 1.0)
    np.testing.assert_array_equal(cirs["tx>s1"].a, into.numpy()[:, :, order])
    np.testing.assert_array_equal(cirs["s1>rx"].a, out.numpy()[:, :, :, :, order])
    kept = {n: irs.CIRHop(h, order="panel") for n, h in cdl_hops(3, 4).items()}
    random.reset(random.stream_key(4))
    same = irs.SurfaceCIR(kept, surface(panel=irs.UPA(3, 4))).draw(2)
    np.testing.assert_array_equal(same["tx>s1"].a, into)


def test_dual_polarised_panels():
    panel = PanelArray(2, 3, "dual", "cross", "omni", CARRIER)
    hops = {
        "tx>s1": CDL("A", 30e-9, CARRIER, array(1, 1), panel, "uplink"),
        "s1>rx": CDL("D", 30e-9, CARRIER, panel, array(1, 2), "uplink"),
    }
    phases = np.arange(6.0, dtype=np.float32)
    shared = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(PANEL)})
    own = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(irs.DualPolarized(PANEL))})
    cirs = shared.draw(3)
    assert cirs["tx>s1"].a.shape[2] == 12
    a, _ = shared.compose(cirs, shared.reflect({"s1": phases}))
    b, _ = own.compose(cirs, own.reflect({"s1": np.concatenate([phases, phases])}))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_users_share_the_hop_behind_the_surface():
    """Drawn once: the channels of more users than elements have no more than N dimensions."""
    hops = {"tx>s1": RayleighBlockFading(1, 6, 9, 1), "s1>rx": RayleighBlockFading(1, 8, 1, 6)}
    h, _ = irs.SurfaceCIR(hops, surface())(3, 1, 1.0)
    assert h.shape == (3, 1, 8, 9, 1, 1, 1)
    values = np.linalg.svd(h[:, 0, :, :, 0, 0, 0].numpy(), compute_uv=False)
    assert (values[:, 6:] < 1e-5 * values[:, :1]).all() and (values[:, 5] > 1e-3).all()


def test_gain_and_delay_of_a_hop():
    model = cdl("A", (1, 1), (2, 3))
    plain = irs.SurfaceCIR({"tx>s1": model, "s1>rx": np.ones([1, 6])}, surface())
    hop = irs.CIRHop(model, path_gain=1e-6, excess_delay=1e-7)
    moved = irs.SurfaceCIR({"tx>s1": hop, "s1>rx": np.ones([1, 6])}, surface())
    results = []
    for cir in (plain, moved):
        random.reset(random.stream_key(4))
        results.append(cir(3, 2, 1e6))
    (a, tau), (b, nu) = results
    np.testing.assert_allclose(b, 1e-3 * a, rtol=1e-5)
    np.testing.assert_allclose(nu, tau + 1e-7, rtol=1e-5)
    with pytest.raises(ValueError, match="the model has its path loss already"):
        irs.CIRHop(cell(UMi, 2, enable_pathloss=True), path_gain=1e-6)
    assert irs.CIRHop(cell(UMi, 2, enable_pathloss=True)).path_gain == 1
    assert irs.CIRHop(cell(UMi, 2), path_gain=1e-6).path_gain == 1e-6
    assert not irs.CIRHop(cdl("A", (1, 1), (2, 3), min_speed=1.0)).static
    assert irs.CIRHop(cdl("A", (1, 1), (2, 3), min_speed=1.0), static=True).static


def test_padding_of_umi_is_masked():
    model = cell(UMi, 40)
    _, tau = model(40, 1, 1.0)
    assert tau.numpy().max() > 1  # seconds: missing clusters
    hops = {"tx>s1": irs.CIRHop(model, excess_delay=2e-7), "s1>rx": np.ones([1, 6])}
    a, tau = irs.SurfaceCIR(hops, surface())(40, 1, 1.0)
    first, last = irs.delay_range(a, tau)
    assert tau.numpy().max() < 1e-5 and 2e-7 <= first <= last <= tau.numpy().max()
    a, tau = irs.SurfaceCIR(hops, surface(), subtract_delay=True)(40, 1, 1.0)
    assert tau.numpy().min() == 0 and tau.numpy().max() < 1e-5


def dataset(batch_size):
    """A gain and a delay that tell which sample it is, for a panel of six elements."""

    def samples():
        for k in range(40):
            yield np.full([1, 6, 1, 1, 1, 1], k + 1, np.complex64), np.full([1, 1, 1], k * 1e-9)

    return CIRDataset(samples, batch_size, 1, 6, 1, 1, 1, 1)


def test_cir_dataset_runs_eagerly_and_in_graphs():
    own = {"s1": irs.IdealPhases(PANEL)}
    cir = irs.SurfaceCIR({"tx>s1": dataset(8), "s1>rx": np.ones([1, 6])}, own)
    for call in (cir, tf.function(cir)):
        a, tau = call(8, 3, 30e3)
        assert a.shape == (8, 1, 1, 1, 1, 1, 3)
        sample = a.numpy().ravel()[::3].real / 6 - 1
        assert len(set(sample.round().tolist())) == 8
        np.testing.assert_allclose(tau.numpy().ravel(), sample * 1e-9, atol=1e-14)
    with pytest.raises(ValueError, match="batch_size = 5, but the hops give 8"):
        cir(5, 3, 30e3)


def test_in_an_ofdm_channel():
    channel = OFDMChannel(irs.SurfaceCIR(cdl_hops(), surface()), GRID, return_channel=True)
    x = tf.ones([4, 1, 1, 3, 12], tf.complex64)
    y, h = channel(x)
    np.testing.assert_allclose(y, h[:, :, :, 0, 0], atol=1e-5)


def test_in_a_time_channel():
    """Absolute delays of microseconds, subtracted: the filter holds the spread alone."""
    hops = {n: irs.CIRHop(h, excess_delay=3e-6) for n, h in cdl_hops().items()}
    first, last = irs.delay_range(*irs.SurfaceCIR(hops, surface())(200, 1, 1.0))
    assert first == pytest.approx(6e-6, rel=1e-3) and last - first < 7e-7
    cir = irs.SurfaceCIR(hops, surface(), subtract_delay=True)
    channel = TimeChannel(cir, 30e3 * 76, 50, maximum_delay_spread=last - first,
                          return_channel=True)  # fmt: skip
    y, h = channel(tf.ones([4, 1, 1, 50], tf.complex64))
    assert y.shape[-1] == h.shape[-2] and h.shape[-1] == 6 + 1 + int(np.ceil(2.28e6 * 7e-7)) + 6
    energy = np.abs(h.numpy()) ** 2
    peak = energy.sum((0, 1, 2, 3, 4, 5)).argmax()
    assert peak == 6  # l_min = -6: the first tap with power is at delay 0


def builds(cir):
    bandwidth = GRID.fft_size * GRID.subcarrier_spacing
    yield lambda flag: OFDMChannel(cir, GRID, normalize_channel=flag), [2, 1, 1, 3, 12]
    yield lambda flag: TimeChannel(cir, bandwidth, 20, normalize_channel=flag), [2, 1, 1, 20]
    yield lambda flag: GenerateOFDMChannel(cir, GRID, normalize_channel=flag), None


@pytest.mark.parametrize("block", [0, 1, 2])
@pytest.mark.parametrize("graph", [False, True])
def test_a_normalised_channel_is_called_out_once(block, graph):
    hops = {"tx>s1": RayleighBlockFading(1, 6, 1, 1), "s1>rx": RayleighBlockFading(1, 2, 1, 6)}
    for flag, count in ((True, 1), (False, 0)):
        build, shape = list(builds(irs.SurfaceCIR(hops, surface())))[block]
        channel = build(flag)
        argument = 2 if shape is None else tf.ones(shape, tf.complex64)
        call = channel
        if graph:
            call = tf.function(channel, autograph=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                call(argument)
        found = [w for w in caught if "normalize_channel=True" in str(w.message)]
        assert len(found) == count


def test_a_normalised_channel_hides_the_gain():
    hops = {"tx>s1": np.ones([6, 1]), "s1>rx": np.ones([1, 6])}
    power = {}
    for flag in (True, False):
        cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(PANEL)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            h = GenerateOFDMChannel(cir, GRID, normalize_channel=flag)(2)
        power[flag] = np.mean(np.abs(h) ** 2)
    assert power == pytest.approx({True: 1.0, False: 36.0}, rel=1e-5)


def test_sum_delays_against_the_cyclic_prefix():
    """CDL-A and CDL-D at 30 ns: 290 + 376 ns, within the prefix at 30 kHz, not at 120 kHz."""
    cir = irs.SurfaceCIR(cdl_hops(), surface())
    a, tau = cir(50, 1, 1.0)
    assert tau.numpy().max() == pytest.approx(666e-9, abs=1e-9)
    # Normal prefix: 144 of 2048 samples.
    grids = {s: ResourceGrid(14, 1024, s, cyclic_prefix_length=72) for s in (30e3, 120e3)}
    prefix = {s: 72 / (1024 * s) for s in grids}
    assert prefix[120e3] < 666e-9 < prefix[30e3]
    assert irs.check_cyclic_prefix(a, tau, grids[30e3]) == -np.inf
    with pytest.warns(UserWarning, match="later than the cyclic prefix of 0.586 us"):
        late = irs.check_cyclic_prefix(a, tau, grids[120e3], max_db=-200)
    energy = (np.abs(a.numpy()) ** 2).sum((2, 4, 6))
    first = np.where(energy > 1e-6 * energy.sum(-1, keepdims=True), tau, np.inf)
    share = energy[tau - first.min(-1, keepdims=True) > prefix[120e3]].sum() / energy.sum()
    assert late == pytest.approx(10 * np.log10(share), abs=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        irs.check_cyclic_prefix(a, tau, grids[120e3], max_db=late + 0.1)


def test_pruning_of_3gpp_hops():
    """CDL-A and CDL-D by way of 64 aligned elements: a few of 299 pairs hold the energy."""
    numbers = {}
    for loss in (1e-2, 1e-3):
        cir = irs.SurfaceCIR(cdl_hops(8, 8, 4), {"s1": irs.IdealPhases(irs.UPA(8, 8))},
                             max_energy_loss=loss)  # fmt: skip
        a, tau, lost = cir.compose(cir.draw(100), cir.reflect(), return_loss=True)
        numbers[loss] = a.shape[5]
        assert tau.shape == (100, 1, 1, numbers[loss]) and np.mean(lost) < 2 * loss
    assert 1 <= numbers[1e-2] < 10 < numbers[1e-3] < 60  # measured: 3, and 23 to 29


class CDLLink(irs.Link):
    """Uncoded QPSK over OFDM by way of a panel of 16 elements."""

    def __init__(self, ebno_offset_db=-20.0, **kwargs):
        super().__init__(**kwargs)
        p = {"precision": self.precision}
        self.offset = ebno_offset_db
        own = surface(trainable=True, panel=irs.UPA(4, 4), **p)
        cir = irs.SurfaceCIR(cdl_hops(4, 4, 1, **p), own, max_energy_loss=1e-2, **p)
        self.channel = OFDMChannel(cir, GRID, return_channel=True, **p)
        self.source, self.mapper = BinarySource(**p), Mapper("qam", 2, **p)
        self.demapper = Demapper("app", "qam", 2, **p)

    def call(self, batch_size, ebno_db):
        no = irs.ebno_db_to_no(ebno_db - self.offset, num_bits_per_symbol=2)
        no = tf.cast(no, self.rdtype)
        b = self.source([batch_size, 1, 1, 3, 24])
        y, h = self.channel(self.mapper(b), no)
        h = tf.reshape(h, tf.shape(y))
        no_eff = tf.reshape(no, [-1, 1, 1, 1, 1]) / tf.square(tf.abs(h))
        return b, self.demapper(y / h, no_eff)


def test_gradient_of_a_link_in_the_phases():
    link = CDLLink(precision="double")
    (phases,) = link.trainable_variables
    start = phases.numpy()

    def loss():
        random.reset(random.stream_key(6))
        b, llr = link(8, tf.constant(-38.0, tf.float64))
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(b, llr))

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tf.convert_to_tensor(tape.gradient(value, phases.value)).numpy()
    step = np.random.default_rng(1).standard_normal(16)
    ends = []
    for sign in (1, -1):
        phases.assign(start + sign * 1e-5 * step)
        ends.append(float(loss()))
    assert np.abs(gradient).max() > 1e-4
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient @ step, rel=1e-6)


def test_a_link_with_a_surface_in_sim_ber():
    """Here the batch size is a tensor, in graph and in XLA alike."""
    ber, _ = sim_ber(CDLLink(), [-20.0], 8, max_mc_iter=2, soft_estimates=True, verbose=False,
                     graph_mode="xla")  # fmt: skip
    assert 0 < ber.numpy()[0] < 0.5


class RateLink(irs.Link):
    """The channel alone, trained for its rate."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        own = surface(trainable=True, panel=irs.UPA(4, 4))
        self.cir = GenerateOFDMChannel(irs.SurfaceCIR(cdl_hops(4, 4, 1), own), GRID)

    def call(self, batch_size, ebno_db):
        h = self.cir(batch_size)
        return h, tf.math.log1p(0.01 * tf.square(tf.abs(h))) / np.log(2)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -tf.reduce_mean(y_pred)


def test_fifty_steps_of_training_raise_the_rate():
    link = RateLink()
    (phases,) = link.trainable_variables
    start = phases.numpy()

    def rate():
        random.reset(random.stream_key(7))
        return float(tf.reduce_mean(link(200, 0.0)[1]))

    before = rate()
    link.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    link.fit(np.zeros(50 * 16, np.float32), batch_size=16, verbose=0)
    assert np.abs(phases.numpy() - start).max() > 0.5
    assert rate() > 1.5 * before


def test_in_a_function_with_autograph():
    cir = irs.SurfaceCIR(cdl_hops(), surface())
    random.reset(random.stream_key(5))
    eager = cir(2, 3, 30e3)
    random.reset(random.stream_key(5))
    for found, expected in zip(tf.function(lambda: cir(2, 3, 30e3))(), eager, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
