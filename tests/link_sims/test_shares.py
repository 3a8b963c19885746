"""Shares of trials that depend on each other: check values, formulas, coverage, notes."""

import math

import numpy as np
import pytest
from clustered import RHO, coverage, draw, of_size, results_of, twin

import link_sims
from link_sims.errors import UserError
from link_sims.experiment import Metric
from link_sims.results import shares
from link_sims.results.claims import Value
from link_sims.results.notes import notes

A = {0.0: of_size(100, 0, 100, 0)}
B = {0.0: of_size(50, 0, 50, 0, 0, 50, 50, 0, 0)}
C = {0.0: of_size(50, 3, 9, 5, 2, 11, 6, 4, 8)}
D = {
    5.0: of_size(20, 0, 20, 3, 0, 11, 20, 0, 7, 0, 2),
    0.0: of_size(20, 20, 20, 18, 20, 19, 20, 20, 20, 12, 20),
    10.0: of_size(20, 4, *[0] * 9),
    15.0: of_size(20, *[0] * 10),
}
E = {0.0: of_size(20, *[0] * 10), 5.0: of_size(20, *[0] * 10)}
CHECKS = [
    (A, 0.0, "blocks", 0.95, (0.3333333, 0.2802048, 0.3897924, 300)),
    (A, 0.0, "auto", 0.95, (0.3333333, 1.847e-12, 0.9999986, 0.4150052)),
    (B, 0.0, "auto", 0.95, (0.375, 0.04111814, 0.8455444, 4.809168)),
    (C, 0.0, "auto", 0.95, (0.12, 0.0898182, 0.1559394, 400)),
    (C, 0.0, "units", 0.95, (0.12, 0.07260469, 0.1831659, 149.3671)),
    (D, 5.0, "auto", 0.95, (0.315, 0.0737996, 0.6668071, 9.949071)),
    (D, 0.0, "auto", 0.95, (0.945, 0.6119793, 0.9999035, 10)),
    (D, 10.0, "auto", 0.95, (0.02, 6.12518e-10, 0.339063, 10)),
    (D, 15.0, "auto", 0.95, (0, 0, 0.3084971, 10)),
    (D, 5.0, "auto", 0.99, (0.315, 0.03102332, 0.7826156, 8.326132)),
    (E, 0.0, "auto", 0.95, (0, 0, 0.0182753, 200)),
    (E, 5.0, "units", 0.95, (0, 0, 0.3084971, 10)),
]


def found(results, metric, x, level=0.95):
    """(p, low, high, n*) of results."""
    ends = results.interval(metric, "c", x, level)
    return results.value(metric, "c", x), *ends, results.trials(metric, "c", x, level).n_eff


@pytest.mark.parametrize("points, x, mode, level, expected", CHECKS)
def test_check_values(points, x, mode, level, expected):
    results = results_of({"bler": points}, mode)
    assert found(results, "bler", x, level) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert found(results, "bler", x, level) == pytest.approx(
        twin(points, x, mode, level), rel=1e-9, abs=1e-14
    )


@pytest.mark.parametrize(
    "points, statistic, degrees, phi, rho, significant",
    [(A, 300, 2, 150, 1.0, True), (B, 400, 7, 57.14286, 1.0, True),
     (C, 12.87879, 7, 1.839827, 0.839827 / 49, False), (D, 190.551, 18, 10.5861, 9.5861 / 19, True),
     (E, 0, 0, math.nan, math.nan, False)],
)  # fmt: skip
def test_dispersion_of_a_curve(points, statistic, degrees, phi, rho, significant):
    spread = shares.dispersion(points.values())
    assert spread.statistic == pytest.approx(statistic, rel=1e-5) and spread.degrees == degrees
    assert spread.significant is significant
    assert (spread.phi, spread.rho) == pytest.approx((phi, rho), rel=1e-5, nan_ok=True)
    trials = results_of({"bler": points}).trials("bler", "c", 0.0)
    assert (trials.phi, trials.rho) == pytest.approx((phi, rho), rel=1e-5, nan_ok=True)


BITS = {0.0: of_size(5000, 40, 0, 65, 20, 0, 110, 31, 0, 18, 77)}
BLOCKS = {0.0: of_size(50, 2, 0, 3, 1, 0, 5, 2, 0, 1, 4)}


