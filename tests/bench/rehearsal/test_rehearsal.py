"""Rehearsals: the list of paper-scale configurations, a real step in its own process, and what is made of it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

from bench.cli.rehearse import BEGIN, END, rehearse
from bench.contract.composition import build_method
from bench.errors import UserError
from bench.plan.load import load_table, table_names
from bench.rehearsal import configurations as rehearsal
from bench.rehearsal.configurations import Configuration, RehearsalOutcome, Results, load_configurations, pick
from bench.rehearsal.estimate import PEAK_FLOPS, SHARE, estimate, formula_flops, markdown
from bench.rehearsal.step import Activations, RehearsedStep, checksums
from bench.rehearsal.table_rows import row_settings

TINY = {
    "network": {"name": "sngan-32", "options": {"g_width": 16, "d_width": 16, "z_dim": 8}},
    "resolution": 32,
    "batch": 8,
    "d_steps": 2,
    "steps": 100,
    "images": 16,
    "train": {"g_lr": 1e-3, "d_lr": 1e-3},
    "tables": ["none"],
}
PLAIN = {"id": "plain", "method": ""}
MICRO = {"id": "micro", "method": "", "micro_batch": 2, "rehearsed": 4}
SHARED = {"id": "shared", "method": "", "train": {"g_lr": 1e-3, "d_lr": 1e-3, "share_fakes": True}}
FROZEN = {"id": "frozen", "method": "freezed(blocks=2) + baseline", "source": {"condition_dim": 3}}
BROKEN = {"id": "broken", "method": "", "train": {"g_lr": 1e-3, "d_lr": 1e38}}


def written(folder: Path, *configurations: dict[str, object], **shared: object) -> Path:
    path = folder / "list.yaml"
    group = {**TINY, **shared, "configurations": list(configurations)}
    value = {"images_from": {"name": "shapes", "resolution": 32}, "groups": [group]}
    path.write_text(yaml.safe_dump(value))
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Four tiny configurations, rehearsed: id -> (configuration, measurement)."""
    folder = tmp_path_factory.mktemp("rehearsal")
    images, configurations = load_configurations(written(folder, PLAIN, MICRO, FROZEN, SHARED))
    results = Results(folder)
    outcomes = [rehearsal.rehearse(one, images, results, threads=1) for one in configurations]
    assert [outcome.problem for outcome in outcomes] == [""] * 4
    return {one.configuration.id: (one.configuration, one.measured) for one in outcomes}


# ---- the papers' list ----------------------------------------------------------------------------------------


def test_every_configuration_of_the_list_can_be_built():
    _, configurations = load_configurations()
    for one in configurations:
        build_method(one.parts)
    names = {one.network.name for one in configurations}
    papers = {table.split()[0] for one in configurations for table in one.tables}
    assert {"sngan-128", "biggan-128", "stylegan1-128", "stylegan2-1024", "fastgan-1024"} <= names
    assert papers == {"DISP", "LT-GAN", "FastGAN"}  # DIP's rows are DISP's, and named with them


def test_a_row_has_its_tables_settings_but_where_others_are_given(tmp_path):
    path = tmp_path / "list.yaml"
    rows = [{"id": "as-it-is", "row": "glann+disp"}, {"id": "other", "row": "glann+disp", "batch": 5, "method": "bsa"}]
    group = {"table": "disp/table1", "tables": ["mine"], "configurations": rows}
    path.write_text(yaml.safe_dump({"images_from": {"name": "shapes", "resolution": 32}, "groups": [group]}))
    as_it_is, other = load_configurations(path)[1]
    table = load_table("disp/table1")
    row = next(row for row in table.rows if row.id == "glann+disp")
    run, mine = table.run_spec(row, table.columns[0], 0, "paper"), as_it_is.run_spec()
    assert (mine.method, mine.network) == (run.method, run.network) and "fit_share=0.9412" in as_it_is.method
    assert mine.train == run.train.model_copy(update={"log_every": mine.train.log_every})
    assert (as_it_is.steps, as_it_is.batch, as_it_is.images, as_it_is.resolution) == (8500, 50, 100, 128)
    assert other.method == "bsa" and other.batch == 5 and other.train == as_it_is.train


def test_a_row_has_the_settings_of_a_column_that_is_named(tmp_path):
    """Columns of disp/table4 have networks of their own; of a row that is absent in the first, the next is taken."""
    table = load_table("disp/table4")
    by_column = {column: row_settings(table, "baseline", column) for column in (None, "cifar10", "ffhq")}
    assert by_column[None] == by_column["cifar10"]
    assert [by_column[name]["network"]["name"] for name in ("cifar10", "ffhq")] == ["biggan-32", "biggan-128"]
    with pytest.raises(UserError, match="disp/table4 trains no row 'ssgan' in column 'ffhq'"):
        row_settings(table, "ssgan", "ffhq")
    with pytest.raises(UserError, match="unknown column 'fhq' of disp/table4; did you mean 'ffhq'"):
        row_settings(table, "baseline", "fhq")


