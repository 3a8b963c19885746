"""Generated configurations of all experiments: what validation lets pass computes.

Every configuration changes a few fields of `smoke`, edges first, of a size that stays affordable.
Those that are accepted run one unit, one step of a recursion and their table; what came of it
is tabulated, drawn and judged. ``python tests/link_sims/fuzz_configs.py 1000 LOG`` goes on where
the log ends, and prints the counts.
"""

import collections
import contextlib
import functools
import itertools
import json
import math
import pathlib
import random
import sys
import time
import traceback

from link_sims.errors import UserError, explained
from link_sims.registry import all_experiments

_UNITS = {"max_units": 2, "min_units": 2}
# Fields that cost time, and values that cost little; each is taken where validation permits it.
_SMALL = {
    "batch_size": 2, "training_batch": 2, "search_batch": 2, "competitor_batch": 2, "held_out": 2,
    "num_replicas": 2, "num_design_draws": 2, "measured_draws": 2, "pool_size": 4, "num_filters": 2,
    "num_iter": 2, "num_timings": 1, "num_plain": 1,
}  # fmt: skip
_WRONG = [None, True, "1", [], {}, 1.5, -1, 0, [None], [[1]], [1.5], math.nan, math.inf, 1e30]
# Experiments that take over six seconds even so.
_SLOW = """
cenas/ablation cenas/networks cenas/operation-weights cenas/scene-nmse cenas/search
double/capacity-short double/capacity-vs-elements double/capacity-vs-power double/coded-bler
double/power-scaling double/ser-autoencoder double/ser-training hybrid/cdl hybrid/coded-bler
hybrid/depth hybrid/feedback hybrid/mismatch hybrid/online hybrid/rate-vs-chains
hybrid/rate-vs-users hybrid/run-times hybrid/schedules hybrid/transfer izosga/coded-bler
izosga/deployed-oracles izosga/deployed-oracles-400 izosga/fixed-oracles izosga/methods
izosga/methods-400 izosga/oracle-cost izosga/rician-factor izosga/scheduled-oracles
izosga/scheduled-oracles-400 izosga/very-large nr/pusch-bler ofdm/bler-vs-snr ofdm/design
precoding/calibrated-training precoding/coded-bler precoding/framework precoding/implicit-csi
precoding/implicit-vs-antennas precoding/implicit-vs-users precoding/learned-baselines
precoding/mismatched-users precoding/rate-vs-antennas precoding/rate-vs-power
precoding/rate-vs-users precoding/ray-traced precoding/run-times precoding/structured-training
precoding/surface scene/large-panel scene/munich scene/placement scene/street-canyon
""".split()
# Sizes of which more than `smoke` has are not affordable; edges above it are refused ones.
_LONG = 10**9


