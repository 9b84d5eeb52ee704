"""Rehearsals: a real step in its own process, and what is made of it."""

from __future__ import annotations

import json
import signal
import subprocess
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from bench.cli.rehearse import BEGIN, END, rehearse
from bench.errors import UserError
from bench.plan.cost.counting import kept_bytes
from bench.plan.cost.model import card_of
from bench.rehearsal import configurations as rehearsal
from bench.rehearsal.configurations import Configuration, RehearsalOutcome, Results
from bench.rehearsal.estimate import estimate, gpu_hours, markdown
from bench.rehearsal.listing import load_configurations
from bench.rehearsal.step import Activations, RehearsedStep, checksums
from rehearsal_list import MICRO, PLAIN, TINY, measured_here, written

DOUBLED = {"id": "doubled", "method": "", "train": {"g_lr": 1e-3, "d_lr": 1e-3, "g_batch": 16}}
SHARED = {"id": "shared", "method": "", "train": {"g_lr": 1e-3, "d_lr": 1e-3, "share_fakes": True}}
FROZEN = {"id": "frozen", "method": "freezed(blocks=2) + baseline", "source": {"condition_dim": 3}}
BROKEN = {"id": "broken", "method": "", "train": {"g_lr": 1e-3, "d_lr": 1e38}}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Five tiny configurations, the first of them rehearsed in its process: id -> (configuration, measurement)."""
    folder = tmp_path_factory.mktemp("rehearsal")
    images, configurations = load_configurations(written(folder, PLAIN, MICRO, FROZEN, SHARED, DOUBLED))
    plain, *others = configurations
    outcome = rehearsal.rehearse(plain, images, Results(folder), threads=1)
    assert outcome.problem == "" and Results(folder).read(plain).items() > outcome.measured.items()
    found = {one.id: (one, measured_here(one, images, tmp_path_factory.mktemp(one.id))) for one in others}
    return {plain.id: (plain, outcome.measured), **found}


# ---- one step --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_counted_operations_are_those_of_the_formula(measured):
    """Adversarial training alone has no others; D's first layer passes no gradient on to its images (1 to 2 %)."""
    for name in ("plain", "shared", "doubled"):
        configuration, found = measured[name]
        assert found["flops"] == pytest.approx(estimate(configuration, found).formula_flops, rel=0.03)
    assert measured["shared"][1]["flops"] < 0.97 * measured["plain"][1]["flops"]
    assert measured["doubled"][1]["flops"] > 1.1 * measured["plain"][1]["flops"]


def test_a_share_of_the_batch_stands_for_all_of_it(measured):
    whole, part = (estimate(*measured[name]) for name in ("plain", "micro"))
    # Equal but for the spectral norms, which are estimated once a pass and not once an image.
    assert part.step_flops == pytest.approx(whole.step_flops, rel=0.02)
    assert measured["micro"][1]["flops"] < 0.6 * measured["plain"][1]["flops"]
    # A micro-batch keeps a quarter of the activations, and with them normalised weights, which do not shrink.
    kept = [measured[name][1]["activation_bytes"] for name in ("plain", "micro")]
    assert 0.2 * kept[0] < kept[1] < 0.6 * kept[0]


def test_what_is_frozen_stays_and_the_rest_moves(measured):
    _, found = measured["frozen"]
    generator, discriminator = found["networks"]["generator"], found["networks"]["discriminator"]
    assert generator["trained"] == generator["tensors"]
    # Two blocks of SNGAN's D: the first has three convolutions, the second (which halves) three, with biases.
    assert discriminator["tensors"] - discriminator["trained"] == 12
    assert 0 < discriminator["changed"] <= discriminator["trained"]
    assert discriminator["trained_parameters"] < discriminator["parameters"]


def test_a_wrong_change_is_an_error():
    networks = nn.Linear(2, 2), nn.Linear(2, 2)
    for network in networks:
        network.weight.grad = torch.ones(2, 2)
    step = RehearsedStep(SimpleNamespace(networks=lambda: networks), SimpleNamespace(replaces_loop=False))
    step.sums = {"generator": checksums(networks[0]), "discriminator": checksums(networks[1])}
    with pytest.raises(UserError, match="generator: no parameter has changed"):
        step.parameters("generator")
    with torch.no_grad():
        networks[0].weight += 1
        networks[1].bias += 1
    assert step.parameters("generator")["changed"] == 1
    with pytest.raises(UserError, match="discriminator: bias has no gradient, and has changed"):
        step.parameters("discriminator")


def test_memory_seconds_and_losses_are_measured(measured):
    for _, found in measured.values():
        assert 50e6 < found["before_bytes"] < found["peak_bytes"] < 5e9
        assert 0 < found["seconds"] < 60 and found["threads"] == 1
        assert {"d_loss", "g_loss"} <= found["logs"].keys()


def test_kept_activations_count_once_and_are_given_back():
    """x (16x4 floats) and the ReLU's output (16x8), which two layers keep; no parameters."""
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    activations = Activations(SimpleNamespace(networks=lambda: (network, nn.Linear(1, 1))))
    with activations:
        loss = network(torch.ones(16, 4)).sum()
        assert activations.now == 16 * 4 * 4 + 16 * 8 * 4
        loss.backward()
    assert activations.now == 0
    assert activations.most >= 16 * 4 * 4 + 16 * 8 * 4


# ---- estimates ---------------------------------------------------------------------------------------------------


