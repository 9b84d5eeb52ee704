"""What FastGAN's released training and scoring add: drawn hinge margins, shared images, batch statistics."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from bench import networks, seeds
from bench.contract.composition import Composition
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import DataSpec, MetricSpec, NetworkSpec, Protocol, RunSpec, TrainSettings
from bench.store.checkpoints import fingerprint, read_weights
from bench.store.runs import Store
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.batches import Batches
from bench.train.losses import LOSSES, hinge_with_margins
from bench.train.optimizers import Optimizers
from bench.train.sampling import batch_norms, batch_statistics, generate
from bench.train.values import floats

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3)).astype(np.uint8)
SEED = 11


class ToyG(nn.Module):
    """Without batch norm, so that micro-batches are the whole batch; it counts its calls."""

    z_dim = 3

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(3, 48), 0

    def forward(self, z, condition=None):
        self.calls += 1
        return torch.tanh(self.layer(z.double())).view(-1, 3, 4, 4)


class ToyD(nn.Module):
    """Two logits an image, as a discriminator that judges patches gives them."""

    def __init__(self):
        super().__init__()
        self.f, self.l = nn.Linear(48, 16), nn.Linear(16, 2)

    def forward(self, images, condition=None):
        return self.l(torch.sin(self.f(images.flatten(1).double())))


class Dimmed(Method):
    """An augmentation that draws; it records what D's and G's updates were given."""

    def __init__(self, draws):
        self.d_steps, self.g_steps, self.seen, self.draws = [], [], [], draws

    def augment(self, ctx, images_NCHW):
        if not self.draws:
            return images_NCHW
        return images_NCHW * torch.rand(len(images_NCHW), 1, 1, 1, generator=ctx.stream("dim"))

    def d_loss(self, ctx, step):
        self.d_steps.append(step)
        return {}

    def g_loss(self, ctx, step):
        self.g_steps.append(step)
        self.seen.append(step.augmentation(step.images_NCHW).detach())
        return {}


def _trained(steps=3, draws=True, **train):
    """A toy run in float64 under plain descent, whose steps are gradients times the rate: (context, part, logs)."""
    settings = {"steps": steps, "batch": 12, "d_steps": 2, "g_lr": 0.1, "d_lr": 0.1, **train}
    data = DataSpec(name="noise", resolution=4)
    spec = RunSpec(method=(), network=None, data=data, train=TrainSettings(**settings), protocol=None, seed=SEED)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = _toys()
    part = Dimmed(draws)
    descent = Optimizers(*(torch.optim.SGD(one.parameters(), lr=0.1) for one in ctx.networks()))
    loop, logs = adversarial(ctx, Composition([("dimmed", part)]), descent), []
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return ctx, part, logs


def _toys():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ToyG().double(), ToyD().double()


# ---- margins ---------------------------------------------------------------------------------------------------


def test_margins_in_closed_form():
    r, f, m, n = torch.randn(4, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    m, n = m.abs(), n.abs()
    expected = np.maximum(0, (m - r).numpy()).mean() + np.maximum(0, (n + f).numpy()).mean()
    loss = hinge_with_margins(m, n)
    assert loss.discriminator(r, f).item() == pytest.approx(expected.item(), rel=1e-14)
    assert loss.generator(f).item() == pytest.approx(-f.mean().item(), rel=1e-14)
    weights = torch.tensor([1.0, 0, 2, 1, 1, 1], dtype=torch.float64)
    weighted = (weights[:, None] * (m - r).clamp(min=0)).mean() + (n + f).clamp(min=0).mean()
    assert loss.discriminator(r, f, weights).item() == pytest.approx(weighted.item(), rel=1e-14)
    ones = torch.ones_like(r)
    assert torch.equal(hinge_with_margins(ones, ones).discriminator(r, f), LOSSES["hinge"].discriminator(r, f))


def test_a_run_draws_a_margin_a_logit_from_0_8_to_1():
    ctx, part, logs = _trained(steps=2, d_steps=1, hinge_margin=0.8)
    everything = []
    for number, step in enumerate(part.d_steps):
        margins = [
            0.8 + 0.2 * torch.rand(12, 2, generator=seeds.torch_stream(SEED, "hinge-margin", number, call))
            for call in (1, 2)
        ]
        everything += margins
        expected = F.relu(margins[0] - step.real_logits_N).mean() + F.relu(margins[1] + step.fake_logits_N).mean()
        assert logs[number]["d_loss"] == pytest.approx(expected.item(), rel=1e-6)  # float32 logits
    drawn = torch.cat(everything)
    assert drawn.min() >= 0.8 and drawn.max() < 1 and len(drawn.unique()) == 96
    assert not torch.equal(everything[0], everything[1])
    assert ctx.spec.uid != _trained(steps=1, d_steps=1)[0].spec.uid


@pytest.mark.parametrize("margin", [1.0, -0.1])
def test_margins_out_of_range_are_refused(margin):
    with pytest.raises(ValidationError):
        TrainSettings(steps=1, batch=2, g_lr=1, d_lr=1, hinge_margin=margin)


def test_margins_are_of_the_hinge_loss_alone():
    with pytest.raises(ValidationError, match="hinge_margin is 0.8, but loss is wasserstein"):
        TrainSettings(steps=1, batch=2, g_lr=1, d_lr=1, hinge_margin=0.8, loss="wasserstein")


# ---- shared images ---------------------------------------------------------------------------------------------


def test_shared_images_are_one_forward_pass_and_one_augmentation():
    ctx, part, _ = _trained(steps=2, share_fakes=True)
    assert ctx.generator.calls == 2 * 2  # two updates of D a step; G's own draws none
    for number in range(2):
        last, mine = part.d_steps[2 * number + 1], part.g_steps[number]
        assert torch.equal(part.seen[number], last.fake_NCHW)
        assert not last.fake_NCHW.requires_grad and mine.images_NCHW.requires_grad
    assert _trained(steps=2)[0].generator.calls == 2 * 3
    assert _trained(steps=2, share_fakes=True, micro_batch=4)[0].generator.calls == 2 * 2 * 3


def test_a_step_with_shared_images_is_that_of_a_plain_loop():
    """The loop of FastGAN's train.py, written anew with torch alone: one z, one set of augmented images."""
    found, _, _ = _trained(share_fakes=True)
    g, d = _toys()
    batches = Batches(IMAGES, 12, SEED)
    for step in range(3):
        dims = (torch.rand(12, 1, 1, 1, generator=seeds.torch_stream(SEED, "dim", step, call)) for call in range(1, 5))
        for update in range(2):
            z = torch.randn(12, 3, generator=seeds.torch_stream(SEED, "latents", step, update + 1))
            real = batches.at(2 * step + update).images_NCHW * next(dims)
            fake = g(z).float() * next(dims)
            loss = F.relu(1 - d(real).float()).mean() + F.relu(1 + d(fake.detach()).float()).mean()
            _descend(d, loss)
        _descend(g, -d(fake).float().mean())
    _assert_close(found.networks(), (g, d))
    with pytest.raises(AssertionError):  # new images for G's update are another training
        _assert_close(_trained()[0].networks(), (g, d))


