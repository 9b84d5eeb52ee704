"""What the list of paper-scale configurations takes from the cited texts and code, and not from our defaults."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from bench import networks
from bench.contract.composition import build_method
from bench.rehearsal.listing import load_configurations
from bench.spec.run import DataSpec, NetworkSpec
from bench.train import Context
from rehearsal_list import measured_here


@functools.cache
def listed():
    """Every configuration by its id."""
    return {one.id: one for one in load_configurations()[1]}


def settings(configuration, part):
    """A part's settings as the list has them: what came later and stands at its default is left out."""
    return next(one.settings for one in listed()[configuration].parts if one.name == part)


def names(prefix):
    return sorted(name for name in listed() if name.startswith(prefix))


def columns(configuration, row):
    """The columns of a row whose step a configuration is, and those of the row's other steps."""
    cells = {(cell, one.id) for one in listed().values() for cell in one.cells if cell.startswith(f"{row}/")}
    return tuple(
        {cell.split("/")[-1] for cell, name in cells if (name == configuration) is own} for own in (True, False)
    )


def test_styles_are_mixed_by_image_where_diffaugments_code_is_followed():
    """DISP Tables 3 and 9 (networks_stylegan2.py draws a crossover for each image); FastGAN's own are by batch."""
    own = {name: one for name, one in listed().items() if "stylegan2" in name}
    found = {name: one.network.options.get("mixing_per", "batch") for name, one in own.items()}
    disp = {name for name in found if name.startswith("disp-")}
    assert len(disp) == 12
    assert {name for name, per in found.items() if per == "image"} == disp


def test_r1_is_at_the_raw_images_for_few_shots_and_at_the_augmented_on_cifar():
    """run_low_shot.py takes ns_DiffAugment_r1, run_cifar.py ns_r1_DiffAugment."""
    few = names("disp-stylegan2-diffaugment")
    assert len(few) == 4 and {settings(one, "r1")["point"] for one in few} == {"raw"}
    cifar = names("disp-stylegan2-32-diffaugment")
    assert len(cifar) == 4 and not any("point" in settings(one, "r1") for one in cifar)


def test_both_readings_of_the_diffaugment_rows_of_100_shots_are_listed():
    for row in ("diffaugment", "diffaugment-disp"):
        scratch, tuned = (f"disp-stylegan2-{row}{end}" for end in ("", "-finetune"))
        assert listed()[tuned].parts[0].name == "transfergan"
        assert listed()[tuned].parts[1:] == listed()[scratch].parts
        row = row.replace("-", "+")
        for name, end in ((scratch, ""), (tuned, "-finetune")):
            assert listed()[name].tables == (f"dip/table6 {row}{end}", f"disp/table9 {row}{end}")


@pytest.mark.parametrize(("row", "weight"), [("", 10), ("-disp", 1)])
def test_consistency_on_all_of_cifar_compares_two_augmented_images(row, weight):
    """DiffAugment's scripts: T' on top of T(x) with all data (weights of DIP, appendix B), the clean x with less."""
    name = f"disp-biggan32-diffaugment{row}"
    assert settings(name, "diffaugment")["consistency"] == weight
    assert settings(f"{name}-all", "diffaugment")["consistency"] == 0
    assert settings(f"{name}-all", "consistency") == {
        "weight": weight,
        "fake_weight": 0,
        "shift": 4,
        "flip": 0.5,
    }
    less, whole = columns(name, f"disp/table3/biggan+diffaugment{row.replace('-', '+')}")
    assert less == {"c10-20", "c10-10", "c100-20", "c100-10"} and whole == {"c10-100", "c100-100"}
    assert columns(f"{name}-all", f"disp/table3/biggan+diffaugment{row.replace('-', '+')}") == (whole, less)


@pytest.mark.parametrize("row", ["", "-disp"])
def test_policies_of_stylegan2_follow_the_share_of_cifar(row):
    name = f"disp-stylegan2-32-diffaugment{row}"
    assert settings(name, "diffaugment")["policy"] == "color,translation,cutout"
    assert settings(f"{name}-all", "diffaugment")["policy"] == "color,cutout"


def test_rows_of_other_peoples_runs_are_not_trained():
    """FastGAN's StyleGAN2 numbers of Table 2, and of FFHQ, are DiffAugment's, at full width and 256 px."""
    assert columns("", "sle/table2/sg2") == (set(), set()) != columns("", "sle/table2/sg2-ft")
    own, others = columns("fastgan-stylegan2-1024-half", "sle/table3/sg2")
    assert own == {"art", "flower", "pokemon", "anime", "skull", "shell"} and not others
    own, others = columns("fastgan-stylegan2-1024-batch16", "sle/table4/sg2")
    assert {column.split("-")[0] for column in own} == {"art", "nature"} and not others


