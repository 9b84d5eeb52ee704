"""The generated part that reproduces: of every table, figure and experiment of a paper, what it takes to run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from bench.data.known import datasets
from bench.features.known import OURS
from bench.features.weights import UserWeights
from bench.plan.claims import every_claim
from bench.plan.cost.model import Span, measured_cards
from bench.plan.cost.steps import work_of
from bench.plan.expand import Table
from bench.plan.fragments import TABLES
from bench.plan.load import load_table, table_names
from bench.plan.waiting import to_come
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.printed import read_marks
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.spec.run import RunSpec, WeightsFile
from docs import table_parts

PAPER = "paper"  # the scale


def every_id(paper: str) -> str:
    """A section for each table, figure and experiment of a paper."""
    return "\n\n".join(_section(name) for name in table_names() if name.startswith(f"{paper}/"))


def _section(name: str) -> str:
    """One id: command, data, weights, protocol, what is declared, what contradicts it, what is to be noted."""
    table = load_table(name)
    parts = [
        f"### `{name}`: {table.title}",
        *_commands(table),
        *_waits(table),
        _listed("You supply, at the scale `paper`", [*_data(table), *_weights(table)]),
        *_cost(table),
        *_protocol(table),
        _listed("Declared by us, in its own file and in the settings that it shares", _declared(name)),
        _listed("Contradictions", _contradictions(name)),
        _listed("Notes", [" ".join(note.split()) for note in table.notes]),
    ]
    return "\n\n".join(part for part in parts if part)


def _listed(head: str, lines: list[str]) -> str:
    return f"{head}:\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _commands(table: Table) -> Iterator[str]:
    """What to type; for an alias, whose runs they are."""
    if table.same_as:
        yield f"The runs of `{table.same_as}` under the names and beside the numbers of this text."
    if to_come(table) is None:
        yield f"```sh\nbench run {table.name} --scale mini\nbench report {table.name} --scale mini\n```"
    else:
        yield f"```sh\nbench report {table.name}    # its printed numbers\n```"


def _waits(table: Table) -> Iterator[str]:
    if (measure := to_come(table)) is not None:
        yield f"It waits for the measure `{measure}` ({MEASURES_TO_COME[measure]}), which this version does not have."


def _runs(table: Table) -> list[RunSpec]:
    """The trainings of seed 0 at paper scale, with the runs that they start from."""
    if to_come(table) is not None:
        return []
    cells = [cell for cell in table.shown_cells(PAPER) if not cell[0].control]
    own = [cell for cell in cells if table.looks_at_no_run(*cell, PAPER)]
    specs = [table.run_spec(row, column, 0, PAPER) for row, column in table.trained_cells(PAPER) if not row.control]
    specs += [table.shown_spec(row, column, 0, PAPER) for row, column in own]
    return [each for spec in specs for each in (spec, *spec.run_sources.values())]


def _data(table: Table) -> list[str]:
    """The data sets and how each is built."""
    sets = sorted({(spec.data.name, spec.data.resolution) for spec in _runs(table)})
    return [f"`bench data build {name} --resolution {resolution}{_from(name)}`" for name, resolution in sets]


def _from(name: str) -> str:
    """Where a set that no package carries is built from."""
    entry = datasets().load(name)
    return "" if entry.embedded else f" --from {entry.path or 'DIR'}"


def _weights(table: Table) -> list[str]:
    """The weights files of sources, of scores' extractors and of priors that no package has."""
    specs = _runs(table)
    sources = {source.weights for spec in specs for source in spec.sources.values() if isinstance(source, WeightsFile)}
    read = {metric.extractor.partition("@")[0] for spec in specs if spec.protocol for metric in spec.protocol.metrics}
    read |= {str(value) for spec in specs for part in spec.method for value in part.settings.values()}
    files = {
        f"`$BENCH_WEIGHTS/{card.weights.file}` or `${card.weights.variable}`: {card.network}"
        for card in OURS
        if card.name in read and isinstance(card.weights, UserWeights)
    }
    return [*sorted(files), *(f"`$BENCH_WEIGHTS/{weights}.pt`" for weights in sorted(sources))]


