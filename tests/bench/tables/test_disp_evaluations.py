"""Tables of DISP and DIP that evaluate finished runs: of which, and with the papers' settings, typed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bench.plan.load import load_table

# measure and its settings at scale paper, the cell whose runs are evaluated (None: no run); a row for each kind of cell
LSUN, FFHQ = ("disp/table4", "disp-vgg16", "lsun"), ("disp/table4", "disp-vgg16", "ffhq")
# arXiv 5.3, "average of 3 runs"
GMM: dict[str, Any] = {
    "measure": "gmm-fit",
    "components": 1000,
    "fits": 3,
    "sampling": None,
}
COPYING = {  # arXiv 5.3, "over 5 trials"; the rest by the code of Meehan et al. 2020
    "measure": "data-copying", "trials": 5, "cells": 3, "pca": 64, "images": 2000, "real": 50000,
    "extractor": "inception@299",
}  # fmt: skip
INVERSION: dict[str, Any] = {  # DIP table 4 and appendix C: 500 images, Adam with rate 0.1; the steps are declared
    "measure": "inversion", "images": 500, "lr": 0.1, "steps": 500, "extractor": "inception@299", "sampling": None,
}  # fmt: skip
COSINE: dict[str, Any] = {"measure": "cosine", "sampling": None, "pairs": 10000}  # the number is declared
VGG16: dict[str, Any] = {"extractor": "vgg16_fc7@224"}  # declared: the prior's layer
SHEET = {
    **{
        ("disp/table5", row, f"{images}k"): (GMM | {"images": 1000 * images}, LSUN)
        for row in ("gmm", "seconds")
        for images in (50, 100, 200, 500)
    },
    **{
        ("disp/table6", row, column): (COPYING, ("disp/table4", row, column))
        for row in ("baseline", "disp-vgg16", "disp-simclr")
        for column in ("cifar10", "cifar100", "ffhq", "lsun", "imagenet32")
    },
    **{
        ("dip/table10", row, column): (COPYING, ("dip/table3", row, column))
        for row in (
            "baseline", "vgg16-prior", "vgg16-gmm", "vgg16-kmeans", "simclr-prior", "simclr-gmm", "simclr-kmeans",
        )
        for column in ("cifar10", "cifar100", "ffhq", "lsun", "imagenet32")
    },
    **{
        (table, row, column): (
            INVERSION | {"start": "mean" if row == "baseline" else "prior"}, ("disp/table4", row, column),
        )
        for table in ("disp/table7", "dip/table4")
        for row in ("baseline", "disp-vgg16", "disp-simclr")
        for column in ("ffhq", "lsun")
    },
    **{
        ("disp/table12", row, column): (COSINE | {"space": "discriminator", "of_pairs": "random"} | against, models)
        for row, against in {"vs-vgg": {"against": "perceptual"} | VGG16, "vs-image": {"against": "pixels"}}.items()
        for column, models in {
            "anime": ("disp/table1", "diffaugment+disp", "anime"),
            "ffhq": FFHQ,
            "cifar10": ("disp/table4", "disp-vgg16", "cifar10"),
        }.items()
    },
    **{
        ("disp/table13", row, column): (COSINE | space | {"of_pairs": pairs}, FFHQ)
        for row, space in {"vgg": {"space": "perceptual"} | VGG16, "d": {"space": "discriminator"}}.items()
        for column, pairs in {"pair": "generated", "random": "random"}.items()
    },
    **{
        ("disp/probe", row, column): (  # declared: the solver; of simclr the source of that name
            {"measure": "linear-probe", "inverse_penalty": 1.0, "steps": 1000} | extractor, None,
        )
        for row, extractor in {"vgg16": {"extractor": "vgg16_fc7@224"}, "simclr": {}}.items()
        for column in ("train", "test")
    },
}  # fmt: skip
TABLES = sorted({table for table, _, _ in SHEET})


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_the_sheets(name: str) -> None:
    table = load_table(name)
    assert table.snapshot == "best"
    seeds = [1, 1, 1] if name == "disp/probe" else [3, 3, 1]  # where nothing is drawn
    assert [table.seeds_at(scale) for scale in ("paper", "mini", "smoke")] == seeds
    cells = {(name, row.id, column.id): (row, column) for row in table.rows for column in table.columns}
    assert set(cells) == {cell for cell in SHEET if cell[0] == name}
    for cell, (row, column) in cells.items():
        settings, models = SHEET[cell]
        merged = table.merged(column, "paper", row)
        assert merged.evaluate == settings, cell
        of = merged.of
        assert (of and (of.table, of.row or row.id, of.column or column.id)) == models, cell


@pytest.mark.parametrize("name", TABLES)
def test_the_cells_that_are_borrowed_are_there_at_every_scale(name: str) -> None:
    table = load_table(name)
    for scale in table.scales:
        for row in table.rows:
            for column in table.columns:
                if scale == "midi" and table.is_absent(row.id, column.id, scale):
                    continue  # of disp/table4, whose runs are of many images: it has no midi
                if (of := table.merged(column, scale, row).of) is not None:
                    assert of.table is not None
                    _is_shown(of.table, of.row or row.id, of.column or column.id, scale)


def _is_shown(table: str, row: str, column: str, scale: str) -> None:
    shown = {(one.id, other.id) for one, other in load_table(table).shown_cells(scale)}
    assert (row, column) in shown, f"{table} {row}/{column} at {scale}"


@pytest.mark.parametrize("scale", ["paper", "mini", "smoke"])
def test_rows_of_samplers_look_at_the_training_of_their_prior(scale: str) -> None:
    """DIP's mixture rows are DISP's rows; all rows of a prior are one training."""
    dip, disp = load_table("dip/table10"), load_table("disp/table6")
    column = dip.pick_columns(["lsun"])[0]
    shown = {row.id: dip.shown_spec(row, column, 0, scale) for row in dip.rows}
    (disp_row,) = disp.pick_rows(["disp-vgg16"])
    assert shown["vgg16-gmm"] == disp.shown_spec(disp_row, column, 0, scale)
    prior, mixture, kmeans = (shown[f"vgg16-{name}"] for name in ("prior", "gmm", "kmeans"))
    assert prior.evaluated == mixture.evaluated == kmeans.evaluated
    assert prior.measure is not None and mixture.measure is not None and kmeans.measure is not None
    assert "sampling" not in prior.measure.settings
    assert str(mixture.measure.settings["sampling"]).startswith("gmm-")
    assert str(kmeans.measure.settings["sampling"]).startswith("kmeans-")
