"""The generalisation gap against its fit by torch's gradients and optimiser, and on generators that copy."""

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.metrics.mixture import fit_mixture, likelihood_gap


def by_torch(train, test, fake):
    """Section 3 and the settings of the code, with autograd in float64."""
    mean, deviation = test.mean(0, dtype=float), test.std(0, dtype=float, ddof=1)
    train, test, fake = (torch.from_numpy((part - mean) / deviation) for part in (train, test, fake))
    width, count = train.shape[1], len(fake)

    def logs(squared, log_variances):
        return -0.5 * squared / log_variances.exp() - width / 2 * (log_variances + np.log(2 * np.pi))

    squared = (train[:, None] - fake).square().sum(-1)
    origin = 0.81 * (train - train.mean(0)).square().sum(1, keepdim=True)
    own = ((squared.amin(0) + 1e-3) / width).log().requires_grad_()
    further = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([own, further], lr=0.5)
    for _ in range(50):
        adam.zero_grad()
        both = torch.cat([logs(squared, own) - np.log(count), logs(origin, further)], 1)
        (-both.logsumexp(1).mean() / width).backward()
        adam.step()
        with torch.no_grad():
            own.clamp_(-40, 20)

    def nll(points):
        squared = (points[:, None] - fake).square().sum(-1)
        return -(logs(squared, own).logsumexp(1) - np.log(count)).mean().item() / width

    return own.detach().numpy(), 100 * (nll(train) - nll(test))


@pytest.fixture(scope="module")
def parts(narrow):
    """Training, test and fresh features of real pictures, and the noisy ones."""
    varied = narrow[0][:, narrow[0][300:400].std(0) > 0]
    noisy = narrow[1][:, narrow[0][300:400].std(0) > 0]
    return varied[:80], varied[300:400], varied[600:700], noisy[:100]


def test_the_fit_is_that_of_autograd(parts):
    train, test, fresh, noisy = parts
    for fake in (fresh, noisy, np.concatenate([train[:40], fresh[:40]])):
        variances, gap = by_torch(train, test, fake)
        # 50 steps of Adam, each of 0.5, carry differences in the last digits on
        assert likelihood_gap(train, test, fake) == pytest.approx(gap, rel=1e-6)
    standard = [(part - test.mean(0, dtype=float)) / test.std(0, dtype=float, ddof=1) for part in (train, fake)]
    squared = np.square(standard[0][:, None] - standard[1]).sum(-1)
    to_mean = np.square(standard[0] - standard[0].mean(0)).sum(1)
    assert fit_mixture(squared, to_mean, train.shape[1]).log_variances == pytest.approx(variances, abs=1e-6)


def test_copies_have_a_gap_and_others_have_little(parts):
    train, test, fresh, noisy = parts
    fair, bad = likelihood_gap(train, test, fresh), likelihood_gap(train, test, noisy)
    copies = np.concatenate([train, train])
    half, some = np.concatenate([train, fresh]), train[[*range(40), *range(40)]]
    near = train + np.float32(0.02) * (noisy[:80] - noisy.mean(0))
    assert abs(fair) < 40 and abs(bad) < 40  # some tens, of 80 images
    assert likelihood_gap(train, test, copies) < -400 and likelihood_gap(train, test, half) < -400
    assert likelihood_gap(train, test, near) < -50
    # Of half of the training images nothing but copies: all others are out of reach, and count as 1,000 points less.
    assert -2500 < likelihood_gap(train, test, some) < -700


def test_order_digits_and_dead_dimensions_do_not_matter(parts):
    train, test, fresh, noisy = parts
    value = likelihood_gap(train, test, fresh)
    assert likelihood_gap(train[::-1], test[::-1], np.roll(fresh, 5, axis=0)) == pytest.approx(value, abs=1e-4)
    shaken = fresh * (1 + 1e-6 * np.sign(noisy))  # as another device rounds
    assert likelihood_gap(train, test, shaken) == pytest.approx(value, abs=1e-2)
    dead = [np.concatenate([part, np.zeros((len(part), 1), np.float32)], axis=1) for part in (train, test, fresh)]
    assert likelihood_gap(*dead) == pytest.approx(value, rel=0.02)  # a hundredth of the dimensions says nothing
    dead[1][0, -1] = 1e-9  # nor does the last digit of another one
    assert likelihood_gap(*dead) == pytest.approx(value, rel=0.02)
    with pytest.raises(UserError, match="training features hold NaN"):
        likelihood_gap(train * np.nan, test, fresh)


def test_more_than_the_authors_count_is_thinned_out(parts, monkeypatch):
    train, test, fresh, _ = parts
    monkeypatch.setattr("bench.metrics.mixture.MOST", 80)
    assert likelihood_gap(train, test, fresh) == likelihood_gap(train, test, fresh)
    assert likelihood_gap(train[:80], test, fresh[:80]) != likelihood_gap(train, test, fresh)
