"""A coded OFDM uplink over 100 MHz: what the design of the surface is worth in errors.

One user antenna, CDL-A to a surface of 8 x 8 elements, CDL-D from there to the base station, each
of unit mean power per pair of antennas; the SNR is that of one subcarrier over a path of gain one.
A blocked direct path (CDL-C) lies 10 dB above the path over one element, 8 dB below a surface of
64 random phases: "no surface" has it alone, every other scheme has it, too. The user's subcarriers
are spread over the band (an interlaced allocation of a grid of 30 kHz, whose cyclic prefix is
longer than all delays), so that a block of a few symbols sees the whole selectivity.

The channel stands still. Every receiver knows the channel through the chosen phases: the schemes
differ in the phases alone. The estimated ones know the surface from 65 reflection patterns, each
held for `pilot_len` pilot symbols with the power of the data, on every subcarrier.
"""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Paired
from link_sims.results.plotting import panel

from .coded import CodedConfig, coded_link
from .hops import cdl, subcarriers


class Config(CodedConfig):
    """The hops, the grid and the code."""

    snr_db: link_sims.Grid = list(range(-36, 0, 2))
    num_rows: link_sims.PositiveInt = 8
    num_cols: link_sims.PositiveInt = 8
    num_rx_ant: link_sims.PositiveInt = 1
    delay_spread_s: link_sims.PositiveFloat = 30e-9
    direct_gain_db: float = 10.0
    carrier_frequency_hz: link_sims.PositiveFloat = 3.5e9
    pilot_len: link_sims.PositiveInt = 1
    design_snr_db: float = -32.0
    num_iter: link_sims.PositiveInt = 30
    batch_size: link_sims.PositiveInt = 100
    min_units: link_sims.PositiveInt = 4
    max_units: link_sims.PositiveInt = 20


bler = link_sims.Experiment(
    "ofdm/bler-vs-snr",
    title="Coded OFDM uplink over 100 MHz, CDL-A x CDL-D, 64 elements",
    config=Config,
    profiles={
        "smoke": {
            "snr_db": [-36, -28, -16, 4],
            "num_subcarriers": 24,
            "batch_size": 8,
            "max_units": 4,
        },
        "cpu": {},
        "paper": {"snr_db": list(range(-38, 1)), "max_units": 200, "num_iter": 200},
    },
    metrics={"gain": link_sims.Metric("mean channel gain [dB]", db=True, range=(0.0, math.inf))},
    execution_cpu="xla",
    x_label="SNR per unit hop gain [dB]",
)

NONE, RANDOM = "no surface", "random phases"
TAP, POWER, TWO_BIT, RATE = "strongest tap", "mean power", "mean power, 2 bit", "rate ascent"
LS, LMMSE = "LS", "LMMSE"
TAP_LS, TAP_LMMSE = f"{TAP}, {LS}", f"{TAP}, {LMMSE}"


def scene_of(cfg):
    """The channel, the pilots, and the frequency covariances of the cascade and direct path."""
    user, panel, base = (1, 1), (cfg.num_rows, cfg.num_cols), (1, cfg.num_rx_ant)
    ends = {"tx>s1": ("A", user, panel), "s1>rx": ("D", panel, base), "tx>rx": ("C", user, base)}
    models = {
        name: cdl(model, cfg.delay_spread_s, cfg.carrier_frequency_hz, start, end)
        for name, (model, start, end) in ends.items()
    }
    direct_gain = 10 ** (cfg.direct_gain_db / 10)
    frequencies = subcarriers(cfg)
    channel = irs.SurfaceCIR(
        hops={**models, "tx>rx": irs.CIRHop(models["tx>rx"], path_gain=direct_gain)},
        surfaces={"s1": irs.IdealPhases(irs.UPA(*panel))},
        frequencies=frequencies,
    )
    hops = {n: irs.delay_covariance(m.delays, m.powers, frequencies) for n, m in models.items()}
    num_elements = cfg.num_rows * cfg.num_cols
    pilots = irs.SurfacePilots(num_elements, num_elements + 1, pilot_len=cfg.pilot_len)
    return channel, pilots, (hops["tx>s1"] * hops["s1>rx"], direct_gain * hops["tx>rx"])


