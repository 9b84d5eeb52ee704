"""Vision transformers with random weights, against torchvision's and against torch's own attention, in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer as Reference
from torchvision.transforms.functional import normalize

from bench import features
from bench.errors import UserError
from bench.features import clip
from bench.features.dinov2 import AXES, GRID, NAMES, SETTINGS
from bench.features.vit import TransformerSettings, VisionTransformer
from bench.features.vit_weights import file_name, fill

# Parameters as published: DINOv2's files of 22.1 M (S), 86.6 M (B) and 304,368,640 with the mask token (L); CLIP's
# towers as open_clip 3.3 counts them.
COUNTS = {
    "dinov2_vits14": 22_056_192,
    "dinov2_vitb14": 86_579_712,
    "dinov2_vitl14": 304_368_640 - 1024,
    "clip_vitb32": 87_849_216,
    "clip_vitl14": 303_966_208,
    "clip_vitl14_336": 304_293_888,
}


@pytest.mark.parametrize("name", COUNTS)
def test_each_has_the_published_number_of_parameters(name):
    network = VisionTransformer((SETTINGS | clip.SETTINGS)[name])
    assert sum(value.numel() for value in network.parameters()) == COUNTS[name]


def random_state(settings, names, axes, seed=0):
    """Weights under a file's names that keep activations alive: norms and scales about 1, the rest small."""
    stream = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in VisionTransformer(settings).state_dict().items():
        noise = torch.randn(value.shape, generator=stream)
        whole = "gamma" in name or ("norm" in name and name.endswith("weight"))
        shape = (*[1] * axes.get(name, 0), *value.shape)
        state[file_name(name, names)] = (1 + 0.3 * noise if whole else 0.05 * noise).reshape(shape)
    return state


def cubic_matrix(count, size, factor):
    """Rows that read `size` points bicubically (a = -0.75, borders repeated) at `count` places; Keys 1981, Eq. 4."""
    matrix = np.zeros((count, size))
    for place in range(count):
        source = (place + 0.5) / factor - 0.5
        for tap in range(int(np.floor(source)) - 1, int(np.floor(source)) + 3):
            x, a = abs(source - tap), -0.75
            near = (a + 2) * x**3 - (a + 3) * x**2 + 1
            far = a * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[place, min(max(tap, 0), size - 1)] += near if x <= 1 else far if x < 2 else 0
    return torch.from_numpy(matrix)


