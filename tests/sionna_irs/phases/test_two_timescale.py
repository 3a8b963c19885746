"""The model-based two-timescale design against its twin."""

import numpy as np
import pytest
import tensorflow as tf
import zeroth_order_twin as twins
from tuning_cases import channel, controls, draw, oracle, replica

import sionna_irs as irs


@pytest.mark.parametrize("convention", ["consistent", "as_published"])
def test_two_timescale_against_the_twin(convention):
    weights, samples = [1.0, 0.2, 2.0, 0.7], 2
    chan, phases = channel("circle"), controls("circle", 2)
    draws = [draw(2) for _ in range(3 * samples)]
    layer = irs.TwoTimescaleSSCA(
        oracle(weights=weights), samples, convention=convention, weights=weights
    )
    state = layer.start({"s1": tf.constant(np.exp(1j * phases))})
    left = iter(draws)

    def sample():
        links = {name: tf.constant(h) for name, h in next(left).items()}
        return lambda theta: chan.compose(links, theta)

    for t in range(3):
        state = layer.step(state, t, sample)
    for n in range(2):
        theta, average = np.exp(1j * phases[n]), np.zeros(40)
        for t in range(3):
            gradients = []
            for links in draws[t * samples : (t + 1) * samples]:
                links = replica(links, n)
                h = twins.compose(links, {"s1": theta})
                v, _ = twins.wmmse(h, 1.0, 3, twins.start(h, 1.0, "ones"), weights)
                gradients.append(
                    twins.surrogate_gradient(links, theta, v, 1.0, convention, weights)
                )
            theta, average = twins.two_timescale_update(theta, average, gradients, t + 1)
        np.testing.assert_allclose(state["theta"]["s1"][n], theta, atol=1e-10)
        reflected = layer.reflection(state)["s1"][n]
        np.testing.assert_allclose(reflected, theta / np.abs(theta), atol=1e-10)


def test_the_consistent_gradient_is_that_of_the_rate():
    """Against central differences of the twin's rate in a phase."""
    links, phase, eps = replica(draw(1), 0), controls("circle", 1)[0], 1e-5
    theta = np.exp(1j * phase)
    h = twins.compose(links, {"s1": theta})
    v, _ = twins.wmmse(h, 1.0, 3, twins.start(h, 1.0, "ones"))
    gradient = twins.surrogate_gradient(links, theta, v, 1.0)
    slope = 2 * np.real(np.conj(gradient) * 1j * theta)
    for s in range(0, 40, 7):
        rates = []
        for sign in (1, -1):
            turned = theta * np.exp(1j * sign * eps * (np.arange(40) == s))
            rates.append(twins.sum_rate(twins.compose(links, {"s1": turned}), v, 1.0))
        assert slope[s] == pytest.approx((rates[0] - rates[1]) / (2 * eps), abs=1e-8)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_samples": 0}, "num_samples = 0; an integer of at least 1"),
        ({"tau": 0.0}, "tau = 0.0; a positive number"),
        ({"convention": "other"}, "convention = 'other'; one of .*consistent"),
    ],
)
def test_bad_arguments_of_two_timescales(settings, message):
    with pytest.raises(ValueError, match=message):
        irs.TwoTimescaleSSCA(oracle(), **settings)
