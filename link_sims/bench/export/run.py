"""Runs the modules of this folder under JAX and checks their results; TensorFlow is not needed.

    python run.py                     on JAX's default device: check, then measure
    python run.py --device gpu        on the GPU (or: cpu)
    python run.py --quick             check only
    python run.py --cases wmmse,ofdm --seconds 5 --json figures.json

Needs jax (0.10 or 0.11) and numpy. Exit code: 0 all results agree, 1 some do not, 2 it cannot run.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import time

# A run that needs little memory takes little, and "out of memory" means the module's own need.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.export
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
# Windows of a training, at least; how many times the time of measuring a single call may take.
WINDOWS, PATIENCE = 3, 10


def main():
    options = parse()
    jax.config.update("jax_enable_x64", True)  # keys are 64-bit integers
    if options.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    device = jax.devices()[0]
    if options.device not in (None, device.platform):
        stop(f"--device {options.device}: JAX finds none here, only {device.platform}")
    manifest = json.loads((HERE / "manifest.json").read_text())
    names = options.cases.split(",") if options.cases else list(manifest["cases"])
    unknown = [n for n in names if n not in manifest["cases"]]
    if unknown:
        stop(f"--cases {unknown[0]}: this folder has {', '.join(manifest['cases'])}")
    print(f"{device.device_kind} ({device.platform}), jax {jax.__version__}")
    rows = []
    for name in names:
        rows += run_case(name, manifest["cases"][name], options)
        if options.json:  # after every case: a run may be cut off
            report = {
                "device": device.device_kind, "platform": device.platform,
                "jax": jax.__version__, "exported": manifest["versions"], "rows": rows,
            }  # fmt: skip
            pathlib.Path(options.json).write_text(json.dumps(report, indent=1))
    wrong = [r for r in rows if r["agrees"] is False]
    checked = sum(r["agrees"] is not None for r in rows)
    print(f"{checked - len(wrong)} of {checked} checks agree with TensorFlow's results")
    sys.exit(1 if wrong else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], help="default: JAX's choice")
    parser.add_argument("--cases", help="names, separated by commas; default: all")
    parser.add_argument("--seconds", type=float, default=2.0, help="of measuring, per module")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="check only, measure nothing")
    return parser.parse_args()


def stop(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def run_case(name, case, options):
    """Rows of all batch sizes, the smallest first, until one does not fit into memory or fails."""
    print(f"\n{name}: {case['title']}")
    print("   batch  compile s  check                            speed")
    rows = []
    for batch in case["batches"]:
        if options.quick and batch["check"] is None:
            continue
        row = {"case": name, "batch_size": batch["batch_size"], "agrees": None}
        if too_slow(row, rows, options):
            break
        rows.append(row)
        try:
            measure = {"units": run_units, "training": run_training}[case["kind"]]
            measure(row, name, case, batch, options)
        except jax.errors.JaxRuntimeError as error:
            full = "RESOURCE_EXHAUSTED" in str(error)
            row["check"] = "out of memory" if full else "stopped by an error"
            if not full:
                row.update(agrees=False, error=str(error))
                print(f"   {str(error)[:2000]}")
            show(row)
            break
        show(row)
    return rows


def too_slow(row, rows, options):
    """Whether a call would outlast the time of measuring by far; said once."""
    if not rows or "per_call_s" not in rows[-1]:
        return False
    expected = rows[-1]["per_call_s"] * row["batch_size"] / rows[-1]["batch_size"]
    if expected <= PATIENCE * options.seconds:
        return False
    print(f"{row['batch_size']:8d}             left out: about {expected:.0f} s a call")
    return True


def show(row):
    compile_s = f"{row['compile_s']:.1f}" if "compile_s" in row else ""
    mark = "  FAILS" if row["agrees"] is False else ""
    speed = f"{row['per_second']:.4g} {row['unit']}/s" if "per_second" in row else ""
    print(f"{row['batch_size']:8d}  {compile_s:>9}  {row['check']:31}  {speed}{mark}", flush=True)


# Modules as JAX functions.


def compiled(case, batch, arguments):
    """(callable of NumPy arrays or device arrays, seconds of compiling)."""
    code = without_copies((HERE / batch["module"]).read_bytes())
    began = time.perf_counter()
    try:
        call = jax.jit(exported(code, case, batch).call).lower(*arguments).compile()
    except (TypeError, AttributeError) as error:  # another form of Exported
        print(f"   jax.export does not take the module ({error}); loading it directly")
        call = loaded(code)
    return call, time.perf_counter() - began


def without_copies(code):
    """The module without ``mhlo.copy``, which is no StableHLO and which GPUs refuse.

    TensorFlow copies the last state of its random generator, a result that nobody reads.
    """
    from jax._src.interpreters import mlir
    from jax._src.lib.mlir import ir
    from jax._src.lib.mlir.dialects import hlo as stablehlo

    with mlir.make_ir_context() as context:
        module = stablehlo.deserialize_portable_artifact(context, code)
        copies = []

        def visit(operation):
            if operation.name == "mhlo.copy":
                copies.append(operation)
            return ir.WalkResult.ADVANCE

        module.operation.walk(visit)
        for copy in copies:
            copy.results[0].replace_all_uses_with(copy.operands[0])
            copy.erase()
        return stablehlo.serialize_portable_artifact(module, stablehlo.get_minimum_version())


def exported(code, case, batch):
    """The module as if JAX had exported it itself."""
    avals = [
        [jax.core.ShapedArray(tuple(shape), np.dtype(dtype)) for shape, dtype in batch[part]]
        for part in ("arguments", "results")
    ]
    trees = [
        jax.tree_util.tree_structure(tree)
        for tree in (((0,) * len(avals[0]), {}), [0] * len(avals[1]))
    ]
    fields = {
        "fun_name": case["kind"], "in_tree": trees[0], "out_tree": trees[1],
        "in_avals": tuple(avals[0]), "out_avals": tuple(avals[1]),
        "in_shardings_hlo": (None,) * len(avals[0]), "out_shardings_hlo": (None,) * len(avals[1]),
        "_has_named_shardings": False,
        "_in_named_shardings": (None,) * len(avals[0]),
        "_out_named_shardings": (None,) * len(avals[1]),
        "nr_devices": 1, "platforms": (jax.export.default_export_platform(),),
        "ordered_effects": (), "unordered_effects": (), "disabled_safety_checks": (),
        "mlir_module_serialized": code,
        "calling_convention_version": jax.export.maximum_supported_calling_convention_version,
        "module_kept_var_idx": tuple(range(len(avals[0]))),
        "uses_global_constants": False, "_get_vjp": None,
    }  # fmt: skip
    known = {f.name for f in dataclasses.fields(jax.export.Exported)}
    return jax.export.Exported(**{k: v for k, v in fields.items() if k in known})


def loaded(code):
    """The module through the runtime's own interface."""
    from jax._src.lib import xla_client

    device = jax.devices()[0]
    devices = xla_client.DeviceList((device,))
    program = device.client.compile_and_load(code, devices, xla_client.CompileOptions())

    def call(*arguments):
        # The runtime may reuse the memory of its arguments: these are copies.
        placed = [jax.device_put(np.asarray(a), device) for a in arguments]
        parts = program.execute_sharded(placed).disassemble_into_single_device_arrays()
        return [part[0] for part in parts]

    return call


