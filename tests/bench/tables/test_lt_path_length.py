"""lt/pathlength evaluates lt/table1's StyleGANs with StyleGAN's settings, typed by hand (Karras et al. 2019, 4.1)."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table

PUBLISHED = {"epsilon": 1e-4, "places": "path", "pairs": 100_000, "net": "vgg", "crop": "face"}


@pytest.mark.parametrize("row", ["base", "lt"])
@pytest.mark.parametrize("space", ["z", "w"])
def test_every_cell_is_the_papers(row: str, space: str) -> None:
    table = load_table("lt/pathlength")
    (own,), (column,) = [one for one in table.rows if one.id == row], [one for one in table.columns if one.id == space]
    merged = table.merged(column, "paper", own)
    assert merged.evaluate == {"measure": "path-length", "space": space, **PUBLISHED}
    assert merged.of is not None
    assert (merged.of.table, merged.of.row, merged.of.column) == ("lt/table1", None, "celebahq-stylegan")
    assert table.metrics == ("path_length",) and {one.id for one in table.rows} == {"base", "lt"}
