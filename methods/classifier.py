"""A supervised classifier: the source of `disp(prior=classifier)`, a detector of attributes, the network of scores.

It stands for ResNets trained with labels: DISP's priors of other tasks and of wrong labels (table 8, section 5.3),
LT-GAN's detector of facial attributes (section 4.3) and its classification accuracy score (section 5; Ravuri and
Vinyals 2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from bench.data import imageset
from bench.errors import UserError, did_you_mean
from bench.features.classifier import make_encoder, make_head
from bench.networks.common.pixels import to_signed
from bench.train import Context, Logged, Method
from bench.train.batches import Batches

from .common.class_samples import ClassSamples
from .consistency import mirrored
from .diffaugment import translate

TARGETS = ("labels", "attributes")
ON = ("images", "samples")
TESTED_AT_ONCE = 100


class Classifier(Method):
    """Replaces the adversarial loop: cross entropy on class labels, or binary cross entropies on attributes.

    target: labels or attributes. Labels that the run's data corrupts are learned as they are; the test split has the
    true ones. on: images, or samples: the images of the run `run`, which must be of the same data set, each with the
    label of a training image as the class that it was made of (as many as training images, the same in every pass).
    network, width: see `bench.features.classifier.make_encoder`. shift: images are moved by up to so many pixels, and
    mirrored with `train.flip`. lr: of AdamW (decay 0.01), falling to 0 along half a cosine. All are declared.

    The last line of the run's log has `test_accuracy`, the share of right answers on the test split, of attributes
    also for each. Steps and batch are those of the run's spec, whose rates for G and D are not used.
    """

    in_graphs = "has a loop of its own"
    splits = "it trains in a loop of its own, which runs on one card"
    papers = (("He et al.", 2016, "Deep Residual Learning for Image Recognition", "arXiv:1512.03385"),)

    sources: ClassVar[dict[str, str]] = {"run": "on=samples"}
    needs_labels = "target=labels"
    needs_attributes = "target=attributes"

    def __init__(
        self,
        *,
        target: str = "labels",
        on: str = "images",
        network: str = "small",
        width: int | None = None,
        shift: int = 4,
        lr: float = 0.001,
    ) -> None:
        for name, value, known in (("target", target, TARGETS), ("on", on, ON)):
            if value not in known:
                raise UserError(f"method 'classifier': unknown {name} '{value}'; {did_you_mean(value, known)}")
        if on == "samples" and target == "attributes":
            raise UserError("method 'classifier': samples have the class that they were made of and no attributes")
        if lr <= 0 or shift < 0 or (width is not None and width < 1):
            raise UserError("method 'classifier': lr and width must be positive, shift 0 or more")
        try:
            make_encoder(network, width, torch.Generator())
        except UserError as error:
            raise UserError(f"method 'classifier': {error}") from error
        self.target, self.on, self.network, self.width, self.shift, self.lr = target, on, network, width, shift, lr

    def prepare(self, ctx: Context) -> None:
        if ctx.generator is not None:
            raise UserError("method 'classifier' trains no generator: it is a source of other runs, without a network")
        images = imageset.load(ctx.spec.data.name, ctx.spec.data.resolution)
        truth, self.names = {
            "labels": (ctx.labels_N, images.class_names),
            "attributes": (ctx.attributes_NA, ctx.attribute_names),
        }[self.target]
        if truth is None:
            raise UserError(f"method 'classifier': data set '{images.name}' has no {self.target} for this run")
        self._truth = _as_target(truth, self.target).to(ctx.device)
        self._test = images.test, images.test_labels if self.target == "labels" else images.test_attributes
        self._samples = ClassSamples(ctx, "classifier", "run") if self.on == "samples" else None

        # The network, and what trains it.
        encoder = make_encoder(self.network, self.width, ctx.stream("classifier-encoder"))
        head = make_head(encoder.dim, len(self.names), ctx.stream("classifier-head"))
        self.encoder, self.head = encoder.to(ctx.device), head.to(ctx.device)
        self.optimizer = torch.optim.AdamW([*self.encoder.parameters(), *self.head.parameters()], lr=self.lr)

    def fit(self, ctx: Context) -> Iterator[Logged]:
        train = ctx.train
        with Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, device=ctx.device) as batches:
            while ctx.step < train.steps:
                # Images, or samples of their classes; moved and mirrored.
                batch = batches.at(ctx.step)
                images_NCHW = self._samples.at(ctx, batch.index_N) if self._samples else batch.images_NCHW
                target = self._truth[batch.index_N]
                logits_NK = self.head(self.encoder(self._moved(ctx, images_NCHW))).float()

                # One step down the loss, at the rate of this step.
                loss = class_loss(logits_NK, target)
                for group in self.optimizer.param_groups:
                    group["lr"] = self.lr * (1 + math.cos(math.pi * ctx.step / train.steps)) / 2
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                values = {"cross_entropy": loss.detach(), "accuracy": right(logits_NK, target).mean()}
                yield {**values, **(self.tested(ctx) if ctx.step + 1 == train.steps else {})}

    def _moved(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        numbers, count = ctx.numbers("classifier-moves"), len(images_NCHW)
        mirror_N = numbers.uniform(count) < (0.5 if ctx.train.flip else 0.0)
        moves = numbers.integers(-self.shift, self.shift + 1, 2, count)  # (2, N)
        return translate(mirrored(images_NCHW, mirror_N), *moves)

    @torch.no_grad()
    def tested(self, ctx: Context) -> dict[str, float]:
        """Shares of right answers on the test split, for the log."""
        images_NHWC, truth = self._test
        assert truth is not None, "a set that has them in training has them in both splits"
        self.encoder.eval()
        answers = []
        for start in range(0, len(images_NHWC), TESTED_AT_ONCE):
            part = slice(start, start + TESTED_AT_ONCE)
            images_NCHW = to_signed(torch.from_numpy(images_NHWC[part].copy()).to(ctx.device).permute(0, 3, 1, 2))
            target = _as_target(truth[part], self.target).to(ctx.device)
            answers.append(right(self.head(self.encoder(images_NCHW)), target))
        self.encoder.train()
        shares = torch.cat(answers).mean(0)
        each = dict(zip(self.names, shares.tolist(), strict=True)) if self.target == "attributes" else {}
        return {"test_accuracy": float(shares.mean()), **{f"test_accuracy/{name}": v for name, v in each.items()}}

    def state_dict(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "target": self.target,
            "names": list(self.names),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("encoder", "head", "optimizer"):
            getattr(self, name).load_state_dict(state[name])


def class_loss(logits_NK: Tensor, target: Tensor) -> Tensor:
    """The mean cross entropy of labels (N,), or the mean of the binary ones of attributes (N, K) of 0 and 1."""
    if target.ndim == 1:
        return functional.cross_entropy(logits_NK, target)
    return functional.binary_cross_entropy_with_logits(logits_NK, target.to(logits_NK.dtype))


def right(logits_NK: Tensor, target: Tensor) -> Tensor:
    """1 where the most likely answer is the right one, else 0: (N,) of labels, (N, K) of attributes."""
    answer = logits_NK.argmax(1) if target.ndim == 1 else logits_NK > 0
    return (answer == target).float()


def _as_target(truth: Any, target: str) -> Tensor:
    tensor = torch.from_numpy(truth.copy())
    return tensor.long() if target == "labels" else tensor.bool()
