"""CLIP's image towers (Radford et al. 2021, arXiv 2103.00020), from the TorchScript files of OpenAI's release.

Features are the embedding that is compared with texts (`encode_image`, not scaled to length 1), which Kynkäänniemi et
al. 2023 (arXiv 2203.06026) use for a Fréchet distance. The files hold 16 bits; computed in 32, as the release does on
CPUs.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.features.entry import ExtractorEntry
from bench.features.normalise import CLIP
from bench.features.vit import TransformerSettings, VisionTransformer, quick_gelu
from bench.features.vit_weights import NormalisedTransformer, fill


def tower_settings(width: int, depth: int, patch: int, projection: int, size: int = 224) -> TransformerSettings:
    """A tower for images of `size` pixels a side, with what CLIP's towers share (Radford et al. 2021, 2.4, code)."""
    return TransformerSettings(
        width=width,
        depth=depth,
        patch=patch,
        grid=size // patch,
        epsilon=1e-5,
        activation=quick_gelu,
        patch_bias=False,
        early_norm=True,
        projection=projection,
    )


SETTINGS = {
    "clip_vitb32": tower_settings(width=768, depth=12, patch=32, projection=512),
    "clip_vitl14": tower_settings(width=1024, depth=24, patch=14, projection=768),
    "clip_vitl14_336": tower_settings(width=1024, depth=24, patch=14, projection=768, size=336),
}
TOWER = "visual."  # what the tensors of the image tower begin with; all others are the text tower's and the scale
NAMES = {
    "patches": "conv1",
    "class_token_D": "class_embedding",
    "positions_LD": "positional_embedding",
    "early_norm": "ln_pre",
    "norm": "ln_post",
    "projection_DF": "proj",
    "blocks": "transformer.resblocks",
    "norm1": "ln_1",
    "qkv.weight": "attn.in_proj_weight",
    "qkv.bias": "attn.in_proj_bias",
    "out": "attn.out_proj",
    "norm2": "ln_2",
    "widen": "mlp.c_fc",
    "narrow": "mlp.c_proj",
}


def build(entry: ExtractorEntry) -> nn.Module:
    """The image tower of the entry's name. Raises UserError for a file of another kind or size."""
    path = entry.weights_file()
    tower = {name.removeprefix(TOWER): value for name, value in _state(path).items() if name.startswith(TOWER)}
    transformer = VisionTransformer(SETTINGS[entry.name])
    fill(transformer, tower, NAMES, str(path), entry.network)
    return NormalisedTransformer(transformer, CLIP)


def _state(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript file. Its entry takes no file but the published one, so none of its code is new."""
    try:
        with warnings.catch_warnings():  # the release is of a kind that torch calls old: nothing its user can change
            warnings.simplefilter("ignore", FutureWarning)
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    except Exception as error:  # torch raises several types for a file that is damaged or of another kind
        raise UserError(f"{path}: not a TorchScript model of CLIP, or damaged; fetch it again") from error
