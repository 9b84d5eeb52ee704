"""A data set as a column of any table: its counts and shots at every scale, and what a wrong name is told."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from bench.data.building import build
from bench.errors import UserError
from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.plan.set_columns import shadowed
from bench.store.runs import Store

pytestmark = pytest.mark.usefixtures("fresh_registries")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, whose weights are the shared one's."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path):
    """Build a set of so many pictures of noise."""

    def own(name="mine", count=150, resolution=32, test_share=0.2, shots=None):
        folder = tmp_path / f"pictures of {name}"
        folder.mkdir(exist_ok=True)
        stream = np.random.default_rng(len(name))
        for number in range(count):
            pixels = stream.integers(0, 256, (resolution, resolution, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
        return build(name, resolution, folder, test_share=test_share, shots=shots, jobs=1)

    return own


def column(table, name="mine", scale="smoke"):
    return table.scored(table.pick_columns([name])[0], scale)


@pytest.mark.parametrize(
    ("count", "share", "shots", "reference"), [(150, 0.2, 100, 30), (110, 0.2, None, 22), (310, 0.67, 100, 200)]
)
def test_counts_and_shots_are_the_tables_as_far_as_the_set_suffices(count, share, shots, reference, own):
    own(count=count, test_share=share)
    found = column(load_table("table1", columns=["mine"]))
    assert (found.data.name, found.data.resolution, found.data.shots) == ("mine", 32, shots)
    assert (found.protocol.generated, found.protocol.reference, found.stand_in) == (100, reference, None)


def test_the_beginning_of_a_set_is_a_column():
    found = column(load_table("table1", columns=["scenes-5@150"]), "scenes-5@150")
    assert (found.data.name, found.data.shots, found.protocol.reference) == ("scenes-5@150", 100, 150)
    with pytest.raises(UserError, match="'scenes-5' has 2500 training and 1000 test images; choose fewer"):
        load_table("table1", columns=["scenes-5@9999"])


def test_shots_that_were_named_at_the_build_are_taken(own):
    own(shots=25)
    assert column(load_table("table1", columns=["mine"])).data.shots == 25


def test_it_is_a_column_at_every_scale_and_the_others_keep_their_names(own, tmp_path):
    own()
    plain, table = load_table("dip/table1"), load_table("dip/table1", columns=["mine", "anime", "digits"])
    assert [one.id for one in table.columns] == [*(one.id for one in plain.columns), "mine", "digits"]
    assert table.added_columns == {"mine", "digits"} and plain.added_columns == set()
    for scale, pixels in (("smoke", 32), ("mini", 32), ("paper", 128)):
        assert column(table, scale=scale).data.resolution == pixels
        assert column(table, scale=scale).stand_in is None
        uids = [
            {run.uid for run in make_plan(one, scale, Store(tmp_path), ["scratch"], ["anime", "faces"]).runs}
            for one in (plain, table)
        ]
        assert uids[0] == uids[1]
    # What is not built at a size has the counts of another size, and a line that says how it is built.
    assert column(table, scale="paper").protocol.reference == column(table, scale="mini").protocol.reference == 30
    plan = make_plan(table, "paper", Store(tmp_path), ["scratch"], ["mine"], [0])
    texts = [problem.text for problem in problems(plan) if problem.absent]
    line = "data set 'mine' at 128 px is not built; run `bench data build mine --resolution 128 --from DIR`"
    assert any(text.startswith(line) for text in texts)


def test_settings_reach_an_added_column_as_any_other(own):
    own()
    settings = {"columns.mine.reference": 20, "train.steps": 7, "columns.mine.data.shots": 50}
    found = load_table("table1", settings, columns=["mine"])
    cell = found.cell(found.rows[0], found.pick_columns(["mine"])[0], "smoke")
    assert (cell.protocol.reference, cell.data.shots, cell.train.steps) == (20, 50, 7)
    other = load_table("table1", {"network.name": "sngan-64", "network.options": {}}, columns=["mine"])
    assert column(other).data.resolution == 64


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"columns.mine.reference": 31}, "31 reference images, but data set 'mine' at 32 px has 30 test images"),
        ({"columns.mine.data.shots": 121}, "121 shots, but data set 'mine' at 32 px has 120 training images"),
    ],
)
def test_what_the_set_has_not_is_refused_with_the_numbers(setting, line, own, tmp_path):
    own()
    table = load_table("table1", setting, columns=["mine"])
    assert line in [
        problem.text for problem in problems(make_plan(table, "smoke", Store(tmp_path), ["scratch"], ["mine"]))
    ]


def test_too_few_reference_images_for_k_say_what_helps(own, tmp_path):
    own(count=50)
    table = load_table("table1", columns=["mine"])
    (found,) = problems(make_plan(table, "smoke", Store(tmp_path), ["scratch"], ["mine"]))
    assert found.text.startswith("precision wants neighbour 10 of 10 reference images; k must be below 10: build the")
    assert "--test-share" in found.text and "--set protocol.reference_split=all" in found.text
    table = load_table("table1", {"protocol.reference_split": "all"}, columns=["mine"])
    assert column(table).protocol.reference == 50
    assert problems(make_plan(table, "smoke", Store(tmp_path), ["scratch"], ["mine"])) == []
    # What makes the test split larger is no help where the reference is of something else.
    settings = {
        "protocol.reference_split": "training-images",
        "columns.mine.data.shots": 8,
        "columns.mine.reference": 8,
    }
    (found,) = problems(
        make_plan(load_table("table1", settings, ["mine"]), "smoke", Store(tmp_path), ["scratch"], ["mine"])
    )
    assert found.text == "precision wants neighbour 10 of 8 reference images; k must be below 8"
    own("half", count=50, test_share=0.5)
    table = load_table("table1", columns=["half"])
    assert column(table, "half").protocol.reference == 25
    assert problems(make_plan(table, "smoke", Store(tmp_path), ["scratch"], ["half"])) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("facse", "did you mean 'faces'?"),
        ("pictures", "did you mean 'pictures-of-mine'?"),
        ("emojy", "did you mean 'emoji'?"),
        ("xyzzy", "known: anime, faces, and every data set (`bench data list`)"),
    ],
)
def test_a_wrong_name_gets_the_nearest_column_or_set(name, hint, own):
    own("pictures-of-mine", count=20)
    with pytest.raises(UserError) as refusal:
        load_table("table1", columns=["anime", name])
    assert str(refusal.value) == f"unknown column '{name}' of disp/table1; {hint}"


def test_a_table_without_columns_has_no_counts_to_give(own, tmp_path):
    own(count=20)
    path = tmp_path / "bare.yaml"
    path.write_text("extends: disp/table1\ncolumns: []\nclaims: []\n")
    assert load_table(str(path)).columns == ()
    with pytest.raises(UserError, match="'mine' cannot be a column of bare, which has none to take the counts from"):
        load_table(str(path), columns=["mine"])


def test_a_column_of_the_table_comes_before_a_set_of_its_name(own):
    own("faces", count=20)
    table = load_table("table1", columns=["faces"])
    assert table.added_columns == set() and column(table, "faces").data.name == "avatars-critters"
    assert shadowed(table, ["faces", "anime"]) == ["faces"]


def test_a_table_of_ones_own_has_such_columns_too(own, tmp_path):
    own()
    path = tmp_path / "mine.yaml"
    path.write_text("extends: disp/table1\ntitle: Mine\n")
    table = load_table(str(path), columns=["mine"])
    plan = make_plan(table, "smoke", Store(tmp_path), ["scratch"], ["mine"], [0])
    assert {run.spec.data.name for run in plan.runs} == {"mine"}
    assert all(re.fullmatch(r"\w+(-mix)?_mine-32-100_s0_[0-9a-f]{12}", run.uid) for run in plan.runs)
