"""stylegan2-ada-pytorch: a snapshot of networks that are not those here is refused, and what differs is named."""

import pytest
import torch

from ada_snapshots import WIDTHS, make_discriminator, make_generator, save
from bench.errors import UserError


@pytest.fixture
def assert_refused(tmp_path, draws, imported, weights_root):
    """Change a snapshot's networks; the import must name it in one line and write nothing."""

    def check(change, message):
        g, d = make_generator(draws, WIDTHS), make_discriminator(draws, WIDTHS)
        change(g, d)
        draws.snapshot(tmp_path / "x.pkl", {"G_ema": g, "D": d})
        with pytest.raises(UserError) as error:
            imported("stylegan2-ada", tmp_path / "x.pkl")
        assert message in str(error.value) and "\n" not in str(error.value)
        assert not weights_root.exists()

    return check


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
def test_what_is_not_right_is_named(change, message, assert_refused):
    assert_refused(change, message)


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
def test_what_a_snapshot_says_and_no_network_here_does_is_refused(change, message, assert_refused):
    assert_refused(change, message)


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
