"""Instance selection: which training images a part leaves, and that all else follows, in whatever order parts stand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench import features
from bench.conformance.checks import check_method, conformance_spec
from bench.contract.composition import build_method, positions
from bench.contract.conditions import scaled
from bench.contract.expression import parse_method
from bench.data.draws import training_images
from bench.data.reference import reference_point
from bench.errors import UserError
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import Part, Protocol
from bench.store.checkpoints import fingerprint
from bench.store.runs import Store
from bench.train import Batch

CPU = torch.device("cpu")
PLUGIN = '''
import numpy as np
from bench.train import Method


class Selection(Method):
    """Instance selection (DeVries et al. 2020) in pixels: the images nearest to their mean, the nearest first."""

    def __init__(self, *, keep: float = 0.6):
        self.keep = keep

    def select(self, ctx):
        assert ctx.generator is None and ctx.discriminator is None
        flat_ND = ctx.images_u8_NHWC.reshape(len(ctx.images_u8_NHWC), -1).astype(np.float64)
        far_N = np.square(flat_ND - flat_ND.mean(axis=0)).sum(axis=1)
        return np.argsort(far_N, kind="stable")[: round(self.keep * len(far_N))]
'''
HEAD = """
import numpy as np, torch
from bench.train import Method


class Mine(Method):
"""


def wanted(images, keep=0.6):
    """The positions again, by another formula: distances by the law of cosines, ranks by comparison."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    far = (flat**2).sum(axis=1) - 2 * flat @ mean + mean @ mean
    nearer = (far[None, :] < far[:, None]).sum(axis=1)
    return np.flatnonzero(nearer < round(keep * len(images)))


def trained(expression, root):
    """A run of the conformance checks' size, to its end."""
    spec = conformance_spec(expression)
    store = Store(root)
    settings = Settings(CPU, checkpoint_seconds=math.inf)
    for source in spec.run_sources.values():
        store.open(source)
        assert execute(source.uid, store, settings, lambda: False, lambda *_: None) == "done"
    training = Training(spec, store.open(spec), store, settings)
    assert training.run(lambda: False, lambda *_: None) == "done"
    return training


def networks_of(training):
    return fingerprint({name: module.state_dict() for name, module in training.modules().items()})


def test_images_labels_indices_and_conditions_follow(load_plugin, tmp_path):
    load_plugin(PLUGIN)
    spec = conformance_spec("baseline + selection")
    drawn = training_images(spec.data, spec.seed)
    images, labels = drawn.images, drawn.labels
    chosen = wanted(images)
    ctx, method = build_context(spec, Store(tmp_path), CPU)
    assert ctx.selected_M.tolist() == chosen.tolist() and 0 < len(chosen) < len(images)
    assert np.array_equal(ctx.images_u8_NHWC, images[chosen])
    assert np.array_equal(ctx.labels_N, labels[chosen])
    assert method.networks(ctx) == {"condition_dim": len(chosen)}
    assert ctx.discriminator.condition_dim == len(chosen)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["baseline", "disp(prior=random)", "class-conditional"])
def test_the_order_of_the_parts_is_indifferent(other, load_plugin, tmp_path):
    """The row that a newcomer wanted, either way round: baseline counts the images before it prepares."""
    load_plugin(PLUGIN)
    first = trained(f"selection + {other}", tmp_path / "first")
    last = trained(f"{other} + selection", tmp_path / "last")
    assert networks_of(first) == networks_of(last)
    assert networks_of(first) != networks_of(trained(other, tmp_path / "without"))


def test_priors_are_of_the_selected_images_alone(load_plugin, tmp_path):
    load_plugin(PLUGIN)
    prior = "disp(prior=effnet_lite0, prior_size=32)"
    ctx, method = build_context(conformance_spec(f"{prior} + selection"), Store(tmp_path), CPU)
    chosen = wanted(training_images(ctx.spec.data, ctx.spec.seed).images)
    images = training_images(ctx.spec.data, ctx.spec.seed).images[chosen]
    table_MK = scaled(torch.from_numpy(features.load("effnet_lite0@32")(images)), "rms")
    batch = Batch(torch.empty(2, 3, 32, 32), torch.tensor([0, len(chosen) - 1]))
    torch.testing.assert_close(method.condition(ctx, batch), table_MK[[0, -1]])


