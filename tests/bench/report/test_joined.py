"""Outputs that are values of one number stand in one block of a page, each in the row or column that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.frame import COLUMNS, as_frame
from bench.report.render import csv, html, latex, markdown, text
from bench.report.render.joined import shown_blocks
from bench.report.results import load_results

PLUGIN = """
from bench.evaluate.card import Result, RunMeasure, Value
from bench.metrics.output import Output

MEASURES = [
    RunMeasure(
        name="tones",
        summary="grey levels",
        outputs=tuple(
            Output(name=f"tone_{place}", summary="a", title="a", short=f"tone {place}", better="lower", part_of="tone")
            for place in (1, 2)
        ),
        compute=lambda subject, settings: Result([Value("tone_1", 1.0), Value("tone_2", 2.0)]),
    )
]
"""


def table(rows, columns):
    return Table.model_validate({
        "name": "mine", "title": "Tones", "seeds": 1, "snapshot": "final", "metrics": ["tone_1", "tone_2"],
        "evaluate": {"measure": "tones"}, "rows": rows, "columns": columns,
        "scales": {"mini": {
            "method": "unconditional", "network": {"name": "sngan-32"},
            "train": {"steps": 20, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
            "protocol": {"name": "p", "version": 1, "every": 10, "metrics": [{"name": "fd", "extractor": "vgg16@32"}]},
            "data": {"name": "shapes", "resolution": 32, "shots": 16}, "generated": 24, "reference": 24,
        }},
    })  # fmt: skip


def report(spec):
    """Of 10 and 20 in the first column, 11 and 21 in the second."""
    lines = [
        {"row": row.id, "column": column.id, "seed": 0, "metric": name, "extractor": "", "kind": "train", "step": 20,
         "status": "done", "uid": f"{row.id}{column.id}", "origin": "runs", "commit": "abc", "measure": "tones",
         "value": 10.0 * place + offset}
        for row in spec.rows
        for offset, column in enumerate(spec.columns)
        for place, name in ((1, "tone_1"), (2, "tone_2"))
        if (row.output or column.output) in (None, name)
    ]  # fmt: skip
    return build_report(spec, "mini", as_frame(lines, COLUMNS))


def heads(names, outputs=True):
    shows = [{"output": f"tone_{place}"} if outputs else {} for _, place in names]
    named = [{"id": f"{name}{place}", "label": f"{name.upper()}{place}"} for name, place in names]
    return [{**name, **output} for name, output in zip(named, shows, strict=True)]


@pytest.mark.parametrize("by", ["rows", "columns"])
def test_one_block_has_the_outputs_that_rows_or_columns_show(by, load_plugin):
    load_plugin(PLUGIN)
    those, others = heads([("a", 1), ("b", 2), ("c", 1)]), heads([("x", 1), ("y", 2)], outputs=False)
    found = report(table(*((those, others) if by == "rows" else (others, those))))
    assert [block.metric for block in found.blocks if block.paper_rule] == ["tone_1", "tone_2"]
    (block, *more) = shown_blocks(found)
    assert all(not other.paper_rule for other in more) and block.title.startswith("tone, lower is better; final")
    values = {key: cell.values for key, cell in block.cells.items()}
    offsets = {column["id"]: place for place, column in enumerate(others if by == "rows" else those)}
    for row, column in values:
        output = 1 if (row if by == "rows" else column)[0] in "ac" else 2
        assert values[row, column] == (10.0 * output + offsets[column],), (row, column)
    for page in (text.render(found), markdown.render(found), html.render(found), latex.render(found)):
        assert all(page.count(label) >= 1 for label in ("A1", "B2", "C1")) and "tone 1" not in page
    lines = csv.cells(found).splitlines()
    assert {line.split(",")[lines[0].split(",").index("metric")] for line in lines[1:]} == {"tone_1", "tone_2"}


def test_rows_that_show_all_outputs_have_a_block_for_each(load_plugin):
    load_plugin(PLUGIN)
    found = report(table(heads([("a", 1), ("b", 2)], outputs=False), heads([("x", 1)], outputs=False)))
    assert shown_blocks(found) == list(found.blocks) and len({block.title for block in found.blocks}) >= 2


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("disp/table12", "cosine vs VGG Perceptual: correlation(vgg16@64); cosine vs Image: correlation."),
        ("disp/table13", "VGG perceptual space: cosine(vgg16@64); Discriminator's feature space: cosine."),
    ],
)
def test_what_ranks_nothing_is_one_block_though_rows_are_on_features_of_their_own(name, note, tmp_path):
    """As the paper has it: every cell is there once, with its printed number, and a note says what it is on."""
    spec = load_table(name)
    whole = build_report(spec, "mini", load_results(spec, "mini", tmp_path))
    (block,) = (block for block in shown_blocks(whole) if block.paper_rule)
    assert len(block.cells) == len(spec.rows) * len(spec.columns) and note in block.notes
    assert all(cell.total == 3 and cell.printed is not None for cell in block.cells.values())
    assert note in text.render(whole)
    # A score that is ranked stays apart: marks are of one extractor.
    ranked = replace(whole, blocks=tuple(replace(block, metric="fd") for block in whole.blocks))
    assert len(shown_blocks(ranked)) == len(whole.blocks)
