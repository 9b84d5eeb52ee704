"""At scale paper the tables of DISP and DIP have the papers' settings, cell by cell; the sheets are typed by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import networks
from bench.networks.describe import weightless
from bench.plan.load import load_table, table_names
from sheets import Line, is_method, of_cell, read_sheet, typed, unused

SHEETS = {path.stem.replace("-", "/", 1): path for path in sorted((Path(__file__).parent / "sheets").glob("di*.txt"))}
# The sizes of z, of D's features, and of what G reads of a prior: DISP's supplementary 7 to 9, DIP's appendices.
SIZES = {
    ("sngan-128", "z_dim=120 sn_generator=yes"): (120, 1024, 128),
    ("biggan-128", "-"): (120, 1536, 128),
    ("biggan-128", "g_channels=64 d_channels=64"): (120, 1024, 128),
    ("biggan-32", "d_feature=1024"): (120, 1024, 128),
    ("stylegan2-32", "mixing_per=image"): (512, 512, 512),
    ("stylegan2-256", "mixing_per=image"): (512, 512, 512),
    ("stylegan2-256", "mixing_per=image noise=const"): (512, 512, 512),
}


@cache
def _sheet(name: str) -> list[Line]:
    return read_sheet(SHEETS[name])


def _papers() -> list[str]:
    return [name for name in table_names() if name.startswith(("disp/", "dip/"))]


def test_every_table_that_trains_has_a_sheet() -> None:
    tables = [load_table(name) for name in _papers()]
    trained = {table.name for table in tables if table.same_as is None and any(table.trained_cells("paper"))}
    assert set(SHEETS) == trained


@pytest.mark.parametrize("name", SHEETS)
def test_every_cell_is_the_sheets(name: str) -> None:
    table = load_table(name)
    cells = [(row, column) for row, column in table.trained_cells("paper")]
    assert cells and not unused(_sheet(name), [(row.id, column.id) for row, column in cells])
    for row, column in cells:
        said = typed(_sheet(name), row.id, column.id)
        method = said.pop("method")
        assert of_cell(table, row, column) == said, f"{row.id}/{column.id}"
        assert is_method(method, table.run_spec(row, column, 0, "paper")), f"{row.id}/{column.id}: {method}"


@pytest.mark.parametrize("name", SHEETS)
def test_the_best_snapshot_is_reported_of_as_many_seeds_as_planned(name: str) -> None:
    table = load_table(name)
    assert table.snapshot == "best" and table.best_of == 1
    smoke = 3 if name.endswith("/table1") else 1
    assert [table.seeds_at(scale) for scale in ("paper", "mini", "smoke")] == [3, 3, smoke]


def test_networks_have_the_sizes_of_the_text() -> None:
    named = {(line["network"], line.get("options", "-")) for line in _networks()}
    assert named == set(SIZES)
    for (name, options), sizes in SIZES.items():
        overrides = dict(_option(word) for word in options.split() if word != "-")
        with weightless():
            generator, discriminator = networks.build(name, condition_dim=4096, **overrides)
            prior = generator.embed(torch.empty(1, 4096))
        assert (generator.z_dim, discriminator.feature_dim, prior.shape[1]) == sizes, name


def _networks() -> list[dict[str, str]]:
    """Network and options of every cell of every sheet."""
    return [
        typed(_sheet(name), row.id, column.id)
        for name in SHEETS
        for row, column in load_table(name).trained_cells("paper")
    ]


def _option(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    return name, {"yes": True, "no": False}.get(value, int(value) if value.isdigit() else value)
