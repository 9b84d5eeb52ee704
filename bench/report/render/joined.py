"""Blocks of numbers of one kind as one: where each row, or each column, shows an output of its own of a measure.

Or one output on features of its own, as long as nothing is ranked across them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.report.model import Block, Cell, ColumnHead, RowHead, TableReport


def shown_blocks(report: TableReport) -> list[Block]:
    """The blocks as people are shown them: those whose outputs are parts of one number (`Output.part_of`) are one.

    That is done where every row, or every column, names the one output that it shows, so that no cell is in two. So are
    blocks of one output that ranks nothing, where every row, or every column, has it on features of its own; a note
    then says whose are which.
    """
    apart = any(all(head.output for head in heads) and heads for heads in (report.rows, report.columns))
    blocks: list[Block] = []
    for block in report.blocks:
        for place, other in enumerate(blocks):
            if apart and _are_one(block, other):
                blocks[place] = _joined(report, other, block)
                break
            if (note := _beside(report, other, block)) is not None:
                cells = {**block.cells, **_own(other), **_own(block)}
                blocks[place] = replace(other, label=other.measure.short, cells=cells, notes=(*other.notes, note))
                break
        else:
            blocks.append(block)
    return blocks


def _own(block: Block) -> dict[tuple[str, str], Cell]:
    """The cells that have, or are to have, numbers of this block."""
    return {key: cell for key, cell in block.cells.items() if cell.total}


def _beside(report: TableReport, one: Block, other: Block) -> str | None:
    """Which rows, or columns, have which of two blocks that are one; None for blocks that are not."""
    if one.metric != other.metric or one.measure.better != "none" or (one.rule, one.split) != (other.rule, other.split):
        return None
    axes: tuple[Sequence[RowHead | ColumnHead], ...] = (report.rows, report.columns)
    for axis, heads in enumerate(axes):
        of_one, of_other = ({key[axis] for key in _own(block)} for block in (one, other))
        if of_one and of_other and not of_one & of_other:
            whose = (
                f"{', '.join(head.label for head in heads if head.id in ids)}: {block.label}"
                for ids, block in ((of_one, one), (of_other, other))
            )
            return "; ".join(whose) + "."
    return None


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
    groups = tuple(dict.fromkeys((*one.groups, *other.groups)))
    parts = (*one.parts, other.metric)
    return replace(one, label=one.measure.part_of, cells=cells, notes=notes, parts=parts, groups=groups)
