"""FastGAN's released code: its networks written out here, on state dicts with its names, against ours."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from bench.convert.fastgan_released import BUFFER
from bench.errors import UserError
from bench.networks.common import noise

G_TIMES = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
D_TIMES = {**G_TIMES, 8: 16, 16: 8, 32: 4}
NZ = 10


class State(dict):
    """A state dict in the making, with the names of the released code: torch's older spectral norm everywhere."""

    def __init__(self, draws):
        super().__init__()
        self.draws = draws

    def conv(self, name, *shape, outputs=0):
        """outputs: the axis of the output channels, which transposed convolutions have second."""
        weight = self.draws(*shape, scale=0.2)
        matrix = weight.transpose(0, outputs).flatten(1)
        self[f"{name}.weight_orig"] = weight
        # Near the singular vectors, as after training; else the layers' gains would multiply up.
        u, _, v = torch.svd(matrix)
        self[f"{name}.weight_u"] = F.normalize(u[:, 0] + self.draws(len(u), scale=0.1), dim=0)
        self[f"{name}.weight_v"] = F.normalize(v[:, 0] + self.draws(len(v), scale=0.05), dim=0)

    def batch_norm(self, name, channels):
        self[f"{name}.weight"], self[f"{name}.bias"] = (
            self.draws.positive(channels),
            self.draws(channels, scale=0.3),
        )
        self[f"{name}.running_mean"] = self.draws(channels, scale=0.1)
        # Large enough that the layers do not amplify rounding: no network in training does.
        self[f"{name}.running_var"] = self.draws.positive(channels)
        self[f"{name}.num_batches_tracked"] = torch.tensor(50_000)

    def weight(self, name, outputs=0):
        weight = self[f"{name}.weight_orig"]
        matrix = weight.transpose(0, outputs).flatten(1)
        return weight / (self[f"{name}.weight_u"] @ matrix @ self[f"{name}.weight_v"])

    def apply(self, name, x, stride=1, padding=0):
        return F.conv2d(x, self.weight(name), stride=stride, padding=padding)

    def norm(self, name, x):
        scale = self[f"{name}.weight"] / (self[f"{name}.running_var"] + 1e-5).sqrt()
        shift = self[f"{name}.bias"] - self[f"{name}.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]


def glu(x):
    a, b = x.chunk(2, dim=1)
    return a * torch.sigmoid(b)


def swish(x):
    return x * torch.sigmoid(x)


def leaky(x):
    return F.leaky_relu(x, 0.2)


def gate_layers(state, name, low, high):
    state.conv(f"{name}.main.1", high, low, 4, 4)
    state.conv(f"{name}.main.3", high, high, 1, 1)


def gated(state, name, low, high):
    h = swish(state.apply(f"{name}.main.1", F.adaptive_avg_pool2d(low, 4)))
    return high * torch.sigmoid(state.apply(f"{name}.main.3", h))


def make_generator(draws, resolution, ngf):
    """In the released code's order of layers, which g_ema follows."""
    state = State(draws)
    nfc = {size: int(times * ngf) for size, times in G_TIMES.items()}
    state.conv("init.init.0", NZ, 2 * nfc[4], 4, 4, outputs=1)
    state.batch_norm("init.init.1", 2 * nfc[4])

    def up(size):
        name, out = f"feat_{size}", 2 * nfc[size]
        state.conv(f"{name}.1", out, nfc[size // 2], 3, 3)
        if size not in (8, 32, 128, 512):
            state.batch_norm(f"{name}.2", out)
            return
        state[f"{name}.2.weight"] = draws(1)
        state.batch_norm(f"{name}.3", out)
        state.conv(f"{name}.5", out, nfc[size], 3, 3)
        state[f"{name}.6.weight"] = draws(1)
        state.batch_norm(f"{name}.7", out)

    for size in (8, 16, 32, 64, 128, 256):
        up(size)
    for size in (64, 128, 256):
        gate_layers(state, f"se_{size}", nfc[size // 16], nfc[size])
    state.conv("to_128", 3, nfc[128], 1, 1)
    state.conv("to_big", 3, nfc[resolution], 3, 3)
    if resolution > 256:
        up(512)
        gate_layers(state, "se_512", nfc[32], nfc[512])
    if resolution > 512:
        up(1024)
    return state


def generate(state, z, resolution, stream):
    """Both images; the noise is drawn in the order of the layers, one map for all channels."""

    def noisy(name, x):
        count, _, height, width = x.shape
        return x + state[f"{name}.weight"] * torch.randn((count, 1, height, width), generator=stream)

    def up(size, x):
        name = f"feat_{size}"
        x = state.apply(f"{name}.1", x.repeat_interleave(2, 2).repeat_interleave(2, 3), padding=1)
        if f"{name}.5.weight_orig" not in state:
            return glu(state.norm(f"{name}.2", x))
        x = glu(state.norm(f"{name}.3", noisy(f"{name}.2", x)))
        return glu(state.norm(f"{name}.7", noisy(f"{name}.6", state.apply(f"{name}.5", x, padding=1))))

    first = F.conv_transpose2d(z[:, :, None, None], state.weight("init.init.0", outputs=1))
    feat = {4: glu(state.norm("init.init.1", first))}
    for size in (8, 16, 32, 64, 128, 256, 512, 1024):
        if size <= resolution:
            feat[size] = up(size, feat[size // 2])
            if f"se_{size}.main.1.weight_orig" in state:
                feat[size] = gated(state, f"se_{size}", feat[size // 16], feat[size])
    big, small = state.apply("to_big", feat[resolution], padding=1), state.apply("to_128", feat[128])
    return (torch.tanh(big), torch.tanh(small)) if resolution == 1024 else (big, small)


def make_discriminator(draws, resolution, ndf):
    state = State(draws)
    nfc = {size: int(times * ndf) for size, times in D_TIMES.items()}
    if resolution == 1024:
        state.conv("down_from_big.0", nfc[1024], 3, 4, 4)
        state.conv("down_from_big.2", nfc[512], nfc[1024], 4, 4)
        state.batch_norm("down_from_big.3", nfc[512])
    else:
        kernel = 4 if resolution == 512 else 3
        state.conv("down_from_big.0", nfc[512], 3, kernel, kernel)
    for name, size in (("down_4", 256), ("down_8", 128), ("down_16", 64), ("down_32", 32), ("down_64", 16)):
        before, after = nfc[2 * size], nfc[size]
        state.conv(f"{name}.main.0", after, before, 4, 4)
        state.batch_norm(f"{name}.main.1", after)
        state.conv(f"{name}.main.3", after, after, 3, 3)
        state.batch_norm(f"{name}.main.4", after)
        state.conv(f"{name}.direct.1", after, before, 1, 1)
        state.batch_norm(f"{name}.direct.2", after)
    state.conv("rf_big.0", nfc[8], nfc[16], 1, 1)
    state.batch_norm("rf_big.1", nfc[8])
    state.conv("rf_big.3", 1, nfc[8], 4, 4)
    for name, low, high in (("se_2_16", 512, 64), ("se_4_32", 256, 32), ("se_8_64", 128, 16)):
        gate_layers(state, name, nfc[low], nfc[high])
    state.conv("down_from_small.0", nfc[256], 3, 4, 4)
    for number, size in ((2, 128), (3, 64), (4, 32)):
        state.conv(f"down_from_small.{number}.main.0", nfc[size], nfc[2 * size], 4, 4)
        state.batch_norm(f"down_from_small.{number}.main.1", nfc[size])
    state.conv("rf_small", 1, nfc[32], 4, 4)
    for name, width in (("decoder_big", nfc[16]), ("decoder_part", nfc[32]), ("decoder_small", nfc[32])):
        widths = [width, 128, 64, 64, 32]
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            state.conv(f"{name}.main.{number}.1", 2 * after, before, 3, 3)
            state.batch_norm(f"{name}.main.{number}.2", 2 * after)
        state.conv(f"{name}.main.5", 3, 32, 3, 3)
    return state


def judge(state, big, small):
    """Patch logits, (N, 25) of the whole image and (N, 25) of the small one, and the last maps."""

    def down(name, x):
        a = leaky(state.norm(f"{name}.main.1", state.apply(f"{name}.main.0", x, 2, 1)))
        a = leaky(state.norm(f"{name}.main.4", state.apply(f"{name}.main.3", a, 1, 1)))
        b = leaky(state.norm(f"{name}.direct.2", state.apply(f"{name}.direct.1", F.avg_pool2d(x, 2))))
        return (a + b) / 2

    stride = 1 if state["down_from_big.0.weight_orig"].shape[-1] == 3 else 2
    f2 = leaky(state.apply("down_from_big.0", big, stride, 1))
    if "down_from_big.2.weight_orig" in state:
        f2 = leaky(state.norm("down_from_big.3", state.apply("down_from_big.2", f2, 2, 1)))
    f4 = down("down_4", f2)
    f8 = down("down_8", f4)
    f16 = gated(state, "se_2_16", f2, down("down_16", f8))
    f32 = gated(state, "se_4_32", f4, down("down_32", f16))
    last = gated(state, "se_8_64", f8, down("down_64", f32))
    h = leaky(state.norm("rf_big.1", state.apply("rf_big.0", last)))
    whole = state.apply("rf_big.3", h)
    h = leaky(state.apply("down_from_small.0", small, 2, 1))
    for number in (2, 3, 4):
        h = state.apply(f"down_from_small.{number}.main.0", h, 2, 1)
        h = leaky(state.norm(f"down_from_small.{number}.main.1", h))
    logits = torch.cat([whole.flatten(1), state.apply("rf_small", h).flatten(1)], dim=1)
    return logits, last, f32, h


def decode(state, name, x):
    x = F.adaptive_avg_pool2d(x, 8)
    for number in range(1, 5):
        x = state.apply(f"{name}.main.{number}.1", x.repeat_interleave(2, 2).repeat_interleave(2, 3), padding=1)
        x = glu(state.norm(f"{name}.main.{number}.2", x))
    return torch.tanh(state.apply(f"{name}.main.5", x, padding=1))


def parallel(state):
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    ("resolution", "ngf", "wrapped"),
    [(256, 4, False), (512, 4, True), (1024, 8, False)],
    ids=["256", "512", "1024"],
)
def test_images_logits_and_decodings_are_the_originals(
    resolution, ngf, wrapped, tmp_path, draws, imported, assert_equal
):
    g_state, d_state = make_generator(draws, resolution, ngf), make_discriminator(draws, resolution, 8)
    wrap = parallel if wrapped else dict
    path = tmp_path / "50000.pth"
    torch.save({"g": wrap(g_state), "d": wrap(d_state)}, path)
    ours_g, ours_d, weights = imported("fastgan-released", path)
    assert weights["network"]["name"] == f"fastgan-{resolution}"
    assert weights["network"]["options"] == {"z_dim": NZ, "ngf": ngf, "ndf": 8, "decoder_width": 32}
    z = draws(2, NZ)
    with torch.no_grad():
        with noise.drawn_from(torch.Generator().manual_seed(5)):
            images, small = ours_g.both_scales(z)
        big, big_small = generate(g_state, z, resolution, torch.Generator().manual_seed(5))
        assert_equal(images, big)
        assert_equal(small, big_small)
        logits, maps = ours_d.forward_with_maps(big, small_NCHW=big_small)
        expected, last, f32, last_small = judge(d_state, big, big_small)
        assert_equal(logits, expected)
        whole, part, little = ours_d.reconstruct(maps, big, part=1)
        assert_equal(whole.decoded_NCHW, decode(d_state, "decoder_big", last))
        assert_equal(part.decoded_NCHW, decode(d_state, "decoder_part", f32[:, :, :8, 8:]))
        assert_equal(little.decoded_NCHW, decode(d_state, "decoder_small", last_small))


def averaged_file(path, draws, change=lambda average: average):
    """all_STEP.pth: the trained generator, and its averaged parameters as a list."""
    g_state, d_state = make_generator(draws, 256, 2), make_discriminator(draws, 256, 4)
    average = {key: value + draws(*value.shape, scale=0.02) for key, value in g_state.items() if not BUFFER.match(key)}
    optimiser = {"state": {}, "param_groups": [{"lr": 2e-4, "betas": (0.5, 0.999)}]}
    torch.save(
        {
            "g": parallel(g_state),
            "d": parallel(d_state),
            "g_ema": change([torch.nn.Parameter(value) for value in average.values()]),
            "opt_g": optimiser,
            "opt_d": optimiser,
        },
        path,
    )
    g_state.update(average)
    return g_state


def test_the_average_is_taken_where_there_is_one(tmp_path, draws, imported, assert_equal):
    expected = averaged_file(tmp_path / "all_50000.pth", draws)
    ours, _, _ = imported("fastgan-released", tmp_path / "all_50000.pth")
    z = draws(2, NZ)
    with torch.no_grad():
        with noise.drawn_from(torch.Generator().manual_seed(5)):
            images = ours(z)
        assert_equal(images, generate(expected, z, 256, torch.Generator().manual_seed(5))[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda average: average[:-1], "must be a list of 44 tensors"),
        (
            lambda average: average[::-1],
            "number 0 ('init.init.0.weight_orig' of 'g') is (3, 1, 3, 3), must be (10, 64",
        ),
        (lambda average: {}, "a dict; must be a list of"),
    ],
)
def test_another_list_of_averages_is_refused(change, message, tmp_path, draws, imported):
    averaged_file(tmp_path / "all.pth", draws, change)
    with pytest.raises(UserError) as error:
        imported("fastgan-released", tmp_path / "all.pth")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.pop("d"), "the key 'd' is missing"),
        (
            lambda value: value["g"].pop("se_64.main.1.weight_u"),
            "'g': the key 'se_64.main.1.weight_u' is missing",
        ),
        (lambda value: value["d"].update(x=torch.ones(1)), "'d': the key 'x' is unexpected"),
        (
            lambda value: value["g"]["feat_8.2.weight"].fill_(torch.nan),
            "'feat_8.2.weight' holds values that are not",
        ),
        (lambda value: value["g"].pop("feat_8.2.weight"), "'feat_8.2.weight' is missing"),
        (lambda value: value.update(g=[1]), "'g': a list, must be a state dict"),
    ],
)
def test_what_is_not_right_is_named(change, message, tmp_path, draws, imported, weights_root):
    value = {"g": dict(make_generator(draws, 256, 2)), "d": dict(make_discriminator(draws, 256, 4))}
    change(value)
    torch.save(value, tmp_path / "x.pth")
    with pytest.raises(UserError) as error:
        imported("fastgan-released", tmp_path / "x.pth")
    assert message in str(error.value)
    assert not weights_root.exists()
