"""`bench check` passes a good method and finds planted faults, each by the check that is meant for it."""

from __future__ import annotations

import re

import pytest
import torch
from click.testing import CliRunner

from bench.cli.main import cli
from bench.conformance import promises
from bench.conformance.cases import conformance_spec
from bench.conformance.checks import NETWORKS, check_everywhere, check_method
from bench.conformance.engine import Bench
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
    "settings that are no data": (
        ("strength: float = 0.1", "strength=torch.ones(1)"), "pickles", "unknown type: .*Tensor"),
    "another augmentation each time": (
        ("noise = torch.randn", "self.level += 0.001\n        noise = torch.randn"), "augments", "are replayed"),
}  # fmt: skip


def failures(findings):
    return {finding.check: finding.detail for finding in findings if not finding.passed}


@pytest.fixture
def says(tmp_path_factory):
    """What a check says of a method, "" if it passes: this check alone, after those that it builds on.

    That `check_method` asks every check is what test_killers.py shows.
    """

    def says(check, expression, network="sngan-32"):
        bench = Bench(conformance_spec(expression, network), tmp_path_factory.mktemp("check"), torch.device("cpu"))
        before = {"builds": [], "steps": ["builds"], "pickles": []}.get(check, ["builds", "steps"])
        for name in before:
            getattr(promises, name)(bench)
        try:
            getattr(promises, check.replace(" ", "_"))(bench)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return says


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found_by_the_right_check(fault, load_plugin, says):
    (good, bad), check, detail = FAULTS[fault]
    assert good in GOOD
    text = GOOD.replace(good, bad)
    if "self.own" in text:
        made = "self.own = torch.Generator().manual_seed(1)"
        text = text.replace("self.level = strength, 0.0", f"self.level = strength, 0.0\n        {made}")
    load_plugin(HEAD + text)
    assert re.search(detail, says(check, "mine + baseline"))


def test_a_module_whose_state_is_lost_is_found(load_plugin, says):
    """It changes nothing in what is trained: only the part's own attributes can show it."""
    made = "self.strength, self.level = strength, 0.0"
    text = GOOD.replace(made, f"{made}\n        self.memory = torch.nn.BatchNorm1d(1, affine=False)")
    load_plugin(HEAD + text.replace("self.level += 0.01", "self.level += 0.01\n        self.memory.running_mean += 1"))
    assert "mine.memory differ" in says("resumes", "mine + baseline")


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
def test_a_planted_fault_of_a_hook_is_found(fault, load_plugin, says):
    (good, bad), check, detail = HOOK_FAULTS[fault]
    assert good in HOOKED
    load_plugin(HEAD + HOOKED.replace(good, bad))
    assert re.search(detail, says(check, "mine"))


PICKY = """
    def prepare(self, ctx):
        if "stylegan2" not in ctx.spec.network.name:
            raise UserError("method 'mine': only stylegan2 will do")
"""
NEEDS_ERROR = HEAD.replace("import torch", "import torch\nfrom bench.errors import UserError")


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_good_method_passes_on_every_family(network, load_plugin):
    load_plugin(HEAD + GOOD)
    findings = check_method("mine + baseline", network)
    assert failures(findings) == {}
    assert [finding.check for finding in findings] == [
        "builds", "steps", "global random state", "repeats", "resumes", "micro batches", "samples", "augments",
        "discriminates", "pickles",
    ]  # fmt: skip


def test_a_network_that_is_refused_is_no_failure(load_plugin):
    load_plugin(NEEDS_ERROR + PICKY.replace("stylegan2", "sndcgan"))
    found = check_everywhere("mine", ["sngan-32", "sndcgan-32"])
    (refusal,) = found["sngan-32"]
    assert not refusal.supported and not refusal.passed
    assert refusal.detail == "method 'mine': only sndcgan will do"
    assert len(found["sndcgan-32"]) == 10 and failures(found["sndcgan-32"]) == {}


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


def test_a_source_has_conditions_where_the_method_has(says):
    """TransferGAN alone fine-tunes without conditions: its source must have none."""
    for expression in ("transfergan", "transfergan + baseline"):
        assert says("builds", expression) == ""


@pytest.mark.slow
def test_unbounded_images_must_use_both_halves(load_plugin, says):
    sampler = """
    def sampler(self, ctx):
        return lambda generator, z_NZ, stream: {images}
"""
    images = "generator(z_NZ).detach() * 0 + torch.linspace({low}, {high}, z_NZ.shape[0])[:, None, None, None]"
    verdicts = {}
    for name, (low, high) in {"wide": (-9, 9), "high": (1, 9), "low": (-9, -1)}.items():
        text = images.format(low=low, high=high)
        load_plugin(HEAD + sampler.format(images=text), name=f"{name}.py")
        verdicts[name] = says("samples", "mine", "stylegan2-32")
        methods.cache_clear()
    assert verdicts["wide"] == ""
    assert "never negative" in verdicts["high"] and "never positive" in verdicts["low"]


def test_an_unknown_network_is_named():
    with pytest.raises(UserError, match="network 'sngan-33' has no conformance setting; known: sngan-32"):
        check_method("baseline", "sngan-33")


@pytest.fixture
def bench():
    """A command in this process: what it prints, in lines, and its exit status."""

    def bench(*words):
        done = CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)
        return done.stdout.splitlines(), done.return_value

    return bench


@pytest.mark.slow
def test_the_command_prints_a_line_a_network_and_what_is_wrong(bench, load_plugin, tmp_path):
    plugin = tmp_path / "wrong.py"
    plugin.write_text(NEEDS_ERROR + PICKY)
    assert bench("check", "mine", "--network", "sngan-32", "--plugin", str(plugin)) == ([
        "n/a  mine on sngan-32: builds: not supported: method 'mine': only stylegan2 will do",
        "FAIL mine on sngan-32: supports: it refuses sngan-32: nothing was checked",
        "1 check failed",
    ], 1)  # fmt: skip
    plugin.write_text(HEAD + GOOD.replace('self.level = state["level"]', "pass"))
    lines, status = bench("check", "mine + baseline", "--network", "sndcgan-32", "--plugin", str(plugin))
    first, second, last = lines
    assert (first, last) == ("FAIL mine + baseline on sndcgan-32: 9 of 10 checks passed", "1 check failed")
    assert second.startswith("FAIL mine + baseline on sndcgan-32: resumes: mine.level differ") and status == 1


@pytest.mark.slow
def test_the_command_prints_every_check_if_asked(bench):
    assert bench("check", "baseline", "--network", "sndcgan-32") == (
        ["ok   baseline on sndcgan-32: 10 of 10 checks passed", "all checks passed"], 0
    )  # fmt: skip
    lines, _ = bench("check", "baseline", "--network", "sndcgan-32", "--verbose")
    assert len(lines) == 11 and "ok   baseline on sndcgan-32: resumes" in lines
