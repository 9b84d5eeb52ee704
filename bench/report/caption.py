"""The sentences under a table: what was run, on which data, how it was scored, and how to read a cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bench.data.points import FLOOR, is_its_own_reference, meaning
from bench.evaluate.registry import output_card
from bench.features import inception_variant
from bench.metrics.measures import Measure, fewest_generated
from bench.metrics.output import Output
from bench.plan.expand import Table
from bench.report.best_seeds import chooses
from bench.report.cell_settings import protocols, said_of_cells, sharing
from bench.report.favoured import favoured
from bench.report.frame import machines_of
from bench.report.model import Block, ColumnHead, RowHead
from bench.spec.cell import Cell, Scored
from bench.spec.row_column import Column, Row
from bench.spec.table import Scale
from bench.spec.words import counts_words
from bench.stats.intervals import ALIKE


def caption(
    spec: Table, scale: Scale, columns: Sequence[ColumnHead], results: pd.DataFrame, printed: bool
) -> tuple[str, ...]:
    """The sentences under the table, from the general to the particular.

    printed: whether a paper's numbers for it are known. A user's table that extends a paper's has none.
    """
    lines = [f"{spec.title}. Scale {scale}. {_reading(spec, scale, printed)}"]
    if spec.same_as is not None:
        lines.append(f"The runs are those of {spec.same_as}, under this paper's names.")
    if scale != "paper" and printed:
        lines.append(
            "The printed numbers are another data set and another extractor: "
            "they show the paper's order and are not comparable in value."
        )
    lines += [column_sentence(column) for column in columns if column.name]
    lines += [*evaluated_words(spec, scale), *_scoring(spec, scale)]
    splits = list(dict.fromkeys(protocol.split for protocol in protocols(spec, scale)))
    points = [f"{point}: {meaning(point, split)}" for point in spec.references if point in set(results["row"])
              for split in splits]  # fmt: skip
    points = list(dict.fromkeys(points))
    if points:
        lines.append(f"Reference points: {'; '.join(points)}.")
    lines += [line for column in columns for line in _fewer(spec, scale, column, results)]
    if machines := machines_of(results):
        lines.append(f"Measured on: {'; '.join(machines)}.")
    lines.append(runs_words(results))
    return tuple(lines)


def notes(
    spec: Table, scale: Scale, rows: Sequence[RowHead], blocks: Sequence[Block], columns: Sequence[ColumnHead]
) -> tuple[str, ...]:
    """Remarks on the rows and on the symbols in the columns that are shown, then the table's own notes."""
    shown = {column.id for column in columns}
    unranked = scale == "smoke" and spec.pictures is None
    lines = ["Smoke numbers rank nothing: no cell is marked and no claim is judged."] if unranked else []
    lines += [f"{row.label}: printed only: {row.why}" for row in rows if row.kind == "printed"]
    lines += favoured(spec, scale, {row.id for row in rows})
    if any(cell.spread for block in blocks for (_, column), cell in block.cells.items() if column in shown):
        lines.append(
            "† a seed diverged: the median and range instead of an interval, a diverged seed without "
            "a score counting as the worst possible; such cells are not marked."
        )
    return (*lines, *spec.notes)


def _reading(spec: Table, scale: Scale, printed: bool) -> str:
    source = f" [printed in {spec.name}]" if printed else ""
    whose = "paper's" if spec.paper else "table's"
    marked = (
        "; marked: the best of a column and all that are not told apart from it, where any row is (Tukey's range "
        "test at 5 % for all pairs of a column at once, by the spread of differences over shared seeds, pooled over "
        "its rows)"
        if scale != "smoke"
        else ""
    )
    text = (
        "Cells: mean ± half-width of the Student-t 95 % interval over n training seeds"
        f"{source}{marked}. The sd is pooled over the "
        f"rows of a column (the {whose}, controls and reference points each among themselves) unless "
        f"Bartlett's test finds them to differ (p < {ALIKE:g})"
        + ("; rows of the same trainings as one above them have their own." if sharing(spec, scale) else ".")
    )
    main = spec.main_metric(scale)
    if spec.best_of > 1 and main is not None:
        card = output_card(main)
        most = {"lower": "with the lowest", "higher": "with the highest", "zero": "that is nearest to 0 in"}
        by_run = "the seed whose run has the best score, of those by which snapshots are chosen"
        best = f"the seed {most[card.better]} {card.short}" if chooses(main) else by_run
        text += f" best: {best}, as the paper reports the best of {spec.best_of}."
    return text


