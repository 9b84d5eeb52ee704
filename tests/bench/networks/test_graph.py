"""A network as a graph of torch's operations makes the network's own images, of any number at once."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import networks
from bench.networks.common import noise
from bench.networks.graph import NoGraphError, graph_of
from bench.run import generator_loader
from bench.run.generator_loader import images
from bench.train.sampling import batch_statistics

SMALL = {
    "sngan-32": {"g_width": 8, "z_dim": 16, "sn_generator": True, "condition_dim": 3},
    "stylegan2-32": {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2},
    "stylegan1-32": {"z_dim": 8, "w_dim": 8, "condition_dim": 2},
    "fastgan-64": {"ngf": 4, "ndf": 4, "decoder_width": 4, "z_dim": 8},
    "sndcgan-32": {"g_width": 8, "z_dim": 8},
}


@pytest.mark.parametrize("name", SMALL)
def test_it_makes_the_networks_images(name):
    """Five at once, though it was written down from two and three; noise is drawn as the network draws it."""
    torch.set_num_threads(1)
    options = SMALL[name]
    try:
        generator, _ = networks.build(name, seed=0, **options)
    except TypeError:
        pytest.fail(f"{name} has other options")
    for parameter in generator.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    generator.eval()
    graph, more = graph_of(generator, generator.condition_dim)
    stream = torch.Generator().manual_seed(2)
    z_NZ = torch.randn(5, generator.z_dim, generator=stream)
    given = [z_NZ] + ([torch.rand(5, generator.condition_dim, generator=stream)] if generator.condition_dim else [])
    with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(3)):
        right = generator(*given)
    run = partial(images, {**generator.state_dict(), **more}, graph)
    made = run(z_NZ, *given[1:], stream=torch.Generator().manual_seed(3))
    assert torch.allclose(made, right, atol=1e-6)
    if "randn" in graph:
        assert not torch.allclose(run(z_NZ, *given[1:], stream=torch.Generator().manual_seed(4)), right, atol=1e-3)


def test_batch_norms_that_look_at_the_whole_batch():
    generator, _ = networks.build("fastgan-64", seed=0, **SMALL["fastgan-64"])
    z_NZ = torch.randn(4, generator.z_dim, generator=torch.Generator().manual_seed(2))
    with batch_statistics(generator.eval()), torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(3)):
        graph, more = graph_of(generator, None)
        right = generator(z_NZ)
    run = partial(images, {**generator.state_dict(), **more}, graph)
    assert torch.allclose(run(z_NZ, stream=torch.Generator().manual_seed(3)), right, atol=1e-5)


class Odd(nn.Module):
    """A network that cannot be written down, by what it does."""

    z_dim = 4

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, z_NZ):
        return self.what(z_NZ)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (lambda z: z + torch.rand_like(z), "draws numbers of its own"),
        (lambda z: z * 2 if len(z) > 2 else z, "depends on the number of images"),
        (lambda z: z + 1 / len(z), "depends on the number of images"),
        (lambda z: torch.nn.functional.pad(z, (0, len(z) + 1)), "is 3 for 2 images and 4 for 3"),
    ],
)
def test_what_cannot_be_written_down_is_refused(what, why):
    with pytest.raises(NoGraphError, match=why):
        graph_of(Odd(what), None)


def test_the_loader_is_short():
    """Thirty lines of code: a user reads it before it is trusted with a file."""
    code = ast.parse(Path(generator_loader.__file__).read_text())
    texts = [node for node in ast.walk(code) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    said = {number for text in texts for number in range(text.lineno, text.end_lineno + 1)}
    lines = enumerate(Path(generator_loader.__file__).read_text().splitlines(), 1)
    assert len([line for number, line in lines if number not in said and line.strip(" ")[:1] not in ("", "#")]) <= 30
