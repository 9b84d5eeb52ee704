"""Blocks of numbers of one kind as one: where each row, or each column, shows an output of its own of a measure."""

from __future__ import annotations

from dataclasses import replace

from bench.report.model import Block, TableReport


def shown_blocks(report: TableReport) -> list[Block]:
    """The blocks as people are shown them: those whose outputs are parts of one number (`Output.part_of`) are one.

    That is done where every row, or every column, names the one output that it shows, so that no cell is in two.
    """
    apart = any(all(head.output for head in heads) and heads for heads in (report.rows, report.columns))
    blocks: list[Block] = []
    for block in report.blocks:
        same = (place for place, other in enumerate(blocks) if apart and _are_one(block, other))
        place = next(same, None)
        if place is None:
            blocks.append(block)
        else:
            blocks[place] = _joined(report, blocks[place], block)
    return blocks


def _are_one(one: Block, other: Block) -> bool:
    kinds = [(block.measure.part_of, block.rule, block.extractor) for block in (one, other)]
    return bool(one.measure.part_of) and kinds[0] == kinds[1]


def _joined(report: TableReport, one: Block, other: Block) -> Block:
    cells = dict(one.cells)
    for row in filter(other.shows, report.rows):
        for column in filter(other.shows, report.columns):
            if (key := (row.id, column.id)) in other.cells:
                cells[key] = other.cells[key]
    notes = tuple(dict.fromkeys((*one.notes, *other.notes)))
    parts = (*one.parts, other.metric)
    return replace(one, label=one.measure.part_of, cells=cells, notes=notes, parts=parts)
