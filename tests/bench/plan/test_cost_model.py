"""The model of a step's time: its closed form, that more work never costs less, and who is asked first."""

from __future__ import annotations

import math

import pytest

from bench.errors import UserError
from bench.plan.budget import within_budget
from bench.plan.cost.model import Card, Span, card_of, measured_cards
from bench.plan.cost.work import PerImage, Work, step_bytes, step_flops, step_key
from bench.plan.estimate import Estimates
from bench.plan.kinds import kind
from bench.plan.schedule import PlannedRun
from bench.spec.resources import Resources
from bench.spec.run import TrainSettings

USABLE = [name for name, card in measured_cards().items() if card.suffices]


def card(**changes):
    figures = dict.fromkeys(
        ("error", "left_out_error", "log_error", "error_without_bytes", "error_of_operations_alone"), 0.0
    )
    own = {"name": "X", "source": "", "constant": 0.5, "per_tflop": 0.25, "per_gigabyte": 0.125, "steps": []}
    return Card(**{**figures, **own, **changes})


def train(**settings):
    return TrainSettings(**{"steps": 10, "batch": 8, "g_lr": 1e-3, "d_lr": 1e-3, **settings})


def test_the_time_of_a_step_is_a_constant_operations_and_bytes():
    assert card().seconds(Work(tflop=2, gigabytes=8)) == 0.5 + 0.25 * 2 + 0.125 * 8
    span = card(log_error=math.log(3) / 2).span(Work(2, 8), steps=100)
    assert span == pytest.approx((200 / 3, 200, 600))


@pytest.mark.parametrize("name", USABLE)
def test_more_work_never_costs_less(name):
    one = card_of(name)
    for work in (Work(0, 0), Work(1, 1), Work(600, 500)):
        for more in (Work(work.tflop * 2 + 1, work.gigabytes), Work(work.tflop, work.gigabytes * 2 + 1)):
            assert one.seconds(more) > one.seconds(work) > 0
    low, expected, high = one.span(Work(1, 1), 10)
    assert low < expected < high


@pytest.mark.parametrize("name", USABLE)
def test_each_measured_step_lies_between_low_and_high(name):
    one = card_of(name)
    for what, tflop, gigabytes, seconds in one.steps:
        low, _, high = one.span(Work(tflop, gigabytes), 1)
        assert low < seconds < high, what


def test_an_unknown_card_is_refused():
    with pytest.raises(UserError, match="no rates of a card 'a100'"):
        card_of("a100")
    poor = [name for name in measured_cards() if name not in USABLE]
    for name in poor:  # its steps do not tell the coefficients from 0
        with pytest.raises(UserError, match=name):
            card_of(name)


@pytest.mark.parametrize(
    ("settings", "flops", "kept"),
    [
        # D's update: G, then D forward and backward on two kinds of images; G's update: 3 G and 2 D
        ({}, 2 * 8 * ((100 + 6 * 10) + (300 + 20)), 8 * (2 * 3 + (7 + 3))),
        ({"d_steps": 4}, 2 * 8 * (4 * (100 + 6 * 10) + (300 + 20)), 8 * (4 * 2 * 3 + (7 + 3))),
        ({"share_fakes": True}, 2 * 8 * (6 * 10 + 300 + 20), 8 * (2 * 3 + (7 + 3))),
        ({"g_batch": 16}, 2 * (8 * (100 + 6 * 10) + 16 * (300 + 20)), 8 * 2 * 3 + 16 * (7 + 3)),
    ],
)
def test_the_work_of_a_step_is_its_passes(settings, flops, kept):
    assert step_flops(PerImage(100, 10), train(**settings)) == flops
    assert step_bytes(PerImage(7, 3), train(**settings)) == kept


def test_a_step_is_known_by_what_changes_it(tiny_spec):
    spec = tiny_spec()

    def key(**settings):
        return step_key(spec.model_copy(update={"train": spec.train.model_copy(update=settings)}))

    assert key() == step_key(tiny_spec(seed=3)) == key(steps=99) == key(g_lr=1.0, ema_decay=0.5)
    different = [key(), key(batch=64), key(d_steps=7), key(share_fakes=True), key(g_batch=64)]
    different.append(step_key(tiny_spec("diffaugment + baseline")))
    assert len(set(different)) == len(different)


def test_finished_runs_are_believed_before_the_model_and_the_model_before_the_table(tiny_spec):
    told = Resources(minutes=3)
    run, own_loop = PlannedRun(tiny_spec(), resources=told), PlannedRun(tiny_spec("glann"), resources=told)
    finished = Estimates(seconds_of={kind(run.spec): [30.0, 10.0, 20.0]})
    assert finished.span(run, card()) == finished.span(run, None) == Span(10, 20, 30)
    modelled = Estimates().span(run, card(log_error=0.5))
    assert modelled.expected == pytest.approx(0.5 * run.spec.train.steps, rel=1e-2), "a tiny network: the constant"
    assert modelled.high / modelled.expected == pytest.approx(math.e)
    assert Estimates().span(run, None) == Span(180, 180, 180)
    assert Estimates().span(own_loop, card()) == Span(180, 180, 180), "nobody has counted a step of its loop"
    own_loop.resources = None
    assert Estimates().span(own_loop, card()) is None


def test_a_budget_is_filled_in_order_and_never_without_a_source(tiny_spec):
    runs = [PlannedRun(tiny_spec(seed=seed)) for seed in range(5)]
    runs[2].needs = (runs[1].uid,)
    hours = dict(zip((run.uid for run in runs), (1.0, 5.0, 0.5, None, 2.0), strict=True))
    spans = {uid: None if one is None else Span(0, one * 3600, 9e9) for uid, one in hours.items()}
    within, beyond = within_budget(runs, spans, 3.0)
    assert within == [runs[0], runs[4]], "1 h and 2 h; 5 h do not fit"
    assert beyond == [runs[1], runs[2], runs[3]], "too long; its source is left out; unknown"
    assert within_budget(runs[:3], spans, 6.5) == (runs[:3], [])
