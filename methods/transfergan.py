"""TransferGAN: start from a source network and fine-tune all of it (Wang et al. 2018; DISP, table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from bench.contract.context import ADDED
from bench.errors import UserError, did_you_mean
from bench.train import Context, Method

EMBEDDING = "condition_embedding"  # in G and in D: the layers that embed the condition
CONDITIONS = ("new", "keep")
# These start anew: the target's condition differs from the source's, and attached modules belong to their parts.
NEW = frozenset({EMBEDDING, ADDED})


class TransferGAN(Method):
    """Loads the source's averaged generator and its discriminator; the embedding of the condition by `condition`.

    condition: "new" starts the embedding anew, since the target's images are not conditioned on the source's classes.
    "keep" loads it too, for a target with the source's own classes in the same order, as where LT-GAN continues an
    ImageNet network on ImageNet (supplement 9.5). Embeddings of another size are then refused; whether the classes
    are the same cannot be seen in a weights file.

    Needs a source `network` with the same widths, latent size and norms as the run's network: a source without
    conditions does not fit conditional norms, nor one with conditions plain norms. All parameters train. Modules that
    parts have attached to either side are neither copied nor missed.
    """

    in_graphs = True
    splits = True
    papers: ClassVar[tuple[tuple[str, int, str, str], ...]] = (
        ("Wang et al.", 2018, "Transferring GANs: Generating Images from Limited Data", "arXiv:1805.01677"),
    )

    sources: ClassVar[dict[str, str]] = {"network": ""}
    later: ClassVar[tuple[str, ...]] = ("condition",)

    def __init__(self, *, condition: str = "new") -> None:
        self.new = new_in(condition, "transfergan")

    def prepare(self, ctx: Context) -> None:
        weights = ctx.source("network")
        generator, discriminator = ctx.networks()
        copy_weights(source_member(weights, "ema"), generator, "generator", self.new)
        copy_weights(source_member(weights, "discriminator"), discriminator, "discriminator", self.new)


def new_in(condition: str, method: str) -> frozenset[str]:
    """The names below which tensors start anew, for a setting `condition`. Raises UserError for an unknown one."""
    if condition not in CONDITIONS:
        raise UserError(f"method '{method}': unknown condition '{condition}'; {did_you_mean(condition, CONDITIONS)}")
    return NEW if condition == "new" else NEW - {EMBEDDING}


def copy_weights(source: Mapping[str, Tensor], target: nn.Module, role: str, new: frozenset[str] = NEW) -> None:
    """Put every tensor of `source` into `target`, except those below a module that `new` names.

    Raises UserError naming the first tensor that only one side has, or that has another shape or type. Also where the
    condition is to be kept and neither side has any.
    """
    target_state = {name: value for name, value in target.state_dict().items() if is_old(name, new)}
    source_state = {name: value for name, value in source.items() if is_old(name, new)}
    if EMBEDDING not in new and all(is_old(name) for name in target_state.keys() | source_state.keys()):
        raise UserError(f"condition=keep: neither the source's {role} nor this run's has a condition; leave it out")
    for name in sorted(target_state.keys() ^ source_state.keys()):
        where = "this run's network lacks it" if name in source_state else "the source lacks it"
        raise UserError(f"source 'network': tensor {name} of the {role} does not match: {where}")
    for name, value in source_state.items():
        if value.shape != target_state[name].shape:
            raise UserError(
                f"source 'network': tensor {name} of the {role} has shape {tuple(value.shape)}, "
                f"this run's network wants {tuple(target_state[name].shape)}"
            )
        if value.dtype != target_state[name].dtype:
            raise UserError(
                f"source 'network': tensor {name} of the {role} is {value.dtype}, "
                f"this run's network wants {target_state[name].dtype}"
            )
    target.load_state_dict(source_state, strict=False)


def is_old(name: str, new: frozenset[str] = NEW) -> bool:
    """Whether a tensor or parameter of that name comes from the source."""
    return new.isdisjoint(name.split("."))


def source_member(weights: Mapping[str, Any], key: str) -> Mapping[str, Tensor]:
    """One network's tensors in a weights file. Raises UserError where the file lacks them."""
    if key not in weights:
        raise UserError(f"source 'network': the weights file has no '{key}'; it has {', '.join(sorted(weights))}")
    member: Mapping[str, Tensor] = weights[key]
    return member
