"""Which tables of DISP and DIP train the same runs, and which do not."""

from __future__ import annotations

import pytest

from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.spec.run import RunSpec

SAME = [
    # (table, row, column) is the run of (table, row, column), at every scale
    *[
        (("disp/table10", row, f"{column}-h"), ("disp/table1", row, column))
        for row in ("freezed", "freezed+disp", "diffaugment", "diffaugment+disp")
        for column in ("anime", "faces")
    ],
    (("disp/table11", "freezed+disp", "anime"), ("disp/table1", "freezed+disp", "anime")),
    (("disp/table11", "diffaugment+disp", "anime"), ("disp/table1", "diffaugment+disp", "anime")),
    *[
        (("disp/fig3c", row, "n100"), ("disp/table1", row, "anime"))
        for row in ("scratch", "scratch+disp", "freezed", "freezed+disp", "diffaugment", "diffaugment+disp")
    ],
    (("disp/table8", "baseline", "cifar100"), ("disp/table4", "baseline", "cifar100")),
    (("disp/table8", "simclr-imagenet", "cifar100"), ("disp/table4", "disp-simclr", "cifar100")),
    *[
        (("dip/table3", row, column), ("disp/table4", other, column))
        for row, other in {"baseline": "baseline", "self-cond": "self-cond", "vgg16-prior": "disp-vgg16"}.items()
        for column in ("cifar10", "imagenet32")
    ],
    (("disp/corruption", "simclr-cifar100", "cifar100"), ("disp/table8", "simclr-cifar100", "cifar100")),
]


def _uid(table: str, row: str, column: str, scale: str) -> str:
    known = load_table(table)
    rows, columns = {one.id: one for one in known.rows}, {one.id: one for one in known.columns}
    return known.run_spec(rows[row], columns[column], 0, scale).uid


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_equal_cells_are_one_training(scale: str) -> None:
    for one, other in SAME:
        assert _uid(*one, scale) == _uid(*other, scale), f"{one} and {other} at {scale}"


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_every_sampler_is_an_evaluation_of_one_training(scale: str) -> None:
    """The mixture rows of DIP's table 3 are those of DISP's table 4; its other rows show the same trainings."""
    disp, dip = load_table("disp/table4"), load_table("dip/table3")
    samplers = {"paper": ("gmm-1000@200000", "kmeans-10000@200000"), "mini": ("gmm-40@2000", "kmeans-400@2000"),
                "smoke": ("gmm-2@100", "kmeans-20@100")}  # fmt: skip
    for prior in ("vgg16", "simclr"):
        for column in disp.columns:
            trained = _shown(dip, f"{prior}-prior", column.id, scale)
            assert trained.kind == "train" and trained.method[0].settings["sampling"] == "pure"
            for row, sampling in zip((f"{prior}-gmm", f"{prior}-kmeans"), samplers[scale], strict=True):
                shown = _shown(dip, row, column.id, scale)
                assert shown.measure is not None and shown.measure.name == "rescore"
                assert shown.sources["run"] == trained
                assert (shown.measure.settings["sampling"], shown.measure.settings["snapshot"]) == (sampling, "best")
            assert _shown(disp, f"disp-{prior}", column.id, scale) == _shown(dip, f"{prior}-gmm", column.id, scale)


def _shown(table: Table, row: str, column: str, scale: str) -> RunSpec:
    rows, columns = {one.id: one for one in table.rows}, {one.id: one for one in table.columns}
    return table.shown_spec(rows[row], columns[column], 0, scale)


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_table_3_mirrors_its_images_and_so_shares_no_run_with_table_4(scale: str) -> None:
    names = {}
    for name in ("disp/table3", "disp/table4"):
        table = load_table(name)
        names[name] = {table.run_spec(row, column, 0, scale).uid for row, column in table.trained_cells(scale)}
    assert len(names["disp/table3"]) == 42 and len(names["disp/table4"]) == 22
    assert not names["disp/table3"] & names["disp/table4"]


def test_columns_of_a_loss_differ_in_the_loss_alone() -> None:
    table = load_table("disp/table10")
    rows, columns = table.rows, {column.id: column for column in table.columns}
    for scale in table.scales:
        for row in rows:
            for column in ("anime", "faces"):
                hinge, *others = (
                    table.run_spec(row, columns[f"{column}-{loss}"], 0, scale) for loss in ("h", "ns", "w")
                )
                for other, loss in zip(others, ("non-saturating", "wasserstein"), strict=True):
                    assert other.train is not None and other.train.loss == loss
                    assert other.model_copy(update={"train": hinge.train}) == hinge
