"""A whole link as one Keras model: trained over Eb/N0, saved, and run by Sionna's runners."""

import inspect
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from sionna.phy.block import Object

from . import random
from .ebno_range import EbnoRange
from .layer import Input, LinkLayer
from .saving import layers_without_weights, one_line, require_same_variables

__all__ = ["Link"]


def _inner_layers(value, seen):
    """Keras layers within Sionna blocks, lists and dictionaries, depth first."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, keras.layers.Layer):
        yield value
        yield from _inner_layers(_blocks(value), seen)
    elif isinstance(value, Object):
        yield from _inner_layers(vars(value), seen)
    elif isinstance(value, dict):
        for item in list(value.values()):
            yield from _inner_layers(item, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inner_layers(item, seen)


def _blocks(layer):
    """Sionna blocks of a layer and of the layers within, which Keras does not look into."""
    held = [value for inner in layer._flatten_layers() for value in list(vars(inner).values())]
    return [value for value in held if isinstance(value, Object)]


# What a file can say about an argument of a call; others are left to their defaults.
_PLAIN = (bool, int, float, str, dict, type(None))


def _described(value):
    """An argument of a call as JSON: numbers by value, tensors by shape and dtype."""
    if isinstance(value, (np.ndarray, np.generic)) or tf.is_tensor(value):
        static = tf.get_static_value(value) if tf.is_tensor(value) else value
        if static is not None and np.ndim(static) == 0 and static.dtype.kind in "iu":
            return int(static)
        return {"shape": list(value.shape), "dtype": tf.as_dtype(value.dtype).name}
    return value


class Link(LinkLayer, keras.Model):
    r"""An end-to-end link: ``link(batch_size, ebno_db) -> (b, b_hat)`` or ``(b, llr)``.

    A :class:`keras.Model` to derive from. Write ``__init__`` with plain JSON arguments, build
    Sionna's blocks and our layers in it, and write ``call(self, batch_size, ebno_db)``. The
    base class adds what Keras lacks for such a model:

    * trainable weights of layers inside Sionna blocks (a channel in ``OFDMChannel``) are found;
    * ``fit(uniform_ebno(low, high), batch_size, steps_per_epoch)``. Unless ``compile`` names a
      loss, it minimises the binary cross-entropy
      :math:`-\log\sigma((2b-1)\,\mathrm{llr})`, mean over all bits [nat];
    * calls with positional numbers, saving to ``.keras``, loading by
      :func:`sionna_irs.load_model`, also where layers of Keras get their weights at the first
      call. The file then tells how the link was first called;
    * portable random numbers (:func:`sionna_irs.random.install`) for every block built after
      ``super().__init__()``.

    Parameters
    ----------
    precision : "single", "double" or None
        None takes Sionna's ``config.precision``.
    **kwargs
        Keras' own, such as ``name``.

    Examples
    --------
    >>> import sionna_irs as irs, tensorflow as tf
    >>> from sionna.phy.mapping import BinarySource, Demapper, Mapper
    >>> from sionna.phy.channel import AWGN
    >>> class QPSK(irs.Link):
    ...     def __init__(self, num_bits=64, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.num_bits = num_bits
    ...         self.source, self.awgn = BinarySource(), AWGN()
    ...         self.mapper = Mapper("qam", 2)
    ...         self.demapper = Demapper("app", "qam", 2)
    ...     def call(self, batch_size, ebno_db):
    ...         no = irs.ebno_db_to_no(ebno_db, num_bits_per_symbol=2)
    ...         b = self.source([batch_size, self.num_bits])
    ...         return b, self.demapper(self.awgn(self.mapper(b), no), no)
    >>> b, llr = QPSK()(8, 5.0)
    >>> llr.shape
    TensorShape([8, 64])
    """

    _first_call = None  # its arguments, for the file

    inputs = {"batch_size": Input("size")}

    def __init__(self, *, precision: Literal["single", "double"] | None = None, **kwargs):
        super().__init__(precision=precision, **kwargs)
        random.install()
        self.layers_in_blocks = []

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, (Object, list, tuple, dict)) and name != "layers_in_blocks":
            self._track_inner(value)

    def _track_inner(self, value):
        tracked = self.__dict__.get("layers_in_blocks")
        if tracked is None:
            return
        known = {id(layer) for layer in tracked}
        for layer in _inner_layers(value, set()):
            if id(layer) not in known:
                tracked.append(layer)

    def _track_blocks(self):
        """Find the layers that blocks got after they were assigned."""
        locked = self._tracker.locked
        self._tracker.unlock()  # blocks may make layers at their first call, Keras' may not
        self._track_inner(_blocks(self))
        if locked:
            self._tracker.lock()

    def __call__(self, *args, **kwargs):
        if self._first_call is not None:
            return super().__call__(*args, **kwargs)
        self._track_blocks()
        outputs = super().__call__(*args, **kwargs)
        self._track_blocks()
        names = inspect.signature(self.call).parameters
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        described = {k: _described(v) for k, v in arguments.items() if k in names}
        described = {k: v for k, v in described.items() if isinstance(v, _PLAIN)}
        vars(self)["_first_call"] = described  # past Keras, which would track the dictionary
        return outputs

    def _trace(self, call):
        """Make what a call makes, without a random number: its outputs as symbols."""
        numbers = {k: v for k, v in call.items() if not isinstance(v, dict)}
        specs = {k: tf.TensorSpec(**v) for k, v in call.items() if isinstance(v, dict)}
        function = tf.function(lambda tensors: self(**numbers, **tensors), autograph=False)
        return function.get_concrete_function(specs).structured_outputs

    def get_build_config(self):
        """How the link was first called, if it was, and what a constructor cannot know."""
        return {
            **super().get_build_config(),
            "module": type(self).__module__,
            "call": self._first_call,
            "num_weights": len(self.weights),
            "seeds": [variable.numpy().tolist() for variable in self._seeds],
        }

    @property
    def _seeds(self):
        """Where Keras' own random layers stand; Keras does not write that to files."""
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    def build_from_config(self, config):
        """Make the weights that a first call makes, before they are read from the file."""
        self.built = True
        if len(self.weights) != config["num_weights"] and config["call"] is not None:
            self._trace(config["call"])
        vars(self)["_first_call"] = config["call"]
        for variable, value in zip(self._seeds, config["seeds"], strict=False):
            variable.assign(value)
        super().build_from_config(config)

    def compile_from_config(self, config):
        """``compile`` as in the file; an optimiser is only built for weights that all exist."""
        self.built = self._first_call is not None
        super().compile_from_config(config)

    @classmethod
    def from_config(cls, config):
        """The link again, from :meth:`get_config`."""
        link = super().from_config(config)
        link._track_blocks()
        return link

    def save_weights(self, filepath, overwrite=True, **kwargs):
        """Keras' ``save_weights``, also before the first call if all weights are there."""
        self._require_weights("save_weights")
        super().save_weights(filepath, overwrite, **kwargs)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Keras' ``load_weights``; ValueError when a weight is not in the file, or has no place.

        A link whose layers get their weights at the first call must have been called.
        """
        self._require_weights("load_weights")
        try:
            super().load_weights(filepath, skip_mismatch, **kwargs)
        except ValueError as error:
            raise ValueError(f"{filepath} cannot be loaded: {one_line(error)}") from error
        if not skip_mismatch and not kwargs:
            require_same_variables(self, filepath, only_weights=True)

    def _require_weights(self, wanted):
        self._track_blocks()
        without = layers_without_weights(self)
        if self._first_call is None and without:
            raise ValueError(
                f"{wanted}: {without[0].name} of {self.name} gets its weights at the first call; "
                f"call the link once before, for example {self.name}(2, 0.0)"
            )
        if not self.built:
            self.build()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Loss of bits ``y`` and log-likelihood ratios ``y_pred``, real scalar [nat].

        The binary cross-entropy unless ``compile`` named a loss. Override it for other outputs;
        Keras' own losses drop the imaginary part of complex ones. With replicas it is the loss
        of the replica's own batch.
        """
        if self._compile_loss is not None:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            # Keras' losses are shares of a mean over replicas already.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            return loss * replicas if replicas > 1 else loss
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y, y_pred.dtype), y_pred)
        return tf.add_n([tf.reduce_mean(entropy), *self.losses])

    @property
    def jit_compile(self):
        """Whether Keras compiles steps by XLA; with replicas never, but each its own part.

        Keras would compile all replicas as one program, and an XLA program lives on one device.
        """
        return super().jit_compile and not self._replicated

    @jit_compile.setter
    def jit_compile(self, value):
        keras.Model.jit_compile.fset(self, value)

    @property
    def _num_replicas(self):
        return self.distribute_strategy.num_replicas_in_sync

    @property
    def _replicated(self):
        return self._num_replicas > 1

    def _forward(self, data, training):
        """Loss and outputs for the Eb/N0 vector or ends in ``data``."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch_size = x.shape[0]
        if x.shape.rank == 2:
            ends = tf.cast(x, self.rdtype)
            share = random.uniform([batch_size], self.rdtype)
            x = ends[:, 0] + share * (ends[:, 1] - ends[:, 0])
        y, y_pred = self(batch_size=batch_size, ebno_db=x, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight, training), y, y_pred

    def _metrics_after(self, data, loss, y, y_pred):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._loss_tracker.update_state(loss, sample_weight=x.shape[0])
        return self.compute_metrics(None, y, y_pred)

    def train_step(self, data):
        """One step of the optimiser on one batch of Eb/N0 values."""
        if self._replicated:
            return self._replica_step(data, training=True)
        with tf.GradientTape() as tape:
            loss, y, y_pred = self._forward(data, training=True)
        weights = self.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return self._metrics_after(data, loss, y, y_pred)

    def test_step(self, data):
        """Loss and metrics of one batch of Eb/N0 values."""
        if self._replicated:
            return self._replica_step(data, training=False)
        return self._metrics_after(data, *self._forward(data, training=False))

    def _replica_step(self, data, training):
        """A step within a replica: gradients and averages are means over all replicas."""
        weights, others = self.trainable_weights, self.non_trainable_variables

        def compute():
            # What layers assign (moving averages) stays with the scope until it is averaged.
            with keras.StatelessScope() as scope, tf.GradientTape() as tape:
                loss, y, y_pred = self._forward(data, training)
                share = loss / self._num_replicas  # the optimiser adds gradients
            gradients = tape.gradient(share, weights) if training else []
            return loss, y, y_pred, gradients, [scope.get_current_value(v) for v in others]

        if super().jit_compile:
            compute = tf.function(compute, autograph=False, jit_compile=True)
        loss, y, y_pred, gradients, updates = compute()
        if training:
            self.optimizer.apply(gradients, weights)
        moved = [(v, new) for v, new in zip(others, updates, strict=True) if new is not None]
        context = tf.distribute.get_replica_context()
        for variable, value in moved:
            if value.dtype.is_floating:
                value = context.all_reduce(tf.distribute.ReduceOp.MEAN, value)
            variable.assign(value)
        return self._metrics_after(data, loss, y, y_pred)

    def _symbolic_build(self, iterator=None, data_batch=None):
        """What Keras builds before replicas start; it would call the link with the data alone."""
        parts = [self._compile_metrics, self._compile_loss]
        parts = [part for part in parts if part is not None and not part.built]
        if parts or self._first_call is None:
            x, _, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
            outputs = self._trace(self._call_of_batch(x.shape[0]))
            for part in parts:
                part.build(*outputs)
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _call_of_batch(self, batch_size):
        return {
            "batch_size": batch_size,
            "ebno_db": {"shape": [batch_size], "dtype": self.rdtype.name},
        }

    def fit(self, x=None, y=None, batch_size=None, **kwargs):
        """Keras' ``fit``; ``x`` is a range (:func:`uniform_ebno`) or a vector of Eb/N0 [dB].

        A link built in the scope of a ``tf.distribute`` strategy shares every batch out to the
        replicas. Each draws its own channels, noise and bits, the same ones after the same seed.

        Parameters
        ----------
        x : EbnoRange or array, shape [num_examples]
        y : None
        batch_size : int
        **kwargs
            As in Keras: with a range, ``steps_per_epoch`` is needed.

        Raises
        ------
        ValueError
            When the link has nothing to train, a range comes without ``steps_per_epoch``, or
            `batch_size` cannot be shared out equally.

        Returns
        -------
        keras.callbacks.History
        """
        if self._first_call is None and not self.trainable_weights:
            with self.distribute_strategy.scope():
                self._trace(self._call_of_batch((batch_size or 32) // self._num_replicas))
        if not self.trainable_weights:
            raise ValueError(f"{self.name} has no trainable weights; there is nothing to fit")
        self._start_replicas(batch_size)
        # A train function traced for another batch size would see an unknown batch dimension.
        self.train_function = None
        if isinstance(x, EbnoRange):
            kwargs["shuffle"] = False
        x, batch_size = self._as_dataset(x, batch_size, kwargs.get("steps_per_epoch"))
        return super().fit(x, y, batch_size=batch_size, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Keras' ``evaluate`` with ``x`` as in :meth:`fit` (a range needs ``steps``)."""
        self._start_replicas(batch_size)
        self.test_function = None
        x, batch_size = self._as_dataset(x, batch_size, kwargs.get("steps"))
        return super().evaluate(x, y, batch_size=batch_size, **kwargs)

    def _start_replicas(self, batch_size):
        """Give every replica a stream that follows from the present one."""
        strategy = self.distribute_strategy
        if not self._replicated:
            return
        if (batch_size or 32) % self._num_replicas:
            raise ValueError(
                f"batch_size = {batch_size}; a multiple of the {self._num_replicas} replicas is "
                "needed"
            )
        variables = [*self.weights, *(self.optimizer.variables if self.optimizer else [])]
        made_here = strategy.extended.variable_created_in_scope
        if not all(made_here(variable.value) for variable in variables):
            raise ValueError(
                f"{self.name} was built or compiled outside the scope of its strategy; do both "
                "within `with strategy.scope():`"
            )
        random.install().start_replicas(strategy, random.draw_key())

    @staticmethod
    def _as_dataset(x, batch_size, steps):
        if not isinstance(x, EbnoRange):
            return x, batch_size
        if steps is None:
            raise ValueError("a range of Eb/N0 has no end: give the number of steps")
        return x.dataset(32 if batch_size is None else batch_size), None
