"""The list of what is rehearsed: every step that a table trains at scale paper, once, with the table's settings."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.contract.composition import build_method
from bench.errors import UserError
from bench.plan.load import load_table, table_names
from bench.rehearsal.configurations import Configuration
from bench.rehearsal.listing import load_configurations, pick
from bench.rehearsal.table_rows import row_settings
from docs.rehearsals import KEPT
from rehearsal_list import MICRO, PLAIN, TINY, written, written_groups

# ---- the papers' list ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed() -> list[Configuration]:
    return load_configurations()[1]


def test_every_configuration_of_the_list_can_be_built(listed):
    for one in listed:
        build_method(one.parts)
    names = {one.network.name for one in listed}
    assert {"sngan-128", "biggan-128", "stylegan1-128", "stylegan2-1024", "fastgan-1024"} <= names
    papers = {cell.split("/")[0] for one in listed for cell in one.cells}
    assert papers == {"disp", "dip", "lt", "sle"}


def test_every_cell_that_a_table_trains_at_paper_scale_is_rehearsed_once(listed):
    """With the table's own network, method and batch: what is rehearsed is what `--scale paper` runs."""
    by_cell = {cell: one for one in listed for cell in one.cells}
    trained = []
    for name in table_names():
        table = load_table(name)
        for row, column in table.built_cells("paper") if "paper" in table.scales else ():
            spec = table.run_spec(row, column, 0, "paper")
            one = by_cell[f"{name}/{row.id}/{column.id}"]
            assert spec.network is not None and spec.train is not None
            assert key(one.network, one.parts, one) == key(spec.network, spec.method, spec.train), one.id
            assert one.resolution == spec.data.resolution
            trained.append(f"{name}/{row.id}/{column.id}")
    assert Counter(trained) == Counter(cell for one in listed for cell in one.cells)
    assert len(trained) > 600


def test_no_step_is_rehearsed_twice_and_each_is_a_tables(listed):
    steps = Counter(key(one.network, one.parts, one) for one in listed)
    assert [step for step, count in steps.items() if count > 1] == []
    assert [one.id for one in listed if not one.cells] == []


# Settings that a step does not depend on, and the priors of 2,048 numbers, whose steps are one computation.
IDLE = {
    "disp": ("sampling",),
    "logo-gan": ("clusters",),
    "self-cond": ("interval", "sample"),
    "lt": ("sigma", "weight"),
}
AS_WIDE = {"resnet50": "simclr", "classifier": "simclr"}


def key(network, parts, training):
    """What decides the computation of a step; a method without parts is `unconditional`."""
    settings = training.train if isinstance(training, Configuration) else training.model_dump()
    images = (training.batch, training.d_steps, settings.get("g_batch"), settings.get("share_fakes"))
    return network.model_dump_json(), tuple(step_of(part) for part in parts if part.name != "unconditional"), images


def step_of(part):
    settings = {name: value for name, value in part.settings.items() if name not in IDLE.get(part.name, ())}
    if part.name == "disp" and settings["prior"] in AS_WIDE:
        settings |= {"prior": AS_WIDE[settings["prior"]], "prior_size": 64}
    return part.model_copy(update={"settings": settings}).model_dump_json()


def test_a_step_without_a_name_has_its_cells_and_is_rehearsed_like_its_neighbours(listed):
    """LT-GAN's doubled batch of G, and the controls of disp/table1, are named in no list."""
    by_id = {one.id: one for one in listed}
    doubled, single = by_id["lt-batch-lt-2z"], by_id["lt-sndcgan128-lt"]
    assert doubled.cells == ("lt/batch/lt-2z/celebahq",) and doubled.tables == ("lt/batch lt-2z",)
    assert doubled.run_spec().train.g_batch == 128 and single.run_spec().train.g_batch is None
    assert (doubled.step, doubled.images) == (single.step, single.images) == (50000, 256)
    assert by_id["disp-table1-scratch-norm"].method == "baseline(norm=64)"


def test_columns_are_named_where_a_row_has_several_steps(listed):
    by_id = {one.id: one for one in listed}
    assert "disp/table3 biggan+diffaugment (c10-20, c10-10, c100-20, c100-10)" in (
        by_id["disp-biggan32-diffaugment"].tables
    )
    assert by_id["fastgan256-skip"].tables == ("sle/table2 skip",)


def test_what_was_measured_has_a_configuration(listed):
    measured = {row["configuration"] for row in json.loads(KEPT.read_text())}
    assert len(measured) > 50 and measured <= {one.id for one in listed}


def test_the_list_is_not_taken_for_a_table():
    assert not [name for name in table_names() if "rehearsal" in name]


def test_ids_and_cells_name_configurations(listed):
    assert [one.id for one in pick(listed, ["disp-sngan-ada", "fastgan1024"])] == ["disp-sngan-ada", "fastgan1024"]
    assert [one.id for one in pick(listed, ["sle/table3/ours/art"])] == ["fastgan1024"]
    assert [one.id for one in pick(listed, ["lt/table1/base"])][:1] == ["lt-sndcgan32"]
    assert len(pick(listed, ["lt/table1/base"])) == 5 == len(pick(listed, ["lt/table1/base", "lt-biggan128"]))
    assert len(pick(listed, ["sle/table3"])) == 4
    with pytest.raises(UserError, match="unknown configuration 'sle/table3/our'; did you mean 'sle/table3/ours'"):
        pick(listed, ["sle/table3/our"])


# ---- digests -------------------------------------------------------------------------------------------------


