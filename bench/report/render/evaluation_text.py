"""An evaluation for people and for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from bench.evaluate.registry import output_card
from bench.report.evaluation import Evaluation, Line
from bench.report.floors_here import HERE
from bench.spec.words import data_words

DIGITS = 12  # of a digest, in text
MORE = 2  # a score has so many digits more here than in a table


def as_text(evaluation: Evaluation) -> str:
    """Lines for a terminal: what was scored and how, then each score with its counts and its floor."""
    scores = [line.score for line in evaluation.lines]
    counted = [line.score for line in evaluation.lines if line.counted]
    title = f"{evaluation.method}: {evaluation.subject}" if evaluation.method else evaluation.subject
    lines = [title, *(f"  {note}" for note in evaluation.notes)]
    lines.append(f"protocol {evaluation.asked}{f'; {data_words(evaluation.data)}' if evaluation.data else ''}")
    reference = {(score.n_reference, score.reference_sha256) for score in counted}
    lines += [
        f"reference: {count:,} images{evaluation.of}, digest {_short(digest)}" for count, digest in sorted(reference)
    ]
    extractors = {score.extractor: score.extractor_sha256 for score in scores if score.extractor}
    lines += [f"extractor {name}: weights {_short(digest)}" for name, digest in extractors.items()]
    width = max(len(_label(line)) for line in evaluation.lines)
    lines += [f"  {_label(line):<{width}}  {_value(line)}{_few(evaluation, line)}" for line in evaluation.lines]
    unknown = [line.label for line in evaluation.lines if line.floor is None and line.counted]
    if unknown:
        whose = "" if len(unknown) == len(evaluation.lines) else f" for {', '.join(unknown)}"
        lines.append(f"no floor is known at these counts{whose}: {evaluation.floor_hint}")
    return "\n".join(lines)


def as_json(evaluation: Evaluation) -> str:
    """One JSON document; nan and infinity become null."""
    document = {
        "subject": evaluation.subject,
        "method": evaluation.method,
        "protocol": evaluation.asked,
        "dataset": evaluation.data.name if evaluation.data else None,
        "resolution": evaluation.data.resolution if evaluation.data else None,
        "reference": evaluation.of.removeprefix(" of ").removeprefix(", "),
        "images_sha256": evaluation.images_sha256 or None,
        "generated_by_protocol": evaluation.wanted,
        "notes": list(evaluation.notes),
        "scores": [_record(evaluation, line) for line in evaluation.lines],
    }
    return json.dumps(document, indent=1, allow_nan=False)


def _record(evaluation: Evaluation, line: Line) -> dict[str, Any]:
    score = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in vars(line.score).items()
    }
    record = {"label": line.label, **score, "k": line.k, "fewer_than_protocol": _is_few(evaluation, line)}
    record["floor"] = None if line.floor is None else vars(line.floor)
    return record if line.recorded is None else {**record, "recorded": line.recorded}


def _label(line: Line) -> str:
    return f"{line.label}, k = {line.k}" if line.k is not None else line.label


def _value(line: Line) -> str:
    score, card = line.score, output_card(line.score.metric)
    digits = f".{card.digits + MORE}g"
    text = f"{score.value:{digits}}" + (f" ± {score.error:.2g}" if score.error is not None else "")
    text += f" {card.unit}" if card.unit else ""
    text += f"  ({score.n_generated:,} generated, {score.n_reference:,} reference)"
    if line.floor is not None:
        many = "seed" if line.floor.seeds == 1 else "seeds"
        counts = f"{line.floor.seeds} {many}" if line.floor.origin != HERE else "as many real images"
        text += f"  floor {line.floor.value:{digits}} ({counts}, {line.floor.origin})"
    if line.recorded is not None:
        same = line.recorded == score.value
        off = f"  recorded: {line.recorded:{digits}}, off by {score.value - line.recorded:.2g}"
        text += "  as recorded" if same else off
    return text


def _few(evaluation: Evaluation, line: Line) -> str:
    if not _is_few(evaluation, line):
        return ""
    bias = ", biased upward" if output_card(line.score.metric).biased_upward else ""
    return f"  only {line.score.n_generated:,} of the protocol's {evaluation.wanted:,} images{bias}"


def _is_few(evaluation: Evaluation, line: Line) -> bool:
    return line.counted and evaluation.wanted is not None and line.score.n_generated < evaluation.wanted


def _short(digest: str) -> str:
    """The first digits of a digest; that of a reference keeps its ending, which names the images of the set."""
    head, dash, rest = digest.partition("-")
    return f"{head[:DIGITS]}{dash}{rest}"
