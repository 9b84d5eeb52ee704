"""What all networks do with conditions: one that is missing or superfluous, one of another size, one for each block."""

from __future__ import annotations

import pytest
import torch

from bench import networks
from bench.networks.common import noise

K = 5
STYLES = {"z_dim": 6, "w_dim": 5, "shared_dim": 4, "mapping_layers": 2, "channel_base": 256, "channel_max": 8}
FASTGAN = {"z_dim": 6, "shared_dim": 4, "ngf": 4, "ndf": 4, "decoder_width": 4}
PAIRS = {
    "sngan": ("sngan-32", {"g_width": 8, "d_width": 8}),
    "sngan of mimicry": ("sngan-48", {"g_width": 8, "d_width": 16}),
    "sngan of compare_gan": ("sngan-48", {"g_width": 8, "d_width": 16, "variant": "compare_gan"}),
    "sndcgan": ("sndcgan-32", {"g_width": 16, "d_width": 16}),
    "biggan": ("biggan-32", {"g_channels": 4, "d_channels": 4}),
    "stylegan1": ("stylegan1-32", STYLES),
    "stylegan2": ("stylegan2-32", STYLES),
    "fastgan": ("fastgan-64", FASTGAN),
    "fastgan of the paper": ("fastgan-64", {**FASTGAN, "variant": "paper"}),
}
ONE_A_BLOCK = ["sngan", "sngan of mimicry", "sngan of compare_gan", "sndcgan", "biggan"]


def build(which, **options):
    name, settings = PAIRS[which]
    return networks.build(name, seed=0, **settings, **options)


@pytest.fixture(autouse=True)
def noise_stream():
    with noise.drawn_from(torch.Generator().manual_seed(0)):
        yield


@pytest.mark.parametrize("which", PAIRS)
@pytest.mark.parametrize(
    ("condition_dim", "given", "message"), [(None, True, "has no condition"), (K, False, "needs a condition")]
)
def test_a_missing_or_superfluous_condition_is_refused(which, condition_dim, given, message):
    generator, discriminator = build(which, condition_dim=condition_dim)
    condition, side = torch.zeros(2, K) if given else None, generator.resolution
    with pytest.raises(ValueError, match=message):
        generator(torch.zeros(2, generator.z_dim), condition)
    with pytest.raises(ValueError, match=message):
        discriminator(torch.zeros(2, 3, side, side), condition)


@pytest.mark.parametrize("which", PAIRS)
def test_all_weights_but_the_embeddings_agree_between_conditions_of_different_size(which):
    """Runs whose conditions differ in size alone start from the same networks."""
    for small, large in zip(build(which, condition_dim=3), build(which, condition_dim=17), strict=True):
        ours, theirs = small.state_dict(), large.state_dict()
        assert ours.keys() == theirs.keys()
        differing = {name for name, value in ours.items() if not torch.equal(value, theirs[name])}
        assert differing and all(name.startswith("condition_embedding") for name in differing)


@pytest.mark.parametrize("which", ["stylegan1", "stylegan2"])
def test_conditions_of_a_stylegan_add_only_what_lies_below_condition_embedding(which):
    for plain, conditional in zip(build(which), build(which, condition_dim=K), strict=True):
        without = {key: value for key, value in conditional.state_dict().items() if "condition_embedding" not in key}
        assert without.keys() == plain.state_dict().keys()
        assert all(torch.equal(value, without[key]) for key, value in plain.state_dict().items())


@pytest.mark.parametrize("which", ONE_A_BLOCK)
def test_every_block_may_have_its_own_embedding(which):
    generator, _ = build(which, condition_dim=K)
    generator.double().eval()
    for parameter in generator.parameters():  # new matrices may be so small that nothing shows
        if parameter.ndim > 1:
            parameter.data *= 3
    z, y = (torch.randn(2, size, dtype=torch.float64) for size in (generator.z_dim, K))
    embedding = generator.embed(y)
    same = embedding[:, None].expand(-1, len(generator.blocks), -1)
    images = generator.synthesize(z, same)
    torch.testing.assert_close(images, generator.synthesize(z, embedding))
    for block in range(len(generator.blocks)):
        other = same.clone()
        other[:, block] += 1
        assert not torch.allclose(generator.synthesize(z, other), images)
