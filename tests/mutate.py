"""Mutation testing: change one thing in a module, and see whether its tests notice.

``python tests/mutate.py [MODULE ...] [--count N] [--seed S]`` takes N changes drawn from every
named module (by default of all below), runs the tests that belong to the module against each, in a
process forked after TensorFlow was imported, and prints what survived. Nothing is written.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
UNITS, RUNNER = "tests/sionna_irs", "tests/link_sims"
# Graphs show what XLA shows: the loops are the same code.
LINALG = [f"{UNITS}/linalg/test_linalg.py", "-k", "not xla"]
TESTS = {  # module -> its tests
    "link_sims.results.intervals": [f"{RUNNER}/test_intervals.py", f"{RUNNER}/test_crossing.py"],
    "link_sims.results.claims": [f"{RUNNER}/test_claims.py", f"{RUNNER}/test_crossing.py"],
    "link_sims.results.stopping": [f"{RUNNER}/test_intervals.py"],
    "link_sims.results.shares": [f"{RUNNER}/test_shares.py"],
    "link_sims.results.notes": [f"{RUNNER}/test_shares.py"],
    "link_sims.runs.store": [f"{RUNNER}/test_store.py"],
    "link_sims.runs.recursion": [
        f"{RUNNER}/test_recursion.py",
        f"{RUNNER}/test_runs.py::test_recursion_resumes_after_a_crash_at_every_record",
        f"{RUNNER}/test_runs.py::test_trained_states_reach_the_sweep",
        f"{RUNNER}/test_runs.py::test_a_recursion_starts_from_another_of_its_seed",
        f"{RUNNER}/test_runs.py::test_a_damaged_checkpoint_starts_again_with_the_same_result",
    ],
    "sionna_irs.channel.graph": [
        f"{UNITS}/channel/test_composition.py",
        f"{UNITS}/channel/test_channel.py",
    ],
    "sionna_irs.channel.surface_channel": [
        f"{UNITS}/channel/test_composition.py",
        f"{UNITS}/channel/test_channel.py",
    ],
    "sionna_irs.metrics": [f"{UNITS}/test_basics.py"],
    "sionna_irs.linalg.solve": LINALG,
    "sionna_irs.linalg.decompose": LINALG,
    "sionna_irs.linalg.jacobi": LINALG,
    "sionna_irs.linalg.entries": LINALG,
    "sionna_irs.precoding.wmmse": [
        f"{UNITS}/precoding/test_wmmse.py",
        *("-k", "twin or bad or start or power or rates or rzf or without or filling"),
    ],
    "sionna_irs.hybrid.sca": [f"{UNITS}/hybrid/test_sca.py", "-k", "not xla"],
    "sionna_irs.precoding.linear": [f"{UNITS}/precoding/test_linear.py"],
}
# Changes that no test can notice, and why: "module: line | part: change", as printed, -> reason.
_SIDES = "both sides give the same field; only the work differs"
_SWEEP = "a bound on rounding: a sweep more or less"
EQUIVALENT = {
    'link_sims.runs.store: text = json.dumps({"sha": _digest(_encode(entry)), **entry}, indent=1) '
    "| 1: 1 becomes 2": "a space more before the lines of a file",
    "sionna_irs.channel.graph: if columns[0] <= rows[0]: | columns[0] <= rows[0]: comparison "
    "becomes Lt": _SIDES,
    "sionna_irs.channel.graph: if columns[0] <= rows[0]: | condition is negated": _SIDES,
    "sionna_irs.linalg.jacobi: bound = 4 * eps * tf.sqrt(tf.abs(power[..., :, None] * "
    "power[..., None, :])) | 4: 4 becomes 5": _SWEEP,
    "sionna_irs.linalg.jacobi: floor = (eps**2) * tf.reduce_max(power, -1)[..., None, None] "
    "| 2: 2 becomes 3": _SWEEP,
    "sionna_irs.linalg.jacobi: return count + 1, state | 1: 1 becomes 2": "half of the most "
    "sweeps, which no matrix of the tests needs",
}
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
CALLS = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "all": "any",
    "any": "all", "reduce_sum": "reduce_mean", "reduce_all": "reduce_any", "real": "imag",
    "imag": "real", "argmax": "argmin", "cumsum": "cumprod", "floor": "ceil", "ceil": "floor",
}  # fmt: skip
DROPPED = {"conj", "sqrt", "abs", "adjoint", "matrix_transpose", "stop_gradient", "sorted"}


def changes(node):
    """(description, change) of everything that one node can become."""
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        new = SWAPS[type(node.op)]
        yield f"operator becomes {new.__name__}", lambda n: setattr(n, "op", new())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        new = SWAPS[type(node.ops[0])]
        yield f"comparison becomes {new.__name__}", lambda n: n.ops.__setitem__(0, new())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield "sign or negation is dropped", lambda n: replace(n, n.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} becomes {value}", lambda n: setattr(n, "value", value)
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "condition is negated", lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
    elif isinstance(node, ast.Raise):
        yield "error is not raised", lambda n: replace(n, ast.Pass())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "statement is dropped", lambda n: replace(n, ast.Pass())
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        key = "attr" if isinstance(node.func, ast.Attribute) else "id"
        if name in CALLS:
            yield f"{name} becomes {CALLS[name]}", lambda n: setattr(n.func, key, CALLS[name])
        if name in DROPPED and node.args:
            yield f"{name} is dropped", lambda n: replace(n, n.args[0])


def replace(node, new):
    """Make ``node`` the other one, in place."""
    node.__class__ = new.__class__
    node.__dict__ = dict(new.__dict__, lineno=node.lineno, col_offset=node.col_offset)


def sites(tree):
    """(path through the tree, node) of what computes: no texts, no declarations."""
    todo = [((), tree)]
    while todo:
        path, node = todo.pop()
        yield path, node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list") or isinstance(
                node, (ast.Raise, ast.JoinedStr)
            ):
                continue
            for index, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    todo.append(((*path, (field, index)), child))


def mutants(module):
    """(line, what is changed, tree) of every change of a module."""
    source = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    tree = ast.parse(source)
    for path, node in sites(tree):
        for text, change in changes(node):
            new = copy.deepcopy(tree)
            place = new
            for field, index in path:
                place = getattr(place, field)
                place = place[index] if isinstance(place, list) else place
            line = source.splitlines()[node.lineno - 1].strip()
            part = ast.get_source_segment(source, node).split("\n")[0]
            part = "" if line == part else f"{part}: "
            change(place)
            yield node.lineno, f"{line} | {part}{text}", ast.fix_missing_locations(new)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree."""

    def __init__(self, module, tree):
        self.module, self.tree = module, tree

    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            file = str(ROOT / (name.replace(".", "/") + ".py"))
            spec = importlib.machinery.ModuleSpec(name, self, origin=file)
            spec.has_location = True
            return spec

    def exec_module(self, module):
        exec(compile(self.tree, module.__file__, "exec"), module.__dict__)


