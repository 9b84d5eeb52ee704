"""The Fréchet distance against clean-fid's function on real features, and against closed forms."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from cleanfid import fid

from bench import metrics
from bench.errors import UserError
from bench.metrics.frechet import fit_gaussian, frechet_distance, gaussian_from_moments
from bench.metrics.frechet_on_device import distance_on, trace_of_root


def clean_fid(real, fake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fid.frechet_distance(
            real.mean(0, dtype=float),
            np.cov(real, rowvar=False),
            fake.mean(0, dtype=float),
            np.cov(fake, rowvar=False),
        )


def by_eigenvalues(real, fake):
    """The definition, with tr (Sa Sb)^(1/2) as the sum of the roots of Sa Sb's eigenvalues.

    For singular covariances, of which clean-fid's square root (scipy's sqrtm) fails in some versions of scipy.
    """
    covariances = [np.cov(features, rowvar=False) for features in (real, fake)]
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)
    offset = real.mean(0, dtype=float) - fake.mean(0, dtype=float)
    return offset @ offset + sum(np.trace(covariance) for covariance in covariances) - 2 * np.sqrt(eigenvalues).sum()


def test_more_samples_than_dimensions(narrow):
    real, fake = narrow
    # clean-fid's complex square root is good to about 1e-6 of the trace; these distances are of its order.
    assert frechet_distance(real, fake) == pytest.approx(clean_fid(real, fake), rel=1e-5)


def test_fewer_samples_than_dimensions(wide):
    real, fake = wide
    real, fake = real[:, :400], fake[:, :400]  # the eigenvalues take seconds at 1280
    assert frechet_distance(real, fake) == pytest.approx(by_eigenvalues(real, fake), rel=1e-5)


def test_one_side_with_few_samples(narrow):
    real, fake = narrow
    few = fake[:100]
    expected = clean_fid(real, few)
    assert frechet_distance(real, few) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(few, real) == pytest.approx(expected, rel=1e-5)


def test_gaussians_in_closed_form():
    # Commuting covariances: |m1 - m2|^2 + sum (sqrt(a) - sqrt(b))^2. The samples have exactly these moments.
    stream = np.random.default_rng(0)
    for count, width in ((500, 40), (30, 29)):
        raw = stream.standard_normal((count, width))
        raw -= raw.mean(0)
        white = np.linalg.qr(raw)[0] * np.sqrt(count - 1)
        a, b = stream.uniform(0.1, 9, width), stream.uniform(0.1, 9, width)
        shift = stream.standard_normal(width)
        rotation = np.linalg.qr(stream.standard_normal((width, width)))[0]
        real, fake = (white * np.sqrt(a)) @ rotation, (white * np.sqrt(b) + shift) @ rotation
        expected = shift @ shift + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
        assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_one_dimension_by_hand():
    real, fake = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0], [8.0]])
    # means 1 and 6; variances 2 and 3
    assert frechet_distance(real, fake) == pytest.approx(25 + 2 + 3 - 2 * np.sqrt(6), rel=1e-12)


def test_symmetric_order_invariant_and_zero_on_itself(narrow):
    real, fake = narrow
    value = frechet_distance(real, fake)
    assert frechet_distance(fake, real) == pytest.approx(value, rel=1e-7)
    # The root of an eigenvalue near 0 carries an error near 1e-8, and there are 256 of them: 3e-6 of about 100.
    assert frechet_distance(real[::-1], np.roll(fake, 7, axis=0)) == pytest.approx(value, rel=3e-8)
    assert 0 <= frechet_distance(real, real) < 1e-4


def test_collapsed_generators_stay_exact(narrow):
    """20 distinct samples repeated 30 times: a covariance of rank 19 of 256, beyond D samples."""
    real, fake = narrow
    collapsed = np.tile(fake[:20], (30, 1))
    thin = (fake[:20] - fake[:20].mean(0, dtype=float)) / np.sqrt(599 / 30)  # a factor of the same covariance
    root = np.linalg.svd(thin @ fit_gaussian(real).factor.T, compute_uv=False).sum()
    offset = real.mean(0, dtype=float) - fake[:20].mean(0, dtype=float)
    expected = offset @ offset + np.cov(real, rowvar=False).trace() + (thin**2).sum() - 2 * root
    assert frechet_distance(real, collapsed) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(collapsed, real) == pytest.approx(expected, rel=1e-5)
    constant = np.repeat(fake[:1], 600, axis=0)
    offset = real.mean(0, dtype=float) - fake[0]
    plain = offset @ offset + np.cov(real, rowvar=False).trace()
    assert frechet_distance(constant, real) == pytest.approx(plain, rel=1e-9)


def test_fits_and_moments_give_the_same(narrow, wide):
    for real, fake in (narrow, wide):
        value = frechet_distance(real, fake)
        kept = fit_gaussian(real)
        assert frechet_distance(kept, fake) == value == frechet_distance(kept, fake)
    real, fake = narrow
    moments = gaussian_from_moments(real.mean(0, dtype=float), np.cov(real, rowvar=False))
    # moments round differently from features: 256 roots of eigenvalues near 0, each good to 1e-8
    assert frechet_distance(moments, fake) == pytest.approx(frechet_distance(real, fake), rel=3e-8)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((1, 4)), np.zeros((9, 4)), "real features hold 1 rows"),
        (np.zeros((9, 4)), np.zeros((9, 5)), "5 columns, real ones 4"),
        (np.zeros((9, 4)), np.full((9, 4), np.nan), "fake features hold NaN"),
        (np.full((9, 4), np.inf), np.zeros((9, 4)), "real features hold NaN or inf"),
        (np.zeros(9), np.zeros((9, 4)), "must be"),
        (np.zeros((9, 0)), np.zeros((9, 0)), "must be"),
    ],
)
def test_bad_input_is_one_line(real, fake, message):
    with pytest.raises(UserError, match=message) as error:
        metrics.frechet_distance(real, fake)
    assert "\n" not in str(error.value)


def test_as_many_rows_as_dimensions_on_one_side():
    """The factor is then square without being triangular; the other side has a covariance."""
    stream = np.random.default_rng(3)
    few, many = stream.normal(size=(24, 24)), stream.normal(0.3, 2, size=(300, 24))
    wanted = clean_fid(few, many)
    assert frechet_distance(few, many) == pytest.approx(wanted, rel=1e-6)  # sqrtm of a singular product
    assert frechet_distance(many, few) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("reals", "fakes"), [(90, 80), (90, 20), (20, 90), (20, 15)])
def test_what_a_gpu_does_is_the_same_mathematics(reals, fakes):
    """On the CPU in torch's float64; a trace is a sum of 30 roots, each good to about 1e-8 where it is near 0."""
    stream = np.random.default_rng(reals + fakes)
    real, fake = (stream.standard_normal((count, 30)) @ np.diag(np.linspace(0.1, 2, 30)) for count in (reals, fakes))
    root = partial(trace_of_root, torch.device("cpu"))
    expected = frechet_distance(real, fake)
    assert frechet_distance(real, fake, root) == pytest.approx(expected, rel=1e-7)
    assert distance_on("cpu", real, fake) == expected