def test_a_digest_is_of_what_is_run():
    """Not of names, words, the training's length or how G is averaged; of numbers and of how the batch is rehearsed."""

    def digest(**change):
        method = "diffaugment(policy='color') + disp(prior=simclr)"
        return Configuration.model_validate({"id": "one", **TINY, "method": method, **change}).digest

    rates = TINY["train"]
    same = (
        {"id": "two", "tables": ["other"], "cells": ("a/b/c",), "note": "words", "per_gpu": 4, "steps": 200},
        {"method": 'diffaugment(policy="color") + disp(prior=simclr, sampling=pure)'},
        {"train": {**rates, "beta2": 0.9, "ema_decay": 0.5, "flip": True}},
    )
    other = (
        {"train": {**rates, "g_lr": 2e-3}},
        {"train": {**rates, "g_batch": 16}},
        {"method": "diffaugment + disp(prior=simclr)"},
        {"micro_batch": 4},
        {"rehearsed": 4},
        {"step": 1},
        {"images": 17},
        {"network": {"name": "sngan-32"}},
        {"state": {"disp": {"x": 1}}},
    )
    assert {digest(**change) for change in same} == {digest()}
    assert len({digest(), *(digest(**change) for change in other)}) == len(other) + 1


def test_a_share_of_the_batch_has_the_same_share_of_gs():
    one = Configuration.model_validate(
        {"id": "one", **TINY, "train": {**TINY["train"], "g_batch": 24}, "rehearsed": 4, "micro_batch": 2}
    )
    assert (one.run_spec().train.batch, one.run_spec().train.g_batch) == (4, 12)


# ---- lists of one's own -----------------------------------------------------------------------------------------


def test_a_row_has_its_tables_settings_but_where_others_are_given(tmp_path):
    rows = [{"id": "as-it-is", "row": "glann+disp"}, {"id": "other", "row": "glann+disp", "batch": 5, "method": "bsa"}]
    group = {"table": "disp/table1", "tables": ["mine"], "configurations": rows}
    as_it_is, other = load_configurations(written_groups(tmp_path, group))[1]
    table = load_table("disp/table1")
    row = next(row for row in table.rows if row.id == "glann+disp")
    run, mine = table.run_spec(row, table.columns[0], 0, "paper"), as_it_is.run_spec()
    assert (mine.method, mine.network) == (run.method, run.network) and "fit_share=0.9412" in as_it_is.method
    assert mine.train == run.train.model_copy(update={"log_every": mine.train.log_every})
    assert (as_it_is.steps, as_it_is.batch, as_it_is.images, as_it_is.resolution) == (8500, 50, 100, 128)
    assert other.method == "bsa" and other.batch == 5 and other.train == as_it_is.train


def test_a_row_has_the_settings_of_a_column_that_is_named():
    """Columns of disp/table4 have networks of their own; of a row that is absent in the first, the next is taken."""
    table = load_table("disp/table4")
    by_column = {column: row_settings(table, "baseline", column) for column in (None, "cifar10", "ffhq")}
    assert by_column[None] == by_column["cifar10"]
    assert [by_column[name]["network"]["name"] for name in ("cifar10", "ffhq")] == ["biggan-32", "biggan-128"]
    with pytest.raises(UserError, match="disp/table4 trains no row 'ssgan' in column 'ffhq'"):
        row_settings(table, "ssgan", "ffhq")
    with pytest.raises(UserError, match="unknown column 'fhq' of disp/table4; did you mean 'ffhq'"):
        row_settings(table, "baseline", "fhq")


@pytest.mark.parametrize(
    ("configurations", "message"),
    [
        ([{"id": "a", "row": "scratch", "batch": 5}], "batch: is that of disp/table1 in this list; leave it out"),
        (
            [{"id": "a", "row": "scratch"}, {"id": "b", "row": "scratch", "column": "faces"}],
            "'b' is the step of 'a'; leave it out",
        ),
    ],
)
def test_a_list_with_every_table_repeats_none(tmp_path, configurations, message):
    path = written_groups(tmp_path, {"table": "disp/table1", "configurations": configurations}, every_table=True)
    with pytest.raises(UserError) as caught:
        load_configurations(path)
    assert str(caught.value).startswith(f"{path}:") and message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bacth": 3}, "bacth: unknown key; did you mean 'batch'?"),
        ({"method": "difaugment"}, "did you mean 'diffaugment'?"),
        ({"network": {"name": "sngan-33"}}, "did you mean 'sngan-32'?"),
        ({"micro_batch": 3}, "micro_batch is 3, must divide batch"),
        ({"rehearsed": 9}, "rehearsed is 9, must be at most the batch, 8"),
        ({"step": 100}, "step is 100, must be below steps"),
        ({"train": {"g_lr": 1.0}}, "d_lr: "),
        ({"state": {"lt": {}}}, "state names 'lt', which is no part"),
        ({"tables": []}, "tables"),
        ({"table": "disp/table1", "row": "scrtch"}, "disp/table1 trains no row 'scrtch'; did you mean 'scratch'?"),
        ({"table": "disp/table1", "row": "bsa"}, "disp/table1 trains no row 'bsa'"),
        ({"table": "disp/tabel1", "row": "scratch"}, "unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
        ({"row": "scratch"}, "row: needs the name of a table"),
    ],
)
def test_mistakes_in_a_list_have_a_file_and_a_line(tmp_path, change, message):
    path = written(tmp_path, {**PLAIN, **change})
    with pytest.raises(UserError) as caught:
        load_configurations(path)
    assert str(caught.value).startswith(f"{path}:") and message in str(caught.value)


def test_a_name_is_given_once_and_asked_for_as_it_is(tmp_path):
    _, configurations = load_configurations(written(tmp_path, PLAIN, MICRO))
    with pytest.raises(UserError, match="unknown configuration 'plan'; did you mean 'plain'"):
        pick(configurations, ["plan"])
    with pytest.raises(UserError, match="is given twice"):
        load_configurations(written(tmp_path, PLAIN, dict(PLAIN)))
