"""A surface in a Sionna scene: a user walks out of sight of the base station."""

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sionna.phy.channel import OFDMChannel, subcarrier_frequencies
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.mapping import BinarySource, Demapper, Mapper
from sionna.phy.ofdm import ResourceGrid

import link_sims
import sionna_irs as irs

# A base station, a panel of 16 x 16 elements at a corner, 41 places of a user in a side street.
panel, y = irs.UPA(16, 16), np.arange(-4.0, 37.0)
surface = irs.SceneDevice([31, -8, 8], panel, orientation=np.deg2rad([140, 0, 0]))
users = irs.SceneDevice(np.stack([np.full(41, 24.0), y, np.full(41, 1.5)], -1))
hops = irs.RayTracedHops(
    "simple_street_canyon", 3.5e9, irs.SceneDevice([-60, 0, 10]), users, {"s1": surface}
)


class Downlink(irs.Link):
    """Coded QPSK on an OFDM grid; any Sionna block takes the surface as its channel."""

    def __init__(self, cir, noise_dbm, **kwargs):
        super().__init__(**kwargs)
        self.channel = OFDMChannel(cir, ResourceGrid(14, 64, 30e3), return_channel=True)
        self.source, self.mapper = BinarySource(), Mapper("qam", 2)
        self.demapper, self.noise_dbm = Demapper("app", "qam", 2), noise_dbm
        self.encoder = LDPC5GEncoder(896, 1792)
        self.decoder = LDPC5GDecoder(self.encoder)

    def call(self, batch_size, ebno_db):  # the points of the simulation: transmit power [dBm]
        no = irs.snr_db_to_no(ebno_db - self.noise_dbm)
        b = self.source([batch_size, 896])
        x = tf.reshape(self.mapper(self.encoder(b)), [batch_size, 1, 1, 14, 64])
        y, h = (tf.reshape(z, [batch_size, -1]) for z in self.channel(x, no))
        no_eff = tf.math.divide_no_nan(no, tf.abs(h) ** 2) + tf.cast(h == 0, no.dtype)
        return b, self.decoder(self.demapper(tf.math.divide_no_nan(y, h), no_eff))


noise_dbm = irs.LinkBudget(0.0, bandwidth_hz=64 * 30e3, noise_figure_db=7.0).noise_power_dbm
band, power = subcarrier_frequencies(64, 30e3), [float(p) for p in range(-11, 35, 5)]
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
schemes = {"no surface": None, "random phases": irs.RandomPhases(), "aligned": irs.StrongestTap()}
for name, policy in schemes.items():
    arrows = list(hops) if policy else ["tx>rx"]
    phases = {"s1": irs.IdealPhases(panel)} if policy else {}
    cir = irs.SurfaceCIR({k: hops[k] for k in arrows}, phases, policy, band)
    cirs = cir.draw(41, index=np.arange(41)[:, None])
    h = cir.response(cirs, band, policy and policy(cir.links(cirs, band)))
    gain = np.mean(np.abs(h) ** 2, axis=-1).ravel()
    left.plot(y, 10 * np.log10(np.where(gain > 0, gain, np.nan)), label=name)
    shadow = hops.select(np.flatnonzero(y > 24))  # no direct path and no reflection
    cir = irs.SurfaceCIR({k: shadow[k] for k in arrows}, phases, policy, band)
    found = link_sims.simulate(Downlink(cir, noise_dbm), power, max_units=5, out=f"runs/{name}")
    right.semilogy(power, [found.value("bler", "link", p) for p in power], "o-", label=name)
left.set(xlabel="place of the user, y [m]", ylabel="mean path gain [dB]")
right.set(xlabel="transmit power [dBm]", ylabel="block error rate, y > 24 m", ylim=(1e-2, 1.2))
left.legend()
figure.savefig("scene.png", dpi=150)
