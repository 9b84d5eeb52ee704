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
    init = {"activation": activation, "lr_multiplier": lr, "bias_init": bias}
    part = draws.part(
        "FullyConnectedLayer",
        inputs,
        outputs,
        init=init,
        activation=activation,
        weight_gain=lr / np.sqrt(inputs),
        bias_gain=lr,
    )
    return part.put(weight=draws(outputs, inputs) / lr, bias=(draws(outputs, scale=0.3) + bias) / lr)


def styled(draws, inputs, outputs, size, clamp, up=1):
    part = draws.part(
        "SynthesisLayer",
        inputs,
        outputs,
        init={"w_dim": W, "resolution": size, "conv_clamp": clamp, "channels_last": False}
        | ({"up": 2, "resample_filter": [1, 3, 3, 1]} if up == 2 else {}),
        resolution=size,
        up=up,
        use_noise=True,
        activation="lrelu",
        conv_clamp=clamp,
        padding=1,
        act_gain=np.sqrt(2),
    )
    part.register_buffer("resample_filter", FILTER.clone())
    part.affine = linear(draws, W, inputs, bias=1.0)
    weight = draws(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last)
    part.put(weight=weight, noise_strength=draws(), bias=draws(outputs, scale=0.3))
    part.register_buffer("noise_const", draws(size, size))
    return part


def to_rgb(draws, inputs, clamp):
    init = {"w_dim": W, "conv_clamp": clamp, "channels_last": False}
    part = draws.part("ToRGBLayer", inputs, 3, init=init, conv_clamp=clamp, weight_gain=1 / np.sqrt(inputs))
    part.affine = linear(draws, W, inputs, bias=1.0)
    return part.put(weight=draws(3, inputs, 1, 1), bias=draws(3))


def mapping(draws, layers, first, features, classes, **init):
    """init: z_dim, num_ws and w_avg_beta."""
    own = {"c_dim": classes, "w_dim": features, "num_layers": layers, **init}
    root = draws.part("MappingNetwork", init=own, **own)
    if classes:
        root.embed = linear(draws, classes, features)
    for number in range(layers):
        setattr(root, f"fc{number}", linear(draws, features if number else first, features, "lrelu", lr=0.01))
    return root


