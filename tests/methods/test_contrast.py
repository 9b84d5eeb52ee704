"""What InsGen and FakeCLR share: InfoNCE in float64, queues, first in first out, the slow copy, second views."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.contract.context import Augmentation
from bench.networks.stylegan1.recipes import stylegan1_32

contrast = importlib.import_module("bench.methods.common.contrast")


def _unit(*shape, seed=0):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(drawn, dim=1)


def test_info_nce_is_the_papers_equation_with_weights():
    query, key, queue = _unit(3, 5), _unit(3, 5, seed=1), _unit(7, 5, seed=2)
    weights = np.random.default_rng(0).uniform(0.1, 1, (3, 7))
    terms = []
    for i in range(3):
        positive = np.exp(query[i].numpy() @ key[i].numpy() / 0.2)
        negative = sum(weights[i, r] * np.exp(query[i].numpy() @ queue[r].numpy() / 0.2) for r in range(7))
        terms.append(-np.log(positive / (positive + negative)))
    found = contrast.info_nce(query, key, queue, 0.2, torch.from_numpy(weights).log())
    assert found.item() == pytest.approx(np.mean(terms), rel=1e-12)
    plain = functional.cross_entropy(
        torch.cat([(query * key).sum(1, keepdim=True), query @ queue.T], 1) / 0.2, torch.zeros(3, dtype=torch.long)
    )
    assert contrast.info_nce(query, key, queue, 0.2).item() == pytest.approx(plain.item(), rel=1e-12)


def test_no_gradient_passes_to_keys_and_queue_and_the_queue_may_change_before_the_backward_pass():
    query, key, queue = _unit(2, 4).requires_grad_(), _unit(2, 4, seed=1).requires_grad_(), _unit(3, 4, seed=2)
    loss = contrast.info_nce(query, key, queue, 0.2)
    contrast.push(queue, key)
    loss.backward()
    assert key.grad is None and query.grad.abs().sum() > 0


def test_the_queue_is_first_in_first_out():
    queue = torch.arange(5.0)[:, None]
    contrast.push(queue, torch.tensor([[10.0], [11.0]]))
    assert queue[:, 0].tolist() == [2, 3, 4, 10, 11]
    contrast.push(queue, torch.arange(20.0, 27.0)[:, None])  # more than there is room for
    assert queue[:, 0].tolist() == [22, 23, 24, 25, 26]


@pytest.mark.parametrize(
    ("images", "flip", "asked", "length"),
    [
        (2000, False, None, 100),  # 5 %
        (2000, True, None, 200),  # and as many mirrored ones
        (100, False, None, 32),  # 100-shot: 5 % are 5, fewer than a batch
        (25, False, None, 12),  # half of the images at most
        (1, False, None, 1),
        (100, False, 7, 7),
    ],
)
def test_length_of_the_queue(images, flip, asked, length):
    ctx = SimpleNamespace(images_u8_NHWC=range(images), train=SimpleNamespace(flip=flip))
    assert contrast.queue_length(ctx, asked) == length


def test_the_slow_copy_follows_by_momentum_with_ds_buffers(make_run):
    run = make_run("unconditional")
    discriminator = run.ctx.discriminator
    slow = contrast.slow_copy(discriminator)
    start = {name: value.clone() for name, value in slow.state_dict().items()}
    run.advance(2)
    contrast.follow(slow, discriminator, 0.75)
    buffers = {name for name, _ in discriminator.named_buffers()}
    for name, live in discriminator.state_dict().items():
        expected = live if name in buffers else 0.75 * start[name].double() + 0.25 * live.double()
        torch.testing.assert_close(slow.state_dict()[name].double(), expected.double(), rtol=1e-5, atol=1e-7)
    contrast.follow(slow, discriminator, 0.0)
    assert all(torch.equal(slow.state_dict()[name], live) for name, live in discriminator.state_dict().items())
    assert not any(parameter.requires_grad for parameter in slow.parameters())


def test_the_slow_copy_grows_with_d():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        discriminator = stylegan1_32(channel_base=128, w_dim=8, z_dim=8)[1]()
    slow = contrast.slow_copy(discriminator)
    discriminator.grow(1, 0.5)
    contrast.follow(slow, discriminator, 0.9)
    assert (slow.level, slow.alpha) == (1, 0.5)


def test_the_second_view_has_the_augmentation_of_the_next_image():
    factors = torch.tensor([2.0, 3.0, 5.0])[:, None, None, None]
    augmentation = Augmentation(3, {}, lambda images: images * factors)
    images = torch.tensor([1.0, 10.0, 100.0])[:, None, None, None]
    assert contrast.other_view(augmentation, images).flatten().tolist() == [3, 50, 200]


def test_near_images_are_those_of_latents_a_step_away(make_run):
    run = make_run("unconditional")
    run.ctx.begin_step(0)
    z = torch.zeros(2000, 8)
    latents = []
    run.ctx.generator.register_forward_pre_hook(lambda _, given: latents.append(given[0]))
    images = contrast.near_images(run.ctx, "insgen", z, None, 0.15)
    assert images.shape == (2000, 3, 32, 32) and not images.requires_grad
    # 16,000 numbers: the standard deviation is known to 0.6 %
    assert latents[0].std().item() == pytest.approx(0.15, rel=0.03)
