"""Snapshots with the structure of stylegan2-ada-pytorch's pickles, and what its networks compute, by their formulas.

The modules (`draws.part` of tests/bench/convert/conftest.py) have the original's parameter names and attributes and
no code: they are pickled through a stand-in of its persistence module, which is gone again when a snapshot is read.
`tests/helpers` is on the path of the tests.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

import math

import numpy as np
import torch
from torch.nn import functional as F

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


def make_discriminator(
    draws,
    widths,
    architecture="resnet",
    clamp=None,
    group=2,
    classes=0,
    base=96,
):
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


def save(
    path,
    draws,
    *,
    clamp=None,
    architecture="resnet",
    group=2,
    protocol=3,
    classes=0,
    **changes,
):
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
