"""AugSelf-GAN: D also predicts how its images were augmented, real and generated ones apart (Hou et al. 2023).

T(x; omega) is DiffAugment (Zhao et al. 2020), h are D's penultimate features, and phi a linear head for each group of
operations, which predicts its parameters omega, scaled to [0, 1], from what the augmentation has changed:
p = phi(h(T(x)) - h(x)). The target is omega for a real image and -omega for a generated one:

    L_D += d_weight * sum over groups of [ mean (p(real) - omega)^2 + mean (p(fake) + omega)^2 ]
    L_G += g_weight * sum over groups of [ mean (p(fake) - omega)^2 - mean (p(fake) + omega)^2 ]

with means over images and parameters. Facts are those of the authors' code, augself-gan at 6aba42b.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bench.errors import UserError, did_you_mean
from bench.networks.common.layers import linear, plain, spectral
from bench.networks.interface import looks_at_the_batch
from bench.train import Augmentation, Context, DStep, GStep

from .common.penultimate import penultimate
from .diffaugment import TRANSLATION, DiffAugment, cutout_size
from .ssgan import NORMS, has_spectral_norm

PARAMETERS = {"color": 3, "translation": 2, "cutout": 2}  # of each group: numbers an image


class AugSelfGan(DiffAugment):
    """DiffAugment of `policy`, always applied, and the two terms above for the groups `predicted`.

    policy: any of color, translation, cutout, separated by commas. predicted: those whose parameters D predicts: all
    three on CIFAR and FFHQ, color alone on the five sets of few shots. d_weight, g_weight: 1 and 1 on CIFAR, Obama,
    Panda and AnimalFace dog, 0.1 and 0.1 on Grumpy Cat and AnimalFace cat, 1 and 0.2 on FFHQ and LSUN cat. norm:
    whether the heads are spectrally normalised: "as-discriminator" where any other layer of D is, "spectral" or "plain"
    whatever D is. There is no consistency term, as in the authors' runs: add `consistency` for one.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Hou et al.",
            2023,
            "Augmentation-Aware Self-Supervision for Data-Efficient GAN Training",
            "arXiv:2205.15677",
        ),
        ("Zhao et al.", 2020, "Differentiable Augmentation for Data-Efficient GAN Training", "arXiv:2006.10738"),
    )

    def __init__(
        self,
        *,
        policy: str = "color,translation,cutout",
        predicted: str = "color,translation,cutout",
        d_weight: float = 1.0,
        g_weight: float = 1.0,
        norm: str = "as-discriminator",
    ) -> None:
        for setting, groups in {"policy": policy, "predicted": predicted}.items():
            for name in _groups(groups):
                if name not in PARAMETERS:
                    near = did_you_mean(name, PARAMETERS)
                    raise UserError(f"method 'augself-gan': {setting} has the unknown group '{name}'; {near}")
        super().__init__(policy=policy, consistency=0.0)
        self.predicted = _groups(predicted)
        if not self.predicted:
            raise UserError("method 'augself-gan': predicted is empty; leave the method out, or take diffaugment")
        if lacking := [name for name in self.predicted if name not in self.groups]:
            raise UserError(f"method 'augself-gan': '{lacking[0]}' is predicted, but policy has no such group")
        for setting, value in {"d_weight": d_weight, "g_weight": g_weight}.items():
            if value < 0:
                raise UserError(f"method 'augself-gan': {setting} is {value}, must be 0 or more")
        if norm not in NORMS:
            raise UserError(f"method 'augself-gan': unknown norm '{norm}'; {did_you_mean(norm, NORMS)}")
        self.d_weight, self.g_weight, self.norm = d_weight, g_weight, norm

    def prepare(self, ctx: Context) -> None:
        if any(part.name == "diffaugment" for part in ctx.spec.method):
            raise UserError("method 'augself-gan': brings DiffAugment itself; leave the part 'diffaugment' out")
        _, discriminator = ctx.networks()
        feature_dim = penultimate("augself-gan", discriminator).feature_dim
        normalised = self.norm == "spectral" or (self.norm == "as-discriminator" and has_spectral_norm(discriminator))
        for name in self.predicted:
            with ctx.initialised(f"augself-{name}"):
                head = linear(feature_dim, PARAMETERS[name], spectral if normalised else plain)
            ctx.attach("discriminator", _head(name), head)

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if self.d_weight == 0:
            return {}
        real = self._predictions(ctx, step.raw_NCHW, step.real_NCHW)
        fake = self._predictions(ctx, step.raw_fake_NCHW, step.fake_NCHW)
        omega_real, omega_fake = (
            self._parameters(augmentation, step.real_NCHW)
            for augmentation in (step.real_augmentation, step.fake_augmentation)
        )
        return {
            "d_real": self.d_weight * error(real, omega_real, 1),
            "d_fake": self.d_weight * error(fake, omega_fake, -1),
        }

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if self.g_weight == 0:
            return {}
        seen_NCHW = step.augmentation(step.images_NCHW)
        fake = self._predictions(ctx, step.images_NCHW, seen_NCHW)
        omega = self._parameters(step.augmentation, seen_NCHW)
        return {"g_fake": self.g_weight * (error(fake, omega, 1) - error(fake, omega, -1))}

    def _predictions(self, ctx: Context, raw_NCHW: Tensor, seen_NCHW: Tensor) -> dict[str, Tensor]:
        """p (N, P) of each predicted group."""
        _, discriminator = ctx.networks()
        features = penultimate("augself-gan", discriminator).features
        if looks_at_the_batch(discriminator):
            raw_NF, seen_NF = features(raw_NCHW), features(seen_NCHW)
        else:
            raw_NF, seen_NF = features(torch.cat([raw_NCHW, seen_NCHW])).chunk(2)
        change_NF = seen_NF - raw_NF
        return {name: ctx.attached("discriminator", _head(name))(change_NF).float() for name in self.predicted}

    def _parameters(self, augmentation: Augmentation, images_NCHW: Tensor) -> dict[str, Tensor]:
        """omega (N, P) of each predicted group, from what this part has drawn."""
        height, width = images_NCHW.shape[2:]
        draws = {name: augmentation.draws[f"augself-gan/{name}_{PARAMETERS[name]}N"] for name in self.predicted}
        return {name: scaled(name, draws_PN, height, width) for name, draws_PN in draws.items()}


def scaled(group: str, draws_PN: Tensor, height: int, width: int) -> Tensor:
    """omega: what DiffAugment has drawn for a group (P, N), as numbers in [0, 1] for each image, (N, P).

    Colours are uniform draws already. A shift of s pixels, of at most m, is s / 2m + 1/2; the centre of the cut square
    is its place on the axis, of those that can be drawn.
    """
    if group == "color":
        return draws_PN.T
    columns = []
    for draws_N, side in zip(draws_PN, (height, width), strict=True):
        furthest = int(side * TRANSLATION + 0.5)
        if group == "translation":
            columns.append(draws_N / (2 * furthest) + 0.5)
        else:
            columns.append(draws_N / (side - cutout_size(side) % 2))
    return torch.stack(columns, dim=1).to(torch.get_default_dtype())


def error(predictions: Mapping[str, Tensor], parameters: Mapping[str, Tensor], sign: int) -> Tensor:
    """The sum over groups of mean (p - sign * omega)^2, a scalar; p and omega are (N, P)."""
    return torch.stack(
        [functional.mse_loss(p_NP, sign * parameters[name].to(p_NP.dtype)) for name, p_NP in predictions.items()]
    ).sum()


def _groups(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _head(group: str) -> str:
    return f"augself_{group}"
