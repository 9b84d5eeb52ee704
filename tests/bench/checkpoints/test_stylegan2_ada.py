"""stylegan2-ada-pytorch: snapshots with its pickles' structure; its networks from the formulas, against ours.

The modules (`draws.part`) have the original's parameter names and attributes and no code: they are pickled through a
stand-in of its persistence module, which is gone again when the snapshot is read.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.errors import UserError

Z, W = 10, 12
FILTER = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def linear(draws, inputs, outputs, activation="linear", lr=1.0, bias=0.0):
    part = draws.part(
        "FullyConnectedLayer", activation=activation, weight_gain=lr / np.sqrt(inputs), bias_gain=lr
    )
    return part.put(weight=draws(outputs, inputs) / lr, bias=(draws(outputs, scale=0.3) + bias) / lr)


def styled(draws, inputs, outputs, size, clamp):
    part = draws.part(
        "SynthesisLayer", resolution=size, activation="lrelu", conv_clamp=clamp, act_gain=np.sqrt(2)
    )
    part.register_buffer("resample_filter", FILTER.clone())
    part.affine = linear(draws, W, inputs, bias=1.0)
    weight = draws(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last)
    part.put(weight=weight, noise_strength=draws(), bias=draws(outputs, scale=0.3))
    part.register_buffer("noise_const", draws(size, size))
    return part


def to_rgb(draws, inputs, clamp):
    part = draws.part("ToRGBLayer", conv_clamp=clamp, weight_gain=1 / np.sqrt(inputs))
    part.affine = linear(draws, W, inputs, bias=1.0)
    return part.put(weight=draws(3, inputs, 1, 1), bias=draws(3))


def embedded(draws, root, classes, features):
    """A class' linear embedding."""
    if classes:
        root.embed = linear(draws, classes, features)