def arrays(file):
    with np.load(HERE / file) as stored:
        return [stored[key] for key in stored.files]


# Two kinds of case.


def run_units(row, name, case, batch, options):
    """Independent units: unit i is what the keys (seed, point, i) draw, however often."""
    fixed = [np.int64(case["seed"]), np.int64(case["point"])]
    variables = [jax.device_put(v) for v in arrays(case["variables"])]

    def arguments(index):
        return [*fixed, np.int64(index), np.float32(case["x"]), *variables]

    call, row["compile_s"] = compiled(case, batch, arguments(0))

    def unit(index):
        return np.asarray(call(*arguments(index))[0])

    if batch["check"]:
        (expected,) = arrays(batch["check"])
        found = np.stack([unit(i) for i in range(len(expected))])
        row["agrees"], row["check"], row["differences"] = compare(found, expected, case)
    else:
        found = unit(0)
        row["agrees"] = None if np.isfinite(found).all() else False
        row["check"] = "finite" if row["agrees"] is None else "not finite"
    if options.quick:
        return
    calls, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < options.seconds:
        calls += 1
        unit(calls)
    row.update(calls=calls, per_call_s=elapsed / calls, unit=case["what"])
    row["per_second"] = calls * batch["batch_size"] / elapsed
    note_memory(row)


