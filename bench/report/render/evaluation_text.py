"""An evaluation for people and for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from bench.metrics.measures import measure
from bench.report.evaluation import Evaluation, Line

DIGITS = 12  # of a digest, in text
MORE = 2  # digits of a score beyond those of a table


def as_text(made: Evaluation) -> str:
    """Lines for a terminal: what was scored and how, then each score with its counts and its floor."""
    scores = [line.score for line in made.lines]
    title = f"{made.method}: {made.subject}" if made.method else made.subject
    told = [title, *(f"  {note}" for note in made.notes)]
    told.append(f"protocol {made.asked}; {made.data.name} at {made.data.resolution} px")
    reference = {(score.n_reference, score.reference_sha256) for score in scores}
    told += [
        f"reference: {count:,} test images, digest {_short(digest)}" for count, digest in sorted(reference)
    ]
    extractors = {score.extractor: score.extractor_sha256 for score in scores}
    told += [f"extractor {name}: weights {_short(digest)}" for name, digest in extractors.items()]
    width = max(len(_label(line)) for line in made.lines)
    told += [f"  {_label(line):<{width}}  {_value(line)}{_few(made, line)}" for line in made.lines]
    unknown = [line.label for line in made.lines if line.floor is None]
    if unknown:
        whose = "" if len(unknown) == len(made.lines) else f" for {', '.join(unknown)}"
        told.append(f"no floor is known at these counts{whose}: {made.floor_hint}")
    return "\n".join(told)


def as_json(made: Evaluation) -> str:
    """One JSON document; numbers that are none are null."""
    document = {
        "subject": made.subject,
        "method": made.method,
        "protocol": made.asked,
        "dataset": made.data.name,
        "resolution": made.data.resolution,
        "generated_by_protocol": made.wanted,
        "notes": list(made.notes),
        "scores": [_record(made, line) for line in made.lines],
    }
    return json.dumps(document, indent=1, allow_nan=False)


def _record(made: Evaluation, line: Line) -> dict[str, Any]:
    score = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in vars(line.score).items()
    }
    record = {"label": line.label, **score, "k": line.k, "fewer_than_protocol": _is_few(made, line)}
    record["floor"] = None if line.floor is None else vars(line.floor)
    return record if line.recorded is None else {**record, "recorded": line.recorded}


def _label(line: Line) -> str:
    return f"{line.label}, k = {line.k}" if line.k is not None else line.label


def _value(line: Line) -> str:
    score, card = line.score, measure(line.score.metric)
    digits = f".{card.digits + MORE}g"
    told = f"{score.value:{digits}}" + (f" ± {score.error:.2g}" if score.error is not None else "")
    told += f" {card.unit}" if card.unit else ""
    told += f"  ({score.n_generated:,} generated, {score.n_reference:,} reference)"
    if line.floor is not None:
        many = "seed" if line.floor.seeds == 1 else "seeds"
        told += f"  floor {line.floor.value:{digits}} ({line.floor.seeds} {many}, {line.floor.origin})"
    if line.recorded is not None:
        same = line.recorded == score.value
        off = f"  recorded: {line.recorded:{digits}}, off by {score.value - line.recorded:.2g}"
        told += "  as recorded" if same else off
    return told


def _few(made: Evaluation, line: Line) -> str:
    if not _is_few(made, line):
        return ""
    bias = ", biased upward" if measure(line.score.metric).biased_upward else ""
    return f"  only {line.score.n_generated:,} of the protocol's {made.wanted:,} images{bias}"


def _is_few(made: Evaluation, line: Line) -> bool:
    return line.score.n_generated < made.wanted


def _short(digest: str) -> str:
    """A digest's beginning; a reference's says after a dash which images of the set it is of."""
    head, dash, rest = digest.partition("-")
    return f"{head[:DIGITS]}{dash}{rest}"
