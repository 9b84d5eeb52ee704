"""D's scores: what the discriminator makes of training, held-out and generated images, at every snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.evaluate.card import Value
from bench.evaluate.traces import Trace
from bench.metrics.output import Output

if TYPE_CHECKING:
    import numpy as np

    from bench.evaluate.snapshot import AtSnapshot

MOST = 1000  # images of each kind: the first of them (declared; their mean then has a standard error of 3 % of a sd)


def _compute(seen: AtSnapshot) -> Sequence[Value]:
    """Means of D_l(D_f(x)) over images of each kind, as they are, without augmentation."""
    kinds = {"d_train": seen.train_images, "d_test": seen.held_out, "d_generated": seen.images_NHWC}
    return [_value(name, _scores(seen, images_NHWC)) for name, images_NHWC in kinds.items()]


def _check(seen: AtSnapshot) -> None:
    if seen.ctx.discriminator is None:
        raise UserError("d-scores needs a discriminator, and this method trains none")
    _scores(seen, seen.train_images[:2])


def _scores(seen: AtSnapshot, images_NHWC: np.ndarray) -> np.ndarray:
    from bench.evaluate.d_scores import d_scores  # here, for it imports torch

    assert seen.ctx.discriminator is not None
    return d_scores(seen.ctx.discriminator, images_NHWC[:MOST], seen.batch)


def _value(name: str, scores_N: np.ndarray) -> Value:
    error = float(scores_N.std(ddof=1)) / len(scores_N) ** 0.5 if len(scores_N) > 1 else None
    generated, real = (len(scores_N), 0) if name == "d_generated" else (0, len(scores_N))
    return Value(name, float(scores_N.mean()), error, generated, real)


def _output(name: str, kind: str, short: str) -> Output:
    summary = f"mean of D_l(D_f(x)) over {kind}, with its standard error"
    return Output(name=name, summary=summary, title=f"D's score of {kind}", short=f"D({short})", better="none")


TRACES = (
    Trace(
        name="d-scores",
        summary="D's mean score of training, held-out and generated images",
        compute=_compute,
        check=_check,
        outputs=(
            _output("d_train", "training images", "training"),
            _output("d_test", "held-out images", "held-out"),
            _output("d_generated", "generated images", "generated"),
        ),
    ),
)
