"""Lengths, path gains and directions of the five links; sizes of the networks."""

import link_sims
import sionna_irs as irs
from link_sims import measured

from . import common


class Config(common.DoubleConfig):
    """The geometry alone matters."""


links = link_sims.Experiment(
    "double/link-table",
    answers=["Double RIS Table II"],
    title="Links of two surfaces: 1 tx>s1, 2 tx>s2, 3 s1>s2, 4 s1>rx, 5 s2>rx",
    config=Config,
    metrics={
        "length": link_sims.Metric("length [m]", range=None),
        "path_gain": link_sims.Metric("path gain [dB]", range=None),
        "angle": link_sims.Metric("angle [degree]", range=None),
    },
    x_label="link",
)


@links.table
def table(cfg):
    """A row for every link and quantity; the links are numbered as in the title."""
    geometry = irs.DoubleGeometry(cfg.distance_m, cfg.offset_m, cfg.height_m)
    rows = []
    for number, row in enumerate(geometry.link_table(), 1):
        rows.append(link_sims.row("length", "length", number, row["length"]))
        rows.append(link_sims.row("path_gain", "path gain", number, row["path_gain_db"]))
        for end in ("departure", "arrival"):
            for angle, value in zip(("azimuth", "zenith"), row[end], strict=True):
                rows.append(link_sims.row("angle", f"{end}, {angle}", number, value))
    return rows


links.published(
    "Double RIS Table II; path loss of its reference's public code",
    {
        f"path gain of link {number}: {gain} dB": (
            measured.at("path_gain", "path gain", number).within(gain, 6e-5)
        )
        for number, gain in enumerate((-50.9773, -73.0249, -72.9773, -73.0419, -52.4463), 1)
    },
)
