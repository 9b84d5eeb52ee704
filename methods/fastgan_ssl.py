"""Other self-supervisions of the discriminator: the alternatives to auto-encoding in FastGAN's table 6 (section 4.2).

Its rows are a. contrastive, b. aspect ratio, c. auto-encoding, d. a + b, e. a + b + c. Auto-encoding is the part
`ae-d`, the rotation that the text adds is `ssgan`: row e is `ae-d + fastgan-ssl(task=contrastive+aspect)`. The paper
describes a and b in one sentence each; heads, losses and weights are declared choices.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError, did_you_mean
from bench.train import Context, DStep, Method

from .common import affine
from .common.penultimate import penultimate

ELSEWHERE = {"auto-encoding": "ae-d", "rotation": "ssgan"}
WIDEST = 2.0  # drawn aspect ratios lie between 1 / WIDEST and WIDEST


class FastganSsl(Method):
    """Linear heads on D's features D_f solve tasks on real images; D and the heads minimise the sum of their losses.

    task: contrastive, aspect, or contrastive+aspect.
    contrastive: which of all training images it is (cross-entropy), on the augmented images that D saw.
    aspect: log2 of the image's aspect ratio before it was made square (mean squared error). Our sets are square, so
    a window with a log-uniform ratio of 1:2 to 2:1 is cut from the image and stretched to a square.
    weight: of each task's loss.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Liu et al.",
            2021,
            "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis",
            "arXiv:2101.04775",
        ),
    )

    def __init__(self, *, task: str = "contrastive", weight: float = 1.0) -> None:
        self.tasks = [name.strip() for name in task.split("+")]
        for name in self.tasks:
            if name not in _LOSSES:
                part = ELSEWHERE.get(name)
                hint = f"that is the part '{part}'" if part else did_you_mean(name, _LOSSES)
                raise UserError(f"method 'fastgan-ssl': unknown task '{name}'; {hint}")
        if len(set(self.tasks)) < len(self.tasks):
            raise UserError(f"method 'fastgan-ssl': task '{task}' names a task twice, must name each once")
        if weight <= 0:
            raise UserError(f"method 'fastgan-ssl': weight is {weight}, must be positive")
        self.weight = weight

    def prepare(self, ctx: Context) -> None:
        _, discriminator = ctx.networks()
        feature_dim = penultimate("fastgan-ssl", discriminator).feature_dim
        answers = {"contrastive": len(ctx.images_u8_NHWC), "aspect": 1}
        for name in self.tasks:
            with ctx.initialised(f"fastgan-ssl-{name}"):
                head = nn.Linear(feature_dim, answers[name])
            ctx.attach("discriminator", f"ssl_{name}", head)

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        return {name: self.weight * _LOSSES[name](ctx, step) for name in self.tasks}


def _contrastive(ctx: Context, step: DStep) -> Tensor:
    return functional.cross_entropy(_answers(ctx, "contrastive", step.real_NCHW), step.batch.index_N)


def _aspect(ctx: Context, step: DStep) -> Tensor:
    images_NCHW = step.batch.images_NCHW
    drawn = ctx.numbers("fastgan-ssl-aspect").uniform(2, ctx.whole(len(images_NCHW)))
    draws = affine.exact(ctx.own(drawn, dim=1))  # (2, N)
    exponent_N = 2 * draws[0] - 1
    guess_N = _answers(ctx, "aspect", squared(images_NCHW, WIDEST**exponent_N, draws[1])).squeeze(1)
    return functional.mse_loss(guess_N, (exponent_N * math.log2(WIDEST)).to(guess_N.dtype))


_LOSSES = {"contrastive": _contrastive, "aspect": _aspect}


def _answers(ctx: Context, task: str, images_NCHW: Tensor) -> Tensor:
    _, discriminator = ctx.networks()
    head = ctx.attached("discriminator", f"ssl_{task}")
    answers: Tensor = head(penultimate("fastgan-ssl", discriminator).features(images_NCHW))
    return answers.float()


def squared(images_NCHW: Tensor, ratio_N: Tensor, place_N: Tensor) -> Tensor:
    """The largest window of each image with the given width over height, stretched to the image's own size.

    place: where the window lies along the axis that it does not fill, from 0 (left or top) to 1.
    """
    _, _, height, width = images_NCHW.shape
    share_x_N, share_y_N = ratio_N.clamp(max=1), (1 / ratio_N).clamp(max=1)
    x_N = (place_N - 0.5) * (1 - share_x_N) * width
    y_N = (place_N - 0.5) * (1 - share_y_N) * height
    stretch = affine.scaling(1 / share_x_N, 1 / share_y_N) @ affine.translation(-x_N, -y_N)  # (N, 3, 3)
    return affine.warp(images_NCHW, stretch)
