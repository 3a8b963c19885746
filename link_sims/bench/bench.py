"""Yardsticks of speed: ratios measured in one process; graph against XLA for an experiment."""

from ..errors import UserError

__all__ = ["YARDSTICKS", "measure"]

# Name -> (module, function); each returns {text: (value, unit)}.
YARDSTICKS = {
    "random": ("channel", "random_numbers"),
    "channel": ("channel", "channel_draws"),
    "qam": ("qam", "qam_counting"),
    "composition": ("cir", "composition"),
    "far-field": ("cir", "far_field"),
    "linalg": ("linalg", "small_systems"),
    "training": ("training", "training_throughput"),
    "zeroth-order": ("zeroth_order", "zeroth_order"),
    "double-surface": ("double", "double_surface"),
    "precoding": ("precoding", "precoding"),
    "hybrid": ("hybrid", "hybrid"),
    "links": ("links", "links"),
    "runner": ("overhead", "runner_overhead"),
}


def measure(name):
    """{text: (value, unit)} of a yardstick, or of an experiment in graphs and in XLA.

    Raises
    ------
    UserError
        For a name that is neither.
    """
    import importlib

    from ..experiment import Config
    from ..runs import backend

    if name in YARDSTICKS:
        backend.start(Config())
        module, function = YARDSTICKS[name]
        return getattr(importlib.import_module(f".yardsticks.{module}", __package__), function)()
    from ..registry import all_experiments
    from .yardsticks import executions

    experiment = all_experiments().get(name)
    if experiment is None or not (experiment.sweep_run or experiment.recursions):
        raise UserError(
            f"NAME = {name}: one of {', '.join(YARDSTICKS)} or an experiment with a sweep or a "
            "recursion is needed"
        )
    return executions.rows(name, executions.compare(name))