def make_generator(draws, widths, layers=3, clamp=None, classes=0, base=96):
    resolution, count = max(widths), len(widths)
    image = {"img_resolution": resolution, "img_channels": 3}
    given = {"z_dim": Z, "c_dim": classes, "w_dim": W, **image}
    kwargs = draws.easy_dict(channel_base=base, channel_max=8, num_fp16_res=4, conv_clamp=clamp)
    init = {**given, "mapping_kwargs": draws.easy_dict(num_layers=layers), "synthesis_kwargs": kwargs}
    root = draws.part("Generator", init=init, **given, num_ws=2 * count)
    root.synthesis = draws.part(
        "SynthesisNetwork",
        init={"w_dim": W, **image, **kwargs},
        w_dim=W,
        **image,
        img_resolution_log2=count + 1,
        block_resolutions=list(widths),
        num_ws=2 * count,
    )
    for size in widths:
        own = {"w_dim": W, "resolution": size, "img_channels": 3, "is_last": size == resolution}
        own |= {"use_fp16": size > 4}
        before = widths.get(size // 2, 0)
        block = draws.part(
            "SynthesisBlock",
            before,
            widths[size],
            init=own | {"conv_clamp": clamp},
            in_channels=before,
            **own,
            architecture="skip",
            channels_last=False,
            num_conv=2 if before else 1,
            num_torgb=1,
        )
        block.register_buffer("resample_filter", FILTER.clone())
        if size == 4:
            block.put(const=draws(widths[4], 4, 4))
        else:
            block.conv0 = styled(draws, widths[size // 2], widths[size], size, clamp, up=2)
        block.conv1 = styled(draws, widths[size], widths[size], size, clamp)
        block.torgb = to_rgb(draws, widths[size], clamp)
        setattr(root.synthesis, f"b{size}", block)
    first = Z + W if classes else Z
    root.mapping = mapping(draws, layers, first, W, classes, z_dim=Z, num_ws=2 * count, w_avg_beta=0.995)
    root.mapping.register_buffer("w_avg", draws(W, scale=0.5))
    return root.requires_grad_(False)


def conv_layer(draws, inputs, outputs, kernel, clamp, down=1, bias=True, frozen=False):
    init = {"kernel_size": kernel, "channels_last": False}
    init |= {"activation": "lrelu", "conv_clamp": clamp} if bias else {"bias": False}
    part = draws.part(
        "Conv2dLayer",
        inputs,
        outputs,
        init=init | {"down": down, "trainable": not frozen},
        activation="lrelu" if bias else "linear",
        up=1,
        down=down,
        conv_clamp=clamp,
        padding=kernel // 2,
        weight_gain=1 / np.sqrt(inputs * kernel**2),
        act_gain=np.sqrt(2) if bias else 1,
        **({} if bias else {"bias": None}),
    )
    part.register_buffer("resample_filter", FILTER.clone())
    tensors = {"weight": draws(outputs, inputs, kernel, kernel)}
    if bias:
        tensors["bias"] = draws(outputs, scale=0.3)
    for name, value in tensors.items():
        part.register_buffer(name, value) if frozen else part.put(**{name: value})
    return part


def make_discriminator(draws, widths, architecture="resnet", clamp=None, group=2, classes=0, base=96):
    resolution, residual = max(widths), architecture == "resnet"
    given = {"c_dim": classes, "img_resolution": resolution, "img_channels": 3}
    inner = {"block_kwargs": {"freeze_layers": 1}, "epilogue_kwargs": {"mbstd_group_size": group}}
    inner |= {"mapping_kwargs": {"num_layers": 2} if classes else {}, "channel_base": base, "channel_max": 8}
    inner |= {"num_fp16_res": 4, "conv_clamp": clamp, "architecture": architecture}
    sizes = sorted(widths, reverse=True)[:-1]
    root = draws.part(
        "Discriminator",
        init=given | inner,
        **given,
        img_resolution_log2=len(widths) + 1,
        block_resolutions=sizes,
    )
    common = {"img_channels": 3, "architecture": architecture}
    index = 0
    for size in sizes:
        here, after, first = widths[size], widths[size // 2], size == resolution
        own = {"resolution": size, "first_layer_idx": index, "use_fp16": size > 4, **common}
        block = draws.part(
            "DiscriminatorBlock",
            0 if first else here,
            here,
            after,
            init=own | {"freeze_layers": 1, "conv_clamp": clamp},
            in_channels=0 if first else here,
            **own,
            channels_last=False,
            num_layers=2 + first + residual,
        )
        index += 2 + first + residual
        block.register_buffer("resample_filter", FILTER.clone())
        if first:
            block.fromrgb = conv_layer(draws, 3, here, 1, clamp, frozen=True)
        block.conv0 = conv_layer(draws, here, here, 3, clamp)
        block.conv1 = conv_layer(draws, here, after, 3, clamp, down=2)
        if residual:
            block.skip = conv_layer(draws, here, after, 1, None, down=2, bias=False)
        setattr(root, f"b{size}", block)
    last = widths[4]
    own = {"cmap_dim": last if classes else 0, "resolution": 4, **common}
    init = own | {"mbstd_group_size": group, "conv_clamp": clamp}
    root.b4 = draws.part("DiscriminatorEpilogue", last, init=init, in_channels=last, **own)
    shape = {"group_size": group, "num_channels": 1}
    root.b4.mbstd = draws.part("MinibatchStdLayer", init=shape, **shape)
    root.b4.conv = conv_layer(draws, last + 1, last, 3, clamp)
    root.b4.fc = linear(draws, last * 16, last, "lrelu")
    root.b4.out = linear(draws, last, last if classes else 1)
    if classes:
        root.mapping = mapping(draws, 2, last, last, classes, z_dim=0, num_ws=None, w_avg_beta=None)
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
        (changed("", c_dim=10), "the key 'mapping.embed.weight' is missing"),
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
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": make_generator(draws, {4: 4, 8: 4, 16: 4}, base=64)})
    with pytest.raises(UserError, match="unknown network 'stylegan2-16'"):
        imported("stylegan2-ada", tmp_path / "x.pkl")


def init(name, **arguments):
    """Set init arguments of a submodule, as `changed` sets attributes."""

    def change(g, d):
        root, _, path = (d, "", name[2:]) if name.startswith("D.") else (g, "", name)
        root.get_submodule(path)._init_kwargs.update(arguments)

    return change


OTHERWISE = [
    (changed("synthesis.b8.conv0", activation="relu"), "attribute 'synthesis.b8.conv0.activation' is 'relu'; networks"),
    (changed("synthesis.b8.conv1", act_gain=1.0), "attribute 'synthesis.b8.conv1.act_gain' is 1.0; networks here need"),
    (changed("synthesis.b16.conv1", use_noise=False), "'synthesis.b16.conv1.use_noise' is False; networks here need"),
    (changed("synthesis.b4.torgb", weight_gain=1.0), "'synthesis.b4.torgb.weight_gain' is 1.0; networks here need"),
    (changed("synthesis.b32.conv0", up=1), "attribute 'synthesis.b32.conv0.up' is 1; networks here need 2"),
    (changed("mapping", w_avg_beta=0.9), "attribute 'mapping.w_avg_beta' is 0.9; networks here need 0.995"),
    (changed("mapping", num_layers=2), "attribute 'mapping.num_layers' is 2; networks here need 3"),
    (changed("mapping.fc0", activation="elu"), "attribute 'mapping.fc0.activation' is 'elu'; networks here need"),
    (changed("synthesis", twist=3), "attribute 'synthesis.twist' is unexpected"),
    (changed("", z_dim=11), "attribute 'z_dim' is 11; networks here need 10"),
    (init("", mapping_kwargs={"lr_multiplier": 1}), "'lr_multiplier' in 'mapping_kwargs' of the network is 1"),
    (init("", synthesis_kwargs={"activation": "relu"}), "'activation' in 'synthesis_kwargs' of the network is 'relu'"),
    (init("", synthesis_kwargs={"resample_filter": [1, 2, 1]}), "'resample_filter' in 'synthesis_kwargs' of"),
    (init("", synthesis_kwargs={"channel_base": 8}), "'channel_base' in 'synthesis_kwargs' of the network is 8"),
    (init("", synthesis_kwargs=3), "the init argument 'synthesis_kwargs' of the network is 3, must be a dict"),
    (init("synthesis.b8.conv0", conv_clamp=256), "init argument 'conv_clamp' of 'synthesis.b8.conv0' is 256; networks"),
    (init("synthesis.b8", architecture="orig"), "init argument 'architecture' of 'synthesis.b8' is 'orig'; networks"),
    (init("synthesis.b8", demodulate=False), "init argument 'demodulate' of 'synthesis.b8' is unexpected"),
    (changed("synthesis.b8", _init_args=(1,) * 99), "the init arguments of 'synthesis.b8' must be"),
    (changed("synthesis.b8.conv0", _forward_hooks={1: 2}), "'synthesis.b8.conv0._forward_hooks' holds hooks"),
    (changed("D.b16.conv1", activation="linear"), "'D': the attribute 'b16.conv1.activation' is 'linear'; networks"),
    (changed("D.b16.skip", activation="lrelu"), "'D': the attribute 'b16.skip.activation' is 'lrelu'; networks"),
    (changed("D.b16.conv1", down=1), "'D': the attribute 'b16.conv1.down' is 1; networks here need 2"),
    (changed("D.b4.mbstd", num_channels=2), "'D': the attribute 'b4.mbstd.num_channels' is 2; networks here need 1"),
    (changed("D.b4.fc", activation="linear"), "'D': the attribute 'b4.fc.activation' is 'linear'; networks here need"),
    (init("D.", epilogue_kwargs={"mbstd_num_channels": 4}), "'mbstd_num_channels' in 'epilogue_kwargs' of"),
    (init("D.", epilogue_kwargs={"activation": "relu"}), "'activation' in 'epilogue_kwargs' of the network is 'relu'"),
    (init("D.", block_kwargs={"activation": "relu"}), "'activation' in 'block_kwargs' of the network is 'relu'"),
    (lambda g, d: setattr(g.synthesis.b8, "more", type(g)("Noise")), "the module 'synthesis.b8.more' is unexpected"),
    (lambda g, d: g.synthesis.b8.conv0.__dict__.update(class_name="Conv"), "'synthesis.b8.conv0' is a Conv, must be a"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), OTHERWISE)
def test_what_a_snapshot_says_and_no_network_here_does_is_refused(
    change, message, tmp_path, draws, imported, weights_root
):
    g, d = make_generator(draws, WIDTHS), make_discriminator(draws, WIDTHS)
    change(g, d)
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": g, "D": d})
    with pytest.raises(UserError) as error:
        imported("stylegan2-ada", tmp_path / "x.pkl")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


@pytest.mark.parametrize(
    "change",
    [
        init("", synthesis_kwargs={"num_fp16_res": 0, "channel_base": 96, "fp16_channels_last": True}),
        changed("synthesis.b8", use_fp16=False, channels_last=True),
        init("D.", block_kwargs={"freeze_layers": 0}, mapping_kwargs={"num_layers": 8, "embed_features": 512}),
        init("", mapping_kwargs={"embed_features": 512, "layer_features": None, "w_avg_beta": 0.995}),
        changed("", epochs=0.0),
    ],
)
def test_what_changes_no_image_is_accepted_and_imports_the_same_weights(change, tmp_path, draws, imported):
    g, d = make_generator(draws, WIDTHS), make_discriminator(draws, WIDTHS)
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": g, "D": d})
    change(g, d)
    draws.snapshot(tmp_path / "y.pkl", {"G_ema": g, "D": d})
    before, after = (imported("stylegan2-ada", tmp_path / name)[2] for name in ("x.pkl", "y.pkl"))
    assert before["network"] == after["network"]
    for member in ("ema", "discriminator"):
        assert before[member].keys() == after[member].keys()
        assert all(torch.equal(value, after[member][name]) for name, value in before[member].items())


def test_an_entry_that_no_snapshot_has_is_refused(tmp_path, draws, imported):
    save(tmp_path / "x.pkl", draws, G_style=3)
    with pytest.raises(UserError, match="the key 'G_style' is unexpected"):
        imported("stylegan2-ada", tmp_path / "x.pkl")
