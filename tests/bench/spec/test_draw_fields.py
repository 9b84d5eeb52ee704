"""The fields of a draw and of the reference: no uid changes where they are unused; contradictions are refused."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from bench.spec.run import DataSpec, MetricSpec, Protocol
from bench.spec.words import REFERENCES, against, data_words

SAYS_NO = {"draw": "seed", "balanced": False, "share": None, "holdout": None, "labels": None}


def data(**fields):
    return DataSpec.model_validate({"name": "shapes", "resolution": 32, **fields})


def protocol(**fields):
    return Protocol(
        name="p",
        version=1,
        generated=8,
        reference=8,
        metrics=(MetricSpec(name="fd", extractor="x"),),
        every=1,
        **fields,
    )


def test_unused_fields_are_no_part_of_a_run(tiny_spec):
    spec = tiny_spec(scored=True, data=data(shots=16))
    same = tiny_spec(scored=True, data=data(shots=16, **SAYS_NO))
    assert same.uid == spec.uid
    said = same.model_copy(
        update={"protocol": Protocol.model_validate({**spec.protocol.model_dump(), "reference_split": "test"})}
    )
    assert said.uid == spec.uid
    assert set(json.loads(spec.canonical())["data"]) == {"name", "resolution", "shots"}
    assert "reference_split" not in json.loads(spec.canonical())["protocol"]


@pytest.mark.parametrize(
    "fields",
    [
        {"share": 0.2},
        {"shots": 16, "draw": "fixed"},
        {"shots": 16, "balanced": True},
        {"shots": 16, "holdout": 0.1},
        {"shots": 16, "corrupt_labels": 0.1},
        {"shots": 16, "labels": "none"},
    ],
    ids=str,
)
def test_each_field_makes_another_run(tiny_spec, fields):
    spec = tiny_spec(data=data(**fields))
    assert spec.uid != tiny_spec(data=data(shots=16)).uid
    assert type(spec).model_validate(json.loads(spec.model_dump_json())).uid == spec.uid
    images = "0.2" if "share" in fields else "16"
    assert f"_shapes-32-{images}_s0_" in spec.uid


@pytest.mark.parametrize("split", ["training-images", "train-pool", "all"])
def test_another_reference_makes_another_run(tiny_spec, split):
    spec = tiny_spec(scored=True)
    other = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"reference_split": split})})
    assert other.uid != spec.uid and other.protocol.split == split and spec.protocol.split == "test"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shots": 100, "share": 0.2}, "shots is 100 and share is 0.2; leave one of them out"),
        ({"balanced": True}, "balanced is true, but all images are taken; give shots or share, or leave it out"),
        ({"shots": 9, "balanced": True, "labels": "none"}, "labels is none, but balanced needs labels"),
        ({"corrupt_labels": 0.5, "labels": "none"}, "labels is none, but corrupt_labels needs labels"),
        ({"draw": "fixed"}, "draw is fixed, but nothing is drawn; give shots, share, holdout or corrupt_labels"),
        ({"draw": "fixed", "labels": "none"}, "draw is fixed, but nothing is drawn"),
        ({"share": 1}, "less than 1"),
        ({"share": 0}, "greater than 0"),
        ({"holdout": 1.0}, "less than 1"),
        ({"holdout": float("nan")}, "than"),
        ({"corrupt_labels": 1.5}, "less than or equal to 1"),
        ({"draw": "once"}, "'seed' or 'fixed'"),
        ({"labels": "some"}, "'none'"),
    ],
    ids=str,
)
def test_a_contradiction_is_refused_in_one_line(fields, says):
    with pytest.raises(ValidationError) as caught:
        data(**fields)
    (error,) = caught.value.errors()
    assert says in error["msg"] and "\n" not in error["msg"]


def test_an_unknown_reference_is_refused():
    with pytest.raises(ValidationError, match="'test', 'training-images', 'train-pool' or 'all'"):
        protocol(reference_split="train")


def test_draws_and_references_in_words():
    assert data_words(data(shots=100)) == "shapes, 32 px, 100 shots"
    assert data_words(data(share=0.07, balanced=True, draw="fixed", holdout=0.1, corrupt_labels=0.25)) == (
        "shapes, 32 px, 7 % of the train pool, balanced, one draw for all seeds, 10 % held out, "
        "25 % of the labels wrong"
    )
    assert data_words(data(labels="none")) == "shapes, 32 px, without labels"
    assert against("FID", "test") == "FID" and against("FID", "training-images") == "FID against the training images"
    assert len(set(REFERENCES.values())) == 4
