"""The scores that --measures names: those of a protocol by name, or any other score that needs images only."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import run_measures
from bench.features import canonical
from bench.metrics.measures import measures, neighbour
from bench.spec.run import MetricSpec

FORM = "NAME, NAME:EXTRACTOR or NAME:EXTRACTOR:K"


def chosen_scores(texts: Sequence[str] | None, own: Sequence[MetricSpec]) -> tuple[MetricSpec, ...]:
    """The scores to take, in the order of `texts`; without any, a protocol's own.

    A NAME that the protocol has means the protocol's, with its extractor and k, all of them if there are several; any
    other score is taken on the extractor of the protocol's first, with its card's k. Raises UserError for what is
    unknown, for a measure that needs a run's networks, and for a score that is named twice.
    """
    if texts is None:
        return tuple(own)
    chosen = [metric for text in texts for metric in _meant(text, own)]
    seen: set[tuple[str, str]] = set()
    for metric in chosen:
        if (pair := (metric.name, canonical(metric.extractor))) in seen:
            raise UserError(f"--measures: {' on '.join(pair)} is named twice; leave one out")
        seen.add(pair)
    return tuple(chosen)


def _meant(text: str, own: Sequence[MetricSpec]) -> list[MetricSpec]:
    name, *rest = text.split(":")
    if name not in measures():
        if name in run_measures():
            raise UserError(
                f"--measures: '{name}' is a measure of finished runs, which needs more than images: a table takes it "
                "(evaluate: {measure: ...}); `bench list metrics` has the scores"
            )
        raise UserError(f"--measures: unknown score '{name}'; {did_you_mean(name, [one.name for one in measures()])}")
    if len(rest) > 2 or (len(rest) == 2 and not (rest[1].isascii() and rest[1].isdecimal() and int(rest[1]) > 0)):
        raise UserError(f"--measures: '{text}' must be {FORM}, with K a count")
    if not rest and (same := [metric for metric in own if metric.name == name]):
        return same
    if not (rest or own):
        raise UserError(f"--measures: '{name}' needs an extractor here: {name}:EXTRACTOR")
    extractor = canonical(rest[0]) if rest else own[0].extractor
    metric = MetricSpec(name=name, extractor=extractor, k=int(rest[1]) if len(rest) == 2 else None)
    neighbour(metric)  # which raises for a k where the score has none
    return [metric]
