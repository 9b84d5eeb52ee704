"""Cells of DISP's and DIP's tables train at scale smoke, one of each kind of setting, and an evaluation of one.

With fewer steps, though where R1 is a part more than the 16 that lie between two of its steps; and of as few pictures
as they need: the data sets of this scale take a minute to draw, their features as long to compute.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

CELLS = {
    "disp/table2": ("minegan", "ffhq", {"fd", "kid"}),  # from a source by class
    "disp/table3": ("stylegan2+diffaugment+disp", "c100-10", {"fd", "kid"}),  # a group's own network
    "disp/table8": ("resnet50-places365", "cifar100", {"fd", "kid", "precision", "recall"}),  # a classifier's prior
    "disp/table9": ("freezed+disp", "panda", {"fd", "kid"}),  # against the training images
    "dip/table3": ("vgg16-gmm", "cifar100", {"fd", "kid", "precision", "recall"}),  # another row's run, scored again
}
WITH_R1 = ("disp/table3", "disp/table9")
FEWER = {"c100-10": "styles-100@1000", "cifar100": "styles-100@1000", "panda": "drawn-panda@100"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_scored_and_reported(name: str, bench_command: Any, store_root: Path) -> None:
    row, column, scores = CELLS[name]
    every = 9 if name in WITH_R1 else 2
    chosen = ["--scale", "smoke", "--rows", row, "--columns", column]
    chosen += ["--set", f"train.steps={2 * every}", "--set", f"protocol.every={every}"]
    chosen += ["--set", f"columns.{column}.generated=50", "--set", f"columns.{column}.reference=50"]
    chosen += ["--set", f"columns.{column}.data.name={FEWER[column]}"] if column in FEWER else []
    done = bench_command("run", name, *chosen, "--no-references")
    assert done.returncode == 0, done.stderr
    lines = _lines(store_root, "rescore-" if name == "dip/table3" else "")
    assert {line["metric"] for line in lines} == scores and all(math.isfinite(line["value"]) for line in lines)
    shown = bench_command("report", name, *chosen)
    assert shown.returncode == 0 and "(n=1)" in shown.stdout


def _lines(store: Path, slug: str) -> list[dict[str, Any]]:
    """The scores of the one scored run whose name begins so."""
    files = [one / "metrics.jsonl" for one in store.iterdir() if one.name.startswith(slug)]
    (scored,) = [file.read_text() for file in files if file.is_file() and file.stat().st_size]
    return [json.loads(line) for line in scored.splitlines()]
