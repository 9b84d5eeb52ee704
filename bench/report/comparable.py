"""Whether our scores of a table are comparable in value with the numbers that its paper prints."""

from __future__ import annotations

from bench.evaluate.registry import output_card
from bench.features import inception_variant
from bench.plan.expand import Table
from bench.report.best_seeds import chooses
from bench.spec.run import MetricSpec
from bench.spec.table import Scale


def best_of_printed(spec: Table, scale: Scale, metric: MetricSpec) -> int | None:
    """The number of seeds whose best the paper printed; None where it is not comparable with ours.

    Only the paper's data on the paper's own features give comparable values: FIDs of one set of images differ
    by whole points between the Inceptions, and their resizing filters, that papers use. What depends on the machine
    (seconds) is never comparable. The best seed is
    chosen by the main score, so the other scores of that seed are those of any seed.
    """
    if (
        scale != "paper"
        or output_card(metric.name).of_machine
        or (metric.extractor and inception_variant(metric.extractor) != spec.inception)
    ):
        return None
    return spec.best_of if metric.name == spec.main_metric(scale) and chooses(metric.name) else 1
