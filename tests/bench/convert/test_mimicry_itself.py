"""mimicry's own networks (the package torch-mimicry), random weights in its own checkpoint files, against ours."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch


@pytest.fixture
def mimicry(monkeypatch):
    """Its network modules alone: the package's front page imports tensorflow."""
    found = importlib.util.find_spec("torch_mimicry")
    assert found is not None and found.origin is not None, (
        "pip install --no-deps torch-mimicry==0.1.16, as `make test` does"
    )
    folder = Path(found.origin).parent
    for name in ("torch_mimicry", "torch_mimicry.nets", "torch_mimicry.nets.sngan"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        monkeypatch.setitem(sys.modules, name, package)

    def pair(resolution):
        module = importlib.import_module(f"torch_mimicry.nets.sngan.sngan_{resolution}")
        # The larger three are a thousand wide; narrower, a deep D of random weights gives all images nearly one logit
        g_width, d_width = ((), ()) if resolution == 32 else ((64,), (256,))
        generator = getattr(module, f"SNGANGenerator{resolution}")(128, *g_width)
        networks = [generator, getattr(module, f"SNGANDiscriminator{resolution}")(*d_width)]
        for network in networks:
            for parameter in network.parameters():
                parameter.data.add_(0.02 * torch.randn_like(parameter))  # biases and gains too
        return networks

    yield pair
    for name in [name for name in sys.modules if name.startswith("torch_mimicry.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("resolution", [32, 48, 64, 128])
def test_images_and_logits_are_those_of_the_package(resolution, mimicry, tmp_path, imported, assert_equal):
    torch.manual_seed(resolution)
    generator, discriminator = mimicry(resolution)
    for _ in range(2):  # moves the running statistics and the spectral norms away from where they start
        generator(torch.randn(4, generator.nz))
        discriminator(torch.randn(2, 3, resolution, resolution))
    for name, network in (("netG", generator), ("netD", discriminator)):
        optimizer = torch.optim.Adam(network.parameters())
        network.save_checkpoint(
            str(tmp_path), global_step=100_000, optimizer=optimizer, name=f"{name}_100000_steps.pth"
        )
    files = [tmp_path / f"{name}_100000_steps.pth" for name in ("netG", "netD")]
    ours_g, ours_d, weights = imported("mimicry-sngan", *files)
    assert weights["network"]["name"] == f"sngan-{resolution}"
    z = torch.randn(2, generator.nz)
    images = torch.randn(2, 3, resolution, resolution) * torch.tensor([0.1, 3.0])[:, None, None, None]
    generator.eval(), discriminator.eval()
    with torch.no_grad():
        assert_equal(ours_g(z), generator(z))
        assert_equal(ours_d(images), discriminator(images).squeeze(1))
