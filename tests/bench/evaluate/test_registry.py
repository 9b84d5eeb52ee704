"""Measures of finished runs by name: their settings, their outputs, and what cannot be one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.evaluate.card import Result, RunMeasure, Value
from bench.evaluate.registry import (
    gives,
    output_card,
    parse_measure,
    refuse_impossible,
    run_measure,
    run_measures,
    settings_of,
    source_digest,
)
from bench.metrics.output import Output
from bench.spec.run import MeasureSpec, evaluation_run

BRIGHTNESS = '''
"""A measure of one's own."""
from bench.evaluate.card import MeasureSettings, Result, RunMeasure, Value
from bench.metrics.output import Output


class Settings(MeasureSettings):
    """count: images."""

    count: int = 5
    extractor: str | None = None


MEASURES = (
    RunMeasure(
        name="brightness",
        summary="mean grey level",
        version=3,
        settings=Settings,
        outputs=(Output(name="grey_level", summary="mean", title="mean grey level", short="grey", better="lower"),),
        compute=lambda subject, settings: Result([Value("grey_level", 1.0)]),
    ),
)
'''


def test_a_measure_is_parsed_with_all_its_settings():
    spec = parse_measure({"measure": "rescore", "sampling": "gmm-1000@200000"}, "best")
    assert spec == MeasureSpec(name="rescore", version=1, settings={"snapshot": "best", "sampling": "gmm-1000@200000"})
    assert parse_measure({"measure": "rescore"}).settings == {"snapshot": "final"}, "None is no part of an identity"
    assert parse_measure({"measure": "rescore", "snapshot": "final"}, "best").settings == {"snapshot": "final"}
    assert settings_of(spec).sampling == "gmm-1000@200000" and source_digest("rescore") is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"measure": "rescor"}, "unknown measure 'rescor'; did you mean 'rescore'?"),
        (
            {"sampling": "pure"},
            "evaluate names no measure; write measure: rescore, or another of `bench list measures`",
        ),
        (
            {"measure": "rescore", "samplin": "pure"},
            "measure 'rescore': samplin: unknown key; did you mean 'sampling'?",
        ),
        ({"measure": "rescore", "sampling": 3}, "measure 'rescore': sampling: Input should be a valid string"),
        (
            {"measure": "rescore", "snapshot": "last"},
            "measure 'rescore': snapshot: must be best, final, or a step that the training keeps "
            "(0: the untrained networks)",
        ),
    ],
)
def test_a_mistake_is_one_line(values, message):
    with pytest.raises(UserError) as caught:
        parse_measure(values)
    assert str(caught.value) == message


def test_an_evaluation_is_planned_with_one_version_of_its_measure():
    with pytest.raises(
        UserError, match="is of version 1 here, this evaluation was planned with version 2; plan it again"
    ):
        settings_of(MeasureSpec(name="rescore", version=2, settings={}))


def test_an_evaluation_of_a_method_that_is_not_sampled_like_this_is_refused(tiny_spec):
    for method, message in (
        (
            "unconditional",
            "method 'unconditional' has no setting 'sampling' that it uses at inference alone; it has none",
        ),
        ("disp", "unknown sampling 'purr'; did you mean 'pure'?"),
        ("simclr(width=4)", "measure 'rescore' needs a generator, and run .* trains none"),
    ):
        run = tiny_spec(method, scored=True)
        sampling = {} if method.startswith("simclr") else {"sampling": "purr"}
        with pytest.raises(UserError, match=message):
            refuse_impossible(evaluation_run(parse_measure({"measure": "rescore", **sampling}), run, run.protocol))
    refuse_impossible(evaluation_run(parse_measure({"measure": "rescore", "sampling": "gmm-9"}), tiny_spec("disp"),
                                     tiny_spec("disp", scored=True).protocol))  # fmt: skip


def test_what_an_evaluation_gives(tiny_spec, load_plugin):
    run = tiny_spec("disp", scored=True)
    assert gives(evaluation_run(parse_measure({"measure": "rescore"}), run, run.protocol)) == run.protocol.metrics
    load_plugin(BRIGHTNESS)
    on_features = parse_measure({"measure": "brightness", "extractor": "vgg16"})
    for spec, extractor in ((parse_measure({"measure": "brightness"}), ""), (on_features, "vgg16@64")):
        (metric,) = gives(evaluation_run(spec, run, run.protocol))
        assert (metric.name, metric.extractor) == ("grey_level", extractor)
    card = output_card("grey_level")
    assert (card.version, card.label(""), card.label("vgg16")) == (3, "grey", "grey(vgg16@64)")
    assert output_card("fd").label("inception") == "FID" and len(source_digest("brightness") or "") == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BRIGHTNESS.replace("grey_level", "fd"), "measure 'brightness': its output 'fd' is a score already; rename it"),
        (
            BRIGHTNESS.replace('"brightness"', '"Bright ness"'),
            "measure 'Bright ness' must be lower-case words joined by",
        ),
        (BRIGHTNESS.replace('"brightness"', '"rescore"'), "measure 'rescore' is registered twice"),
        ("MEASURES = [3]", r"MEASURES must be a list of bench.evaluate.card.RunMeasure cards, not \[3\]"),
    ],
)
def test_a_plugin_with_an_impossible_measure_is_refused(load_plugin, text, message):
    with pytest.raises(UserError, match=message):
        load_plugin(text)


def test_two_measures_do_not_share_an_output(load_plugin):
    load_plugin(BRIGHTNESS)
    with pytest.raises(UserError, match="output 'grey_level' is of the measure '.*' already; rename it"):
        load_plugin(BRIGHTNESS.replace('"brightness"', '"shade"'), "other.py")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0}, "version must be at least 1, and seconds above 0"),
        ({"sources": ("run",)}, "a source cannot be called 'run'"),
        ({"needs": ("gpu",)}, "needs names 'gpu', must be of generator, discriminator, labels, attributes"),
        ({"outputs": (Output(name="a", summary="", title="", short="", better="lower"),) * 2}, "outputs have one name"),
    ],
)
def test_a_card_that_cannot_be_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        RunMeasure(
            **{"name": "toy", "summary": "", "compute": lambda subject, settings: Result([Value("a", 1)])} | changes
        )


def test_listing_and_reading_cards_imports_nothing_heavy():
    code = (
        "import sys; from bench.evaluate.registry import parse_measure, run_measure, run_measures; "
        "assert [run_measure(entry.name) for entry in run_measures()] and parse_measure({'measure': 'rescore'}); "
        "heavy = [m for m in ('torch', 'scipy', 'pandas', 'sklearn') if m in sys.modules]; assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    names = [entry.name for entry in run_measures()]
    assert "rescore" in names and [run_measure(name).name for name in names] == names