def column_sentence(column: ColumnHead) -> str:
    """A column's data set, what it stands in for, its counts and what it lacks, in one sentence."""
    remark = column.added or (f"stand-in: {column.stand_in}" if column.stand_in else "")
    counts = f"; {counts_words(column.generated, column.reference, column.split)}" if column.generated else ""
    why = "as no real images are kept apart from the reference"
    absent = f"; no {' or '.join(column.absent)}, {why}" if column.absent else ""
    others = "".join(f"; {other}" for other in column.others)
    return f"{column.label}: {column.dataset}{f' ({remark})' if remark else ''}{counts}{absent}{others}."


def _fewer(spec: Table, scale: Scale, column: ColumnHead, results: pd.DataFrame) -> Iterator[str]:
    """Sentences on the reference points that had fewer images than a generator makes."""
    for point in spec.references:
        lines = results[(results["row"] == point) & (results["column"] == column.id)]
        lines = lines[lines["n_generated"].notna()]  # a point that has not been scored has lines without counts
        looking = lines["metric"].map(_looks_at_training).astype(bool)
        if point == FLOOR:
            yield from _beside_training(spec, scale, column, lines, lines[looking])
        had = lines[~looking]["n_generated"].min()
        if pd.isna(had) or had >= column.generated:
            continue
        # How many it had, what that does to the scores, and which scores it cannot have at all.
        text = f"{column.label}: {point} is of {had:,} images, all there are, not {column.generated:,}"
        raised = [_named(card) for card in map(output_card, spec.metrics) if card.biased_upward]
        if raised:
            text += f": fewer images raise {' and '.join(raised)}, so that it lies too high"
        settings = spec.scored(next(own for own in spec.columns if own.id == column.id), scale)
        metrics = [metric for metric in settings.protocol.metrics if fewest_generated(metric) > had]
        if metrics:
            text += f"; too few for {' and '.join(metric.name for metric in metrics)}"
        if settings.protocol.split == "test" and is_its_own_reference(column.name):
            text += "; its images are themselves the reference, so that it says nothing of new ones"
        yield f"{text}."


def _beside_training(
    spec: Table, scale: Scale, column: ColumnHead, floor: pd.DataFrame, looking: pd.DataFrame
) -> Iterator[str]:
    """What the floor is of for scores that look at training images: real images that are none of these."""
    settings = spec.scored(next(own for own in spec.columns if own.id == column.id), scale)
    names = {metric.name for metric in settings.protocol.metrics if _looks_at_training(metric.name)}
    if not names or floor.empty:
        return
    for name in sorted(names - set(looking["metric"])):
        yield f"{column.label}: no floor of {name}: too few real images are neither in training nor in the reference."
    if len(looking):
        had, of = looking["n_generated"].min(), " and ".join(sorted(set(looking["metric"])))
        text = f"{column.label}: the floor of {of} is of {had:,.0f} real images that are not training images"
        yield f"{text}{'' if had >= column.generated else f', all there are, not {column.generated:,}'}."


def _looks_at_training(name: str) -> bool:
    """Whether it is a score of images that looks at the training images; a measure of runs has its own."""
    card = output_card(name)
    return isinstance(card, Measure) and card.of_training


def _named(card: Output) -> str:
    """For example "a Fréchet distance"."""
    return f"{'an' if card.title[0].lower() in 'aeiou' else 'a'} {card.title}"


