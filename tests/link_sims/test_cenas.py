"""The experiments on learned estimators, at smoke size; training as a recursion."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import link_sims
import sionna_irs as irs
from link_sims.papers.cenas import ablation, cdrn, heat_maps, networks, nmse, sizes
from link_sims.registry import all_experiments
from link_sims.runs.runner import judge
from link_sims.training import training as trainer

EXPERIMENTS = {
    "cdrn": cdrn.cdrn,
    "heat maps": heat_maps.heat_maps,
    "networks": networks.networks,
    "nmse": nmse.nmse,
    "elements": sizes.elements,
    "antennas": sizes.antennas,
    "patterns": sizes.patterns,
}


def smoke(experiment, tmp_path, **changes):
    config = experiment.resolve("smoke", changes)
    return link_sims.run(experiment, config, "smoke", tmp_path, quiet=True)


@pytest.mark.parametrize(
    "name",
    # All layers of all networks compile in "networks".
    [n if n != "networks" else pytest.param(n, marks=pytest.mark.slow) for n in EXPERIMENTS],
)
def test_smoke_profile_runs_and_nothing_contradicts(name, tmp_path):
    results, folder = smoke(EXPERIMENTS[name], tmp_path)
    assert (folder / "figure.png").stat().st_size > 5_000
    for claim in EXPERIMENTS[name].claims:
        assert not judge(claim, results).contradicts(claim.expect), claim.text
    assert set(results.status.values()) <= {"done", "limit"}


def test_every_nmse_plot_shows_the_four_references():
    wanted = {"LS", "scalar LMMSE", "LMMSE", "Bayes"}
    for name, experiment in EXPERIMENTS.items():
        if name in ("nmse", "elements", "antennas", "patterns", "cdrn", "networks"):
            config = experiment.resolve("smoke")
            x = getattr(config, experiment.sweep_run.x)[0]
            builder = experiment.sweep_run.builder
            step = (
                builder(config, {}, int(x)) if experiment.sweep_run.static else builder(config, {})
            )
            shown = {curve for metric, curve in step(2, tf.constant(float(x))) if metric == "nmse"}
            assert wanted <= shown, name


def test_retraining_writes_weights_with_a_card_and_resumes(tmp_path):
    changes = {
        "retrain": True, "num_steps": 200, "training_batch": 2, "num_filters": 2,
        "num_rx_ant": 4, "num_elements": 4, "num_patterns": 5, "max_units": 10, "batch_size": 4,
    }  # fmt: skip
    results, folder = smoke(nmse.nmse, tmp_path, **changes)
    curve = "training error", "network"
    errors = [results.value(*curve, x) for x in results.points(*curve)]
    assert errors[-1] < errors[0]
    card = json.loads((folder / "weights/cenas-all-snr.json").read_text())
    assert card["config"]["num_steps"] == 200 and card["training_s"] > 0
    denoiser = irs.weights.load("cenas-all-snr", folder / "weights")
    assert np.all(denoiser.error_share.numpy() != 1)
    before = (folder / "results.csv").read_bytes()
    (folder / "results.csv").unlink()
    smoke(nmse.nmse, tmp_path, **changes)
    assert (folder / "results.csv").read_bytes() == before


def test_training_fits_a_line_and_measures_held_out_draws():
    layer = irs.Convolution("point", 1, 1, norm=False, activation=None)

    def loss(call, t):
        x = irs.random.normal([8, 1, 1, 1])
        value = tf.reduce_mean(tf.square(call(x) - 3 * x - 1))
        return value, {("loss", "line"): (value, 1.0)}

    def evaluate(call):
        x = tf.ones([1, 1, 1, 1])
        return {("held-out", "line"): (tf.reduce_sum(call(x)), 1.0)}

    start, advance = trainer.training(
        layer, trainer.cosine_adam(0.1, 300), loss, [("held-out", "line")], evaluate, every=100
    )
    state, step, seen = start(), tf.function(advance, autograph=False), []
    for t in range(300):
        state, sums = step(state, tf.constant(t))
        seen.append(sums["held-out", "line"])
    assert [t for t, (_, count) in enumerate(seen) if count] == [99, 199, 299]
    assert float(seen[-1][0]) == pytest.approx(4, abs=0.02)
    trainer.assign(layer, state)
    assert float(layer.kernel[0, 0, 0, 0]) == pytest.approx(3, abs=0.02)


@pytest.mark.slow  # five searches
def test_ablation_variants_train_on_the_same_held_out_draws(tmp_path, monkeypatch):
    kept = {
        name: dataclasses.replace(ablation.ablation.recursions[name], seeds=2)
        for name in (ablation.BASE, ablation.RANDOM)
    }
    monkeypatch.setattr(ablation.ablation, "recursions", kept)
    monkeypatch.setattr(ablation.ablation, "draw", None)
    results, _ = smoke(ablation.ablation, tmp_path)
    assert results.points(ablation.EXCESS, ablation.BASE) == [400]
    pairs = [results.units[metric, ablation.BASE][400] for metric in ("held-out NMSE", "excess")]
    assert len(pairs[0]) == 2 and all(a[0] == b[0] for a, b in zip(*pairs, strict=True))
    optimum = {den for name in kept for _, den in results.units["excess", name][400]}
    assert len(optimum) == 1


def test_cells_of_the_table_have_the_counted_operations():
    for name, (num_cells, num_nodes, operations, *_) in networks.NETWORKS.items():
        genotype = irs.Genotype(networks.cells_of(name))
        assert (genotype.num_cells, genotype.num_nodes) == (num_cells, num_nodes)
        assert {op: genotype.count(op) for op in operations} == operations


def test_all_published_items_of_the_paper_are_answered():
    answers = {a for e in all_experiments().values() for a in e.answers if a.startswith("CENAS")}
    assert len(answers) == 13
