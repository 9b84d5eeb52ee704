"""Scores and seconds of several mixtures: each fit scores as the run does under that sampling."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import UserError
from bench.evaluate.registry import parse_measure, refuse_impossible
from bench.spec.run import evaluation_run


def recorded(work, run, measure, **settings):
    """output -> its line."""
    folder = work(evaluation_run(parse_measure({"measure": measure, **settings}), run, run.protocol))
    return {line["metric"]: line for line in folder.metrics()}


def test_the_fd_is_the_mean_of_the_fits_and_each_is_a_sampling(work, tiny_spec):
    run = tiny_spec("disp(prior=random)", scored=True)
    found = recorded(work, run, "gmm-fit", components=2, images=12, fits=2)
    fits = [recorded(work, run, "rescore", sampling=f"gmm-2@12{which}")["fd"]["value"] for which in ("", "#2")]
    assert fits[0] != fits[1]
    assert found["fd"]["value"] == pytest.approx(np.mean(fits), rel=1e-12)
    assert found["fd"]["error"] == pytest.approx(np.std(fits, ddof=1), rel=1e-9)
    assert {key: found["fd"][key] for key in ("extractor", "n_generated", "n_reference", "version")} == {
        "extractor": "effnet_lite0@32", "n_generated": 24, "n_reference": 24, "version": 1,
    }  # fmt: skip
    seconds = found["gmm_seconds"]
    assert (seconds["extractor"], seconds["n_reference"], seconds["measure"]) == ("", 12, "gmm-fit")
    # The whole evaluation, which makes and scores 48 images besides, takes longer than its two fits.
    assert 0 < 2 * seconds["value"] < seconds["seconds"]
    once = recorded(work, run, "gmm-fit", components=2, images=12, fits=1)
    assert (once["fd"]["value"], once["fd"]["error"], once["gmm_seconds"]["error"]) == (fits[0], None, None)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (
            "disp",
            {"images": 17},
            "images is 17, must be at most the training images of the run, 16 of data set 'shapes'",
        ),
        ("disp", {"images": 3, "components": 3}, "components is 3, must be fewer than images, 3"),
        ("disp", {"images": 9, "sampling": "pure"}, "sampling is the mixture, by components and images; give sampling"),
        ("disp", {}, "measure 'gmm-fit': images: Field required"),
        ("unconditional", {"images": 9}, "has no setting 'sampling' that it uses at inference alone"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(tiny_spec, method, settings, message):
    run = tiny_spec(method, scored=True)
    with pytest.raises(UserError, match=message):
        refuse_impossible(
            evaluation_run(parse_measure({"measure": "gmm-fit", "components": 2, **settings}), run, run.protocol)
        )
