"""Cards of scores: what they say decides how a score is named, compared, printed and versioned."""

import subprocess
import sys

import numpy as np
import pytest

from bench.errors import UserError
from bench.metrics import Measure, Scorer, neighbours
from bench.metrics.measures import fewest_generated, measure, measures, neighbour, source_digest
from bench.metrics.selection import best_step
from bench.spec.run import MetricSpec, Protocol

# What reports have said of the scores since the first recorded set: name -> (label on effnet_lite0, label on the
# Inception of FID, printed name, direction, comparison, k, fewest images, version)
KNOWN = {
    "fd": ("FD(effnet_lite0@96)", "FID", "fid", "lower", "ratio", None, 2, 1),
    "kid": ("KID(effnet_lite0@96)", "KID", "kid", "lower", "difference", None, 2, 1),
    "precision": ("precision(effnet_lite0@96)", "precision", "precision", "higher", "difference", 10, 2, 2),
    "recall": ("recall(effnet_lite0@96)", "recall", "recall", "higher", "difference", 40, 41, 2),
    "density": ("density(effnet_lite0@96)", "density", "density", "higher", "difference", 5, 2, 2),
    "coverage": ("coverage(effnet_lite0@96)", "coverage", "coverage", "higher", "difference", 5, 2, 2),
}
# Those that came later, likewise
LATER = {
    "mind": ("MIND(effnet_lite0@96)", "MIND", "mind", "lower", "ratio", None, 2, 1),
    "fd_infinity": (
        "FD-infinity(effnet_lite0@96)", "FID-infinity", "fd_infinity", "lower", "difference", None, 20, 1
    ),
    "vendi": ("Vendi(effnet_lite0@96)", "Vendi", "vendi", "higher", "ratio", None, 2, 1),
    "cmmd": ("CMMD(effnet_lite0@96)", "CMMD", "cmmd", "lower", "ratio", None, 2, 1),
    "generalisation_gap": (
        "gap(effnet_lite0@96)", "gap", "generalisation_gap", "zero", "difference", None, 2, 1
    ),
    "authenticity": (
        "authenticity(effnet_lite0@96)", "authenticity", "authenticity", "higher", "difference", None, 2, 1
    ),
    "training_nearest": (
        "training nearest(effnet_lite0@96)", "training nearest", "training_nearest", "lower", "difference", None, 2, 1
    ),
}  # fmt: skip


def card(**changes):
    said = {"name": "toy", "summary": "a toy", "title": "toy score", "short": "TOY", "better": "higher"}
    return Measure(**{**said, "compute": lambda sets, k: 0.0, **changes})


def test_the_cards_say_what_the_scores_have_always_been():
    said = {}
    for entry in measures():
        one = measure(entry.name)
        plain = MetricSpec(name=one.name, extractor="effnet_lite0")
        labels = one.label("effnet_lite0"), one.label("inception")
        rest = (
            one.printed_name,
            one.better,
            one.compared,
            neighbour(plain),
            fewest_generated(plain),
            one.version,
        )
        said[one.name] = (*labels, *rest)
    assert said == KNOWN | LATER
    assert sorted(name for name in said if measure(name).biased_upward) == ["cmmd", "fd", "mind"]
    looking = {name: measure(name).held_out for name in said if measure(name).of_training}
    assert looking == {"generalisation_gap": True, "authenticity": False, "training_nearest": True}
    assert fewest_generated(MetricSpec(name="recall", extractor="effnet_lite0", k=7)) == 8
    assert all(source_digest(name) is None for name in said)  # their version says when their meaning changes