def test_bits_are_bounded_by_blocks_where_few_units_hold_an_error():
    results = results_of({"ber": BITS, "bler": BLOCKS})
    expected = 0.00722, 0.001797778, 0.01922926, 500
    assert found(results, "ber", 0.0) == pytest.approx(expected, rel=1e-6)
    assert found(results, "ber", 0.0) == pytest.approx(twin(BITS, 0.0, "units", blocks=500))
    assert shares.dispersion(BLOCKS.values()).statistic == pytest.approx(15.9059, rel=1e-5)
    free = shares.effective(BITS[0.0], shares.dispersion(BITS.values()), bound=math.inf)
    assert free == pytest.approx(967.9963, rel=1e-6)
    # Blocks that fail together bound the bits no more: units do; so they do without blocks.
    together = {0.0: of_size(50, 20, 0, 33, 10, 0, 50, 15, 0, 9, 40)}
    for other in ({"bler": together}, {}):
        assert found(results_of({"ber": BITS, **other}), "ber", 0.0)[3] == 10
    # Bits without an error: as many trials as blocks.
    none = {"ber": {0.0: of_size(5000, 0, 0)}, "bler": {0.0: of_size(50, 0, 0)}}
    assert found(results_of(none), "ber", 0.0)[3] == 100
    assert found(results_of(none, "units"), "ber", 0.0)[3] == 2


def test_random_units_against_the_formulas():
    rng = np.random.default_rng(1)
    for _ in range(200):
        units, size, rho = rng.integers(2, 20), rng.integers(1, 60), rng.choice([0, 0.1, 0.5, 1])
        points = {
            x: of_size(size, *draw(rng, p, rho, units, size))
            for x, p in ((0.0, 0.6), (1.0, 0.1), (2.0, 0.01))
        }
        points[3.0] = [(min(k, m), m) for k, m in rng.integers(1, 30, [units, 2])]
        mode = rng.choice(["auto", "blocks", "units"])
        results = results_of({"bler": points}, mode)
        for x in points:
            level = rng.choice([0.9, 0.95, 1 - 1e-4])
            assert found(results, "bler", x, level) == pytest.approx(
                twin(points, x, mode, level), rel=1e-9, abs=1e-13
            )


def test_one_unit_and_no_trials():
    assert found(results_of({"bler": {0.0: [(3, 10)]}}, "units"), "bler", 0.0)[3] == 1
    results = results_of({"bler": {0.0: [(0, 0), (0, 0)]}})
    assert results.interval("bler", "c", 0.0) == (0, 1)
    # Units without a trial are none.
    points = {0.0: [*A[0.0], (0, 0)]}
    assert found(results_of({"bler": points}), "bler", 0.0) == found(
        results_of({"bler": A}), "bler", 0.0
    )
    # A unit of one trial cannot show a correlation.
    assert math.isnan(
        results_of({"bler": {0.0: of_size(1, *[0, 1] * 9)}}).trials("bler", "c", 0.0).rho
    )


def test_ratios_without_errors_rest_on_what_is_independent():
    """A mean that counts errors, within blocks that fail together or do not."""
    kind = Metric("-", errors=True, trials="bler")
    for blocks, trials in ((of_size(50, 0, 0, 0), 150), (of_size(50, 0, 50, 0), 3)):
        results = results_of({"loss": {0.0: of_size(7, 0, 0, 0)}, "bler": {0.0: blocks}}, loss=kind)
        assert results.interval("loss", "c", 0.0)[1] == pytest.approx(1 - 0.025 ** (1 / trials))


def test_claims_and_tables_rest_on_the_effective_trials():
    results = results_of({"bler": A})
    low, high = found(results, "bler", 0.0)[1:3]
    assert results.at("bler", "c", 0.0) == Value(1 / 3, low, high)
    assert results.at("bler", "c", 0.0).less(0.5).holds is None
    assert results_of({"bler": A}, "blocks").at("bler", "c", 0.0).less(0.5).holds is True
    row = results.rows()[0]
    assert (row["ci_low"], row["ci_high"]) == (low, high) and row["denominator"] == 300
    results.exact["bler", "exact"] = {0.0: 0.9}
    assert results.agrees("bler", "c", "exact").holds is None
    sure = results_of({"bler": A}, "blocks")
    sure.exact["bler", "exact"] = {0.0: 0.9}
    assert sure.agrees("bler", "c", "exact").holds is False


def test_trials_of_what_is_no_share():
    results = results_of({"rate": {0.0: [(1.0, 1.0)] * 3}, "bler": A})
    results.exact["bler", "exact"] = {0.0: 0.9}
    for metric, curve in (("rate", "c"), ("bler", "exact")):
        with pytest.raises(UserError, match=f"{metric}/{curve} at x = 0.0: no share"):
            results.trials(metric, curve, 0.0)
    with pytest.raises(ValueError, match="independent = 'unit'; one of auto, blocks, units"):
        Metric("-", independent="unit")
    with pytest.raises(ValueError, match="interval = 'binomal'; one of binomial, ratio"):
        Metric("-", interval="binomal")


