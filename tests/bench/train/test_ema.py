"""The moving average against its closed form."""

import copy
import math

import pytest
import torch

from bench.conformance.checks import conformance_spec
from bench.networks import build
from bench.run import training
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.store.runs import Store
from bench.train.ema import ema_decay, make_ema, update_ema


def generator():
    network, _ = build("sngan-32", seed=0, g_width=16, d_width=16, condition_dim=6, sn_generator=True)
    return network


def perturb(network, stream):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=stream) * 0.1)
    dtype = next(network.parameters()).dtype
    z, condition = torch.randn(4, 128, generator=stream), torch.randn(4, 6, generator=stream)
    network(z.to(dtype), condition.to(dtype))  # moves the buffers


def test_the_copy_is_its_own_evaluates_and_needs_no_gradient():
    live = generator()
    ema = make_ema(live)
    assert not ema.training and live.training
    assert not any(parameter.requires_grad for parameter in ema.parameters())
    assert all(parameter.requires_grad for parameter in live.parameters())
    before = copy.deepcopy(ema.state_dict())
    perturb(live, torch.Generator().manual_seed(0))
    assert all(torch.equal(before[name], value) for name, value in ema.state_dict().items())


@pytest.mark.parametrize("ramp", [False, True])
def test_parameters_follow_the_closed_form_and_buffers_are_copied(ramp):
    decay, steps = 0.9, 12
    live = generator().double()
    ema = make_ema(live)
    stream = torch.Generator().manual_seed(1)
    history = [{name: value.detach().clone() for name, value in live.named_parameters()}]
    for step in range(1, steps + 1):  # as the engine counts, see the test below
        perturb(live, stream)
        history.append({name: value.detach().clone() for name, value in live.named_parameters()})
        update_ema(ema, live, decay, step, ramp=ramp)
    decays = [min(decay, (1 + t) / (10 + t)) if ramp else decay for t in range(1, steps + 1)]
    # weight of theta_k = (1 - d_k) * product of the later decays; of the start = product of all
    weights = [math.prod(decays)]
    weights += [(1 - decays[k]) * math.prod(decays[k + 1 :]) for k in range(steps)]
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    for name, value in ema.named_parameters():
        expected = sum(weight * past[name] for weight, past in zip(weights, history, strict=True))
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)  # float64, 13 terms
    buffers = dict(live.named_buffers())
    assert {name.rsplit(".", 1)[-1] for name in buffers} == {
        "_u",
        "_v",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    for name, buffer in ema.named_buffers():
        assert torch.equal(buffer, buffers[name]), name
        assert buffer.data_ptr() != buffers[name].data_ptr()
    assert buffers["norm.num_batches_tracked"] == steps


def test_ramp():
    assert ema_decay(0.999, 1, ramp=True) == pytest.approx(2 / 11)
    assert ema_decay(0.999, 90, ramp=True) == pytest.approx(0.91)
    assert ema_decay(0.999, 10**6, ramp=True) == 0.999
    assert ema_decay(0.999, 1, ramp=False) == 0.999


@pytest.mark.parametrize(("decay", "reached"), [(0.995, 1790), (0.999, 8990), (0.9999, 89990)])
def test_where_the_ramp_ends(decay, reached):
    """(10 d - 1) / (1 - d), as the docstring and docs/reproduce/disp.md say; 0.9999 is out of reach in 30,000 steps."""
    assert ema_decay(decay, reached - 1, ramp=True) < decay
    assert ema_decay(decay, reached + 1, ramp=True) == decay
    assert ema_decay(0.9999, 30_000, ramp=True) == pytest.approx(0.9997, abs=1e-6)


def test_the_engine_counts_updates_from_one(tmp_path, monkeypatch):
    """What `update_ema` is given in a real run, so that its docstring is true of the records."""
    seen, update = [], training.update_ema

    def watched(ema, generator, decay, step, *, ramp):
        seen.append(step)
        update(ema, generator, decay, step, ramp=ramp)

    monkeypatch.setattr(training, "update_ema", watched)
    spec, store = conformance_spec("unconditional"), Store(tmp_path)
    store.open(spec)
    assert execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
    assert seen == [1, 2, 3, 4, 5, 6]
    assert "from 1" in " ".join(update.__doc__.split())


def test_decay_zero_is_the_live_network():
    live = generator()
    ema = make_ema(live)
    perturb(live, torch.Generator().manual_seed(0))
    update_ema(ema, live, 0.0, 0, ramp=False)
    for name, value in live.state_dict().items():
        assert torch.equal(ema.state_dict()[name], value)
