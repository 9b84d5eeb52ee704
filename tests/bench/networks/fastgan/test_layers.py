"""FastGAN's blocks, excitations, decoders, crops and noise, each by itself against its formula in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.networks.fastgan.layers import (
    Crops,
    Decoder,
    Noise,
    ResidualDown,
    SkipExcitation,
    first_block,
    mean_to,
    noisy_up_block,
    up_block,
)
from by_hand import count, weight
from fastgan_by_hand import bn, close, decode, down, drawn, exact, excite, glu, leaky, normal, stream, swish, up


def test_up_blocks_are_their_formulas():
    x = normal(2, 6, 4, 4).double()
    block = exact(up_block(6, 5))
    close(block(x), up(x, block))
    noisy = exact(noisy_up_block(6, 5))
    assert drawn(noisy, x).shape == (2, 5, 8, 8)
    close(drawn(noisy, x), up(x, noisy, stream(9)))
    first = exact(first_block(6, 5))
    z = normal(3, 6).double()
    h = torch.einsum("nz,zcij->ncij", z, weight(first[0]))
    close(first(z[:, :, None, None]), glu(bn(h, first[1])))


def test_noise_is_one_map_for_all_channels_times_its_weight():
    layer, x = Noise(), normal(2, 3, 4, 5)
    assert torch.equal(drawn(layer, x), x)  # the weight starts at 0
    layer.weight.data.fill_(0.5)
    expected = torch.randn(2, 1, 4, 5, generator=stream(9))
    torch.testing.assert_close(drawn(layer, x) - x, 0.5 * expected.expand(2, 3, 4, 5))
    with pytest.raises(RuntimeError, match="drawn_from"):
        layer(x)


@pytest.mark.parametrize(("module", "function"), [(nn.SiLU(), swish), (nn.LeakyReLU(0.2), leaky)])
@pytest.mark.parametrize("low_size", [4, 8, 32])
def test_sle_is_equation_1(module, function, low_size):
    sle = exact(SkipExcitation(6, 5, module))
    low, high = normal(2, 6, low_size, low_size).double(), normal(2, 5, 16, 16).double()
    close(sle(low, high), excite(low, high, sle, function))
    assert count(sle) == 6 * 5 * 16 + 5 * 5


def test_a_residual_down_is_the_mean_of_two_paths():
    block, x = exact(ResidualDown(4, 6)), normal(2, 4, 8, 8).double()
    close(block(x), down(x, block))
    block.gate = exact(SkipExcitation(3, 6, nn.SiLU()))
    earlier = normal(2, 3, 32, 32).double()
    close(block(x, earlier), excite(earlier, down(x, block), block.gate, swish))


@pytest.mark.parametrize(("size", "resolution"), [(8, 128), (8, 64), (2, 128), (8, 16)])
def test_a_decoder_is_its_formula(size, resolution):
    decoder, x = exact(Decoder(6, width=2, resolution=resolution)), normal(2, 6, size, size).double()
    assert decoder(x).shape == (2, 3, resolution, resolution)
    close(decoder(x), decode(x, decoder))


def test_the_last_crop_ends_at_the_edge_and_the_next_is_refused():
    x = torch.arange(16.0)[None, None, :, None] + torch.arange(16.0) / 100
    for crops, last in ((Crops(8, 8), 3), (Crops(2, 1), 224)):
        assert crops.count == last + 1
        cut = crops.cut(x, last)
        assert cut[0, 0, -1, -1] == x[0, 0, -1, -1] and cut.shape[2:] == (crops.side, crops.side)
        for part in (-1, last + 1):
            with pytest.raises(ValueError, match=f"one of the {last + 1} crops"):
                crops.cut(x, part)


class _OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 3, 8, 32), (2, 3, 4, 4), (2, 3, 6, 8)])
def test_the_mean_of_windows_on_a_gpu_is_the_adaptive_mean(shape):
    """Windows that overlap (6 to 4) are left to torch."""
    map_NCHW = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = F.adaptive_avg_pool2d(map_NCHW, 4)
    assert torch.equal(mean_to(map_NCHW, 4), wanted)
    torch.testing.assert_close(mean_to(map_NCHW.as_subclass(_OnGpu), 4).as_subclass(torch.Tensor), wanted)