def test_micro_batches_share_theirs():
    """Without augmentation, whose draws are for each micro-batch."""
    whole, _, logs = _trained(share_fakes=True, draws=False)
    parts, _, accumulated = _trained(share_fakes=True, draws=False, micro_batch=4)
    _assert_close(parts.networks(), whole.networks())
    for wanted, found in zip(logs, accumulated, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def _assert_close(networks, wanted):
    """float64 networks with float32 images and logits between them: rounding of 1e-7 on numbers near 1."""
    for network, other in zip(networks, wanted, strict=True):
        for parameter, right in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter, right, rtol=1e-5, atol=1e-6)


def _descend(network, loss):
    gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    with torch.no_grad():
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.data = parameter.data - 0.1 * gradient  # a new tensor: the graph of G's images stays valid


def test_without_the_settings_no_bit_changes_and_no_is_said_in_one_way():
    plain, _, logs = _trained()
    other, _, again = _trained(share_fakes=False)
    assert logs == again and plain.spec.uid == other.spec.uid
    assert not {"share_fakes", "hinge_margin", "batch_statistics"} & set(plain.spec.train.model_dump(exclude_none=True))


# ---- batch statistics ------------------------------------------------------------------------------------------


def _fastgan(network="fastgan-64", **train):
    """A small FastGAN, scored at steps 2 and 4."""
    options = {"fastgan-64": {"ngf": 8, "ndf": 8, "z_dim": 16}}
    settings = {"steps": 4, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5, "log_every": 1, **train}
    metrics = (MetricSpec(name="fd", extractor="effnet_lite0@32"),)
    return RunSpec(
        method=(),
        network=NetworkSpec(name=network, options=options.get(network, {})),
        data=DataSpec(name="shapes", resolution=int(network.rpartition("-")[2]), shots=16),
        train=TrainSettings(**settings),
        protocol=Protocol(name="tiny", version=1, generated=24, reference=24, every=2, metrics=metrics),
        seed=3,
    )


