"""LT-GAN's tables name the same training where the paper has one, at every scale; smoke runs stay small."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table
from bench.spec.run import RunSpec

CELEBA = ("lt/table1", "lt", "celebahq-sndcgan")
SAME = [
    # (table, row, column) is the run of (table, row, column)
    *[
        (("lt/table4", row, column), ("lt/table1", row, other))
        for row in ("base", "lt")
        for column, other in (("celebahq", "celebahq-sndcgan"), ("cifar10", "c10-uncond"))
    ],
    (("lt/aux", "two-layer", "celebahq"), CELEBA),
    (("lt/batch", "lt", "celebahq"), CELEBA),
    (("lt/batch", "base", "celebahq"), ("lt/table1", "base", "celebahq-sndcgan")),
    (("lt/fig4", "sigma", "s50"), CELEBA),
    (("lt/fig4", "weight", "w1"), CELEBA),
]
# Trainings of one seed that no other table of LT-GAN has: the cells of each less those that are another's.
NEW = {"lt/table1": 16, "lt/table4": 5, "lt/fig4": 8, "lt/aux": 2, "lt/batch": 2, "lt/fig6": 0}


def _runs(name: str, scale: str) -> dict[tuple[str, str], RunSpec]:
    table = load_table(name)
    return {(row.id, column.id): table.run_spec(row, column, 0, scale) for row, column in table.trained_cells(scale)}


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_equal_cells_are_one_training(scale: str) -> None:
    for one, other in SAME:
        assert _runs(one[0], scale)[one[1:]].uid == _runs(other[0], scale)[other[1:]].uid, f"{one} and {other}"


@pytest.mark.parametrize("scale", ["smoke", "mini", "paper"])
def test_nothing_else_is_shared_and_nothing_is_trained_twice(scale: str) -> None:
    seen: set[str] = set()
    for name, count in NEW.items():
        uids = {run.uid for run in _runs(name, scale).values()}
        assert len(uids - seen) == count, name
        seen |= uids


def test_small_scales_have_stand_ins_that_are_named() -> None:
    for name in NEW:
        table = load_table(name)
        for scale in ("mini", "smoke"):
            assert all(table.cell(row, column, scale).stand_in for row, column in table.trained_cells(scale))
        assert not any(table.cell(row, column, "paper").stand_in for row, column in table.trained_cells("paper"))


def test_of_a_small_scale_only_data_and_sizes_are_others() -> None:
    """The same parts in the same order as at scale paper, on networks of the same families."""
    families = {"sngan-48": "sngan", "sndcgan-128": "sndcgan", "biggan-128": "biggan", "stylegan1-128": "stylegan1"}
    for name in NEW:
        for cell, paper in _runs(name, "paper").items():
            for scale in ("mini", "smoke"):
                small = _runs(name, scale)[cell]
                assert [part.name for part in small.method] == [part.name for part in paper.method], cell
                assert small.network is not None and paper.network is not None
                family = families.get(paper.network.name, paper.network.name.partition("-")[0])
                assert small.network.name == f"{family}-32", cell
                assert small.train is not None and paper.train is not None and small.train.loss == paper.train.loss
                assert small.data.name.partition("@")[0] in ("styles-10", "faces-attributes", "mixed")


def test_a_smoke_run_is_short() -> None:
    for name in NEW:
        for run in _runs(name, "smoke").values():
            assert run.train is not None and run.protocol is not None
            assert run.train.steps <= 60 and run.train.batch == 8 and run.train.d_steps == 1
            assert (run.protocol.generated, run.protocol.reference) == (100, 200)
