"""The StyleGAN port that FreezeD uses: its networks from the formulas, on state dicts with its names, against ours."""

import math

import pytest
import torch
from torch.nn import functional as F

from bench.convert.importing import import_checkpoint
from bench.errors import UserError
from bench.networks.common import noise

CODE = 12
# Channels at 4, 8, ..., 1024 px: the port has all nine levels, whatever size it has grown to.
WIDTHS = [16, 16, 16, 16, 8, 4, 2, 1, 1]
FUSED_FROM = 128
TAPS = torch.tensor([1.0, 2.0, 1.0])
BLUR = torch.outer(TAPS, TAPS) / 16


class State(dict):
    """A state dict in the making, with the port's names."""

    def __init__(self, draws):
        super().__init__()
        self.draws = draws

    def equal(self, name, *shape, bias=0.0):
        self[f"{name}.bias"] = self.draws(shape[0], scale=0.3) + bias
        self[f"{name}.weight_orig"] = self.draws(*shape)

    def blur(self, name, channels):
        for key in ("weight", "weight_flip"):
            self[f"{name}.{key}"] = BLUR.expand(channels, 1, 3, 3).clone()

    def fused(self, name, *shape, outputs):
        self[f"{name}.weight"], self[f"{name}.bias"] = self.draws(*shape), self.draws(outputs, scale=0.3)

    def gained(self, name):
        """weight_orig with the equalised learning rate sqrt(2 / fan-in)."""
        weight = self[f"{name}.weight_orig"]
        return weight * math.sqrt(2 / weight[0].numel())

    def conv(self, name, x, padding=None):
        weight = self.gained(name)
        return F.conv2d(x, weight, self[f"{name}.bias"], padding=weight.shape[-1] // 2 if padding is None else padding)

    def linear(self, name, x):
        return F.linear(x, self.gained(name), self[f"{name}.bias"])

    def smooth(self, name, x):
        return F.conv2d(x, self[f"{name}.weight"], padding=1, groups=x.shape[1])


def leaky(x):
    return F.leaky_relu(x, 0.2)


def averaged(kernel):
    """The 4x4 kernel of a fused resampling: the mean of four shifted copies of a 3x3 one."""
    wide = torch.zeros(*kernel.shape[:2], 4, 4)
    for row in (0, 1):
        for column in (0, 1):
            wide[:, :, row : row + 3, column : column + 3] += kernel / 4
    return wide


def make_generator(draws, layers=3, fused=True, widths=WIDTHS):
    state = State(draws)
    for number in range(layers):
        state.equal(f"style.{2 * number + 1}.linear", CODE, CODE)
    for level, width in enumerate(widths):
        name, before = f"generator.progression.{level}", widths[max(level - 1, 0)]
        if level == 0:
            state[f"{name}.conv1.input"] = draws(1, width, 4, 4)
        elif fused and 4 << level >= FUSED_FROM:
            state.fused(f"{name}.conv1.0", before, width, 3, 3, outputs=width)
            state.blur(f"{name}.conv1.1", width)
        else:
            state.equal(f"{name}.conv1.1.conv", width, before, 3, 3)
            state.blur(f"{name}.conv1.2", width)
        for number in (1, 2):
            state[f"{name}.noise{number}.weight_orig"] = draws(1, width, 1, 1)
            state.equal(f"{name}.adain{number}.style.linear", 2 * width, CODE, bias=0.5)
        state.equal(f"{name}.conv2.conv", width, width, 3, 3)
        state.equal(f"generator.to_rgb.{level}.conv", 3, width, 1, 1)
    return state


def style_of(state, z):
    h = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for key in [key for key in state if key.startswith("style.") and key.endswith("bias")]:
        h = leaky(state.linear(key.removesuffix(".bias"), h))
    return h


def generate(state, w, step, stream):
    """Images of 4 * 2^step px at alpha 1 with fresh noise, one map a level, as the port samples."""
    noises = [torch.randn((len(w), 1, 4 << level, 4 << level), generator=stream) for level in range(step + 1)]
    out = None
    for level in range(step + 1):
        name = f"generator.progression.{level}"
        if level == 0:
            out = state[f"{name}.conv1.input"].repeat(len(w), 1, 1, 1)
        elif f"{name}.conv1.0.weight" in state:
            kernel = state[f"{name}.conv1.0.weight"]
            kernel = averaged(kernel * math.sqrt(2 / (9 * len(kernel))))
            out = F.conv_transpose2d(out, kernel, state[f"{name}.conv1.0.bias"], stride=2, padding=1)
            out = state.smooth(f"{name}.conv1.1", out)
        else:
            out = state.conv(f"{name}.conv1.1.conv", out.repeat_interleave(2, 2).repeat_interleave(2, 3))
            out = state.smooth(f"{name}.conv1.2", out)
        for number in (1, 2):
            if number == 2:
                out = state.conv(f"{name}.conv2.conv", out)
            strength = state[f"{name}.noise{number}.weight_orig"]
            out = leaky(out + strength * math.sqrt(2 / strength.shape[1]) * noises[level])
            gamma, beta = state.linear(f"{name}.adain{number}.style.linear", w)[:, :, None, None].chunk(2, dim=1)
            mean, variance = (
                out.mean(dim=(2, 3), keepdim=True),
                out.var(dim=(2, 3), keepdim=True, unbiased=False),
            )
            out = gamma * (out - mean) / (variance + 1e-5).sqrt() + beta
    return state.conv(f"generator.to_rgb.{step}.conv", out)


def make_discriminator(draws, activated=True, fused=True, widths=WIDTHS):
    state, last = State(draws), len(widths) - 1
    for index in range(last):
        width, after, name = widths[last - index], widths[last - index - 1], f"progression.{index}"
        state.equal(f"{name}.conv1.0.conv", after, width, 3, 3)
        state.blur(f"{name}.conv2.0", after)
        if fused and 4 << (last - index) >= FUSED_FROM:
            state.fused(f"{name}.conv2.1", after, after, 3, 3, outputs=after)
        else:
            state.equal(f"{name}.conv2.1.conv", after, after, 3, 3)
    state.equal(f"progression.{last}.conv1.0.conv", widths[0], widths[0] + 1, 3, 3)
    state.equal(f"progression.{last}.conv2.0.conv", widths[0], widths[0], 4, 4)
    for index, width in enumerate(widths[::-1]):
        state.equal(f"from_rgb.{index}{'.0' if activated else ''}.conv", width, 3, 1, 1)
    state.equal("linear.linear", 1, widths[0])
    return state


def judge(state, x, step, activated=True, widths=WIDTHS):
    last = len(widths) - 1
    first = last - step
    x = state.conv(f"from_rgb.{first}{'.0' if activated else ''}.conv", x)
    x = leaky(x) if activated else x
    for index in range(first, last):
        name = f"progression.{index}"
        x = state.smooth(f"{name}.conv2.0", leaky(state.conv(f"{name}.conv1.0.conv", x)))
        if f"{name}.conv2.1.weight" in state:
            kernel = state[f"{name}.conv2.1.weight"]
            kernel = averaged(kernel * math.sqrt(2 / kernel[0].numel()))
            x = F.conv2d(x, kernel, state[f"{name}.conv2.1.bias"], stride=2, padding=1)
        else:
            x = F.avg_pool2d(state.conv(f"{name}.conv2.1.conv", x), 2)
        x = leaky(x)
    deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = leaky(state.conv(f"progression.{last}.conv1.0.conv", x))
    x = leaky(state.conv(f"progression.{last}.conv2.0.conv", x, padding=0))
    return state.linear("linear.linear", x.flatten(1)).squeeze(1)


def save(path, g_state, d_state=None):
    """As the port's training writes it; g_running is the average."""
    trained = {key: value + 1 for key, value in g_state.items()}
    optimiser = {"state": {}, "param_groups": [{"lr": 0.002, "mult": 0.01}]}
    value = {
        "generator": trained,
        "g_running": dict(g_state),
        "g_optimizer": optimiser,
        "d_optimizer": optimiser,
    }
    torch.save(value | ({} if d_state is None else {"discriminator": dict(d_state)}), path)
    return path


@pytest.mark.parametrize(
    ("resolution", "activated", "fused"), [(128, True, True), (128, False, False), (32, True, True)]
)
def test_images_and_logits_are_the_originals(resolution, activated, fused, tmp_path, draws, imported, assert_equal):
    g_state = make_generator(draws, fused=fused)
    d_state = make_discriminator(draws, activated, fused)
    path = save(tmp_path / "stylegan-256px-new.model", g_state, d_state)
    ours_g, ours_d, weights = imported("stylegan1-port", path, network=f"stylegan1-{resolution}")
    step = int(math.log2(resolution)) - 2
    assert weights["network"] == {
        "name": f"stylegan1-{resolution}",
        "options": {
            "z_dim": CODE, "w_dim": CODE, "channel_base": WIDTHS[step] * resolution, "channel_max": 16,
            "mapping_layers": 3, "from_rgb_activation": activated,
        },
    }  # fmt: skip
    z = draws(3, CODE)
    with torch.no_grad():
        w = style_of(g_state, z)
        images = generate(g_state, w, step, torch.Generator().manual_seed(3))
        with noise.drawn_from(torch.Generator().manual_seed(3)):
            assert_equal(ours_g(z), images)
        noisy = draws(3, 3, resolution, resolution) * torch.tensor([0.3, 1.0, 3.0])[:, None, None, None]
        for one in (images, noisy):
            assert_equal(ours_d(one), judge(d_state, one, step, activated))
        # Truncation as the port's sampler: 0.7 of the way from the mean style.
        ours_g.truncation = 0.7
        mean = weights["ema"]["w_average"]
        with noise.drawn_from(torch.Generator().manual_seed(3)):
            truncated = ours_g(z)
        assert_equal(truncated, generate(g_state, mean + 0.7 * (w - mean), step, torch.Generator().manual_seed(3)))


def test_the_mean_style_is_the_mean_of_the_mapping_network(tmp_path, draws, imported):
    state = make_generator(draws)
    _, _, weights = imported("stylegan1-port", save(tmp_path / "x.model", state), network="stylegan1-32")
    styles = style_of(state, draws(50_000, CODE))
    # Two independent means of n = 10,240 and 50,000: five standard errors.
    error = styles.std(dim=0) * (1 / 10_240 + 1 / 50_000) ** 0.5
    assert ((weights["ema"]["w_average"] - styles.mean(dim=0)).abs() < 5 * error).all()
    assert (styles.mean(dim=0).abs() > 20 * error).any()


def test_an_average_alone_and_the_same_bytes_twice(tmp_path, draws, imported, weights_root):
    torch.save(dict(make_generator(draws)), tmp_path / "000100.model")
    _, _, weights = imported("stylegan1-port", tmp_path / "000100.model", network="stylegan1-32")
    assert "discriminator" not in weights
    first = (weights_root / "000100.pt").read_bytes()
    import_checkpoint("stylegan1-port", [tmp_path / "000100.model"], network="stylegan1-32", replace=True)
    assert (weights_root / "000100.pt").read_bytes() == first


def test_the_size_must_be_named(tmp_path, draws, imported):
    path = save(tmp_path / "x.model", make_generator(draws))
    for network in (None, "stylegan2-32"):
        with pytest.raises(UserError, match="does not say its resolution: name the network"):
            imported("stylegan1-port", path, network=network)
    with pytest.raises(UserError, match="unknown network 'stylegan1-100'"):
        imported("stylegan1-port", path, network="stylegan1-100")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, d: g.pop("generator.progression.2.noise1.weight_orig"), "2.noise1.weight_orig' is missing"),
        (lambda g, d: g.update({"embedding.weight": torch.ones(3, 3)}), "'embedding.weight' is unexpected"),
        (lambda g, d: g["generator.progression.1.conv1.2.weight"].zero_(), "must be the filter [1, 2, 1]"),
        (lambda g, d: g["style.3.linear.bias"].fill_(torch.nan), "'style.3.linear.bias' holds values that are not"),
        (lambda g, d: g.update({"style.3.linear.weight_orig": torch.ones(CODE, 5)}), "style.3.linear.weight_orig' has"),
        (lambda g, d: g.update({"generator.to_rgb.1.conv.bias": torch.ones(4)}), "becomes synthesis.to_rgb.1.bias"),
        (lambda g, d: d.pop("from_rgb.8.0.conv.bias"), "'from_rgb.8.0.conv.bias' is missing"),
        (lambda g, d: d.update({"extra": torch.ones(1)}), "'extra' is unexpected"),
        (lambda g, d: d.update({"linear.linear.bias": torch.ones(1).half()}), "is torch.float16, must be"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_named(change, message, tmp_path, draws, imported, weights_root):
    pair = make_generator(draws), make_discriminator(draws)
    change(*pair)
    with pytest.raises(UserError) as error:
        imported("stylegan1-port", save(tmp_path / "x.model", *pair), network="stylegan1-32")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


def test_a_network_smaller_than_the_named_one_is_refused(tmp_path, draws, imported):
    path = save(tmp_path / "x.model", make_generator(draws, widths=WIDTHS[:4]))
    with pytest.raises(UserError, match=r"the keys 'generator.progression.N' end at 3, which is 32 px"):
        imported("stylegan1-port", path, network="stylegan1-128")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda g, d: d.update({"progression.0.conv1.0.conv.weight_orig": torch.ones(1, 2, 3, 3)}),
            "'progression.0.conv1.0.conv.weight_orig' becomes block.conv0.weight of shape (1, 2, 3, 3), which must be "
            "(1, 1, 3, 3)",
        ),
        (
            lambda g, d: d["from_rgb.1.0.conv.weight_orig"].fill_(torch.inf),
            "'from_rgb.1.0.conv.weight_orig' holds values that are not finite",
        ),
        (
            lambda g, d: d.update({"progression.2.conv2.0.weight": BLUR.expand(5, 1, 3, 3).clone()}),
            "'progression.2.conv2.0.weight' has shape (5, 1, 3, 3), must have (4, 1, 3, 3)",
        ),
        (
            lambda g, d: g.update({"generator.progression.6.noise2.weight_orig": torch.ones(1, 3, 1, 1)}),
            "'generator.progression.6.noise2.weight_orig' becomes block.style1.noise_strength of shape (3,)",
        ),
    ],
)
def test_the_levels_that_are_left_out_are_looked_at(change, message, tmp_path, draws, imported, weights_root):
    """At 32 px five of nine levels are not built; what they hold must still be such levels."""
    pair = make_generator(draws), make_discriminator(draws)
    change(*pair)
    with pytest.raises(UserError) as error:
        imported("stylegan1-port", save(tmp_path / "x.model", *pair), network="stylegan1-32")
    assert message in str(error.value)
    assert not weights_root.exists()


def test_an_entry_that_no_such_checkpoint_has_is_refused(tmp_path, draws, imported):
    torch.save({"g_running": dict(make_generator(draws)), "mapping_slope": 0.1}, tmp_path / "x.model")
    with pytest.raises(UserError, match="the key 'mapping_slope' is unexpected"):
        imported("stylegan1-port", tmp_path / "x.model", network="stylegan1-32")
