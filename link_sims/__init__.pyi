"""Links turned into curves: experiments, a runner that survives crashes, figures, claims."""  # made by tests/stub.py

from .errors import UserError as UserError
from .experiment import Config as Config, Experiment as Experiment, Metric as Metric, row as row
from .fields import Distance as Distance, EvenBits as EvenBits, Grid as Grid, IntGrid as IntGrid, LearningRate as LearningRate, PhaseBits as PhaseBits, PositiveFloat as PositiveFloat, PositiveInt as PositiveInt
from .lazy import tf as tf
from .results.measured import measured as measured
from .results.results import Results as Results
from .runs.runner import run as run
from .simulate import simulate as simulate
