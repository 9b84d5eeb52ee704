"""`bench check` passes a good method and finds planted faults, each by the check that is meant for it."""

from __future__ import annotations

import re

import pytest

from bench.conformance.checks import NETWORKS, check_everywhere, check_method
from bench.contract.discovery import methods
from bench.errors import UserError

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
    "another augmentation each time": (
        ("noise = torch.randn", "self.level += 0.001\n        noise = torch.randn"), "augments", "are replayed"),
}  # fmt: skip


def failures(findings):
    return {finding.check: finding.detail for finding in findings if not finding.passed}


def test_good_plugin_passes(load_plugin):
    load_plugin(HEAD + GOOD)
    findings = check_method("mine + baseline")
    assert failures(findings) == {}
    assert [finding.check for finding in findings] == [
        "builds", "steps", "global random state", "repeats", "resumes", "micro batches", "samples", "augments",
        "discriminates", "pickles",
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


def test_a_module_whose_state_is_lost_is_found(load_plugin):
    """It changes nothing in what is trained: only the part's own attributes can show it."""
    made = "self.strength, self.level = strength, 0.0"
    text = GOOD.replace(made, f"{made}\n        self.memory = torch.nn.BatchNorm1d(1, affine=False)")
    load_plugin(HEAD + text.replace("self.level += 0.01", "self.level += 0.01\n        self.memory.running_mean += 1"))
    found = failures(check_method("mine + baseline"))
    assert list(found) == ["resumes"] and "mine.memory differ" in found["resumes"]


HOOKED = """
    def select(self, ctx):
        return torch.randperm(128, generator=ctx.stream("select"))[:90]

    def discriminator(self, ctx, discriminator):
        with ctx.initialised("told"):
            return Told(discriminator)

    def d_condition(self, ctx, batch, condition_NK):
        return (batch.index_N % 2).float()[:, None]

    def reals(self, ctx, batch, images_NCHW):
        assert batch.index_N.max() < 90
        draw_N = torch.rand(len(images_NCHW), generator=ctx.stream("reals"))
        return torch.where((draw_N < 0.5)[:, None, None, None], images_NCHW.flip(3), images_NCHW)

    def d_adversarial(self, ctx, step):
        return torch.nn.functional.softplus(step.fake_logits_N - step.real_logits_N).mean()

    def g_weights(self, ctx, step):
        return (step.logits_N > step.real_logits().mean()).float() + 0.5


class Told(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.told = inner, torch.nn.Linear(1, 1)
        self.batch_statistics = getattr(inner, "batch_statistics", False)

    def forward(self, images_NCHW, condition_NK=None):
        return self.inner(images_NCHW) + self.told(condition_NK)[:, 0]
"""
HOOK_FAULTS = {
    "weights of the whole batch": (
        ("(step.logits_N > step.real_logits().mean()).float() + 0.5", "torch.ones(ctx.spec.train.batch)"),
        "micro batches", r"weights have shape \(4,\), must be \(2,\)"),
    "D that judges a batch as one": (
        ("self.told(condition_NK)[:, 0]", "images_NCHW.mean()"), "discriminates", "set batch_statistics = True"),
    "D from the global random state": (
        ('with ctx.initialised("told"):', "if True:"), "global random state", "torch"),
    "images of the whole draw": (
        ("len(images_NCHW), gen", "len(ctx.images_u8_NHWC), gen"), "steps", "size of tensor"),
}  # fmt: skip


@pytest.mark.parametrize("network", ["sngan-32", "stylegan2-32"])
def test_a_method_of_many_hooks_passes(network, load_plugin):
    load_plugin(HEAD + HOOKED)
    assert failures(check_method("mine", network)) == {}


@pytest.mark.parametrize("fault", HOOK_FAULTS)
def test_a_planted_fault_of_a_hook_is_found(fault, load_plugin):
    (good, bad), check, detail = HOOK_FAULTS[fault]
    assert good in HOOKED
    load_plugin(HEAD + HOOKED.replace(good, bad))
    found = failures(check_method("mine"))
    assert re.search(detail, found.get(check, "")), found


PICKY = """
    def prepare(self, ctx):
        if "stylegan2" not in ctx.spec.network.name:
            raise UserError("method 'mine': only stylegan2 will do")
"""
NEEDS_ERROR = HEAD.replace("import torch", "import torch\nfrom bench.errors import UserError")


@pytest.mark.parametrize("network", NETWORKS)
def test_a_good_method_passes_on_every_family(network, load_plugin):
    load_plugin(HEAD + GOOD)
    findings = check_method("mine + baseline", network)
    assert failures(findings) == {} and len(findings) == 10


def test_a_network_that_is_refused_is_no_failure(load_plugin):
    load_plugin(NEEDS_ERROR + PICKY)
    found = check_everywhere("mine", ["sngan-32", "stylegan2-32"])
    (refusal,) = found["sngan-32"]
    assert not refusal.supported and not refusal.passed
    assert refusal.detail == "method 'mine': only stylegan2 will do"
    assert len(found["stylegan2-32"]) == 10 and failures(found["stylegan2-32"]) == {}


def test_to_refuse_every_network_is_a_failure(load_plugin):
    load_plugin(NEEDS_ERROR + PICKY.replace('"stylegan2"', '"none"'))
    found = check_everywhere("mine", ["sngan-32", "biggan-32"])
    last = found["biggan-32"][-1]
    assert (last.check, last.passed, last.supported) == ("supports", False, True)
    assert "sngan-32 and biggan-32" in last.detail


def test_settings_that_are_wrong_are_no_refusal():
    (finding, *_) = check_method("freezed(blocks=0)")
    assert finding.supported and not finding.passed and "blocks is 0" in finding.detail


@pytest.mark.parametrize(
    "expression", ["simclr(width=4)", "classifier(width=4)", "classifier(target=attributes)", "classifier(on=samples)"]
)
def test_a_method_without_networks_is_checked_once(expression):
    found = check_everywhere(expression)
    assert list(found) == ["sngan-32"] and failures(found["sngan-32"]) == {}


def test_a_source_has_conditions_where_the_method_has():
    """TransferGAN alone fine-tunes without conditions: its source must have none."""
    for expression in ("transfergan", "transfergan + baseline"):
        assert failures(check_method(expression)) == {}


@pytest.mark.slow
def test_unbounded_images_must_use_both_halves(load_plugin):
    sampler = """
    def sampler(self, ctx):
        return lambda generator, z_NZ, stream: {images}
"""
    images = "generator(z_NZ).detach() * 0 + torch.linspace({low}, {high}, z_NZ.shape[0])[:, None, None, None]"
    verdicts = {}
    for name, (low, high) in {"wide": (-9, 9), "high": (1, 9), "low": (-9, -1)}.items():
        text = images.format(low=low, high=high)
        load_plugin(HEAD + sampler.format(images=text), name=f"{name}.py")
        verdicts[name] = failures(check_method("mine", "stylegan2-32")).get("samples", "")
        methods.cache_clear()
    assert verdicts["wide"] == ""
    assert "never negative" in verdicts["high"] and "never positive" in verdicts["low"]


def test_an_unknown_network_is_named():
    with pytest.raises(UserError, match="network 'sngan-33' has no conformance setting; known: sngan-32"):
        check_method("baseline", "sngan-33")


@pytest.mark.slow
def test_the_command_prints_a_line_a_network_and_what_is_wrong(bench_command, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(NEEDS_ERROR + PICKY)
    done = bench_command("check", "mine", "--network", "sngan-32", "--plugin", str(plugin))
    assert done.stdout.splitlines() == [
        "n/a  mine on sngan-32: builds: not supported: method 'mine': only stylegan2 will do",
        "FAIL mine on sngan-32: supports: it refuses sngan-32: nothing was checked",
        "1 check failed",
    ]
    assert done.returncode == 1
    plugin.write_text(HEAD + GOOD.replace('self.level = state["level"]', "pass"))
    done = bench_command("check", "mine + baseline", "--network", "sngan-32", "--plugin", str(plugin))
    first, second, last = done.stdout.splitlines()
    assert (first, last) == ("FAIL mine + baseline on sngan-32: 9 of 10 checks passed", "1 check failed")
    assert second.startswith("FAIL mine + baseline on sngan-32: resumes: mine.level differ")
    assert done.returncode == 1


@pytest.mark.slow
def test_the_command_prints_every_check_if_asked(bench_command):
    short = bench_command("check", "baseline", "--network", "sngan-32")
    assert short.returncode == 0, short.stderr
    assert short.stdout.splitlines() == [
        "ok   baseline on sngan-32: 10 of 10 checks passed", "all checks passed"
    ]  # fmt: skip
    long = bench_command("check", "baseline", "--network", "sngan-32", "--verbose")
    lines = long.stdout.splitlines()
    assert len(lines) == 11 and "ok   baseline on sngan-32: resumes" in lines
