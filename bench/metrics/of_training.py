"""Scores that look at the training images: which of a protocol they are, and what they need of its reference."""

from __future__ import annotations

from bench.data.points import is_its_own_reference
from bench.metrics.measures import measure
from bench.spec.run import DataSpec, MetricSpec, Protocol


def looks_at_training(protocol: Protocol) -> bool:
    """Whether one of the protocol's scores looks at the training images."""
    return bool(with_training(protocol).metrics)


def with_training(protocol: Protocol) -> Protocol:
    """A protocol of those of its scores that look at the training images."""
    return _with(protocol, of_training=True)


def without_training(protocol: Protocol) -> Protocol:
    """A protocol of the others."""
    return _with(protocol, of_training=False)


def nothing_held_out(metric: MetricSpec, protocol: Protocol, data: DataSpec) -> str | None:
    """Why a score that compares training images with held-out ones cannot be against this reference; None if it can."""
    if not measure(metric.name).held_out or (protocol.split == "test" and not is_its_own_reference(data.name)):
        return None
    has_none = f"reference_split: {protocol.split}" if protocol.split != "test" else f"data set '{data.name}'"
    return (
        f"{metric.name} compares training images with held-out ones, and {has_none} has none of these: "
        "it needs a data set with a test split as the reference"
    )


def _with(protocol: Protocol, *, of_training: bool) -> Protocol:
    kept = tuple(metric for metric in protocol.metrics if measure(metric.name).of_training == of_training)
    return protocol.model_copy(update={"metrics": kept})
