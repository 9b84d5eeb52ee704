"""Whether several cards can train a run together (`train.gpus`), by its spec alone; docs/gpus.md says which can."""

from __future__ import annotations

from bench import networks
from bench.contract.signature import unsplit
from bench.errors import UserError
from bench.spec.run import NetworkSpec, RunSpec


def unshared(spec: RunSpec) -> str | None:
    """Why the run cannot be trained by as many cards as it asks for; None where it can, or asks for one.

    Of a network that judges images in groups it is built, without weights, which imports torch.
    """
    train = spec.train
    if spec.kind != "train" or train is None or (train.gpus or 1) == 1:
        return None
    asked = f"train.gpus is {train.gpus}"
    if (part := unsplit(spec.method)) is not None:
        return f"{asked}, but method '{part[0]}' trains on one card: {part[1]}"
    if odd := [name for name in ("compile", "graphs") if getattr(train, name)]:
        return f"{asked}, but train.{odd[0]} is for one card; leave one of them out"
    # The smallest pass over images has to have one group of them for each card
    images = train.micro_batch or train.batch
    group = _group(spec.network, images) if spec.network is not None else 1
    if images // group < (train.gpus or 1):
        what = f"{images} images at once" + (f", judged in groups of {group}" if group > 1 else "")
        return f"{asked}, but there are {what}: at most {images // group} cards have a share of them"
    return None


def _group(network: NetworkSpec, images: int) -> int:
    """How many of so many images the network's discriminator judges together."""
    from bench.networks.describe import weightless
    from bench.networks.interface import JudgesInGroups

    try:
        with weightless():
            _, discriminator = networks.build(network.name, **network.options)
    except (UserError, TypeError, ValueError, RuntimeError):
        return 1  # a network that cannot be built is another problem, or needs its method's condition
    return discriminator.images_together(images) if isinstance(discriminator, JudgesInGroups) else 1
