"""For each conformance check the least method that fails it and no other: a check that never fails would be seen."""

from __future__ import annotations

import re

import pytest

from bench.conformance.checks import check_method

HEAD = '''
import torch
from bench.train import Method


class Mine(Method):
    """Wrong in one way."""
'''
# check -> (the body of the method, what its finding says)
KILLERS = {
    "builds": ("""
    def prepare(self, ctx):
        raise ValueError("half an edit")
""", "ValueError: half an edit"),
    "steps": ("""
    def after_step(self, ctx):
        return {"mean": float("nan")}
""", "not finite after 1 steps"),
    "global random state": ("""
    def after_step(self, ctx):
        return {"drawn": torch.rand(1).item() * 0}
""", "draws from the global random state of torch"),
    "repeats": ("""
    runs = 0  # the process's: the one that is only built, the straight one, the one that repeats it

    def prepare(self, ctx):
        Mine.runs += 1

    def after_step(self, ctx):
        return {"odd": float(Mine.runs == 3)}
""", "a second run of the same spec logs other losses"),
    "resumes": ("""
    def __init__(self):
        self.level = 0

    def after_step(self, ctx):
        self.level += 1
        return {}
""", "mine.level differ"),
    "micro batches": ("""
    def g_weights(self, ctx, step):
        return torch.ones(ctx.spec.train.batch)
""", r"weights have shape \(4,\), must be \(2,\)"),
    "samples": ("""
    def sampler(self, ctx):
        return lambda generator, z_NZ, stream: generator(z_NZ).abs()
""", "never negative"),
    "augments": ("""
    def augment(self, ctx, images_NCHW):
        return (images_NCHW + 1) / 2
""", r"never negative: the range is \[-1, 1\], not \[0, 1\]"),
    "discriminates": ("""
    def discriminator(self, ctx, discriminator):
        return Square(discriminator)


class Square(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images_NCHW, condition_NK=None):
        return self.inner(images_NCHW)[:, None, None]
""", r"D's logits of 4 images have shape \(4, 1, 1\), must be \(4,\) or \(4, L\)"),
    "pickles": ("""
    def __reduce__(self):
        raise TypeError("it holds an open file")
""", "TypeError: it holds an open file"),
}  # fmt: skip
# further verdicts of the same checks
MORE = {
    "steps that change nothing": ("steps", """
    def fit(self, ctx):
        while True:
            yield {"loss": 0.0}
""", "nothing has changed after 6 steps"),
    "samples of another shape": ("samples", """
    def sampler(self, ctx):
        return lambda generator, z_NZ, stream: generator(z_NZ)[:, :, ::2]
""", r"8 samples have shape \(8, 3, 16, 32\)"),
    "samples from a stream of the method's own": ("samples", """
    def sampler(self, ctx):
        own = torch.Generator().manual_seed(0)

        def sample(generator, z_NZ, stream):
            return generator(z_NZ + torch.rand(z_NZ.shape, generator=own))

        return sample
""", "two draws from equal streams differ"),
    "augmented images of another shape": ("augments", """
    def augment(self, ctx, images_NCHW):
        return images_NCHW if ctx.step < 6 else images_NCHW[:, :, ::2]
""", "augment turns shape"),
}  # fmt: skip


def failures(text, load_plugin):
    """On the network that is the quickest to check: what is planted is wrong on every one."""
    load_plugin(HEAD + text)
    return {one.check: one.detail for one in check_method("mine", "sndcgan-32") if not one.passed}


@pytest.mark.parametrize("check", KILLERS)
def test_exactly_the_check_that_is_meant_fails(check, load_plugin):
    text, detail = KILLERS[check]
    found = failures(text, load_plugin)
    assert list(found) == [check], found
    assert re.search(detail, found[check])


@pytest.mark.parametrize("fault", MORE)
def test_exactly_the_verdict_that_is_meant_is_given(fault, load_plugin):
    check, text, detail = MORE[fault]
    found = failures(text, load_plugin)
    assert list(found) == [check], found
    assert re.search(detail, found[check])


def test_every_check_has_a_killer():
    assert [one.check for one in check_method("baseline", "sndcgan-32")] == list(KILLERS)