def compare(found, expected, case):
    """(whether it agrees, a phrase, the largest difference of every output)."""
    worst, off, trials, relative, agrees = [], 0.0, 0.0, 0.0, np.isfinite(found).all()
    for k, (metric, curve, counts) in enumerate(case["outputs"]):
        got, want = found[:, k], expected[:, k]
        difference = np.abs(got - want)
        if counts:
            allowed = np.maximum(case["errors"], case["share"] * want[:, 1])
            agrees &= (difference[:, 0] <= allowed).all() and not difference[:, 1].any()
            off, trials = off + difference[:, 0].sum(), trials + want[:, 1].sum()
            largest = difference[:, 0].max()
        else:
            largest = (difference / np.maximum(np.abs(want), 1e-300)).max()
            agrees &= largest <= case["relative"]
            relative = max(relative, largest)
        worst.append([metric, curve, float(largest)])
    phrases = []
    if trials:
        phrases.append(f"counts differ by {off:.0f} of {trials:.0f}" if off else "counts equal")
    if any(not counts for *_, counts in case["outputs"]):
        phrases.append(f"sums to {relative:.0e}")
    return bool(agrees), ", ".join(phrases), worst


def run_training(row, name, case, batch, options):
    """A state carried through windows of steps; the loss must fall and stay finite."""
    start, variables = arrays(case["start"]), arrays(case["variables"])

    def arguments(first, count, state):
        return [np.int64(first), np.int64(count), *state, *variables]

    call, row["compile_s"] = compiled(case, batch, arguments(0, 1, start))

    def window(first, count, state):
        results = call(*arguments(first, count, state))
        sums = np.asarray(results[len(state)])
        return results[: len(state)], float(sums[0, 0] / sums[0, 1])

    agrees, phrase = None, "finite"
    if batch["check"]:
        (expected,) = arrays(batch["check"])
        _, loss = window(0, case["check_steps"], start)
        wanted = float(expected[0, 0] / expected[0, 1])
        relative = abs(loss - wanted) / abs(wanted)
        agrees, phrase = bool(relative <= case["relative"]), f"loss to {relative:.0e}"
        row["differences"] = [["loss", case["outputs"][0][1], relative]]
    if not options.quick:
        steps, state, losses = case["window_steps"], start, []
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < options.seconds or len(losses) < WINDOWS:
            state, loss = window(steps * len(losses), steps, state)
            losses.append(loss)
        falls = bool(np.isfinite(losses).all() and losses[-1] < losses[0])
        agrees = falls and agrees is not False
        phrase += f", {losses[0]:.3f} to {losses[-1]:.3f}"
        row.update(losses=losses, per_call_s=elapsed / len(losses), unit="steps")
        row["per_second"] = steps * len(losses) / elapsed
        note_memory(row)
    row["agrees"], row["check"] = agrees, phrase


def note_memory(row):
    """The most memory in use so far, where the device tells."""
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if peak:
        row["peak_bytes"] = int(peak)


if __name__ == "__main__":
    main()
