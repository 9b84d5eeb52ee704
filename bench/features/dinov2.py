"""DINOv2's backbones (Oquab et al. 2023, arXiv 2304.07193), from the files of its release.

Features are the class token after the last norm, which the release's own classifiers read; at 224 px with ImageNet's
colours, as in dgm-eval (Stein et al. 2023, arXiv 2306.04675), which proposes the Fréchet distance on them.
"""

from __future__ import annotations

from torch import nn

from bench.features.entry import ExtractorEntry
from bench.features.normalise import IMAGENET
from bench.features.userstate import read_state
from bench.features.vit import TransformerSettings, VisionTransformer
from bench.features.vit_weights import NormalisedTransformer, fill

GRID = 37  # of 518 px, at which the last steps were trained
SETTINGS = {
    "dinov2_vits14": TransformerSettings(width=384, depth=12, patch=14, grid=GRID, layer_scale=True),
    "dinov2_vitb14": TransformerSettings(width=768, depth=12, patch=14, grid=GRID, layer_scale=True),
    "dinov2_vitl14": TransformerSettings(width=1024, depth=24, patch=14, grid=GRID, layer_scale=True),
}
NAMES = {
    "patches": "patch_embed.proj",
    "class_token_D": "cls_token",
    "positions_LD": "pos_embed",
    "qkv": "attn.qkv",
    "out": "attn.proj",
    "scale1.gamma_D": "ls1.gamma",
    "widen": "mlp.fc1",
    "narrow": "mlp.fc2",
    "scale2.gamma_D": "ls2.gamma",
}
AXES = {"class_token_D": 2, "positions_LD": 1}
MASK = "mask_token"  # replaces patches that are hidden in training


def build(entry: ExtractorEntry) -> nn.Module:
    """The backbone of the entry's name. Raises UserError for a file of another kind or size."""
    path = entry.weights_file()
    state = {name: value for name, value in read_state(path).items() if name != MASK}
    transformer = VisionTransformer(SETTINGS[entry.name])
    fill(transformer, state, NAMES, str(path), entry.network, AXES)
    return NormalisedTransformer(transformer, IMAGENET)
