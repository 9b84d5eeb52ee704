"""Adversarial losses against hand-computed values and finite differences."""

import math

import pytest
import torch

from bench.errors import UserError
from bench.train.losses import LOSSES, adversarial_loss

REAL, FAKE = [2.0, 0.25, -1.0], [-3.0, 0.5, -0.5]


def softplus(x):
    return math.log(1 + math.exp(x))


def mean(values):
    return sum(values) / len(values)


# worked out by hand for REAL and FAKE
EXPECTED = {
    "hinge": ((0 + 0.75 + 2) / 3 + (0 + 1.5 + 0.5) / 3, 1.0),
    "non-saturating": (
        mean([softplus(-r) for r in REAL]) + mean([softplus(f) for f in FAKE]),
        mean([softplus(-f) for f in FAKE]),
    ),
    "wasserstein": (-1.25 / 3 - 1.0, 1.0),
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_values_by_hand(name):
    loss = adversarial_loss(name)
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    d_expected, g_expected = EXPECTED[name]
    assert loss.discriminator(real, fake).item() == pytest.approx(d_expected, rel=1e-12)
    assert loss.generator(fake).item() == pytest.approx(g_expected, rel=1e-12)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_by_finite_differences(name):
    """No entry lies on a kink of the hinge, so central differences of step 1e-6 are exact to about 1e-9."""
    loss = adversarial_loss(name)
    real = torch.tensor(REAL, dtype=torch.float64, requires_grad=True)
    fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake), eps=1e-6, atol=1e-7)
    assert torch.autograd.gradcheck(loss.generator, (fake,), eps=1e-6, atol=1e-7)


def test_both_sides_weigh_the_same_at_unequal_batch_sizes():
    """Means are taken per side: more generated images than real ones do not tilt the loss."""
    loss = adversarial_loss("hinge")
    few, many = torch.zeros(2), torch.zeros(8)
    assert loss.discriminator(few, many).item() == 2.0


def test_non_saturating_does_not_overflow():
    loss = adversarial_loss("non-saturating")
    huge = torch.tensor([1e4])
    assert loss.discriminator(-huge, huge).item() == pytest.approx(2e4)
    assert loss.generator(-huge).item() == pytest.approx(1e4)


def test_unknown_name():
    with pytest.raises(UserError, match="unknown loss 'hing'; did you mean 'hinge'"):
        adversarial_loss("hing")
