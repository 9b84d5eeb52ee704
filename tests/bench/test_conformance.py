"""`bench check` passes a good method and finds planted faults, each by the check that is meant for it."""

from __future__ import annotations

import re

import pytest

from bench.conformance import check_method

HEAD = '''
import torch
from bench.train import Method


class Mine(Method):
    """A method under test."""
'''
GOOD = """
    def __init__(self, *, strength: float = 0.1):
        self.strength, self.level = strength, 0.0

    def augment(self, ctx, images_NCHW):
        noise = torch.randn(images_NCHW.shape, generator=ctx.stream("mine"))
        return (images_NCHW + (self.strength + self.level) * noise).clamp(-1, 1)

    def after_step(self, ctx):
        self.level += 0.01
        return {"level": self.level}

    def state_dict(self):
        return {"level": self.level}

    def load_state_dict(self, state):
        self.level = state["level"]
"""
CLAMP = ".clamp(-1, 1)"
FAULTS = {
    "wrong image range": ((CLAMP, ".add(1).div(2).clamp(0, 1)"), "augments", "not \\[0, 1\\]"),
    "images in 0..255": ((CLAMP, ".clamp(-1, 1).mul(127.5)"), "augments", "must be in \\[-1, 1\\]"),
    "state that is not saved": (('return {"level": self.level}\n\n    def load', "return {}\n\n    def load"),
                                "resumes", "KeyError|mine.level"),
    "state that is not put back": (('self.level = state["level"]', "pass"), "resumes", "mine.level differ"),
    "extra random stream": (
        ('generator=ctx.stream("mine")', ""), "global random state", "torch.*ctx.stream"),
    "own generator, not derived": (
        ("self.level += 0.01", "self.level += torch.rand(1, generator=self.own).item() / 100"),
        "resumes",
        "mine.own differ",
    ),
    "gradient cut off": (("(images_NCHW +", "(images_NCHW.detach() +"), "steps", "does not require grad"),
    "gradient of zero": (("(images_NCHW +", "(images_NCHW * 0 +"), "augments", "no gradient"),
    "settings that are no data": (("strength: float = 0.1", "strength=torch.ones(1)"), "builds|pickles", ""),
    "loss that is no number": (("self.level += 0.01", "self.level = float('nan')"), "steps", "not finite"),
}  # fmt: skip


def failures(findings):
    return {finding.check: finding.detail for finding in findings if not finding.passed}


def test_good_plugin_passes(load_plugin):
    load_plugin(HEAD + GOOD)
    findings = check_method("mine + baseline")
    assert failures(findings) == {}
    assert [finding.check for finding in findings] == [
        "builds", "steps", "global random state", "repeats", "resumes", "samples", "augments", "pickles",
    ]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found_by_the_right_check(fault, load_plugin):
    (good, bad), check, detail = FAULTS[fault]
    assert good in GOOD
    text = GOOD.replace(good, bad)
    if "self.own" in text:
        made = "self.own = torch.Generator().manual_seed(1)"
        text = text.replace("self.level = strength, 0.0", f"self.level = strength, 0.0\n        {made}")
    load_plugin(HEAD + text)
    found = failures(check_method("mine + baseline"))
    assert any(name in found for name in check.split("|")), found
    assert any(re.search(detail, text) for text in found.values()), found
