"""BigGAN-PyTorch: its networks written out here from the formulas, on state dicts with its names, against ours."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from bench.convert.importing import import_checkpoint
from bench.errors import UserError

CLASSES = 5
G_OUT = {32: (4, 4, 4), 128: (16, 8, 4, 2, 1)}
G_FIRST = {32: 4, 128: 16}
D_OUT = {32: (4, 4, 4, 4), 128: (1, 2, 4, 8, 16, 16)}
DOWN = {32: 2, 128: 5}


class State(dict):
    """A state dict in the making, with BigGAN-PyTorch's names."""

    def __init__(self, draws, sn):
        super().__init__()
        self.draws, self.sn = draws, sn

    def layer(self, name, *shape, bias=True):
        fan_in = torch.Size(shape[1:]).numel()
        gain = 1.7 if self.sn else 0.7  # images that tanh does not saturate
        self[f"{name}.weight"] = self.draws(*shape, scale=gain / fan_in**0.5)
        if bias:
            self[f"{name}.bias"] = self.draws(shape[0], scale=0.1)
        if self.sn:  # not yet converged: the vector is random
            self[f"{name}.u0"] = self.draws(1, shape[0])
            self[f"{name}.sv0"] = self.draws(1)

    def statistics(self, name, channels, form="stored"):
        self[f"{name}.{form}_mean"] = self.draws(channels, scale=0.3)
        self[f"{name}.{form}_var"] = self.draws.positive(channels)

    def attention(self, name, channels):
        for part, out, inside in (("theta", 8, 1), ("phi", 8, 1), ("g", 2, 1), ("o", 1, 2)):
            self.layer(f"{name}.{part}", channels // out, channels // inside, 1, 1, bias=False)
        self[f"{name}.gamma"] = torch.tensor(0.7)

    def weight(self, name):
        """W / sigma after one more iteration, which is not kept, as the original has it outside training."""
        weight = self[f"{name}.weight"]
        if not self.sn or f"{name}.u0" not in self:
            return weight
        matrix = weight.reshape(len(weight), -1)
        v = self[f"{name}.u0"] @ matrix
        v = v / v.norm()
        u = v @ matrix.T
        u = u / u.norm()
        return weight / (v @ matrix.T @ u.T).squeeze()

    def conv(self, name, x):
        weight = self.weight(name)
        return F.conv2d(x, weight, self.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def linear(self, name, x):
        return F.linear(x, self.weight(name), self.get(f"{name}.bias"))

    def attend(self, name, x):
        count, channels, height, width = x.shape
        theta = self.conv(f"{name}.theta", x).reshape(count, channels // 8, -1)
        phi = F.max_pool2d(self.conv(f"{name}.phi", x), 2).reshape(count, channels // 8, -1)
        g = F.max_pool2d(self.conv(f"{name}.g", x), 2).reshape(count, channels // 2, -1)
        beta = torch.softmax(torch.einsum("ncp,ncq->npq", theta, phi), dim=-1)
        mixed = torch.einsum("ncq,npq->ncp", g, beta).reshape(count, channels // 2, height, width)
        return self[f"{name}.gamma"] * self.conv(f"{name}.o", mixed) + x


def make_generator(draws, resolution, *, ch, chunk, shared=6, hier=True, sn=True, attention=None, form="stored"):
    state = State(draws, sn)
    widths = [ch * G_FIRST[resolution], *(ch * times for times in G_OUT[resolution])]
    if shared is not None:
        state["shared.weight"] = draws(CLASSES, shared)
    state.layer("linear", widths[0] * 16, chunk)
    for index, (before, after) in enumerate(pairwise(widths)):
        name = f"blocks.{index}.0"
        state.layer(f"{name}.conv1", after, before, 3, 3)
        state.layer(f"{name}.conv2", after, after, 3, 3)
        state.layer(f"{name}.conv_sc", after, before, 1, 1)
        for norm, channels in (("bn1", before), ("bn2", after)):
            for kind in ("gain", "bias"):
                if shared is None:
                    state[f"{name}.{norm}.{kind}.weight"] = draws(CLASSES, channels, scale=0.4)
                else:
                    inputs = shared + (chunk if hier else 0)
                    state.layer(f"{name}.{norm}.{kind}", channels, inputs, bias=False)
            state.statistics(f"{name}.{norm}", channels, form)
        if 4 * 2 ** (index + 1) == attention:
            state.attention(f"blocks.{index}.1", after)
    state["output_layer.0.gain"], state["output_layer.0.bias"] = (
        draws(ch * G_OUT[resolution][-1]),
        draws(widths[-1]),
    )
    state.statistics("output_layer.0", widths[-1], form)
    state.layer("output_layer.2", 3, widths[-1], 3, 3)
    return state


def generate(state, z, classes, *, hier, form="stored"):
    """tanh(conv(ReLU(BN(blocks)))): images of class numbers."""

    def normalised(name, x):
        mean, var = state[f"{name}.{form}_mean"], state[f"{name}.{form}_var"]
        return (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()

    def norm(name, x, y):
        if y is None:
            gain, bias = (state[f"{name}.{kind}.weight"][classes] for kind in ("gain", "bias"))
        else:
            gain, bias = (state.linear(f"{name}.{kind}", y) for kind in ("gain", "bias"))
        return normalised(name, x) * (1 + gain)[:, :, None, None] + bias[:, :, None, None]

    blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    zs = z.chunk(blocks + 1, dim=1) if hier else [z] * (blocks + 1)
    y = state["shared.weight"][classes] if "shared.weight" in state else None
    h = state.linear("linear", zs[0])
    h = h.reshape(len(z), -1, 4, 4)
    for index in range(blocks):
        name = f"blocks.{index}.0"
        condition = torch.cat([y, zs[index + 1]], dim=1) if hier else y
        a = F.relu(norm(f"{name}.bn1", h, condition)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        a = state.conv(f"{name}.conv1", a)
        a = state.conv(f"{name}.conv2", F.relu(norm(f"{name}.bn2", a, condition)))
        h = a + state.conv(f"{name}.conv_sc", h.repeat_interleave(2, 2).repeat_interleave(2, 3))
        if f"blocks.{index}.1.gamma" in state:
            h = state.attend(f"blocks.{index}.1", h)
    gain, bias = state["output_layer.0.gain"], state["output_layer.0.bias"]
    h = normalised("output_layer.0", h) * gain[:, None, None] + bias[:, None, None]
    return torch.tanh(state.conv("output_layer.2", F.relu(h)))


def make_discriminator(draws, resolution, *, ch, wide=True, attention=None):
    state = State(draws, True)
    widths = [3, *(ch * times for times in D_OUT[resolution])]
    for index, (before, after) in enumerate(pairwise(widths)):
        name, hidden = f"blocks.{index}.0", after if wide else before
        state.layer(f"{name}.conv1", hidden, before, 3, 3)
        state.layer(f"{name}.conv2", after, hidden, 3, 3)
        if before != after or index < DOWN[resolution]:
            state.layer(f"{name}.conv_sc", after, before, 1, 1)
        if index < DOWN[resolution] and resolution >> (index + 1) == attention:
            state.attention(f"blocks.{index}.1", after)
    state.layer("linear", 1, widths[-1])
    state.layer("embed", CLASSES, widths[-1], bias=False)
    return state


def judge(state, x, classes, resolution):
    for index in range(len(D_OUT[resolution])):
        name, down = f"blocks.{index}.0", index < DOWN[resolution]
        h = state.conv(f"{name}.conv2", F.relu(state.conv(f"{name}.conv1", x if index == 0 else F.relu(x))))
        if f"{name}.conv_sc.weight" in state:
            x = state.conv(f"{name}.conv_sc", x)
        x = F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if down else h + x
        if f"blocks.{index}.1.gamma" in state:
            x = state.attend(f"blocks.{index}.1", x)
    h = F.relu(x).sum(dim=(2, 3))
    return state.linear("linear", h).squeeze(1) + (state.weight("embed")[classes] * h).sum(dim=1)


def save(folder, generator, discriminator=None, **settings):
    torch.save(dict(generator), folder / "G_ema.pth", **settings)
    if discriminator is not None:
        torch.save(dict(discriminator), folder / "D.pth", **settings)
    return folder


FORMS = {
    "imagenet": (128, {"ch": 8, "chunk": 4, "attention": 64}, {"ch": 8, "attention": 64}),
    "cifar": (32, {"ch": 4, "chunk": 12, "shared": None, "hier": False}, {"ch": 4}),
    "sngan": (32, {"ch": 4, "chunk": 10, "hier": False, "sn": False}, {"ch": 5, "wide": False}),
    "attention": (32, {"ch": 8, "chunk": 5, "attention": 16}, {"ch": 8}),
    "standing": (32, {"ch": 4, "chunk": 5, "form": "bn.stored"}, {"ch": 4}),
}
EQUAL = [name for name in FORMS if name != "attention"]  # there is no D with attention at 16 px at 32 px


@pytest.mark.parametrize("name", EQUAL)
def test_images_and_logits_are_the_originals(name, tmp_path, draws, imported, assert_equal):
    resolution, g_form, d_form = FORMS[name]
    hier, form = g_form.get("hier", True), g_form.get("form", "stored")
    g_state = make_generator(draws, resolution, **g_form)
    d_state = make_discriminator(draws, resolution, **d_form)
    # The published files are of torch's old format, which is no archive.
    ours_g, ours_d, weights = imported(
        "biggan-pytorch",
        save(tmp_path, g_state, d_state, _use_new_zipfile_serialization=name != "imagenet"),
        name="x",
    )
    assert weights["network"]["name"] == f"biggan-{resolution}"
    assert weights["origin"]["files"].keys() == {"G_ema.pth", "D.pth"}
    z, classes = draws(3, ours_g.z_dim), torch.tensor([0, 3, 4])
    one_hot = F.one_hot(classes, CLASSES).float()
    with torch.no_grad():
        images = generate(g_state, z, classes, hier=hier, form=form)
        assert_equal(ours_g(z, one_hot), images)
        assert_equal(ours_d(images, one_hot), judge(d_state, images, classes, resolution))


def test_a_generator_alone_and_its_attention(tmp_path, draws, imported, assert_equal):
    resolution, g_form, _ = FORMS["attention"]
    state = make_generator(draws, resolution, **g_form)
    ours, _, weights = imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")
    assert "discriminator" not in weights and weights["network"]["options"]["attention"] == 16
    z, classes = draws(2, ours.z_dim), torch.tensor([1, 2])
    with torch.no_grad():
        assert_equal(ours(z, F.one_hot(classes, CLASSES).float()), generate(state, z, classes, hier=True))


def test_options_are_read_from_shapes(tmp_path, draws):
    """z of 6 chunks of 20 and a shared embedding of 128, as in the ImageNet networks, at an eighth of the width."""
    g_state = make_generator(draws, 128, ch=8, chunk=20, shared=128, attention=64)
    d_state = make_discriminator(draws, 128, ch=16, attention=64)
    made = import_checkpoint("biggan-pytorch", [save(tmp_path, g_state, d_state)])
    assert made.network == "biggan-128" and made.members == ("ema", "discriminator")
    assert made.options == {
        "z_dim": 120, "condition_dim": CLASSES, "shared_dim": 128, "hierarchical": True, "g_channels": 8,
        "attention": 64, "sn_generator": True, "d_channels": 16, "d_wide": True,
    }  # fmt: skip


def spoilt(draws, change):
    """Both states at 32 px, changed."""
    pair = make_generator(draws, 32, ch=4, chunk=5), make_discriminator(draws, 32, ch=4)
    change(*pair)
    return pair


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, d: g.pop("blocks.1.0.conv2.bias"), "becomes blocks.1.conv2.bias"),
        (lambda g, d: g.pop("blocks.1.0.conv2.weight"), "'blocks.1.0.conv2.weight' is missing"),
        (lambda g, d: g.pop("linear.sv0"), "'linear.sv0' is missing"),
        (lambda g, d: g.update({"blocks.0.0.conv3.weight": torch.ones(1)}), "'blocks.0.0.conv3.weight' is unexpected"),
        (lambda g, d: d.update({"linear.u1": torch.ones(1, 1)}), "'linear.u1' is unexpected"),
        (lambda g, d: g.update({"linear.u0": torch.ones(1, 9)}), "'linear.u0' has shape (1, 9), must be (1, outputs)"),
        (lambda g, d: g.update({"linear.bias": g["linear.bias"].double()}), "'linear.bias' is torch.float64, must be"),
        (lambda g, d: d["blocks.0.0.conv1.bias"].fill_(torch.nan), "'blocks.0.0.conv1.bias' holds values that are not"),
        (lambda g, d: g.update({"linear.bias": [1.0]}), "'linear.bias' is a list, must be a tensor"),
        (
            lambda g, d: d.update({"blocks.2.0.conv2.bias": torch.ones(7)}),
            "'blocks.2.0.conv2.bias' becomes blocks.2.conv2.bias of shape (7,), which must be (16,)",
        ),
        (lambda g, d: d.update({"embed.weight": torch.ones(3, 16), "embed.u0": torch.ones(1, 3)}), "'embed.weight'"),
        (lambda g, d: g.update({"linear.weight": torch.ones(256)}), "'linear.weight' has shape (256,), must have 2"),
        (lambda g, d: g.update({"shared.weight": torch.ones(0, 6)}), "'shared.weight' has shape (0, 6), must not be"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_named_and_nothing_is_written(change, message, tmp_path, draws, imported, weights_root):
    folder = save(tmp_path, *spoilt(draws, change))
    with pytest.raises(UserError) as error:
        imported("biggan-pytorch", folder)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


def test_cross_replica_batch_norm_is_refused(tmp_path, draws, imported, weights_root):
    """Its layer's own images add the gain, so that ours, which multiply by it, would be other images."""
    state = make_generator(draws, 32, ch=4, chunk=5, form="bn.running")
    with pytest.raises(UserError, match=r"'blocks\.0\.0\.bn1\.bn\.running_mean' is of cross-replica batch norm"):
        imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")
    assert not weights_root.exists()


def test_statistics_that_are_sums_are_refused(tmp_path, draws, imported):
    """What standing statistics leave in a file: sums of a number of batches' means."""
    state = make_generator(draws, 32, ch=4, chunk=5, form="bn.stored")
    state["blocks.1.0.bn2.bn.accumulation_counter"] = torch.zeros(1)
    imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth", name="x")
    state["blocks.1.0.bn2.bn.accumulation_counter"] += 16
    with pytest.raises(UserError, match=r"'blocks\.1\.0\.bn2\.bn\.accumulation_counter' is not 0"):
        imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")


def test_negative_variances_and_tables_of_other_widths_are_refused(tmp_path, draws, imported):
    state = make_generator(draws, 32, ch=4, chunk=12, shared=None, hier=False, sn=False)
    state["output_layer.0.stored_var"][3] = -1e-3
    with pytest.raises(UserError, match=r"'output_layer\.0\.stored_var' holds negative numbers"):
        imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")
    state["output_layer.0.stored_var"][3] = 1
    # Side by side the two tables still have the width of two: only each alone tells.
    state["blocks.1.0.bn1.gain.weight"] = draws(CLASSES, 17)
    state["blocks.1.0.bn1.bias.weight"] = draws(CLASSES, 15)
    with pytest.raises(UserError, match=r"'blocks\.1\.0\.bn1\.gain\.weight' has shape \(5, 17\), must have \(5, 16\)"):
        imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")


def test_files_that_are_no_pair_are_refused(tmp_path, draws, imported):
    folder = save(tmp_path, *spoilt(draws, lambda g, d: None))
    g, d = folder / "G_ema.pth", folder / "D.pth"
    with pytest.raises(UserError, match="second generator"):
        imported("biggan-pytorch", g, g)
    with pytest.raises(UserError, match="no generator among the files"):
        imported("biggan-pytorch", d)
    g.unlink()
    with pytest.raises(UserError, match="has no G_ema.pth"):
        imported("biggan-pytorch", folder)


def test_other_depths_are_refused(tmp_path, draws, imported):
    state = make_generator(draws, 32, ch=4, chunk=5)
    for key in [key for key in state if key.startswith("blocks.2.")]:
        state[key.replace("blocks.2.", "blocks.3.")] = state[key]
    with pytest.raises(UserError, match=r"4 blocks .* networks here have 3 \(32 px\) or 5 \(128 px\)"):
        imported("biggan-pytorch", save(tmp_path, state) / "G_ema.pth")