def test_estimate_in_closed_form():
    one = Configuration(
        id="x", method="r1(every=16) + path-length(every=4)", batch=32, rehearsed=8, micro_batch=4, per_gpu=16,
        **{key: value for key, value in TINY.items() if key not in ("batch", "d_steps")},
    )  # fmt: skip
    sizes = {"parameters": 100, "trained_parameters": 60}
    found = {
        "networks": {"generator": sizes, "discriminator": {**sizes, "trained_parameters": 100}},
        "macs": {"generator": 10, "discriminator": 7}, "own_loop": False, "flops": 10_000, "activation_bytes": 400,
    }  # fmt: skip
    guess = estimate(one, found)
    formula = 2 * 32 * (10 + 6 * 7 + 3 * 10 + 2 * 7)
    assert guess.formula_flops == formula
    assert guess.step_flops == formula + (10_000 * 32 / 8 - formula) / 4
    # 32 images in each update: D keeps what is real and what is generated, then G and D what is generated
    g_kept, d_kept = kept_bytes(one.network)
    card, gigabytes = card_of("h100"), 32 * (3 * d_kept + g_kept) / 1e9
    seconds = card.constant + card.per_tflop * guess.step_flops / 1e12 + card.per_gigabyte * gigabytes
    expected = seconds * 100 / 3600
    assert guess.gpu_hours == pytest.approx([expected / card.factor, expected, expected * card.factor])
    # G twice (itself and its average) and D; a gradient and two moments of what is trained; 400 bytes for 4 images
    assert guess.gpu_bytes == 4 * (300 + 3 * 160) + 400 / 4 * 16


def test_hours_are_unknown_where_the_kept_bytes_are():
    """GLANN has a training loop of its own: no count of G's and D's updates tells what its steps keep."""
    one = Configuration(id="x", **(TINY | {"method": "glann(prior=random)"}))
    assert gpu_hours(one, 1e12) is None


def test_table_has_every_configuration_and_says_why_one_was_not_run(measured):
    configuration, found = measured["plain"]
    text = markdown(
        [RehearsalOutcome(configuration, found), RehearsalOutcome(measured["micro"][0], None, "no memory")],
        "images",
    )
    assert "has run 1 of 2 configurations" in text
    assert "| `plain` | `sngan-32` | (adversarial loss alone) | 8 x 2 | whole |" in text
    assert "micro-batch 2, 2 of 4" in text and "**Not run: no memory**" in text


# ---- the command ---------------------------------------------------------------------------------------------------


def test_results_are_kept_until_their_configuration_changes(tmp_path, monkeypatch, store_root):
    """The step itself is another test's; here every call of it is counted."""
    ran = []

    def count(one, images_from, results, threads):
        ran.append(one.id)
        if one.id == "broken":
            return RehearsalOutcome(one, None, "not finite")
        results.write(one, FAKE)
        return RehearsalOutcome(one, FAKE)

    monkeypatch.setattr(rehearsal, "rehearse", count)
    path = written(tmp_path, PLAIN, MICRO, BROKEN)
    target = tmp_path / "PAGE.md"
    target.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    call = ["--configurations", str(path), "--threads", "1"]

    first = invoke([*call, "--write", str(target), "--output", str(tmp_path / "out.json")])
    assert ran == ["plain", "micro", "broken"] and first.return_value == 1
    page = target.read_text()
    assert page.startswith(f"before\n{BEGIN}\n") and page.endswith(f"\n{END}\nafter\n") and "old" not in page
    assert "has run 2 of 3" in page and "Not run: not finite" in page
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["problem"] for row in rows] == ["", "", "not finite"]

    invoke([*call, "plain"])
    assert ran[3:] == []
    written(tmp_path, {**PLAIN, "note": "other words"}, {**MICRO, "step": 3}, BROKEN)
    invoke([*call, "plain", "micro"])
    assert ran[3:] == ["micro"]
    assert "done  plain" in invoke([*call, "--list"]).output
    invoke([*call, "--recorded"])
    invoke([*call, "plain", "--again"])
    assert ran[4:] == ["plain"]


FAKE = {
    "networks": {role: {"parameters": 1, "trained_parameters": 1} for role in ("generator", "discriminator")},
    "macs": {"generator": 1, "discriminator": 1}, "own_loop": False, "flops": 1, "activation_bytes": 1, "seconds": 1.0,
    "peak_bytes": 1, "threads": 1,
}  # fmt: skip


def invoke(arguments):
    return CliRunner().invoke(rehearse, arguments, standalone_mode=False, catch_exceptions=False)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_a_failure(tmp_path):
    images, (broken,) = load_configurations(written(tmp_path, BROKEN))
    outcome = rehearsal.rehearse(broken, images, Results(tmp_path), threads=1)
    assert outcome.measured is None and "not finite after one step" in outcome.problem
    assert Results(tmp_path).read(broken) is None


def test_a_killed_process_is_told_from_one_that_failed():
    done = subprocess.CompletedProcess([], -signal.SIGKILL, stderr="")
    assert "memory" in rehearsal.failure_reason(done)
    done = subprocess.CompletedProcess([], 1, stderr="Traceback\nUserError: no\n")
    assert rehearsal.failure_reason(done) == "UserError: no"


def test_mistakes_on_the_command_line(tmp_path):
    bare = tmp_path / "bare.md"
    bare.write_text(f"{END} {BEGIN}")
    with pytest.raises(UserError, match="must have one line"):
        invoke(["--write", str(bare)])
    with pytest.raises(UserError, match="must end with .md or .json"):
        invoke(["--output", "table.csv"])