def survives(module, tree, limit_s):
    """(whether all tests pass, seconds); a child that hangs is stopped and has noticed."""
    began, child = time.monotonic(), os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        if tree is not None:
            sys.meta_path.insert(0, Changed(module, tree))
        import pytest

        options = ["-x", "-q", "-o", "addopts=", "-m", "not slow", "-p", "no:cacheprovider"]
        os._exit(int(pytest.main([*options, *TESTS[module]])) != 0)
    while time.monotonic() - began < limit_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0, time.monotonic() - began
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False, limit_s


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--count", type=int, default=15, help="changes for every module")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import sionna.phy  # noqa: F401  what takes long is imported once, before processes are forked

    found = {"noticed": 0, "survived": 0, "equivalent": 0}
    for module in arguments.modules:
        fine, seconds = survives(module, None, 3600)
        if not fine:
            sys.exit(f"{module}: its tests fail without any change")
        every = list(mutants(module))
        drawn = random.Random(f"{arguments.seed} {module}").sample(
            every, min(arguments.count, len(every))
        )
        print(f"{module}: {len(drawn)} of {len(every)} changes, tests {seconds:.0f} s", flush=True)
        for line, text, tree in drawn:
            if f"{module}: {text}" in EQUIVALENT:
                found["equivalent"] += 1
            elif survives(module, tree, 10 + 5 * seconds)[0]:
                found["survived"] += 1
                print(f"  survived: line {line}, {text}", flush=True)
            else:
                found["noticed"] += 1
    score = found["noticed"] / max(1, found["noticed"] + found["survived"])
    print(f"{found}; {score:.1%} noticed")


if __name__ == "__main__":
    main()