def _cost(table: Table) -> Iterator[str]:
    """GPU hours of a seed by the model of docs/cost.md: those of the trainings whose work is known."""
    trainings = {spec.uid: spec for spec in _runs(table) if spec.train is not None}.values()
    if not trainings:
        return
    works = [(spec, work_of(spec)) for spec in trainings]
    texts = []
    for card in measured_cards().values():
        if not card.suffices:
            continue
        spans = [card.span(work, spec.train.steps) for spec, work in works if work is not None and spec.train]
        low, expected, high = (sum(getattr(span, end) for span in spans) / 3600 for end in Span._fields)
        texts.append(f"{expected:,.0f} ({low:,.0f} to {high:,.0f}) hours of one {card.name}")
    unknown = sum(work is None for _, work in works)
    without = f", without {unknown} of which nothing is known" if unknown else ""
    yield f"Cost of one seed, {len(works)} trainings with their sources{without}: about {' or '.join(texts)}."


def _protocol(table: Table) -> Iterator[str]:
    """Its settings at every scale, the paper's snapshot rule and seeds."""
    if to_come(table) is None:
        rule = f"The {table.snapshot} snapshot" + (f", the best of {table.best_of} seeds" if table.best_of > 1 else "")
        yield f"{rule}; seeds: {', '.join(f'{table.seeds_at(scale)} at `{scale}`' for scale in table.scales)}."
        yield table_parts.settings(table.name)


def _declared(name: str) -> list[str]:
    """The values that the YAML marks as ours, in the table's file, those that it extends and the fragments it uses."""
    text, value = _read(f"{name}.yaml")
    lines = _marked(text, "")
    for other in [value.get("extends"), value.get("same_as")]:
        lines += _declared(other) if other else []
    for fragment in sorted(_fragments(value.get("scales", {}))):
        lines += _of_fragment(fragment)
    return list(dict.fromkeys(lines))


@cache
def _read(file: str) -> tuple[str, dict[str, Any]]:
    """The text of a table's or a fragments' file, and its plain data: most ids use the same fragments."""
    text = (TABLES / file).read_text()
    return text, yaml.safe_load(text)


def _marked(text: str, prefix: str) -> list[str]:
    return [f"`{prefix}{path}`: `{value}`" for path, value in table_parts.marked_as_ours(text)]


@cache
def _of_fragment(name: str) -> list[str]:
    """The declared values of a fragment and of those that it uses."""
    file, _, key = name.partition("/")
    text, value = _read(f"common/{file}.yaml")
    own = [line for line in _marked(text, f"common/{file}: ") if re.match(rf"`common/{file}: {re.escape(key)}\b", line)]
    deeper = _fragments(value.get(key, {}))
    return own + [line for other in sorted(deeper - {name}) for line in _of_fragment(other)]


def _fragments(value: Any) -> set[str]:
    """The names of all fragments that plain data `use`."""
    if not isinstance(value, dict):
        return set()
    named = value.get("use", [])
    found = {*(named if isinstance(named, list) else [named])}
    return found.union(*(_fragments(inner) for inner in value.values()))


def _contradictions(name: str) -> list[str]:
    """What the paper's own numbers contradict: claims, and marks of single numbers."""
    known, lines = KnownTables(), []
    for table, claim in every_claim():
        if table == name and (printed := judge(claim, table, known, None).printed) and printed.agree < printed.of:
            lines.append(f"{claim.text} Its own numbers agree in {printed.agree} of {printed.of} comparisons.")
    marks = read_marks(name)
    for mark in marks[marks["mark"] == "contradicts"].itertuples():
        lines.append(f"`{mark.row}`, `{mark.column}`, {mark.metric}: {mark.note}")
    return lines