def torchvision_of(state, size):
    """torchvision's transformer with DINOv2's weights: layer scales folded into the linear maps in front of them."""
    network = Reference(size, 14, 12, 6, 384, 1536).double().eval()
    network.heads = nn.Identity()
    state = {name: value.double() for name, value in state.items()}
    grid = size // 14
    maps_DGG = state["pos_embed"][0, 1:].T.reshape(384, GRID, GRID)
    if grid != GRID:
        matrix = cubic_matrix(grid, GRID, (grid + 0.1) / GRID)
        maps_DGG = matrix @ maps_DGG @ matrix.T
    own = {
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "class_token": state["cls_token"],
        "encoder.pos_embedding": torch.cat((state["pos_embed"][:, :1], maps_DGG.flatten(1).T[None]), dim=1),
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    for block in range(12):
        theirs, ours = f"blocks.{block}", f"encoder.layers.encoder_layer_{block}"
        for kind in ("weight", "bias"):
            own[f"{ours}.ln_1.{kind}"] = state[f"{theirs}.norm1.{kind}"]
            own[f"{ours}.ln_2.{kind}"] = state[f"{theirs}.norm2.{kind}"]
            own[f"{ours}.self_attention.in_proj_{kind}"] = state[f"{theirs}.attn.qkv.{kind}"]
            own[f"{ours}.mlp.0.{kind}"] = state[f"{theirs}.mlp.fc1.{kind}"]
            for target, source, scale in (
                ("self_attention.out_proj", "attn.proj", "ls1"),
                ("mlp.3", "mlp.fc2", "ls2"),
            ):
                gamma = state[f"{theirs}.{scale}.gamma"]
                value = state[f"{theirs}.{source}.{kind}"]
                own[f"{ours}.{target}.{kind}"] = value * (gamma[:, None] if kind == "weight" else gamma)
    network.load_state_dict(own, strict=True)
    return network


@pytest.fixture(scope="module")
def small_state():
    return random_state(SETTINGS["dinov2_vits14"], NAMES, AXES)


@pytest.mark.parametrize("size", [224, 518])
def test_dinov2_in_float64_is_torchvisions_transformer_to_rounding(size, small_state):
    """At 518 px every patch has a position of its own; at 224 they are interpolated, here by matrices."""
    network = VisionTransformer(SETTINGS["dinov2_vits14"])
    fill(network, small_state, NAMES, "a file", "DINOv2", AXES)
    x_NCHW = torch.randn(1, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = network.double().eval()(x_NCHW)
        wanted = torchvision_of(small_state, size)(x_NCHW)
    # Interpolating by a factor, torch computes where it reads in float64 too: sums of 16 products.
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    assert wanted.std() > 0.1


def test_dinov2_from_a_file_sees_imagenets_colours(small_state, own_weights):
    path = own_weights("dinov2_vits14")
    torch.save({**small_state, "mask_token": torch.zeros(1, 384)}, path)
    images = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    extractor = features.load("dinov2_vits14@112")
    assert (extractor.dim, extractor.size) == (384, 112)
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    with torch.no_grad():
        right = torchvision_of(small_state, 112)(normalize(x_NCHW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    # 12 blocks in float32 against float64
    assert np.abs(extractor(images) - right.numpy()).max() <= 1e-4 * right.abs().max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.3.ls1.gamma": None}, r"the tensor blocks\.3\.ls1\.gamma is missing; use its publisher's names"),
        ({"register_tokens": torch.zeros(1, 4, 384)}, "register_tokens is not part of a DINOv2 ViT-S/14"),
        ({"pos_embed": torch.zeros(1, 257, 384)}, r"pos_embed has shape \(1, 257, 384\), must be \(1, 1370, 384\)"),
        ({"cls_token": torch.full((1, 1, 384), torch.nan)}, "cls_token holds NaN"),
    ],
)  # fmt: skip
def test_a_tensor_that_does_not_fit_is_named_as_the_file_calls_it(change, message, small_state, own_weights):
    state = {name: value for name, value in (small_state | change).items() if value is not None}
    torch.save(state, own_weights("dinov2_vits14"))
    with pytest.raises(UserError, match=message):
        features.load("dinov2_vits14")


class Tower(nn.Module):
    """CLIP's image tower from torch's attention module, with the release's names (Radford et al. 2021, section 2.4)."""

    def __init__(self, width, depth, heads, patch, projection):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(1 + (224 // patch) ** 2, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.Sequential(*(TowerBlock(width, heads) for _ in range(depth)))
        self.proj = nn.Parameter(torch.randn(width, projection) * width**-0.5)

    def forward(self, x):
        x = self.conv1(x)
        x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1)
        token = self.class_embedding.expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([token, x], dim=1) + self.positional_embedding)
        x = self.transformer.resblocks(x)
        return self.ln_post(x[:, 0]) @ self.proj


class TowerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x):
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed)[0]
        return x + self.mlp(self.ln_2(x))


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Whole(nn.Module):
    """What OpenAI's archive holds besides the tower, as far as names go."""

    def __init__(self, tower):
        super().__init__()
        self.visual = tower
        self.token_embedding = nn.Embedding(5, 8)
        self.positional_embedding = nn.Parameter(torch.zeros(3, 8))
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("input_resolution", torch.tensor(224))

    def forward(self, x):
        return self.visual(x)


@pytest.fixture
def small_clip(monkeypatch):
    settings = clip.tower_settings(width=128, depth=2, patch=32, projection=24)
    monkeypatch.setitem(clip.SETTINGS, "clip_vitb32", settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = Tower(128, 2, 2, 32, 24)
        for value in tower.parameters():  # norms begin as ones and zeros, by which two of them look alike
            value.data += 0.1 * torch.randn(value.shape)
        return tower.half().eval()


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_clip_from_its_archive_is_the_tower_with_clips_colours(small_clip, own_weights):
    torch.jit.script(Whole(small_clip)).save(own_weights("clip_vitb32", dim=24))
    images = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    extractor = features.load("clip_vitb32")
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    with torch.no_grad():
        right = small_clip.double()(normalize(x_NCHW, mean, std)).numpy()
    assert np.abs(extractor(images) - right).max() <= 1e-5 * np.abs(right).max()  # float32 against float64
    assert extractor.network.transformer.positions_LD.dtype == torch.float32


def test_clip_in_float64_is_the_tower_to_rounding(small_clip):
    network = VisionTransformer(clip.SETTINGS["clip_vitb32"])
    fill(network, small_clip.state_dict(), clip.NAMES, "a file", "CLIP")
    x_NCHW = torch.randn(2, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network.double()(x_NCHW), small_clip.double()(x_NCHW), rtol=1e-12, atol=1e-12)


def test_a_plain_file_is_no_archive_of_clip(own_weights):
    torch.save({}, own_weights("clip_vitb32"))
    with pytest.raises(UserError, match="not a TorchScript model of CLIP, or damaged"):
        features.load("clip_vitb32")


def test_building_draws_nothing_and_needs_no_memory():
    before = torch.get_rng_state()
    network = VisionTransformer(TransformerSettings(width=64, depth=1, patch=8, grid=4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(value.is_meta for value in network.parameters())