def test_the_list_is_not_taken_for_a_table():
    assert not [name for name in table_names() if "rehearsal" in name]


@pytest.mark.parametrize("name", table_names())
def test_every_cell_that_a_table_trains_at_paper_scale_is_in_the_list(name):
    """With the table's own network and batch: what is rehearsed is what `--scale paper` runs."""
    _, configurations = load_configurations()
    listed = {key(one.network, one.parts, one.batch) for one in configurations}
    table = load_table(name)
    for row, column in table.trained_cells("paper") if "paper" in table.scales else ():
        spec = table.run_spec(row, column, 0, "paper")
        if not row.control and spec.network is not None and spec.train is not None:
            assert key(spec.network, spec.method, spec.train.batch) in listed, f"{name} {row.id}/{column.id}"


# Settings that a step does not depend on, and the priors of 2,048 numbers, whose steps are one computation.
IDLE = {
    "disp": ("sampling",),
    "logo-gan": ("clusters",),
    "self-cond": ("interval", "sample"),
    "lt": ("sigma", "weight"),
}
AS_WIDE = {"resnet50": "simclr", "classifier": "simclr"}


def key(network, parts, batch):
    """What decides the computation of a step; a method without parts is `unconditional`."""
    return network.model_dump_json(), tuple(step_of(part) for part in parts if part.name != "unconditional"), batch


def step_of(part):
    settings = {name: value for name, value in part.settings.items() if name not in IDLE.get(part.name, ())}
    if part.name == "disp" and settings["prior"] in AS_WIDE:
        settings |= {"prior": AS_WIDE[settings["prior"]], "prior_size": 64}
    return part.model_copy(update={"settings": settings}).model_dump_json()


# ---- one step --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_counted_operations_are_those_of_the_formula(measured):
    """Adversarial training alone has no others; D's first layer passes no gradient on to its images (1 to 2 %)."""
    for name in ("plain", "shared"):
        configuration, found = measured[name]
        assert found["flops"] == pytest.approx(formula_flops(configuration, found["macs"]), rel=0.03)
    assert measured["shared"][1]["flops"] < 0.97 * measured["plain"][1]["flops"]


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
    assert guess.gpu_hours == pytest.approx(guess.step_flops * 100 / (PEAK_FLOPS * SHARE) / 3600)
    # G twice (itself and its average) and D; a gradient and two moments of what is trained; 400 bytes for 4 images
    assert guess.gpu_bytes == 4 * (300 + 3 * 160) + 400 / 4 * 16


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bacth": 3}, "bacth: unknown key; did you mean 'batch'?"),
        ({"method": "difaugment"}, "did you mean 'diffaugment'?"),
        ({"network": {"name": "sngan-33"}}, "did you mean 'sngan-32'?"),
        ({"micro_batch": 3}, "micro_batch is 3, must divide batch"),
        ({"rehearsed": 9}, "rehearsed is 9, must be at most the batch, 8"),
        ({"step": 100}, "step is 100, must be below steps"),
        ({"train": {"g_lr": 1.0}}, "d_lr: "),
        ({"state": {"lt": {}}}, "state names 'lt', which is no part"),
        ({"tables": []}, "tables"),
        ({"table": "disp/table1", "row": "scrtch"}, "disp/table1 trains no row 'scrtch'; did you mean 'scratch'?"),
        ({"table": "disp/table1", "row": "bsa"}, "disp/table1 trains no row 'bsa'"),
        ({"table": "disp/tabel1", "row": "scratch"}, "unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
        ({"row": "scratch"}, "row: needs the name of a table"),
    ],
)
def test_mistakes_in_a_list_have_a_file_and_a_line(tmp_path, change, message):
    path = written(tmp_path, {**PLAIN, **change})
    with pytest.raises(UserError) as caught:
        load_configurations(path)
    assert str(caught.value).startswith(f"{path}:") and message in str(caught.value)


def test_mistakes_on_the_command_line(tmp_path):
    _, configurations = load_configurations(written(tmp_path, PLAIN, MICRO))
    with pytest.raises(UserError, match="unknown configuration 'plan'; did you mean 'plain'"):
        pick(configurations, ["plan"])
    with pytest.raises(UserError, match="is given twice"):
        load_configurations(written(tmp_path, PLAIN, dict(PLAIN)))
    bare = tmp_path / "bare.md"
    bare.write_text(f"{END} {BEGIN}")
    with pytest.raises(UserError, match="must have one line"):
        invoke(["--write", str(bare)])
    with pytest.raises(UserError, match="must end with .md or .json"):
        invoke(["--output", "table.csv"])