def small(value, rng):
    """A number of the order of the one in `smoke`, or a smaller one."""
    return rng.choice([1, 2, 3, 4, 5, 8, 12, value - 1, value, value, value + 1, value // 2])


def of_schema(schema, value, rng):
    """A value that a field's schema permits, or does not quite; `value` is that of `smoke`."""
    if "anyOf" in schema:
        schema = rng.choice(schema["anyOf"])
    if "$ref" in schema or schema.get("type") == "null":
        return None
    if "enum" in schema or "const" in schema:
        return rng.choice(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "boolean":
        return rng.choice([False, True])
    if kind == "string":
        return value
    if kind == "array":
        old = value if value else [1]
        length = rng.choice([1, 1, 2, len(old)])
        fixed = schema.get("minItems", 1)
        length = max(length, fixed) if fixed <= 3 else fixed
        return [of_schema(schema["items"], rng.choice(old), rng) for _ in range(length)]
    if kind == "integer":
        step = schema.get("multipleOf", 1)
        number = small(value if isinstance(value, int) else 2, rng)
        return number * step if step > 1 and number * step <= 2 * _LONG else number
    return real(schema, value, rng)


def real(schema, value, rng):
    """A number of the whole range, its ends first."""
    low, high = schema.get("minimum", -1e15), schema.get("maximum", 1e15)
    value = value if isinstance(value, (int, float)) else 1.0
    near = [value, 0.5 * value, 2.0 * value, value + 1.0, 0.0, 1.0, -1.0]
    if low > 0:
        far = [low, high, math.exp(rng.uniform(math.log(low), math.log(high)))]
    else:
        far = [low, high, rng.uniform(max(low, -200), min(high, 200))]
    return float(rng.choice(near + far))


@functools.cache
def base_changes(experiment):
    """Changes of `smoke` under which an experiment costs little."""
    changes = dict(_UNITS)
    for name, value in _SMALL.items():
        if name in experiment.config.model_fields:
            with contextlib.suppress(UserError):
                experiment.resolve("smoke", {**changes, name: value})
                changes[name] = value
    return changes


def changes_of(experiment, rng):
    """Changes of `smoke`: one to four fields."""
    config = experiment.resolve("smoke")
    schema = config.model_json_schema()["properties"]
    ranges = {"db": (-150, 150), "dbm": (-200, 200)}
    changes = dict(base_changes(experiment))
    names = [name for name in schema if name not in ("retrain", *_UNITS)]
    for name in rng.sample(names, min(len(names), rng.choice([1, 2, 2, 3, 4]))):
        value = getattr(config, name)
        if rng.random() < 0.05:
            changes[name] = rng.choice(_WRONG)
        elif (ends := ranges.get(name.rpartition("_")[2])) and rng.random() < 0.4:
            edge = float(rng.choice(ends))
            changes[name] = [edge] if isinstance(value, list) else edge
        else:
            changes[name] = of_schema(schema[name], value, rng)
    return changes


def configurations(count, seed=0, first=0):
    """(number, experiment, changes): all in turn, the slow experiments in every tenth round."""
    experiments = all_experiments()
    quick = {name: e for name, e in experiments.items() if name not in _SLOW}
    rounds = (quick if turn % 10 else experiments for turn in itertools.count())
    turns = itertools.chain.from_iterable(group.values() for group in rounds)
    for number, experiment in enumerate(itertools.islice(turns, count)):
        if number >= first:
            rng = random.Random(f"{seed}/{number}")
            yield number, experiment, changes_of(experiment, rng)


def compute(experiment, config, mode, rng):
    """Records as a run writes them: the table, a step of a recursion, a unit."""
    import numpy as np
    import tensorflow as tf

    from link_sims.runs import backend
    from link_sims.runs.executors.worker import Units
    from link_sims.runs.recursion import Advance, begin
    from sionna_irs.linalg import plain_graphs

    backend.start(config)
    records, trained = [], {}
    if experiment.table_run:
        records.append({"kind": "table", "rows": experiment.table_run(config)})
    with plain_graphs(mode == "graph"):
        stepped = rng.sample(sorted(experiment.recursions), min(1, len(experiment.recursions)))
        for name, recursion in experiment.recursions.items():
            before = [] if recursion.after is None else [trained[recursion.after][0]]
            state, advance = begin(config, recursion, config.seed, before)
            if getattr(config, recursion.length) and name in stepped:
                stepper = Advance(advance, name, config.seed, state, mode)
                state, sums = stepper(state, 0, 1)
                records.append(
                    {"kind": "steps", "name": name, "seed": config.seed, "first": 0, "last": 1,
                     "seconds": 0.0, "curves": [list(c) for c in stepper.curves],
                     "values": np.asarray(sums).tolist()}
                )  # fmt: skip
            trained[name] = [tf.nest.map_structure(tf.identity, state)] * recursion.seeds
    if experiment.sweep_run:
        x = getattr(config, experiment.sweep_run.x)[-1]
        outcome = Units(experiment, config, mode, trained)(x, 0, 1)
        records.append(
            {"kind": "units", "x": x, "first": 0, "curves": [list(c) for c in outcome.curves],
             "mode": mode, "values": outcome.values.tolist()}
        )  # fmt: skip
    return records


def not_finite(records):
    """Names of what is not finite."""
    import numpy as np

    found = []
    for record in records:
        if record["kind"] == "table":
            found += [
                f"{r['metric']}/{r['curve']}"
                for r in record["rows"]
                if not math.isfinite(r["value"])
            ]
            continue
        values = np.asarray(record["values"])
        axes = 1 if record["kind"] == "units" else 0
        for i, curve in enumerate(record["curves"]):
            if not np.isfinite(np.take(values, i, axes)).all():
                found.append("/".join(curve))
    return found


def report(experiment, config, records):
    """What a run does with its records."""
    from link_sims.results.plotting import render
    from link_sims.results.results import Results
    from link_sims.runs.runner import judge

    results = Results(experiment, config, records)
    results.csv()
    for claim in experiment.claims:
        judge(claim, results)
    with contextlib.suppress(UserError):  # what it shows takes more than a step
        render(results)


def attempt(experiment, changes, rng, mode="eager", drawn=True):
    """What comes of a configuration: refused, refused late, ran, not finite, traceback."""
    try:
        config = experiment.resolve("smoke", changes)
    except UserError as error:
        return {"outcome": "refused", "line": str(error)}
    except Exception:
        return {"outcome": "traceback", "text": traceback.format_exc()[-3000:]}
    try:
        records = compute(experiment, config, mode, rng)
        bad = not_finite(records)
        if not bad and drawn:
            report(experiment, config, records)
    except Exception as error:
        line = explained(error)
        if line is None:
            return {"outcome": "traceback", "text": traceback.format_exc()[-3000:]}
        return {"outcome": "late", "line": line, "text": traceback.format_exc()[-3000:]}
    return {"outcome": "not finite", "what": bad} if bad else {"outcome": "ran"}


def main(count, log, mode="eager", seed=0, first=0):
    """Go on where the log ends; how often which outcome came of all configurations."""
    import signal

    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    log = pathlib.Path(log)
    done = log.read_text().splitlines() if log.exists() else []
    first = max([int(first), *(json.loads(line)["number"] + 1 for line in done)])
    with log.open("a") as file:
        for number, experiment, changes in configurations(count, seed, first):
            began = time.time()
            signal.alarm(180)
            found = attempt(experiment, changes, random.Random(number), mode, number % 7 == 0)
            signal.alarm(0)
            entry = {"number": number, "name": experiment.name, "changes": changes, **found}
            entry["seconds"] = round(time.time() - began, 1)
            file.write(json.dumps(entry) + "\n")
            file.flush()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return collections.Counter(entry["outcome"] for entry in entries)


if __name__ == "__main__":
    print(main(int(sys.argv[1]), *sys.argv[2:]))
