"""Patches laid over each other: what wins, what merges, what null removes, and what a cell lacks."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from bench.errors import UserError
from bench.spec.cell import trained
from bench.spec.patch import Patch, merge_patches
from bench.spec.run import TrainSettings

NETWORK = {"name": "sngan-32", "options": {"z_dim": 16}}
WHOLE = {
    "method": "baseline",
    "network": NETWORK,
    "data": {"name": "shapes", "resolution": 32, "shots": 50},
    "train": {"steps": 4, "batch": 8, "g_lr": 1e-3, "d_lr": 1e-3},
    "protocol": {"name": "p", "version": 1, "every": 2, "metrics": [{"name": "fd", "extractor": "e@32"}]},
    "generated": 60,
    "reference": 100,
}


def patch(**settings):
    return Patch.model_validate(settings)


@pytest.mark.parametrize(
    ("patches", "merged"),
    [
        # What merges by key
        ([{"train": {"steps": 1, "batch": 8}}, {"train": {"steps": 2}}], {"train": {"steps": 2, "batch": 8}}),
        ([{"data": {"name": "a", "shots": 5}}, {"data": {"name": "b"}}], {"data": {"name": "b", "shots": 5}}),
        ([{"evaluate": {"of": 1, "n": 5}}, {"evaluate": {"n": 3}}], {"evaluate": {"of": 1, "n": 3}}),
        ([{"of": "disp/table4"}, {"of": {"row": "r"}}], {"of": {"table": "disp/table4", "row": "r"}}),
        # What replaces: lists inside of what merges, networks with their options, words and numbers
        ([{"evaluate": {"at": [1, 2]}}, {"evaluate": {"at": [3]}}], {"evaluate": {"at": [3]}}),
        ([{"evaluate": {"a": {"b": 1}}}, {"evaluate": {"a": {"c": 2}}}], {"evaluate": {"a": {"c": 2}}}),
        ([{"method": "a"}, {"method": "b"}], {"method": "b"}),
        ([{"generated": 5, "stand_in": "x"}, {"generated": 6}], {"generated": 6, "stand_in": "x"}),
        # What says nothing changes nothing
        ([{"train": {"steps": 1}}, {"train": {}}, {"train": None}], {"train": {"steps": 1}}),
        ([{"method": "a"}, {"method": None}], {"method": "a"}),
        ([], {}),
        # Null removes a key, whoever gave it, and a later patch gives it again
        ([{"train": {"steps": 1, "flip": True}}, {"train": {"flip": None}}], {"train": {"steps": 1, "flip": None}}),
        ([{"train": {"flip": None}}, {"train": {"flip": True}}], {"train": {"flip": True}}),
        ([{"sources": {"network": {"weights": "w"}}}, {"sources": {"network": None}}], {"sources": {"network": None}}),
    ],
)  # fmt: skip
def test_merging(patches, merged):
    assert merge_patches(*(patch(**settings) for settings in patches)).said == merged


def test_a_network_replaces_with_its_options():
    merged = merge_patches(patch(network=NETWORK), patch(network={"name": "biggan-32"}))
    assert merged.network is not None and (merged.network.name, merged.network.options) == ("biggan-32", {})


def test_merging_in_pieces_gives_the_same():
    layers = [
        patch(**WHOLE),
        patch(train={"flip": True, "micro_batch": 4}, data={"shots": None, "share": 0.5}),
        patch(train={"micro_batch": None}, protocol={"reference_split": "all"}, generated=7),
        patch(train={"steps": 9}, sources={"network": {"weights": "w"}}, method="disp"),
        patch(sources={"network": None}, data={"share": None}),
    ]
    whole = merge_patches(*layers).said
    for cut in range(len(layers) + 1):
        assert merge_patches(merge_patches(*layers[:cut]), merge_patches(*layers[cut:])).said == whole
    cell = trained(merge_patches(*layers), "cell")
    assert cell.train == TrainSettings(steps=9, batch=8, g_lr=1e-3, d_lr=1e-3, flip=True)
    assert (cell.data.shots, cell.data.share, cell.sources, cell.method) == (None, None, {}, "disp")
    assert (cell.protocol.generated, cell.protocol.reference, cell.protocol.split) == (7, 100, "all")


def test_later_ones_win_whatever_the_number_of_layers():
    for order in itertools.permutations(range(4)):
        layers = [patch(train={"steps": 1 + number, f"beta{1 + number % 2}": 0.1 * number}) for number in order]
        assert merge_patches(*layers).said["train"]["steps"] == 1 + order[-1]


@pytest.mark.parametrize(
    ("key", "named"),
    [*((key, key) for key in WHOLE), ("train.batch", "train.batch"), ("data.resolution", "data.resolution")],
)
def test_what_a_cell_lacks_is_named(key, named):
    head, _, inner = key.partition(".")
    settings = {**WHOLE, head: {**WHOLE[head], inner: None} if inner else None}
    with pytest.raises(UserError) as refusal:
        trained(patch(**settings), "disp/table3 at scale mini: cell a/b")
    places = "give it in the scale, the column, the group, the row or the cell"
    assert str(refusal.value) == f"disp/table3 at scale mini: cell a/b has no {named}; {places}"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"train": {"micro_batch": 3}}, "cell a/b: train: micro_batch is 3, must divide batch, which is 8"),
        ({"train": {"loss": "wasserstein", "hinge_margin": 0.8}}, "cell a/b: train: hinge_margin is 0.8, but loss is"),
        ({"data": {"share": 0.5}}, "cell a/b: data: shots is 50 and share is 0.5; leave one of them out"),
    ],
)
def test_settings_that_do_not_go_together_are_found_once_they_are_merged(settings, text):
    with pytest.raises(UserError) as refusal:
        trained(merge_patches(patch(**WHOLE), patch(**settings)), "cell a/b")
    assert str(refusal.value).startswith(text)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"train": {"stepz": 5}}, "Extra inputs"),
        ({"train": {"steps": 0}}, "greater than 0"),
        ({"data": {"shots": True}}, "true is no number"),
        ({"protocol": {"generated": 5}}, "stands beside `protocol`"),
        ({"of": {"tabel": "x"}}, "Extra inputs"),
    ],
)
def test_a_wrong_key_or_value_is_refused_where_it_stands(settings, text):
    with pytest.raises(ValidationError, match=text):
        patch(**settings)


def test_a_copy_says_what_its_own_fields_say():
    """What a patch says is worked out once; a copy with other fields says its own."""
    before = patch(data={"name": "faces"})
    assert before.said["data"] == {"name": "faces"}
    assert before.model_copy(update={"generated": 5}).said == {"data": {"name": "faces"}, "generated": 5}