def _scoring(spec: Table, scale: Scale) -> list[str]:
    """How snapshots are scored: the protocol, the steps and the snapshot rule, of all cells or of those that differ."""
    whose = "paper's" if spec.paper else "table's"
    seeds = spec.seeds_at(scale)
    planned = f"{seeds} seed{'s are' if seeds > 1 else ' is'} planned for a cell"
    rule = f"the {whose} rule is the {spec.snapshot} snapshot; {planned}."
    shown, trained = list(spec.scored_cells(scale)), list(spec.trained_cells(scale))
    if not shown:
        return [f"{planned[0].upper()}{planned[1:]}."]
    features = said_of_cells(spec, shown, lambda row, column: _protocol_text(spec.shown(row, column, scale)))
    texts = said_of_cells(spec, trained, lambda row, column: _steps_text(spec.cell(row, column, scale)))
    steps = "".join(f"{_about(text, cells)}; " for text, cells in texts)
    if len(features) == 1:
        return [f"{features[0][0]}; {steps}{rule}"]
    return [
        *(f"{_about(text, cells)}." for text, cells in features),
        *([f"{steps[0].upper()}{steps[1:]}{rule}"] if steps else []),
    ]


def evaluated_words(spec: Table, scale: Scale) -> list[str]:
    """Which cells show evaluations: of whose runs, by which measure, and how they are sampled."""
    texts = said_of_cells(
        spec, spec.shown_cells(scale), lambda row, column: _evaluation_text(spec, row, column, scale), most=1.0
    )
    return [f"{whose}: {text}." if whose else f"{text[0].upper()}{text[1:]}." for text, whose in texts]


def _evaluation_text(spec: Table, row: Row, column: Column, scale: Scale) -> str:
    """For example "evaluates disp/table4's runs; sampler gmm-1000@200000; measure data-copying, trials 5; best ..."."""
    behind = spec.behind(row, column, scale)
    measure = spec.shown_spec(row, column, 0, scale).measure if spec.evaluates(row, column, scale) else None
    if measure is None:
        return ""
    rest = dict(measure.settings)
    snapshot, sampling = rest.pop("snapshot", None), rest.pop("sampling", None)
    named = ", ".join([f"measure {measure.name}", *(f"{key} {value}" for key, value in rest.items())])
    if behind is None:
        return f"{named}; of no trained run"
    whose = "runs trained for this table" if behind.table is spec else f"{behind.table.name}'s runs"
    parts = [
        f"evaluates {whose}",
        *([f"sampler {sampling}"] if sampling else []),
        named,
        _snapshot_words(snapshot),
    ]
    return "; ".join(parts)


def _snapshot_words(snapshot: str | int) -> str:
    if snapshot == 0:
        return "untrained networks"
    return f"step {snapshot}" if isinstance(snapshot, int) else f"{snapshot} snapshot"


def _protocol_text(cell: Scored) -> str:
    protocol = cell.protocol
    extractors = ", ".join(dict.fromkeys(_features(metric.extractor) for metric in protocol.metrics))
    return f"Protocol {protocol.name} v{protocol.version}; features: {extractors}"


def _steps_text(cell: Cell) -> str:
    return f"snapshots every {cell.protocol.every} of {cell.train.steps} steps"


def _about(text: str, cells: str) -> str:
    return f"{text} ({cells})" if cells else text


def _features(extractor: str) -> str:
    """An extractor as a caption names it, with the variant if it is an Inception of FID."""
    variant = inception_variant(extractor)
    return f"{extractor} (Inception: {variant})" if variant else extractor


def runs_words(results: pd.DataFrame) -> str:
    """How many runs there are, by status, and which commits made them."""
    runs = results.drop_duplicates("uid")
    counts = runs["status"].value_counts()
    states = ", ".join(f"{counts[status]} {status}" for status in sorted(counts.index))
    commits = sorted(set(runs["commit"].dropna()))
    origins = sorted(name for name in set(runs["origin"]) if name.startswith("recorded:"))
    text = f"Runs: {states or 'none'}"
    text += f"; some from {', '.join(origins)}" if origins else ""
    return text + (f"; code {', '.join(commits)}." if commits else ".")