def make_generator(draws, widths, layers=3, clamp=None, classes=0, **attributes):
    resolution = max(widths)
    given = {
        "z_dim": Z,
        "c_dim": classes,
        "w_dim": W,
        "img_resolution": resolution,
        "img_channels": 3,
        **attributes,
    }
    root = draws.part("Generator", **given)
    root.synthesis = draws.part("SynthesisNetwork", w_dim=W, img_resolution=resolution)
    for size in widths:
        block = draws.part(
            "SynthesisBlock", architecture="skip", resolution=size, use_fp16=size == resolution
        )
        block.register_buffer("resample_filter", FILTER.clone())
        if size == 4:
            block.put(const=draws(widths[4], 4, 4))
        else:
            block.conv0 = styled(draws, widths[size // 2], widths[size], size, clamp)
        block.conv1 = styled(draws, widths[size], widths[size], size, clamp)
        block.torgb = to_rgb(draws, widths[size], clamp)
        setattr(root.synthesis, f"b{size}", block)
    root.mapping = draws.part("MappingNetwork", num_layers=layers, w_avg_beta=0.995)
    embedded(draws, root.mapping, classes, W)
    first = Z + W if classes else Z
    for number in range(layers):
        setattr(root.mapping, f"fc{number}", linear(draws, W if number else first, W, "lrelu", lr=0.01))
    root.mapping.register_buffer("w_avg", draws(W, scale=0.5))
    return root.requires_grad_(False)


def conv_layer(draws, inputs, outputs, kernel, clamp, bias=True, frozen=False):
    gain = 1 / np.sqrt(inputs * kernel**2)
    part = draws.part("Conv2dLayer", activation="lrelu", conv_clamp=clamp, weight_gain=gain, bias=None)
    part.register_buffer("resample_filter", FILTER.clone())
    tensors = {"weight": draws(outputs, inputs, kernel, kernel)}
    if bias:
        del part.__dict__["bias"]
        tensors["bias"] = draws(outputs, scale=0.3)
    for name, value in tensors.items():
        part.register_buffer(name, value) if frozen else part.put(**{name: value})
    return part


def make_discriminator(draws, widths, architecture="resnet", clamp=None, group=2, classes=0, **attributes):
    resolution = max(widths)
    root = draws.part("Discriminator", c_dim=classes, img_resolution=resolution, img_channels=3, **attributes)
    for size in sorted(widths, reverse=True)[:-1]:
        block = draws.part("DiscriminatorBlock", architecture=architecture, resolution=size)
        block.register_buffer("resample_filter", FILTER.clone())
        here, after = widths[size], widths[size // 2]
        if size == resolution:
            block.fromrgb = conv_layer(draws, 3, here, 1, clamp, frozen=True)
        block.conv0 = conv_layer(draws, here, here, 3, clamp)
        block.conv1 = conv_layer(draws, here, after, 3, clamp)
        if architecture == "resnet":
            block.skip = conv_layer(draws, here, after, 1, None, bias=False)
        setattr(root, f"b{size}", block)
    last = widths[4]
    root.b4 = draws.part(
        "DiscriminatorEpilogue", architecture=architecture, resolution=4, cmap_dim=last if classes else 0
    )
    root.b4.mbstd = draws.part("MinibatchStdLayer", group_size=group, num_channels=1)
    root.b4.conv = conv_layer(draws, last + 1, last, 3, clamp)
    root.b4.fc = linear(draws, last * 16, last, "lrelu")
    root.b4.out = linear(draws, last, last if classes else 1)
    if classes:
        root.mapping = draws.part("MappingNetwork", num_layers=2, w_avg_beta=None)
        embedded(draws, root.mapping, classes, last)
        for number in range(2):
            setattr(root.mapping, f"fc{number}", linear(draws, last, last, "lrelu", lr=0.01))
    return root.requires_grad_(False)


# ---- the original's maths, on its names, one image at a time where kernels differ between images


def activated(x, gain=1.0, clamp=None):
    x = F.leaky_relu(x, 0.2) * math.sqrt(2) * gain
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def fully(state, name, x, lr=1.0):
    weight = state[f"{name}.weight"]
    return x @ (weight * (lr / math.sqrt(weight.shape[1]))).T + state[f"{name}.bias"] * lr


def spread(x):
    """Zeros after each pixel to the right and below."""
    count, channels, height, width = x.shape
    out = torch.zeros(count, channels, 2 * height, 2 * width)
    out[:, :, ::2, ::2] = x
    return out


def filtered(x, pads, gain=1.0):
    """Correlate every channel with the symmetric filter, after zero padding (left, right, top, bottom)."""
    kernel = (FILTER * gain).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, pads), kernel, groups=x.shape[1])


def modulated(state, name, x, w, up, clamp):
    style = fully(state, f"{name}.affine", w)
    images = []
    for one, s in zip(x, style, strict=True):
        kernel = state[f"{name}.weight"] * s[None, :, None, None]
        kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:  # a true convolution of the map with zeros, whose kernel is turned, then the filter
            wide = F.conv2d(F.pad(spread(one[None]), (2, 1, 2, 1)), kernel.flip(2, 3))
            images.append(filtered(wide, (1, 1, 1, 1), gain=4))
        else:
            images.append(F.conv2d(one[None], kernel, padding=1))
    out = torch.cat(images) + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
    return activated(out + state[f"{name}.bias"][:, None, None], clamp=clamp)


def coloured(state, name, x, w, clamp):
    style = fully(state, f"{name}.affine", w) / math.sqrt(x.shape[1])
    kernel = state[f"{name}.weight"][None, :, :, 0, 0] * style[:, None]
    out = torch.einsum("noi,nihw->nohw", kernel, x) + state[f"{name}.bias"][:, None, None]
    return out if clamp is None else out.clamp(-clamp, clamp)


def unit(x):
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def generate(state, z, layers, sizes, clamp, psi=1.0, label=None):
    """Images with the fixed noise maps (noise_mode="const"), in float32, truncated by psi."""
    h = unit(z)
    if label is not None:
        h = torch.cat([h, unit(fully(state, "mapping.embed", label))], dim=1)
    for number in range(layers):
        h = activated(fully(state, f"mapping.fc{number}", h, lr=0.01))
    w = state["mapping.w_avg"] + psi * (h - state["mapping.w_avg"])
    x, image = state["synthesis.b4.const"].expand(len(z), -1, -1, -1), 0.0
    for size in sizes:
        name = f"synthesis.b{size}"
        if size > 4:
            x = modulated(state, f"{name}.conv0", x, w, True, clamp)
            image = filtered(spread(image), (2, 1, 2, 1), gain=4)
        x = modulated(state, f"{name}.conv1", x, w, False, clamp)
        image = image + coloured(state, f"{name}.torgb", x, w, clamp)
    return image


def judge(state, x, sizes, clamp, group, label=None):
    def conv(name, x, kernel=3):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight / math.sqrt(weight[0].numel()), padding=kernel // 2)

    def biased(name, x):
        return x + state[f"{name}.bias"][:, None, None]

    resolution = max(sizes)
    x = activated(biased(f"b{resolution}.fromrgb", conv(f"b{resolution}.fromrgb", x, 1)), clamp=clamp)
    for size in sorted(sizes, reverse=True)[:-1]:
        name = f"b{size}"
        residual = f"{name}.skip.weight" in state
        gain = math.sqrt(0.5) if residual else 1.0
        h = activated(biased(f"{name}.conv0", conv(f"{name}.conv0", x)), clamp=clamp)
        weight = state[f"{name}.conv1.weight"]
        h = F.conv2d(filtered(h, (2, 2, 2, 2)), weight / math.sqrt(weight[0].numel()), stride=2)
        h = activated(biased(f"{name}.conv1", h), gain, clamp)
        if residual:
            h = h + conv(f"{name}.skip", filtered(x, (1, 1, 1, 1))[:, :, ::2, ::2], 1) * gain
        x = h
    members = x.reshape(group, -1, *x.shape[1:])  # images n, n + M, ... are a group
    deviation = ((members - members.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    x = torch.cat([x, deviation.repeat(group)[:, None, None, None].expand(-1, 1, 4, 4)], dim=1)
    x = activated(biased("b4.conv", conv("b4.conv", x)), clamp=clamp)
    x = fully(state, "b4.out", activated(fully(state, "b4.fc", x.flatten(1))))
    if label is None:
        return x.squeeze(1)
    mapped = unit(fully(state, "mapping.embed", label))
    for number in range(2):
        mapped = activated(fully(state, f"mapping.fc{number}", mapped, lr=0.01))
    return (x * mapped).sum(dim=1) / math.sqrt(mapped.shape[1])


WIDTHS = {4: 8, 8: 8, 16: 6, 32: 3}  # min(96 // size, 8)


def save(path, draws, *, clamp=None, architecture="resnet", group=2, protocol=3, classes=0, **changes):
    g = make_generator(draws, WIDTHS, clamp=clamp, classes=classes)
    d = make_discriminator(draws, WIDTHS, architecture, clamp, group, classes)
    options = draws.easy_dict(path="images.zip", use_labels=False, resolution=32)
    data = {
        "training_set_kwargs": options,
        "G": g,
        "D": d,
        "G_ema": g,
        "augment_pipe": draws.part("AugmentPipe", p=1),
    }
    draws.snapshot(path, data | changes, protocol)
    return g.state_dict(), d.state_dict()


@pytest.mark.parametrize(
    ("architecture", "clamp", "group", "protocol"),
    [("resnet", None, 2, 3), ("orig", None, 4, 4), ("resnet", 1.5, 2, 4), ("orig", 1, 2, 3)],
)
def test_images_and_logits_are_the_originals(
    architecture, clamp, group, protocol, tmp_path, draws, imported, assert_equal
):
    path = tmp_path / "network-snapshot-025000.pkl"
    g, d = save(path, draws, clamp=clamp, architecture=architecture, group=group, protocol=protocol)
    ours_g, ours_d, weights = imported("stylegan2-ada", path, settings={"noise": "const"})
    assert weights["network"] == {
        "name": "stylegan2-32",
        "options": {
            "z_dim": Z, "w_dim": W, "channel_base": 96, "channel_max": 8, "mapping_layers": 3, "clamp": clamp,
            "d_architecture": architecture, "mbstd_group": group, "noise": "const",
        },
    }  # fmt: skip
    z = draws(4, Z)
    with torch.no_grad():
        images = generate(g, z, 3, WIDTHS, clamp)
        assert_equal(ours_g(z), images)
        assert_equal(ours_d(images), judge(d, images, WIDTHS, clamp, group))
        ours_g.truncation = 0.5
        assert_equal(ours_g(z), generate(g, z, 3, WIDTHS, clamp, psi=0.5))


def test_of_a_network_with_classes_too(tmp_path, draws, imported, assert_equal):
    """ADA's CIFAR-10 form: both networks embed the class by a linear map, D judges by the mapped class alone."""
    g, d = save(tmp_path / "cifar10.pkl", draws, architecture="orig", classes=5)
    ours_g, ours_d, weights = imported("stylegan2-ada", tmp_path / "cifar10.pkl", settings={"noise": "const"})
    options = weights["network"]["options"]
    assert options | {
        "z_dim": Z, "w_dim": W, "shared_dim": W, "condition_dim": 5, "condition_form": "ada",
        "condition_norm": "separate", "mapping_layers": 3, "class_layers": 2,
    } == options  # fmt: skip
    z, label = draws(4, Z), torch.eye(5)[[0, 3, 4, 3]]
    with torch.no_grad():
        images = generate(g, z, 3, WIDTHS, None, label=label)
        assert_equal(ours_g(z, label), images)
        assert_equal(ours_d(images, label), judge(d, images, WIDTHS, None, 2, label))
        assert (images - generate(g, z, 3, WIDTHS, None, label=label.roll(1, 0))).abs().max() > 0.1
    with pytest.raises(ValueError, match="by class alone"):
        ours_d.unconditional_logits(images)


def test_the_clamp_matters(draws):
    """Without it the test above would not see a clamp that is missing."""
    g, z = make_generator(draws, WIDTHS, clamp=1.5).state_dict(), draws(4, Z)
    assert (generate(g, z, 3, WIDTHS, 1.5) - generate(g, z, 3, WIDTHS, None)).abs().max() > 0.1


def test_a_generator_alone(tmp_path, draws, imported):
    save(tmp_path / "ffhq.pkl", draws, D=None)
    assert "discriminator" not in imported("stylegan2-ada", tmp_path / "ffhq.pkl")[2]


def changed(name, **attributes):
    """Set attributes of a submodule of G_ema (or of D, after 'D.')."""

    def change(g, d):
        root, _, path = (d, "", name[2:]) if name.startswith("D.") else (g, "", name)
        root.get_submodule(path).__dict__.update(attributes)

    return change


def buffer(name, value):
    """Replace a tensor, or drop it."""

    def change(g, d):
        path, _, key = name.rpartition(".")
        module = g.get_submodule(path)
        kind = module._buffers if key in module._buffers else module._parameters
        if value is None:
            del kind[key]
        else:
            kind[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("", c_dim=10), "the attribute 'mapping.embed.activation' is missing"),
        (changed("", c_dim="ten"), "'c_dim' is 'ten', must be a number of classes or 0"),
        (changed("D.", c_dim=10), "'c_dim' is 10; networks here need 0"),
        (changed("", img_channels=1), "'img_channels' is 1; networks here need 3"),
        (changed("", img_resolution=33), "'img_resolution' is 33, must be a power of 2"),
        (changed("synthesis.b8", architecture="resnet"), "'synthesis.b8.architecture' is 'resnet'"),
        (changed("synthesis.b8.conv0", conv_clamp=256), "'conv_clamp' are 256, None; all must be one number or None"),
        (changed("mapping.fc1", bias_gain=0.1), "'mapping.fc1.bias_gain' is 0.1; networks here need 0.01"),
        (changed("D.b4", architecture="skip"), "'b4.architecture' is 'skip'; networks here have resnet or orig"),
        (changed("D.b4.mbstd", group_size=None), "'b4.mbstd.group_size' is None, must be a whole number"),
        (buffer("synthesis.b8.resample_filter", torch.ones(4, 4)), "'synthesis.b8.resample_filter' must be the filter"),
        (buffer("mapping.w_avg", None), "the key 'mapping.w_avg' is missing"),
        (buffer("synthesis.b32.torgb.bias", torch.ones(4)), "becomes synthesis.blocks.2.to_rgb.bias of shape (4,)"),
        (buffer("synthesis.b4.const", torch.full((8, 4, 4), torch.nan)), "'synthesis.b4.const' holds values that"),
        (lambda g, d: g.synthesis.b8.put(extra=torch.ones(2)), "the key 'synthesis.b8.extra' is unexpected"),
        (lambda g, d: g.__dict__.update(class_name="Encoder"), "'G_ema': a Encoder, must be a Generator"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_named(change, message, tmp_path, draws, imported, weights_root):
    g, d = make_generator(draws, WIDTHS), make_discriminator(draws, WIDTHS)
    change(g, d)
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": g, "D": d})
    with pytest.raises(UserError) as error:
        imported("stylegan2-ada", tmp_path / "x.pkl")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


def test_sizes_without_a_network_are_refused(tmp_path, draws, imported):
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": make_generator(draws, {4: 4, 8: 4, 16: 4})})
    with pytest.raises(UserError, match="unknown network 'stylegan2-16'"):
        imported("stylegan2-ada", tmp_path / "x.pkl")
