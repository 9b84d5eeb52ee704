"""An update of G with more images than one of D has: the same steps written down, and what its hooks are given."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from bench.spec.run import TrainSettings
from bench.train import Method
from toy_loop import BATCH, TABLE, assert_same, context, hinge, linear, networks, train, transcribed


class Seen(Method):
    """Whose images and conditions G's terms and D's terms get."""

    def __init__(self):
        self.of_d, self.of_g = [], []

    def d_loss(self, ctx, step):
        self.of_d.append(len(step.batch.index_N))
        return {}

    def g_loss(self, ctx, step):
        sizes = {
            len(one) for one in (step.z_NZ, step.images_NCHW, step.logits_N, step.condition_NK, step.real_logits())
        }
        assert sizes == {len(step.batch.index_N)} == {len(step.batch.images_NCHW)}
        assert torch.equal(step.condition_NK, TABLE[step.batch.index_N])
        self.of_g.append(len(step.z_NZ))
        return {}


@pytest.mark.parametrize(("times", "micro_batch"), [(1, None), (2, None), (3, None), (2, 4)])
def test_g_sees_more_images_and_d_as_many_as_before(times, micro_batch):
    pair, seen = networks(), Seen()
    wanted = transcribed(pair, hinge, linear, times=times)
    ctx = context(micro_batch, g_batch=times * BATCH if times > 1 else None)
    logs = train(ctx, seen)
    assert_same(ctx, logs, pair, wanted)
    assert set(seen.of_d) == {micro_batch or BATCH}
    assert sum(seen.of_g) == 3 * times * BATCH and set(seen.of_g) == {micro_batch or times * BATCH}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"g_batch": 18}, "g_batch is 18, must be 24 or another multiple of batch, which is 12; leave it out"),
        ({"g_batch": 12}, "g_batch is 12, must be 24 or another multiple"),
        ({"g_batch": 6}, "g_batch is 6, must be 24 or another multiple"),
        (
            {"g_batch": 24, "share_fakes": True},
            "share_fakes takes D's images for G's update, which g_batch wants more of",
        ),
    ],
)
def test_impossible_batches_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TrainSettings(steps=1, batch=12, g_lr=1e-3, d_lr=1e-3, **settings)


def test_it_is_no_part_of_the_identity_where_unused(tiny_spec):
    plain, none, doubled = (tiny_spec("baseline", **extra) for extra in ({}, {"g_batch": None}, {"g_batch": 8}))
    assert plain.uid == none.uid != doubled.uid