@bler.sweep(x="snr_db")
def curves(cfg, trained):
    """Bit and block errors, and mean channel gains, of every scheme on the same draws."""
    channel, pilots, covariances = scene_of(cfg)
    estimators = {
        LS: irs.LSEstimator(pilots),
        LMMSE: irs.OFDMLMMSEEstimator(pilots, covariances),
    }
    strongest_tap = irs.StrongestTap()
    policies = {
        RANDOM: irs.RandomPhases(),
        TAP: strongest_tap,
        POWER: irs.CoordinateAscent(),
        TWO_BIT: irs.CoordinateAscent(num_bits=2),
        RATE: irs.RateAscent(10 ** (cfg.design_snr_db / 10), cfg.num_iter),
    }
    send = coded_link(cfg)

    def step(batch_size, snr_db):
        no = irs.snr_db_to_no(snr_db)
        links = channel.links(channel.draw(batch_size))
        u = links.cascaded()
        controls = {name: policy(links) for name, policy in policies.items()}
        y, errors = pilots(u, no), {}
        for name, estimator in estimators.items():
            u_hat, _ = estimator(y, no)
            errors["nmse", name] = irs.metrics.nmse(u_hat, u)
            controls[f"{TAP}, {name}"] = strongest_tap(irs.Links.from_cascaded(u_hat))
        h = {NONE: links["tx>rx"]}
        for name, control in controls.items():
            h[name] = channel.compose_matrices(links, channel.reflect(control))
        counts, gains = {}, {}
        wrong = tf.unstack(send(tf.stack(list(h.values())), no))
        for (name, channels), bits in zip(h.items(), wrong, strict=True):
            blocks = tf.reduce_any(bits, -1)
            counts["bler", name] = tf.math.count_nonzero(blocks), batch_size
            counts["ber", name] = tf.math.count_nonzero(bits), tf.size(bits)
            power = tf.reduce_sum(tf.square(tf.abs(channels)))
            gains["gain", name] = power, batch_size * cfg.num_subcarriers
        return {**counts, **gains, **errors}

    return step


@bler.table
def closed_forms(cfg):
    """Mean squared errors of the estimates."""
    _, pilots, covariances = scene_of(cfg)
    forms = {LS: irs.ofdm_ls_nmse, LMMSE: irs.ofdm_lmmse_nmse}
    rows = []
    for x in cfg.snr_db:
        variance = float(pilots.error_variance(10 ** (-x / 10)))
        for name, form in forms.items():
            nmse = form(covariances, pilots.num_elements, variance)
            rows.append(link_sims.row("nmse", f"{name}, exact", x, nmse))
    return rows


@bler.figure
def draw(results, figure):
    """Block errors large, the rest small, one legend of the schemes."""
    figure.set_size_inches(7.2, 6.2)
    layout = [["bler"] * 3, ["ber", "gain", "nmse"]]
    panels = figure.subplot_mosaic(layout, height_ratios=(1.4, 1))
    for metric, axes in panels.items():
        panel(axes, results, metric)
        axes.get_legend().remove()
    panels["bler"].set_ylim(bottom=1e-3)
    panels["ber"].set_ylim(bottom=1e-4)
    panels["nmse"].legend(loc="upper right", frameon=False)
    handles = panels["bler"].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def lmmse_gap(results) -> Paired:
    """Power lost to LMMSE estimates at the lowest SNR where their NMSE is below -20 dB."""
    ends = {x: results.interval("nmse", LMMSE, x)[1] for x in results.points("nmse", LMMSE)}
    fine = [x for x, high in ends.items() if high < 0.01]
    return results.paired("gain", TAP_LMMSE, TAP, min(fine, default=None))


def extra_db(a, b):
    """How much more SNR ``a`` needs than ``b`` for a block error rate of one half [dB]."""
    return measured.shift("bler", a, b, 0.5)


bler.ours(
    "this package; set from the powers and rates of ofdm/design and the cpu profile, 2026-11",
    {
        "at BLER 0.5 random phases need less SNR than no surface": (
            extra_db(NONE, RANDOM).greater(0.0)
        ),
        "at BLER 0.5 the strongest tap gains about 15 dB over random phases (2 dB of tolerance)": (
            extra_db(RANDOM, TAP).within(15.0, 2.0)
        ),
        "at BLER 0.5 the strongest tap and the mean-power design are within 0.5 dB": (
            extra_db(POWER, TAP).within(0.0, 0.5)
        ),
        **{
            f"at BLER 0.5 rate ascent needs less SNR than {other}": extra_db(RATE, other).less(0.0)
            for other in (TAP, POWER)
        },
        "at BLER 0.5 phases of 2 bit cost less than 1 dB": extra_db(TWO_BIT, POWER).less(1.0),
        "phases of 2 bit cost less than 1 dB of mean power": (
            measured.paired("gain", TWO_BIT, POWER, x=-28).db_between(-1.0, 0.0)
        ),
        "at BLER 0.5 LMMSE estimates serve better than LS estimates": (
            extra_db(TAP_LMMSE, TAP_LS).less(0.0)
        ),
        "phases from LMMSE estimates with an NMSE below -20 dB lose less than 0.5 dB of mean "
        "power": measured.by(lmmse_gap).within_db(0.5),
    },
)
bler.theory(
    "sionna_irs.ofdm_ls_nmse, ofdm_lmmse_nmse: error covariances of the CDL delay profiles",
    {
        f"the NMSE of {name} follows its closed form": (
            measured.agrees("nmse", name, f"{name}, exact")
        )
        for name in (LS, LMMSE)
    },
)
