"""One channel seen by the estimators: real parts as pictures."""

import numpy as np

import link_sims
import sionna_irs as irs
from link_sims import measured

from ...results.claims import Value
from ..cascade import CascadeConfig, scene
from .common import LEARNED, all_estimators

METRIC = "real part"
TRUTH = "true channel"
SHOWN = ("LS", "LMMSE", LEARNED, "Bayes", TRUTH)


class Config(CascadeConfig):
    """The cascade at one SNR."""

    snr_db: float = 5.0


heat_maps = link_sims.Experiment(
    "cenas/heat-maps",
    title="Real part of one cascaded channel and of its estimates",
    answers=["CENAS Fig. 9b"],
    config=Config,
    metrics={METRIC: link_sims.Metric("real part", listed=False)},
)


@heat_maps.table
def maps(cfg):
    """Entries of one draw, row by row (antenna m, column n at x = m (N+1) + n)."""
    channel, pilots = scene(cfg)
    irs.random.reset(irs.random.stream_key(cfg.seed))
    no = irs.snr_db_to_no(cfg.snr_db)
    u = channel.draw(1).cascaded()
    y = pilots(u, no)
    found = {TRUTH: u}
    estimators = all_estimators(pilots, channel.statistics)
    for name in SHOWN[:-1]:
        found[name] = estimators[name](y, no)[0]
    rows = []
    for name in SHOWN:
        values = np.real(found[name].numpy()).ravel()
        rows += [link_sims.row(METRIC, name, x, value) for x, value in enumerate(values)]
        error = np.sum(np.abs(found[name].numpy() - u.numpy()) ** 2)
        if name != TRUTH:
            share = error / np.sum(np.abs(u.numpy()) ** 2)
            rows.append(link_sims.row("nmse", name, cfg.snr_db, share))
    return rows


@heat_maps.figure
def draw(results, figure):
    """Side by side, on one scale."""
    cfg = results.config
    panels = figure.subplots(1, len(SHOWN), sharey=True)
    figure.set_size_inches(7.2, 4.2)
    for axes, name in zip(panels, SHOWN, strict=True):
        values = [results.value(METRIC, name, x) for x in results.points(METRIC, name)]
        picture = np.reshape(values, [cfg.num_rx_ant, cfg.num_elements + 1]).T
        image = axes.imshow(picture, vmin=-0.5, vmax=0.5, cmap="RdBu_r", aspect="auto")
        title = name
        if name != TRUTH:
            title += f"\n{10 * np.log10(results.value('nmse', name, cfg.snr_db)):.1f} dB"
        axes.set_title(title)
        axes.set_xlabel("antenna")
        axes.grid(False)
    panels[0].set_ylabel("column (last: direct path)")
    figure.colorbar(image, ax=panels, shrink=0.6)
    figure.suptitle(f"{results.experiment.title}, {cfg.snr_db:g} dB", fontsize=8)


def gap(results) -> Value:
    """Error of the network minus that of LMMSE."""
    return results.difference("nmse", LEARNED, "LMMSE", results.config.snr_db)


heat_maps.published(
    "CENAS Fig. 9b, by eye",
    {
        "the network's estimate of this draw is closer to the channel than full LMMSE's": (
            measured.by(gap).less(0)
        )
    },
)