def _context(**train):
    """A FastGAN whose running statistics are not those that it starts with."""
    spec = _fastgan(**train)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    generator, _ = networks.build("fastgan-64", seed=1, **spec.network.options)
    with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(0)):
        for _ in range(5):
            generator(torch.randn(8, 16, generator=torch.Generator().manual_seed(1)))
    return ctx, generator.eval()


def _plain(generator, z_NZ, stream):
    return generator(z_NZ)


def test_batch_statistics_are_those_of_a_generator_in_training_whose_running_ones_stay():
    ctx, generator = _context(batch_statistics=16)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    found = generate(ctx, generator, _plain, 24, 100)
    after = generator.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any("running_mean" in name for name in before)
    assert not any(module.training for module in generator.modules())
    assert all(norm.track_running_stats for norm in batch_norms(generator))

    trained = copy.deepcopy(generator)
    trained.train()
    for module in trained.modules():  # all but the estimates of spectral norms, which have nothing to do with it
        if "SpectralNorm" in type(module).__name__:
            module.eval()
    expected = []
    for start in (0, 16):  # whole batches of 16: of the second 8 are kept
        latents, noises = (seeds.torch_stream(3, "evaluation", name, start) for name in ("latents", "noise"))
        with torch.no_grad(), noise.drawn_from(noises):
            expected.append(to_uint8(trained(torch.randn(16, 16, generator=latents))))
    assert np.array_equal(found, np.concatenate(expected)[:24])
    name = next(name for name in before if "running_mean" in name)
    assert not torch.equal(trained.state_dict()[name], before[name])  # training would have moved them

    ctx, _ = _context()
    assert not np.array_equal(found, generate(ctx, generator, _plain, 24, 16))


def test_statistics_and_flags_are_put_back_after_an_error():
    _, generator = _context()
    norms = batch_norms(generator)
    norms[0].train()
    with pytest.raises(RuntimeError), batch_statistics(generator):
        assert all(norm.training for norm in norms)
        raise RuntimeError
    assert [norm.training for norm in norms] == [True] + [False] * (len(norms) - 1)
    assert all(norm.track_running_stats for norm in norms)


def test_a_generator_without_batch_norms_is_refused(tmp_path):
    spec = _fastgan("stylegan2-32", batch_statistics=16)
    store = Store(tmp_path)
    with pytest.raises(UserError, match="batch_statistics is 16, but the generator of 'stylegan2-32' has no"):
        Training(spec, store.open(spec), store, Settings(torch.device("cpu")))


# ---- all of it -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_very_bits_of_one_that_was_not(tmp_path):
    spec = _fastgan(hinge_margin=0.8, share_fakes=True, batch_statistics=16, ema_ramp=False)
    found = []
    for name, stops in (("straight", ()), ("stopped", (1, 3))):
        store = Store(tmp_path / name)
        folder = store.open(spec)
        for stop in (*stops, spec.train.steps):
            training = Training(spec, folder, store, Settings(torch.device("cpu")))
            training.run(lambda training=training, stop=stop: training.ctx.step >= stop, lambda *_: None)
        scores = [(line["step"], line["value"]) for line in folder.metrics()]
        found.append((fingerprint(read_weights(folder.final_weights)), scores))
    assert found[0] == found[1] and [step for step, _ in found[0][1]] == [2, 4]
