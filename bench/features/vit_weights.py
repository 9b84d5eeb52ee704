"""The weights of vision transformers: a public file's tensors under the names that ours have, none left over."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from bench.features.normalise import Colours, Normalise
from bench.features.userstate import checked, plain_floats
from bench.features.vit import VisionTransformer


class NormalisedTransformer(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> features, by a transformer that was trained on other colours."""

    def __init__(self, transformer: VisionTransformer, colours: Colours) -> None:
        super().__init__()
        self.normalise = Normalise(colours)
        self.transformer = transformer

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, features)."""
        features: Tensor = self.transformer(self.normalise(images_NCHW))
        return features


def file_name(ours: str, names: Mapping[str, str]) -> str:
    """What a file calls the tensor that our transformer calls `ours`.

    names: parts of our names, of whole words between dots, to what the file has in their place.
    """
    parts = "|".join(re.escape(part) for part in names)
    return re.sub(rf"(?<![^.])({parts})(?![^.])", lambda match: names[match[1]], ours)


def fill(
    transformer: VisionTransformer,
    state: Mapping[str, Tensor],
    names: Mapping[str, str],
    where: str,
    network: str,
    axes: Mapping[str, int] | None = None,
) -> None:
    """Give a transformer the weights of a file, which has exactly its tensors.

    names: as in `file_name`. axes: of our tensors that a file keeps with axes of 1 in front, their number. where,
    network: the file, and the network that it should be of. Raises UserError naming the first tensor, as the file calls
    it, that is missing, superfluous, of another shape or kind, or not finite.
    """
    ours = transformer.state_dict()
    shapes = {name: (*[1] * (axes or {}).get(name, 0), *value.shape) for name, value in ours.items()}
    expected = {file_name(name, names): value.reshape(shapes[name]) for name, value in ours.items()}
    weights = plain_floats(checked(state, expected, where, network, "its publisher's"))
    transformer.load_state_dict(
        {name: weights[file_name(name, names)].reshape(value.shape) for name, value in ours.items()},
        strict=True,
        assign=True,
    )
