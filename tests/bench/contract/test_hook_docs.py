"""What a method's author reads: `help(bench.train)` describes every hook and every field that hooks are given."""

from __future__ import annotations

import dataclasses
import inspect
import pydoc
import re

import pytest

import bench.train
from bench.contract.composition import LOOP, Composition
from bench.train import Augmentation, Auxiliary, Batch, Context, DStep, GStep, Method

GIVEN = [Augmentation, Auxiliary, Batch, Context, DStep, GStep]
ONCE = {
    "select",
    "networks",
    "d_networks",
    "discriminator",
    "prepare",
    "sampler",
    "class_sampler",
    "auxiliary",
    "query_condition",
    "trains_decoders",
    "fit",
    "state_dict",
    "load_state_dict",
}


def hooks():
    return {name for name, value in vars(Method).items() if inspect.isfunction(value)}


@pytest.mark.parametrize("given", GIVEN, ids=lambda one: one.__name__)
def test_every_field_is_described_where_help_shows_it(given):
    """A field stands before a colon at a line's start, alone or in a list: `real_logits_N, fake_logits_N: ...`."""
    described = set()
    for line in inspect.cleandoc(given.__doc__).splitlines():
        if match := re.match(r"((?:\w+, )*\w+): ", line):
            described |= set(match.group(1).split(", "))
    public = {field.name for field in dataclasses.fields(given) if not field.name.startswith("_")}
    assert public <= described


def test_help_answers_the_questions_of_an_author():
    text = re.sub(r"[\s|]+", " ", pydoc.plain(pydoc.render_doc(bench.train)))
    for answer in (
        "real_NCHW: what D saw of the real images: after `reals`, and augmented",
        "(N, L) of a D that judges L patches",
        "fake_NCHW: what D saw of the generated images: augmented. Without a gradient to G.",
        "A class is called by its name in lower case with dashes",
    ):
        assert answer in text, answer
    for name in bench.train.__all__:
        assert name in text


def test_every_hook_is_described_and_has_its_place():
    """A hook that is in neither list would run beside a loop of a part's own without a word, or be idle there."""
    assert hooks() == set(LOOP) | ONCE and not set(LOOP) & ONCE
    overview = inspect.getdoc(Method)
    for name in hooks():
        assert inspect.getdoc(getattr(Method, name)), name
        assert re.search(rf"\b{name}\b", overview), name
        assert callable(getattr(Composition, name))
