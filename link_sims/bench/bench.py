"""Yardsticks of speed: ratios measured in one process."""

import importlib

from ..errors import UserError
from ..experiment import Config
from ..runs import backend

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
    """{text: (value, unit)} of a yardstick; UserError for another name."""
    if name not in YARDSTICKS:
        raise UserError(f"NAME = {name}: one of {', '.join(YARDSTICKS)} is needed")
    backend.start(Config())
    module, function = YARDSTICKS[name]
    return getattr(importlib.import_module(f".yardsticks.{module}", __package__), function)()