def test_to_select_all_changes_no_bit(load_plugin, tmp_path):
    load_plugin(PLUGIN)
    all_of_them = trained("selection(keep=1.0) + baseline", tmp_path / "all")
    assert len(all_of_them.ctx.selected_M) == len(all_of_them.ctx.images_u8_NHWC) == 128
    assert networks_of(all_of_them) == networks_of(trained("baseline", tmp_path / "none"))


@pytest.mark.slow
@pytest.mark.parametrize("expression", ["selection + baseline", "baseline + selection"])
def test_selection_keeps_the_promises_of_the_engine(expression, load_plugin):
    load_plugin(PLUGIN)
    assert [finding for finding in check_method(expression) if not finding.passed] == []


def test_reference_points_are_of_the_whole_draw(load_plugin):
    """`memorised` is what all methods of a column are held against: it does not depend on a row's selection."""
    load_plugin(PLUGIN)
    spec = conformance_spec("selection + baseline")
    protocol = Protocol(name="tiny", version=1, generated=400, reference=24, metrics=(), every=1)
    point = spec.model_copy(
        update={"method": (Part(name="memorised"),), "network": None, "train": None, "protocol": protocol}
    )
    images = training_images(spec.data, spec.seed).images
    left_out = set(range(len(images))) - set(wanted(images).tolist())
    shown = {image.tobytes() for image in reference_point(point)}
    assert any(images[one].tobytes() in shown for one in left_out)


def test_two_selections_are_refused(load_plugin):
    load_plugin(PLUGIN)
    load_plugin(HEAD + "    def select(self, ctx):\n        return [0]\n", name="other.py")
    with pytest.raises(UserError, match="'mine' and 'selection' both claim the hook 'select'|'selection' and 'mine'"):
        build_method(parse_method("selection + mine"))


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        (np.array([True, False, True]), "gives bool of shape .3,., must be whole numbers"),
        ([0.0, 1.0], "gives float64 of shape"),
        ([[0, 1]], r"shape \(1, 2\)"),
        (np.array([], dtype=int), "leaves none of the 3 training images"),
        ([0, 3], "positions 0 to 3, must lie in 0 to 2"),
        ([-1, 0], "positions -1 to 0"),
        (torch.tensor([1, 1]), "a position twice"),
    ],
)
def test_what_are_no_positions_is_refused(chosen, complaint):
    with pytest.raises(ValueError, match=f"method 'mine': select .*{complaint}"):
        positions(chosen, 3, "mine")


def test_positions_are_a_set():
    assert positions(torch.tensor([2, 0]), 3, "mine").tolist() == positions([0, 2], 3, "mine").tolist() == [0, 2]


@pytest.mark.parametrize("hook", ["prepare", "networks"])
def test_images_that_are_replaced_elsewhere_are_refused(hook, load_plugin, tmp_path):
    """What users did before there was `select`: conditions had counted the images already, or not, by the order."""
    body = "        ctx.images_u8_NHWC = ctx.images_u8_NHWC[:90]\n        return {}\n"
    load_plugin(HEAD + f"    def {hook}(self, ctx):\n{body}")
    with pytest.raises(ValueError, match=f"'mine' replaces the training images in {hook}.*select"):
        build_context(conformance_spec("mine + baseline"), Store(tmp_path), CPU)


def test_a_selection_that_chooses_anew_is_found(load_plugin):
    body = """
    def select(self, ctx):
        return np.random.default_rng().permutation(128)[:90]
"""
    load_plugin(HEAD + body)
    failed = {one.check: one.detail for one in check_method("mine") if not one.passed}
    assert "trains on other images: select must choose the same again" in failed["repeats"]
    assert "select" in failed["resumes"]
