"""TransferGAN: start from a source network and fine-tune all of it (Wang et al. 2018; DISP, table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from bench.errors import UserError
from bench.train import Context, Method
from bench.train.context import ADDED

# The target's condition differs from the source's, and what a part attached is that part's own: both start anew.
NEW = {"condition_embedding", ADDED}


class TransferGAN(Method):
    """Loads the source's averaged generator and its discriminator, except what embeds the condition.

    Needs a source `network` with the very widths, latent size and norms of the run's network, so one without
    conditions does not fit a conditional norm, nor one with them a plain norm. All parameters train. What parts
    have attached to either side is neither copied nor missed.
    """

    sources: ClassVar[dict[str, str]] = {"network": ""}

    def prepare(self, ctx: Context) -> None:
        weights = ctx.source("network")
        generator, discriminator = ctx.networks()
        copy_weights(source_member(weights, "ema"), generator, "generator")
        copy_weights(source_member(weights, "discriminator"), discriminator, "discriminator")


def copy_weights(source: Mapping[str, Tensor], target: nn.Module, role: str) -> None:
    """Put every tensor of `source` into `target`, except those below a `condition_embedding` or `added`.

    Raises UserError naming the first tensor that only one side has, or that has another shape.
    """
    wanted = {name: value for name, value in target.state_dict().items() if not _is_new(name)}
    given = {name: value for name, value in source.items() if not _is_new(name)}
    for name in sorted(wanted.keys() ^ given.keys()):
        where = "this run's network lacks it" if name in given else "the source lacks it"
        raise UserError(f"source 'network': tensor {name} of the {role} does not match: {where}")
    for name, value in given.items():
        if value.shape != wanted[name].shape:
            raise UserError(
                f"source 'network': tensor {name} of the {role} has shape {tuple(value.shape)}, "
                f"this run's network wants {tuple(wanted[name].shape)}"
            )
    target.load_state_dict(given, strict=False)


def _is_new(name: str) -> bool:
    return not NEW.isdisjoint(name.split("."))


def source_member(weights: Mapping[str, Any], key: str) -> Mapping[str, Tensor]:
    """One network's tensors in a weights file. Raises UserError where the file lacks them."""
    if key not in weights:
        raise UserError(
            f"source 'network': the weights file has no '{key}'; it has {', '.join(sorted(weights))}"
        )
    member: Mapping[str, Tensor] = weights[key]
    return member
