"""A classifier that a measure reads as a source: a run of its own, or weights of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.features.classifier import Target, TrainedClassifier, trained_classifier
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.evaluate.subject import Subject


def source_classifier(subject: Subject, role: str, target: Target) -> TrainedClassifier:
    """The classifier of a role, at the resolution that it was trained at.

    Raises UserError for a source that is none, or that tells something else than `target`.
    """
    source = subject.task.sources[role]
    size = source.data.resolution if isinstance(source, RunSpec) else subject.run.data.resolution
    found = trained_classifier(subject.source(role), size, subject.device)
    if found.target != target:
        raise UserError(f"source '{role}' tells {found.target}, must tell {target}")
    return found
