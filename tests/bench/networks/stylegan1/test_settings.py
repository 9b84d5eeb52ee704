"""The StyleGAN pairs as wholes: counts, conditions' weights, freezing, the state of growth, settings."""

import copy
import inspect

import pytest
import torch

from bench.errors import UserError
from bench.networks.stylegan1.recipes import stylegan1_32, stylegan1_128, stylegan1_256
from by_hand import count
from style_networks import draw, style_pair

K = 9


def tiny(recipe=stylegan1_32, **settings):
    return style_pair(recipe, **{"channel_max": 12, **settings})


def port_count(resolution):
    """Parameters of the port's pair for this resolution, layer by layer."""
    width = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
    sizes = [size for size in width if size <= resolution]

    def layer(inputs, outputs, kernel=1):
        return inputs * outputs * kernel**2 + outputs

    g = 8 * layer(512, 512) + 512 * 16
    d = layer(513, 512, 3) + layer(512, 512, 4) + layer(512, 1)
    for size in sizes:
        c, before = width[size], width.get(size // 2)
        g += (layer(before, c, 3) if before else 0) + layer(c, c, 3) + 2 * (c + layer(512, 2 * c)) + layer(c, 3)
        d += layer(3, c) + (layer(c, before, 3) + layer(before, before, 3) if before else 0)
    return g, d


@pytest.mark.parametrize(("network", "resolution"), [(stylegan1_128, 128), (stylegan1_256, 256)])
@pytest.mark.parametrize("mode", [True, False])
def test_full_size_counts_and_shapes_without_memory(network, resolution, mode, computes_within):
    _ = torch.empty(1, device="meta") * 2  # the first meta operation imports much of torch, once a process
    with computes_within(2), torch.device("meta"), torch.no_grad():
        generator, discriminator = (make().train(mode) for make in network(condition_dim=K))
        images = generator(torch.empty(1, 512), torch.empty(1, K))
        assert images.shape == (1, 3, resolution, resolution) and generator.resolution == resolution
        assert discriminator(images, torch.empty(1, K)).shape == (1,)
        plain = [make() for make in network()]
    assert tuple(map(count, plain)) == port_count(resolution)
    assert (
        tuple(map(count, plain))
        == {
            128: (25_843_346, 25_153_537),
            256: (26_085_717, 25_375_233),
        }[resolution]
    )


def test_freezing_blocks_is_freezeds_freezing():
    """At 128 pixels FreezeD trains progression.8, .7 and .6 of the port and the linear layer."""
    _, discriminator = tiny(stylegan1_128)
    assert len(discriminator.blocks) == 5
    for block in discriminator.blocks[:3]:
        block.requires_grad_(False)
    discriminator(draw(2, 3, 128, 128)).sum().backward()
    trained = {name.rpartition(".")[0] for name, p in discriminator.named_parameters() if p.grad is not None}
    last_blocks = {f"blocks.{number}.conv{layer}" for number in (3, 4) for layer in (0, 1)}
    assert trained == last_blocks | {"conv", "fc", "linear"}


def test_output_of_a_block_is_what_a_walk_from_the_image_gives():
    _, discriminator = tiny()
    images, seen = draw(2, 3, 32, 32), []
    handle = discriminator.blocks[1].register_forward_hook(lambda _, __, output: seen.append(output.clone()))
    discriminator(images)
    handle.remove()
    assert seen[0].shape == (2, 12, 8, 8)
    assert torch.equal(seen[0], discriminator.blocks[1](discriminator.blocks[0](images)))


def test_growth_is_part_of_the_state():
    for network, other in zip(tiny(), tiny(), strict=True):
        assert (network.level, network.alpha) == (3, 1.0)
        network.grow(1, 1 / 3)
        assert copy.deepcopy(network).level == 1
        other.load_state_dict(network.state_dict())
        assert (other.level, other.alpha) == (1, 1 / 3)
        for level, alpha in ((4, 1.0), (-1, 1.0), (1, 1.5), (1, -0.1)):
            with pytest.raises(ValueError, match="a level from 0 to 3"):
                network.grow(level, alpha)
        assert (network.level, network.alpha) == (1, 1 / 3)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"z_dim": 0}, "z_dim=0 must be a positive whole number"),
        ({"w_dim": True}, "w_dim=True must be"),
        ({"condition_dim": -1}, "condition_dim=-1 must be"),
        ({"mbstd_group": 2.5}, "mbstd_group=2.5 must be"),
        ({"mixing": 1.5}, "mixing=1.5 must be a number from 0 to 1"),
        ({"truncation": "half"}, "truncation='half' must be a number from 0 to 1"),
        ({"noise": "randm"}, "unknown noise 'randm'; did you mean 'random'?"),
        ({"from_rgb_activation": 1}, "from_rgb_activation=1 must be true or false"),
        ({"channel_base": 31}, "channel_base=31 leaves no channel; it must be at least 32"),
    ],
)
def test_impossible_settings_are_refused(overrides, complaint):
    with pytest.raises(UserError) as caught:
        stylegan1_32(**overrides)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("network", [stylegan1_32, stylegan1_128, stylegan1_256])
def test_settings_are_plain_literals(network):
    for name, parameter in inspect.signature(network).parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "resolution"
        assert parameter.default is None or isinstance(parameter.default, int | float | str)