def test_notes():
    said = (
        "blocks of a unit are dependent (rho 1.00): 3 units count as 0.4 trials (bler/c at x = 0)"
    )
    assert notes(results_of({"bler": A})) == [said]
    assert notes(results_of({"bler": A}, "units")) == [said]
    assert notes(results_of({"bler": A}, "blocks")) == [] == notes(results_of({"bler": C}))
    # It names the weakest point at which something was counted, and something not.
    for certain in (0, 20):
        points = {0.0: of_size(20, *[certain] * 4), 5.0: D[5.0]}
        (dependent,) = notes(results_of({"bler": points}))
        assert "10 units count" in dependent and "at x = 5)" in dependent
    (dependent,) = notes(results_of({"bler": D}))
    assert "10 units count as 9.9 trials (bler/c at x = 5)" in dependent
    (unseen,) = notes(results_of({"bler": E}))
    assert unseen.startswith("every unit of bler/c is all or nothing: nothing shows whether its")
    assert 'independent="units" gives [0, 0.308] at x = 0 in place of [0, 0.0183]' in unseen
    assert notes(results_of({"bler": E}, "units")) == []
    # Bits say nothing of their own; units of one trial are neither all nor nothing.
    assert notes(results_of({"ber": BITS})) == []
    assert notes(results_of({"bler": {0.0: of_size(1, *[0] * 10)}})) == []
    assert len(notes(results_of({"bler": {0.0: of_size(2, *[0] * 10)}}))) == 1
    assert len(notes(results_of({"bler": {0.0: [(0, 1), *of_size(20, *[0] * 9)]}}))) == 1
    # Some units without an error are no sign of anything.
    assert notes(results_of({"bler": {0.0: of_size(50, 0, 1, 2, 1, 0, 1, 2, 1)}})) == []


@pytest.mark.parametrize("rho", [0.0, 0.2, 1.0, RHO])
def test_coverage(rho):
    """Nominal 95 %, 10 units of 50 blocks: independent, beta-binomial, all or nothing."""
    assert coverage(np.random.default_rng(1), 1000, rho, 50, 10, "auto") >= 0.93


# Least coverage of six points in percent, from 4000 to 6000 curves: stop, units, blocks of a unit,
# mode; then correlation 0, 0.1, 0.3, 1, and growing along the curve.
TABLE = [
    (100, 100, 100, "blocks", 95.0, 39.5, 21.6, 0.0, 0.0),
    (100, 100, 100, "auto", 95.1, 95.1, 97.5, 99.5, 97.7),
    (100, 100, 20, "auto", 95.3, 96.5, 96.4, 98.0, 97.8),
    (100, 100, 100, "units", 96.4, 95.5, 97.3, 99.6, 97.3),
    (100, 100, 20, "units", 96.6, 96.4, 96.2, 97.9, 97.9),
    (None, 10, 100, "auto", 95.7, 97.0, 97.5, 99.5, 98.5),
    (None, 10, 20, "auto", 96.5, 97.5, 98.1, 99.6, 96.0),
    (None, 5, 100, "auto", 96.0, 100, 100, 98.5, 99.2),
    (None, 5, 20, "auto", 95.5, 96.4, 99.5, 98.2, 85.4),
    (None, 3, 100, "auto", 95.7, 99.4, 99.6, 88.4, 92.0),
    (None, 3, 20, "auto", 97.0, 91.8, 95.0, 88.3, 83.9),
    (None, 2, 100, "auto", 96.0, 94.3, 96.6, 69.2, 77.2),
    (None, 2, 20, "auto", 96.2, 86.0, 86.0, 68.4, 78.8),
]


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE)
def test_coverage_table(row):
    errors, units, size, mode, *expected = row
    rng, runs = np.random.default_rng(2), 2000
    measured = [
        100 * coverage(rng, runs, rho, size, units, mode, errors) for rho in (0, 0.1, 0.3, 1, RHO)
    ]
    print(mode, errors, units, size, measured)
    # Four standard errors of both, and the least of six points lies below its mean.
    for found, wanted in zip(measured, expected, strict=True):
        assert abs(found - wanted) < 0.5 + 4 * math.sqrt(max(wanted * (100 - wanted), 100) / runs)


def test_ten_units_unless_there_are_fewer():
    """Defaults; what is named is taken as it is, and refused where it does not fit."""
    assert link_sims.Config().min_units == 10
    assert link_sims.Config(max_units=4).min_units == 4
    assert link_sims.Config(max_units=4, min_units=3).min_units == 3
    with pytest.raises(ValueError, match="min_units = 10: at most max_units = 4"):
        link_sims.Config(max_units=4, min_units=10)
    again = link_sims.Config(**link_sims.Config(max_units=4).model_dump())
    assert again.min_units == 4
