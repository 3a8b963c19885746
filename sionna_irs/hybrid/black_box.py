"""Dense networks from received pilots to the digital part of hybrid beamforming."""

import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg.scale import unit_noise
from ..networks.dense import Dense
from .streams import unit_power_streams

__all__ = ["BlackBoxHybrid"]


class BlackBoxHybrid(LinkLayer):
    r"""Estimation and digital beamforming by two networks that know no formula.

    The first maps the pilots :math:`Y_k/\sqrt{N_0}` of all users to their equivalent channels, the
    second maps these to all precoders and combiners: each two dense layers with batch
    normalisation and ReLU and a linear one. Precoders are scaled to
    :math:`\mathrm{tr}(F_k^HGF_k)=N_s`.

    Source: mixed-timescale deep unfolding, its black-box baseline; the widths are chosen here.

    Parameters
    ----------
    pilots : ChainPilots
        In a mode in which every user receives: "common" or "contaminated".
    num_users, num_rx_chains, num_streams : int
        K, m and Ns.
    width : int
        Of the hidden layers.

    Input
    -----
    y : tf.Tensor, [..., K, m, L], complex
        Received pilots.
    no : float or tf.Tensor, [...], real
        Noise variance of the pilots over the power of a slot, above 0.
    gram : tf.Tensor, [..., n, n], complex
        G of the front end.
    training : bool

    Output
    ------
    f : tf.Tensor, [..., K, n, Ns], complex
    w : tf.Tensor, [..., K, m, Ns], complex

    Raises
    ------
    ValueError
        For sizes below 1, pilots in "uplink" mode and other shapes.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.black_box import BlackBoxHybrid
    >>> from sionna_irs.hybrid.front_end import HybridFrontEnd
    >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
    >>> front, pilots = HybridFrontEnd(16, 8, 8, 2, num_users=3), ChainPilots(8, 6, trainable=True)
    >>> h_eq, r_w, gram = front(irs.random.complex_normal([5, 3, 8, 16]))
    >>> beams = BlackBoxHybrid(pilots, num_users=3, num_rx_chains=2, num_streams=2)
    >>> [x.shape.as_list() for x in beams(pilots(h_eq, r_w, gram, 0.1), 0.1, gram)]
    [[5, 3, 8, 2], [5, 3, 2, 2]]
    """

    inputs = {
        "y": Input("complex", "num_users", "num_rx_chains", "num_symbols"),
        "no": Input("real", minimum=1e-30, like="y"),
        "gram": Input("complex", "num_chains", "num_chains"),
    }

    def __init__(
        self,
        pilots,
        num_users: int,
        num_rx_chains: int,
        num_streams: int,
        width: int = 256,
        **kwargs,
    ):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        sizes = {"num_users": num_users, "num_rx_chains": num_rx_chains, "width": width}
        for name, value in {**sizes, "num_streams": num_streams}.items():
            require_integer(name, value)
        if pilots.mode == "uplink":
            raise ValueError("pilots.mode = 'uplink'; 'common' or 'contaminated' is needed")
        self.pilots, self.num_users, self.num_rx_chains = pilots, num_users, num_rx_chains
        self.num_chains, self.num_symbols = pilots.num_chains, pilots.num_symbols
        self.shapes = {
            "y": [num_users, num_rx_chains, self.num_symbols],
            "h": [num_users, num_rx_chains, self.num_chains],
            "f": [num_users, self.num_chains, num_streams],
            "w": [num_users, num_rx_chains, num_streams],
        }
        sizes = {name: 2 * a * b * c for name, (a, b, c) in self.shapes.items()}
        self.estimator = self._network([sizes["y"], width, width, sizes["h"]])
        self.beamformer = self._network([sizes["h"], width, width, sizes["f"] + sizes["w"]])

    def _network(self, widths):
        hidden = [
            Dense(*widths[i : i + 2], norm=True, activation="relu", precision=self.precision)
            for i in range(len(widths) - 2)
        ]
        return [*hidden, Dense(*widths[-2:], precision=self.precision)]

    def estimate(self, y, no, training=False):
        """Equivalent channels [..., K, m, n], complex: what the first network names so."""
        y, back = unit_noise(y, no, (-3, -2, -1))
        return self._complex(self._first(y, training), "h") * self.cplx(back)

    def call(self, y, no, gram, training=False):
        heard = tf.reduce_any(y != 0, [-2, -1], keepdims=True)
        y, _ = unit_noise(y, no, (-3, -2, -1))
        x = _run(self.beamformer, self._first(y, training), training)
        f, w = tf.split(x, [2 * _size(self.shapes[name]) for name in "fw"], -1)
        f, w = self._complex(f, "f"), self._complex(w, "w")
        f = unit_power_streams(tf.where(heard, f, tf.zeros_like(f)), gram[..., None, :, :])
        return f, w

    def _first(self, y, training):
        """Real numbers of the equivalent channels, in units of the noise."""
        batch = tf.shape(y)[:-3]
        x = tf.reshape(y, tf.concat([batch, [_size(self.shapes["y"])]], 0))
        x = tf.concat([tf.math.real(x), tf.math.imag(x)], -1)
        return _run(self.estimator, x, training)

    def _complex(self, x, name):
        size = tf.concat([tf.shape(x)[:-1], self.shapes[name]], 0)
        return tf.complex(*(tf.reshape(part, size) for part in tf.split(x, 2, -1)))


def _size(shape):
    return shape[0] * shape[1] * shape[2]


def _run(network, x, training):
    for layer in network:
        x = layer(x, training=training)
    return x