def test_listing_and_reading_cards_imports_nothing_heavy():
    code = (
        "import sys; from bench.metrics.measures import measures, measure; "
        "assert [measure(entry.name).label('vgg16') for entry in measures()]; "
        "heavy = [m for m in ('torch', 'scipy', 'pandas', 'sklearn') if m in sys.modules]; assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My Score"}, "score name 'My Score' must be lower-case letters, digits and underscores"),
        ({"better": "smaller"}, "score 'toy': better is 'smaller', must be lower or higher or zero or none"),
        ({"compared": "quotient"}, "score 'toy': compared is 'quotient', must be ratio or difference"),
        ({"k_among": "all"}, "score 'toy': k_among is 'all', must be reference or generated"),
        ({"better": "zero", "compared": "ratio"}, "score 'toy': better is 'zero', so compared must be difference"),
        (
            {"better": "none", "worst": 1.0},
            "score 'toy': better is 'none', so no value is the worst; leave worst out",
        ),
        ({"digits": 0}, "score 'toy': digits and version must be at least 1"),
        ({"default_k": -1}, "score 'toy': fewest and default_k must be at least 1"),
        ({"held_out": True}, "score 'toy': held_out is for scores with of_training"),
    ],
)
def test_a_card_that_cannot_be_is_refused(changes, message):
    with pytest.raises(UserError) as caught:
        card(**changes)
    assert str(caught.value) == message


def test_the_worst_value_is_on_the_worse_side():
    assert card(better="lower").worst_value == np.inf and card(better="higher").worst_value == -np.inf
    assert measure("recall").worst_value == 0 and measure("fd").worst_value == np.inf
    assert card(better="zero").worst_value == np.inf and card(better="none").worst_value is None


def test_what_ranks_a_value():
    """The smaller loss is the better one; of equal distances from 0 neither is."""
    losses = {better: [card(better=better).loss(value) for value in (-2.0, 1.0)] for better in ("lower", "higher")}
    assert losses == {"lower": [-2.0, 1.0], "higher": [2.0, -1.0]}
    assert [card(better="zero").loss(value) for value in (-2.0, 1.0, 2.0)] == [2.0, 1.0, 2.0]
    assert [card(better=better).compared_as(-2.0) for better in ("lower", "higher", "zero", "none")] == [-2, -2, 2, -2]
    with pytest.raises(UserError, match="'toy' ranks nothing: neither way is better"):
        card(better="none").loss(1.0)


def test_scores_that_share_balls_find_them_once(pictures, worse, monkeypatch):
    found = []
    original = neighbours.balls

    def counted(features, k, name="real"):
        found.append((name, k))
        return original(features, k, name)

    monkeypatch.setattr(neighbours, "balls", counted)
    names = ("precision", "density", "coverage", "recall")
    metrics = [MetricSpec(name=name, extractor="alexnet@63", k=7) for name in names]
    scorer = Scorer(metrics, pictures[:60], "9" * 64)
    first = scorer.score(worse[:50])
    assert found == [("reference", 7), ("generated", 7)]
    second = scorer.score(worse[:50])
    assert found[2:] == [("generated", 7)]
    assert [score.value for score in first] == [score.value for score in second]


@pytest.mark.parametrize(("better", "best"), [("lower", 4), ("higher", 6), ("zero", 4), ("none", None)])
def test_the_best_snapshot_is_by_the_first_score_and_its_direction(better, best, fresh_registries):
    """The earliest of equals, and no value that is not a number, either way."""
    one = card(better=better)
    measures().add("toy", "test:toy", "a toy", one)
    metrics = (
        MetricSpec(name="toy", extractor="vgg16"),
        MetricSpec(name="toy", extractor="alexnet"),
        MetricSpec(name="fd", extractor="vgg16"),
    )
    protocol = Protocol(name="p", version=1, generated=9, reference=9, metrics=metrics, every=1)
    values = {2: 5.0, 4: 1.0, 5: 1.0, 6: 9.0, 7: 9.0, 8: float("nan"), 9: float("inf")}
    lines = [
        {"metric": name, "extractor": extractor, "step": step, "value": value}
        for step, toy in values.items()
        for name, extractor, value in (
            ("toy", "alexnet@63", -step),
            ("fd", "vgg16@64", step),
            ("toy", "vgg16@64", toy),
        )
    ]
    assert protocol.selects == metrics[0]
    assert best_step(protocol, lines) == best
