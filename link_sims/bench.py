"""Yardsticks of speed: ratios measured in one process."""

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
    "runner": ("overhead", "runner_overhead"),
}


def measure(name):
    """{text: (value, unit)} of one yardstick."""
    import importlib

    module, function = YARDSTICKS[name]
    return getattr(importlib.import_module(f".yardsticks.{module}", __package__), function)()
