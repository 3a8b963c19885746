"""A whole link as one Keras model: trained over Eb/N0, saved, and run by Sionna's runners."""

import math
import os

import keras
import tensorflow as tf
from sionna.phy.block import Object

from . import random
from .layer import LinkLayer

__all__ = ["EbnoRange", "Link", "load_model", "uniform_ebno"]


class EbnoRange:
    """Eb/N0 uniform in dB between two ends, drawn anew for every example of a batch.

    Made by :func:`uniform_ebno`.
    """

    def __init__(self, low_db, high_db):
        ends = (low_db, high_db)
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in ends):
            raise ValueError(f"uniform_ebno{ends}: two finite numbers [dB] are needed")
        if low_db > high_db:
            raise ValueError(
                f"low_db = {low_db} exceeds high_db = {high_db}; low_db <= high_db is needed"
            )
        self.low_db, self.high_db = float(low_db), float(high_db)

    def dataset(self, batch_size):
        """Endless batches [batch_size, 2] that hold the two ends."""
        ends = tf.tile([[self.low_db, self.high_db]], [batch_size, 1])
        return tf.data.Dataset.from_tensors(ends).repeat()


def uniform_ebno(low_db, high_db):
    """Training range of Eb/N0: uniform in dB, one value for every example.

    Parameters
    ----------
    low_db, high_db : float
        Ends of the range [dB].

    Returns
    -------
    EbnoRange
        For :meth:`Link.fit`.

    Raises
    ------
    ValueError
        When an end is not finite or the ends are in the wrong order.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.uniform_ebno(-5, 10).high_db
    10.0
    """
    return EbnoRange(low_db, high_db)


def _inner_layers(value, seen):
    """Keras layers within Sionna blocks, lists and dictionaries, depth first."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, keras.layers.Layer):
        yield value
    elif isinstance(value, Object):
        yield from _inner_layers(vars(value), seen)
    elif isinstance(value, dict):
        for item in list(value.values()):
            yield from _inner_layers(item, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inner_layers(item, seen)


class Link(LinkLayer, keras.Model):
    r"""An end-to-end link: ``link(batch_size, ebno_db) -> (b, b_hat)`` or ``(b, llr)``.

    A :class:`keras.Model` to derive from. Write ``__init__`` with plain JSON arguments, build
    Sionna's blocks and our layers in it, and write ``call(self, batch_size, ebno_db)``. The
    base class adds what Keras lacks for such a model:

    * trainable weights of layers inside Sionna blocks (a channel in ``OFDMChannel``) are found;
    * ``fit(uniform_ebno(low, high), batch_size, steps_per_epoch)``. Unless ``compile`` names a
      loss, it minimises the binary cross-entropy
      :math:`-\log\sigma((2b-1)\,\mathrm{llr})`, mean over all bits [nat];
    * calls with positional numbers, saving to ``.keras``, loading by :func:`load_model`;
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

    def __init__(self, *, precision=None, **kwargs):
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

    def __call__(self, *args, **kwargs):
        if not self.built:  # blocks may have got their layers after they were assigned
            for value in list(vars(self).values()):
                if isinstance(value, Object):
                    self._track_inner(value)
        return super().__call__(*args, **kwargs)

    def build(self, *_, **__):
        """Nothing to do: the weights are made in ``__init__``."""
        self.built = True

    def get_build_config(self):
        """None: the constructor makes the whole link."""
        return None

    def build_from_config(self, config):
        """Nothing to do: see :meth:`get_build_config`."""
        self.built = True

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
        if parts or not self.built:
            x, _, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
            inputs = {"batch_size": x.shape[0], "ebno_db": x if x.shape.rank == 1 else x[:, 0]}
            call = tf.function(lambda: self(**inputs), autograph=False)
            outputs = call.get_concrete_function().structured_outputs
            for part in parts:
                part.build(*outputs)
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

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


def load_model(path, custom_objects=None):
    """Load a link or model saved with ``model.save("name.keras")``.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file.
    custom_objects : dict, optional
        Your own classes by name, when their module has not been imported.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        When there is no such file.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.load_model("nowhere.keras")
    Traceback (most recent call last):
    ...
    ValueError: path = nowhere.keras: no such file
    """
    import sionna_irs

    if not os.path.isfile(path):
        raise ValueError(f"path = {path}: no such file")
    for name in sionna_irs.__all__:  # registers every class of the package
        getattr(sionna_irs, name)
    return keras.saving.load_model(path, custom_objects=custom_objects)
