"""Measured cards: their files, what is wrong with one, and that a plan believes them before the model."""

from __future__ import annotations

import json

import pytest

from bench.errors import UserError
from bench.plan.cost import measured, model
from bench.plan.cost.measured import cards_of, measured_step, read_card
from bench.plan.cost.model import card_of
from bench.plan.cost.steps import work_of
from bench.plan.cost.work import step_key
from bench.plan.estimate import Estimates
from bench.plan.load import load_table
from bench.plan.schedule import PlannedRun


def card(*steps, **more):
    fixed = {"schema_version": 1, "short": "synthetic", "card": "Synthetic 9000", "torch": "2.11.0"}
    return {**fixed, "date": "2026-11-27", "steps": list(steps), **more}


def step(key, **more):
    return {"key": key, "what": "one", "precision": "float32", "images": 25, "batch": 25, "low": 0.1, "seconds": 0.2,
            "high": 0.4, **more}  # fmt: skip


@pytest.fixture(scope="module")
def spec():
    table = load_table("disp/table1")
    return table.run_spec(table.rows[0], table.columns[0], 0, "paper")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Writes files of cards, which are then the recorded ones."""

    def write(**files):
        folder = tmp_path / "devices"
        folder.mkdir(exist_ok=True)
        for name, value in files.items():
            (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
        found = cards_of(folder)
        monkeypatch.setattr(measured, "recorded_cards", lambda: found)
        monkeypatch.setattr(model, "recorded_cards", lambda: found)
        measured.steps_of.cache_clear()
        return folder

    yield write
    measured.steps_of.cache_clear()


def test_a_plan_believes_a_measured_step_before_the_model(recorded, spec):
    recorded(one=card(step(step_key(spec)), short="h100"))
    steps, run = spec.train.steps, PlannedRun(spec)
    assert Estimates().span(run, card_of("h100")) == pytest.approx((0.1 * steps, 0.2 * steps, 0.4 * steps))
    other = spec.model_copy(update={"train": spec.train.model_copy(update={"batch": 50})})
    assert Estimates().span(PlannedRun(other), card_of("h100")) == card_of("h100").span(work_of(other), steps)
    tf32 = spec.model_copy(update={"train": spec.train.model_copy(update={"precision": "tf32"})})
    assert measured_step("h100", tf32) is None, "another precision is another measurement"


def test_a_card_of_which_there_is_no_model(recorded, spec):
    recorded(one=card(step(step_key(spec), images=5)))
    synthetic = card_of("synthetic")
    assert synthetic.name == "Synthetic 9000" and synthetic.span_of(spec, None).expected == 5 * 0.2 * spec.train.steps
    other = spec.model_copy(update={"train": spec.train.model_copy(update={"batch": 50})})
    assert synthetic.span_of(other, work_of(other)) is None
    with pytest.raises(UserError, match="no rates of a card 'syntetic'; did you mean 'synthetic'"):
        card_of("syntetic")


def test_the_newest_file_of_a_card_counts(recorded, spec):
    key = step_key(spec)
    recorded(a=card(step(key), date="2026-12-01"), b=card(step(key, seconds=0.3), date="2026-11-01"))
    assert measured_step("synthetic", spec)[1] == 0.2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no measurements of a card"),
        ("[]", "valid dictionary"),
        (card(step("x")), "steps.0.key"),
        (card(step("0" * 16, seconds=-1)), "steps.0.seconds: Input should be greater than 0"),
        (card(step("0" * 16, precision="float16")), "steps.0.precision"),
        (card(short="H 100"), "short"),
        ({**card(), "schema_version": 2}, "schema_version"),
        ({**card(), "colour": "green"}, "colour"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_place(tmp_path, content, words):
    path = tmp_path / "card.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError) as refused:
        read_card(path)
    assert str(refused.value).startswith(str(path)) and words in str(refused.value), refused.value


def test_what_is_recorded_is_valid():
    measured.recorded_cards()
