"""What the scene experiments share: geometry, gains, the coded link, maps, verdicts.

Everything starts from a :class:`SceneConfig`; a second carrier, panel or place is a changed copy,
``cfg.model_copy(update={...})``. Nothing here imports TensorFlow before a builder runs.
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.results.claims import Verdict

from ..ofdm.hops import subcarriers
from .pictures import draw_maps, draw_outline, draw_paths, draw_scene, paths_of

__all__ = [
    "ALIGNED", "CLOSED", "DIRECT", "LIGHT_SPEED", "NO_SURFACE", "RANDOM", "TWO_BIT", "CodedLink",
    "Point", "SceneConfig", "at_all", "between", "channel_of", "closed_form", "draw_maps",
    "draw_outline", "draw_paths", "draw_scene", "gains", "gaps_between", "hops_of", "label",
    "line_of_sight", "map_of", "map_rows", "paths_of", "rates", "responder", "users_at",
]  # fmt: skip

LIGHT_SPEED = 299792458.0
NO_SURFACE, RANDOM, ALIGNED, TWO_BIT = "no surface", "random phases", "aligned", "aligned, 2 bit"
DIRECT, CLOSED = "direct", "closed form"

# Coordinates, or (yaw, pitch, roll).
Point = Annotated[list[Annotated[float, Field(ge=-1e5, le=1e5)]], Field(min_length=3, max_length=3)]


class SceneConfig(link_sims.Config):
    """A transmitter, a panel and a coded OFDM link in a scene.

    The power is spread evenly over the band; a subcarrier's SNR is power over k T B F times its
    path gain, at every place the same factor.
    """

    scene: str = "simple_street_canyon"
    tx_position_m: Point = [-60.0, 0.0, 10.0]
    panel_position_m: Point = [31.0, -8.0, 8.0]
    panel_orientation_rad: Point = [math.radians(140), 0.0, 0.0]
    user_height_m: link_sims.Distance = 1.5
    carrier_frequency_hz: Annotated[float, Field(ge=1e8, le=3e11)] = 3.5e9
    num_rows: Annotated[int, Field(ge=1, le=1000)] = 16
    num_cols: Annotated[int, Field(ge=1, le=1000)] = 16
    spherical: bool = True
    max_depth: Annotated[int, Field(ge=0, le=10)] = 3
    samples_per_src: Annotated[int, Field(ge=1, le=10**9)] = 100_000
    tx_power_dbm: Annotated[float, Field(ge=-200, le=200)] = 23.0
    noise_figure_db: Annotated[float, Field(ge=0, le=100)] = 7.0
    bandwidth_hz: link_sims.PositiveFloat = 100e6
    num_subcarriers: Annotated[int, Field(ge=2, le=4096)] = 64
    num_ofdm_symbols: Annotated[int, Field(ge=1, le=1000)] = 4
    num_bits_per_symbol: link_sims.EvenBits = 4
    num_info_bits: Annotated[int, Field(ge=12, le=8448)] = 512

    @property
    def num_coded_bits(self):
        """Bits of a block: all subcarriers of a few OFDM symbols."""
        return self.num_subcarriers * self.num_ofdm_symbols * self.num_bits_per_symbol

    def check(self):
        """The scene exists; the code and the band are possible."""
        from sionna_irs.channel.scene.raytracing.arguments import find_scene

        find_scene(self.scene)
        if self.tx_position_m == self.panel_position_m:
            raise ValueError(
                f"panel_position_m = tx_position_m = {self.tx_position_m}: two places are needed"
            )
        if self.bandwidth_hz >= self.carrier_frequency_hz:
            raise ValueError(
                f"bandwidth_hz = {self.bandwidth_hz}: less than carrier_frequency_hz = "
                f"{self.carrier_frequency_hz} is permitted"
            )
        low, high = math.ceil(self.num_coded_bits / 5), self.num_coded_bits * 948 // 1024
        if not low <= self.num_info_bits <= high:
            raise ValueError(
                f"num_info_bits = {self.num_info_bits}: of {self.num_coded_bits} coded bits "
                f"{low}..{high} are permitted"
            )


def users_at(cfg, x, y):
    """Positions [number, 3] at the height of the users."""
    x, y = np.broadcast_arrays(np.asarray(x, float), y)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, cfg.user_height_m)], -1)


def hops_of(cfg, positions, **kwargs):
    """:class:`RayTracedHops` from the transmitter over the panel "s1" to positions [U, 3].

    With the points of reflection, so that one solution serves channels and pictures.
    """
    panel = irs.UPA(cfg.num_rows, cfg.num_cols)
    return irs.RayTracedHops(
        cfg.scene,
        cfg.carrier_frequency_hz,
        tx=irs.SceneDevice(cfg.tx_position_m),
        rx=irs.SceneDevice(positions),
        surfaces={"s1": irs.SceneDevice(cfg.panel_position_m, panel, cfg.panel_orientation_rad)},
        spherical=cfg.spherical,
        max_depth=cfg.max_depth,
        samples_per_src=cfg.samples_per_src,
        with_vertices=True,
        **kwargs,
    )


def channel_of(hops, **kwargs):
    """:class:`SurfaceCIR` of hops with one surface of ideal phases."""
    return irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(hops.devices["s1"].array)}, **kwargs)


def gains(hops):
    r"""Power gains at the carrier at every position, of the direct paths and over the surface alone.

    With :math:`c_n=h^{out}_nh^{in}_n`: aligned :math:`(\sum_n|c_n|)^2`, random phases on average
    :math:`\sum_n|c_n|^2`; the direct paths by the sum of their powers.

    Returns
    -------
    dict
        DIRECT (where that hop was solved), ALIGNED, RANDOM -> [U]; 0 where there is no path.
    """  # noqa: E501
    found = {}
    if "tx>rx" in hops.traced:
        found[DIRECT] = np.sum(np.abs(hops.traced["tx>rx"].gain[:, 0]) ** 2, -1)
    channel = channel_of(hops, precision="double")
    sums = []
    for index in _chunks(hops.num_samples, 2**21 // channel.surfaces["s1"].num_elements):
        links = channel.links(channel.draw(len(index), index=index[:, None]))
        c = np.abs(links["s1>rx"].numpy()[:, 0, :] * links["tx>s1"].numpy()[:, :, 0])
        sums.append([c.sum(-1) ** 2, (c**2).sum(-1)])
    found[ALIGNED], found[RANDOM] = np.concatenate(sums, -1)
    return found


def _chunks(number, size):
    return np.array_split(np.arange(number), math.ceil(number / max(1, size)))


def closed_form(hops):
    r"""Power gain [U] of N aligned elements in free space, the square of

    .. math:: |h|=\Big(\frac\lambda{4\pi}\Big)^2
              \frac{N\sqrt{g(\vartheta_i)g(\vartheta_o)}}{d_1d_2}
    """
    panel = hops.devices["s1"]
    pattern = panel.pattern or irs.CosinePattern()
    wavelength = LIGHT_SPEED / hops.carrier_frequency
    gain = (wavelength / (4 * math.pi)) ** 4 * panel.array.num_ant**2
    for end in ("tx", "rx"):
        way = hops.devices[end].positions - panel.positions
        distance = np.linalg.norm(way, axis=-1)
        gain = gain * pattern(panel.local(way / distance[:, None])) / distance**2
    return gain


def line_of_sight(hops, names=("tx>s1", "s1>rx")):
    """[U] bool: whether these hops have a path as long as the straight line between their ends."""
    clear = True
    for name in names:
        start, end = (hops.devices[node].positions for node in name.split(">"))
        paths = hops.traced[name]
        excess = LIGHT_SPEED * paths.delay[:, 0] - np.linalg.norm(end - start, axis=-1)[:, None]
        clear = clear & np.any(paths.valid[:, 0] & (excess < 1e-5), -1)
    return clear


def responder(cfg, hops):
    """``respond(index [B] integer) -> {scheme: h [B, num_subcarriers]}``, for a noise of 1.

    Schemes: NO_SURFACE, RANDOM, ALIGNED (the strongest delay tap of the whole band, perfectly
    known) and TWO_BIT; the last three keep the direct paths. Works in eager, graph and XLA.
    """
    from sionna_irs.surface.discrete import quantize_phase

    budget = irs.LinkBudget(cfg.tx_power_dbm, cfg.bandwidth_hz, cfg.noise_figure_db)
    channel = channel_of(hops, frequencies=subcarriers(cfg))
    amplitude = channel.cplx(math.sqrt(budget.normalize(1.0)))
    align, random_phases = irs.StrongestTap(), irs.RandomPhases()

    def respond(index):
        links = channel.links(channel.draw(index.shape[0], index=index[:, None]))
        aligned = align(links)
        controls = {
            RANDOM: random_phases(links),
            ALIGNED: aligned,
            TWO_BIT: {"s1": quantize_phase(aligned["s1"], 2)},
        }
        h = {NO_SURFACE: links["tx>rx"]}
        for name, control in controls.items():
            h[name] = channel.compose_matrices(links, channel.reflect(control))
        return {k: amplitude * tf.reshape(v, [-1, cfg.num_subcarriers]) for k, v in h.items()}

    return respond


def rates(cfg, hops, schemes=(NO_SURFACE, ALIGNED), size=64):
    """{scheme: [U]}: mean of log2(1 + SNR) over the band at every position [bit/s/Hz]."""
    respond, found = responder(cfg, hops), {name: [] for name in schemes}

    @tf.function(autograph=False)
    def rates_at(index):
        h = respond(index)
        return {k: tf.reduce_mean(irs.metrics.siso_capacity(tf.abs(h[k]) ** 2), -1) for k in found}

    for start in range(0, hops.num_samples, size):
        # The last part again at full size: one graph serves all.
        index = np.minimum(np.arange(start, start + size), hops.num_samples - 1)
        for name, values in rates_at(tf.constant(index, tf.int32)).items():
            found[name].append(values.numpy())
    return {name: np.concatenate(values)[: hops.num_samples] for name, values in found.items()}


class CodedLink:
    """QAM with the 5G LDPC code over all subcarriers of a few OFDM symbols, one tap each.

    ``link(channels) -> counts``, from {scheme: h [B, num_subcarriers]} for a noise of 1, all on the
    same bits and noise: "ber", "bler", the mean rate ("rate") and the mean SNR ("snr").
    """

    def __init__(self, cfg):
        from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
        from sionna.phy.mapping import BinarySource, Demapper, Mapper

        self.cfg, self.source = cfg, BinarySource()
        self.mapper = Mapper("qam", cfg.num_bits_per_symbol)
        self.demapper = Demapper("app", "qam", cfg.num_bits_per_symbol)
        self.encoder = LDPC5GEncoder(cfg.num_info_bits, cfg.num_coded_bits)
        # Sionna's min-sum decoder works in single precision only.
        self.decoder = LDPC5GDecoder(
            self.encoder, num_iter=20, hard_out=True, cn_update="offset-minsum", precision="single"
        )

    def __call__(self, channels):
        h = tf.stack(list(channels.values()))[:, :, None]  # [schemes, B, 1, F]
        batch, num_subcarriers = h.shape[1], h.shape[3]
        b = self.source([batch, self.cfg.num_info_bits])
        x = tf.reshape(self.mapper(self.encoder(b)), [batch, -1, num_subcarriers])
        y = h * x + irs.random.complex_normal(x.shape, x.dtype)
        # A subcarrier without a signal keeps a finite noise, far above any symbol.
        power = tf.maximum(tf.square(tf.abs(h)), 1e-9)
        x_hat = tf.math.conj(h) * y / tf.cast(power, y.dtype)
        no_eff = tf.broadcast_to(1 / power, x_hat.shape)
        shape = [len(channels) * batch, -1]
        b_hat = self.decoder(self.demapper(tf.reshape(x_hat, shape), tf.reshape(no_eff, shape)))
        wrong = tf.not_equal(b > 0.5, tf.reshape(b_hat, [len(channels), *b.shape]) > 0.5)
        counts = {}
        for i, name in enumerate(channels):
            snr = tf.square(tf.abs(h[i]))
            counts["ber", name] = tf.math.count_nonzero(wrong[i]), b.shape.num_elements()
            failed = tf.reduce_any(wrong[i], -1)
            counts["bler", name] = tf.math.count_nonzero(failed), batch
            rate = tf.reduce_sum(irs.metrics.siso_capacity(snr))
            counts["rate", name] = rate, batch * num_subcarriers
            counts["snr", name] = tf.reduce_sum(snr), batch * num_subcarriers
        return counts


def label(kind, carrier_hz):
    """Name of a curve at a carrier: ``"aligned, 3.5 GHz"``."""
    return f"{kind}, {carrier_hz / 1e9:g} GHz"


def at_all(results, points, check) -> Verdict:
    """One verdict of ``check(x)`` at all ``points(results)``: all hold, or the first that fails."""
    verdicts = {x: check(x)(results) for x in points(results)}
    if not verdicts:
        return Verdict(None, "no points")
    for holds in (False, None):
        for x, verdict in verdicts.items():
            if verdict.holds is holds:
                return Verdict(holds, f"at {x:g}: {verdict.measured}")
    x, verdict = next(iter(verdicts.items()))
    return Verdict(True, f"at all {len(verdicts)} points; at {x:g}: {verdict.measured}")


def between(values, low, high) -> Verdict:
    """Verdict: all of {x: value [dB]} lie between two numbers."""
    if not values:
        return Verdict(None, "not solved")
    smallest, largest = min(values.values()), max(values.values())
    text = f"{smallest:.2f} to {largest:.2f} dB at {len(values)} points"
    return Verdict(bool(low <= smallest and largest <= high), text)


def gaps_between(results, a, b, low, high, metric="gain") -> Verdict:
    """One curve over another [dB] lies between two numbers at every point that both have."""
    common = set(results.points(metric, a)) & set(results.points(metric, b))
    ratios = {x: results.value(metric, a, x) / results.value(metric, b, x) for x in common}
    return between({x: 10 * math.log10(r) for x, r in sorted(ratios.items())}, low, high)


def map_rows(metric, scheme, x, y, values):
    """Rows of a table for a map [len(x), len(y)]: one curve for each x."""
    return [
        link_sims.row(metric, f"{scheme}, x = {a:g} m", float(b), values[i, j])
        for i, a in enumerate(x)
        for j, b in enumerate(y)
    ]


def map_of(results, metric, scheme):
    """(x, y, values [len(x), len(y)]) of what :func:`map_rows` wrote; empty without a map."""
    start = f"{scheme}, x = "
    columns = {
        float(curve.removeprefix(start).removesuffix(" m")): curve
        for _, curve in results.curves(metric)
        if curve.startswith(start)
    }
    x = sorted(columns)
    y = results.points(metric, columns[x[0]]) if x else []
    values = [[results.value(metric, columns[a], b) for b in y] for a in x]
    return np.array(x), np.array(y), np.array(values)