# ---- LT-GAN: where A looks ---------------------------------------------------------------------------------------


def auxiliary(configuration, **options):
    """A's first layer for a configuration, on a network of its kind with the given widths."""
    one = listed()[configuration]
    spec = one.run_spec()
    options = {**one.network.options, **options}
    spec = spec.model_copy(update={"network": NetworkSpec(name=one.network.name, options=options)})
    images = np.zeros((8, one.resolution, one.resolution, 3), np.uint8)
    ctx = Context(spec, images, np.arange(8) % 4, torch.device("cpu"))
    classes = 4 if one.classes else None
    ctx.generator, ctx.discriminator = networks.build(one.network.name, seed=0, condition_dim=classes, **options)
    part = next(part for name, part in build_method(one.parts).parts if name == "lt")
    part.prepare(ctx)
    return part.network[1]


@pytest.mark.parametrize("name", ["lt-biggan32-lt", "lt-biggan32-cr-lt"])
def test_on_cifar_a_reads_the_last_map_of_biggan_unpooled(name):
    """LT-GAN, supplement 9.2: "just before sum pooling", 256x8x8; only 9.1, 9.3, 9.4 and 9.5 pool. Two maps each."""
    layer = auxiliary(name)
    assert (layer.in_features, layer.out_features) == (2 * 256 * 8 * 8, 256)


def test_on_stylegan_a_reads_the_map_of_one_resolution():
    """Supplement 9.4, and not the 4 px map behind the minibatch deviation. 16 px, pooled to 4, is declared."""
    layer = auxiliary("lt-stylegan1-lt", channel_base=256, channel_max=8, z_dim=8, w_dim=8)
    channels = 256 // 16 // 2  # 8: at full size 512
    assert (layer.in_features, layer.out_features) == (2 * channels * 4 * 4, channels)


def test_lambda_has_two_values():
    """Section 4.1: one, but for BigGAN on ImageNet and StyleGAN, which have another. The numbers are declared."""
    methods = {name: [part.name for part in one.parts] for name, one in listed().items()}
    weights = {name: settings(name, "lt")["weight"] for name, parts in methods.items() if "lt" in parts}
    other = {name for name, weight in weights.items() if weight != 1.0}
    assert other == {"lt-biggan128-lt", "lt-stylegan1-lt"} and len({weights[name] for name in other}) == 1


def test_lt_biggan_goes_on_from_the_classes_of_its_source():
    assert settings("lt-biggan128-lt", "transfergan") == {"condition": "keep"}
    assert listed()["lt-biggan128-lt"].source["condition_dim"] == listed()["lt-biggan128-lt"].classes == 1000


# ---- a real step of the heaviest, narrowed ---------------------------------------------------------------------

STYLES = {"z_dim": 8, "w_dim": 8, "shared_dim": 8, "channel_max": 8, "mapping_layers": 2}
BIGGAN = {"g_channels": 8, "d_channels": 8, "z_dim": 12, "shared_dim": 8}
# id -> (narrow network options, other changes)
TINY = {
    "lt-biggan128-lt": (BIGGAN, {"classes": 4, "source": {"condition_dim": 4}}),
    "lt-stylegan1-lt": ({**STYLES, "channel_base": 256}, {}),
    "fastgan-stylegan2-1024-finetune": (
        {**STYLES, "channel_max": 2, "width": 1.0},
        {"images": 2, "rehearsed": 2},
    ),
    "disp-stylegan2-diffaugment-finetune": (STYLES, {"images": 4, "rehearsed": 2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_narrow_network_makes_the_configurations_step(name, tmp_path):
    """At the true resolution and with the very method; the counts of frozen tensors are those of the full network."""
    one, (options, change) = listed()[name], TINY[name]
    network = NetworkSpec(name=one.network.name, options={**one.network.options, **options})
    small = one.model_copy(update={"network": network, "images": 8, **change})
    shapes = DataSpec(name="shapes", resolution=32)
    measured = measured_here(small, shapes, tmp_path)
    assert all(np.isfinite(list(measured["logs"].values())))
    discriminator = measured["networks"]["discriminator"]
    if name == "fastgan-stylegan2-1024-finetune":
        # Each block has two convolutions with biases and a skip; the first also the layer from RGB. Six are frozen.
        assert discriminator["tensors"] - discriminator["trained"] == 6 * 5 + 2
    if name == "lt-biggan128-lt":
        assert discriminator["trained"] == discriminator["tensors"]
    if name.startswith("lt-"):
        assert "lt/same" in measured["logs"]
